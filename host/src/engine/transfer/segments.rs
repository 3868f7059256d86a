//! One large file over several connections.
//!
//! Each segment is poured into its own part of the one temporary file and has checkpoints of its own;
//! what is synced of each is kept in the file's session, so that after a SIGKILL each fetches at most
//! 8 MiB again. Only a server that serves ranges of a version with a strong `ETag` is asked so: any
//! other gets one connection.

use futures::future::join_all;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::anew::Why;
use super::answer::{self, Answer, Asked};
use super::fault::{Fault, Halt};
use super::fetch::{Fetch, REQUESTS_MAX};
use super::mirrors::Place;
use super::pour::{End, Expect, Pour};
use super::work::Work;
use super::{Progress, Quota, Stopped, Throttle};
use crate::job::{DownloadSession, FileStatus, Segment};

/// A segment below this is not worth a connection: what it costs to open one would carry the bytes.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// How a segment ended.
enum Ended {
    Whole,
    /// What the server has now does not belong to what is here.
    Anew(Why),
}

impl<P: Progress> Fetch<'_, P> {
    /// Whether the file is to be fetched over several connections, or was begun so.
    pub(super) fn is_segmented(&self, work: &Work) -> bool {
        !work.session.segments.is_empty()
            || (self.placing.segments() > 1
                && work.status.bytes_transferred == 0
                && work.status.plan.ranges.is_empty())
    }

    /// Fetches all segments. False when the server or the file is not one for several connections.
    pub(super) async fn fetch_segments(
        &self,
        work: &mut Work,
        place: &Place,
        connected: &mut bool,
    ) -> Result<bool, Halt> {
        if work.session.segments.is_empty() && !self.plan_segments(work, place, connected).await? {
            return Ok(false);
        }
        let Some(proof) = work.proof(place.number, self.placing) else {
            self.start_over(work, Why::Changed("the bytes that are here are of another place"))?;
            return Ok(false);
        };
        self.within_cap(work)?;
        self.connect(connected).await?;
        work.session.place = place.number;
        let halt = self.stop.child_token();
        let shared = Shared {
            progress: self.progress,
            state: Mutex::new((work.status.clone(), work.session.clone())),
        };
        let (file, proof, all, ends) = (&*work, &proof, &shared, &halt);
        let open = (0..file.session.segments.len()).map(|number| async move {
            let ended = self.segment(file, place, proof, number, all, ends).await;
            if !matches!(ended, Ok(Ended::Whole)) {
                // The others make what they have durable, and end.
                ends.cancel();
            }
            ended
        });
        let ends = join_all(open).await;
        (work.status, work.session) = shared.state.into_inner();
        work.recorded = work.status.bytes_transferred > 0;
        let mut stopped = false;
        for end in ends {
            match end {
                Ok(Ended::Whole) => {}
                Ok(Ended::Anew(why)) => {
                    self.start_over(work, why)?;
                    return Ok(false);
                }
                Err(Halt::Stopped) => stopped = true,
                Err(fault) => return Err(fault),
            }
        }
        if stopped { Err(Halt::Stopped) } else { Ok(true) }
    }

    /// Asks for one byte: its answer tells size and version, and whether ranges are served.
    async fn plan_segments(
        &self,
        work: &mut Work,
        place: &Place,
        connected: &mut bool,
    ) -> Result<bool, Halt> {
        let asked = Asked {
            until: Some(1),
            fresh: true,
            ..Asked::default()
        };
        let response = self.ask(&place.remote, &asked).await?;
        self.report(work, place, &response);
        let headers = response.headers();
        let version = answer::version(headers);
        let status = response.status().as_u16();
        // An empty file has no first byte: not a fault, but nothing for several connections.
        let Ok(Answer::Rest {
            total: Some(total), ..
        }) = answer::judge(&asked, status, headers, self.clock.now())
        else {
            return Ok(false);
        };
        let strong = version
            .validator
            .as_deref()
            .is_some_and(|name| name.starts_with('"'));
        let count = u64::from(self.placing.segments()).min(total / SEGMENT_BYTES_MIN);
        if !strong || count < 2 {
            return Ok(false);
        }
        self.connect(connected).await?;
        self.learn(work, Some(total))?;
        self.greet(work, headers);
        drop(response);
        self.begin(work, place.number, version).await?;
        let edge = |number: u64| total / count * number + (total % count).min(number);
        work.session.segments = (0..count)
            .map(|number| Segment {
                start: edge(number),
                end: edge(number + 1),
                done: edge(number),
            })
            .collect();
        work.remember();
        Ok(true)
    }

    async fn segment(
        &self,
        work: &Work,
        place: &Place,
        proof: &Asked,
        number: usize,
        shared: &Shared<'_, P>,
        halt: &CancellationToken,
    ) -> Result<Ended, Halt> {
        let Some(temp) = work.temp.clone() else {
            return Err(Fault::local(&std::io::ErrorKind::NotFound.into()).into());
        };
        for _ in 0..REQUESTS_MAX {
            let Some(segment) = shared.segment(number).await else {
                return Ok(Ended::Whole);
            };
            if segment.done >= segment.end {
                return Ok(Ended::Whole);
            }
            let asked = Asked {
                from: segment.done,
                until: Some(segment.end),
                ..proof.clone()
            };
            let response = tokio::select! {
                biased;
                () = halt.cancelled() => return Err(Halt::Stopped),
                response = self.ask(&place.remote, &asked) => response?,
            };
            let (status, headers) = (response.status().as_u16(), response.headers());
            let end = match answer::judge(&asked, status, headers, self.clock.now())? {
                Answer::Rest { end, .. } => end,
                Answer::StartOver(why) => return Ok(Ended::Anew(Why::Changed(why))),
                Answer::Whole { .. } | Answer::Complete => {
                    let why = "the server has another version, or no ranges any more";
                    return Ok(Ended::Anew(Why::Changed(why)));
                }
            };
            let expect = Expect {
                total: Some(segment.end),
                end: Some(end),
                seal: false,
                last: false,
            };
            let part = Part { shared, number };
            let file = FileStatus {
                bytes_transferred: segment.done,
                ..work.status.clone()
            };
            let temp = std::sync::Arc::clone(&temp);
            let pour = Pour::new(&part, self.clock, halt, temp, expect, self.idle, file);
            match pour.run(response).await?.0 {
                End::Whole => return Ok(Ended::Whole),
                End::Part => {}
                End::Broken(fault) => return Err(fault.into()),
                End::Stopped => return Err(Halt::Stopped),
            }
        }
        Err(Fault::cut(
            work.status.bytes_transferred,
            work.status.bytes_total.unwrap_or_default(),
        )
        .into())
    }
}

/// The file as all its segments together have brought it.
struct Shared<'a, P> {
    progress: &'a P,
    /// Held while a checkpoint is told, so that no older sum is told after a newer one.
    state: Mutex<(FileStatus, DownloadSession)>,
}

impl<P> Shared<'_, P> {
    async fn segment(&self, number: usize) -> Option<Segment> {
        self.state.lock().await.1.segments.get(number).copied()
    }
}

/// What a segment's body tells of its file, told as what it means for the whole.
struct Part<'a, P> {
    shared: &'a Shared<'a, P>,
    number: usize,
}

impl<P: Progress> Progress for Part<'_, P> {
    async fn connected(&self) -> Result<(), Stopped> {
        self.shared.progress.connected().await
    }

    async fn checkpoint(&self, part: FileStatus) -> Result<(), Stopped> {
        let mut state = self.shared.state.lock().await;
        let (file, session) = &mut *state;
        if let Some(segment) = session.segments.get_mut(self.number) {
            segment.done = part.bytes_transferred;
        }
        file.bytes_transferred = session.synced();
        file.session = session.write();
        self.shared.progress.checkpoint(file.clone()).await
    }

    fn throttle(&self) -> Option<&Throttle> {
        self.shared.progress.throttle()
    }

    fn set_resumable(&self, resumable: bool) {
        self.shared.progress.set_resumable(resumable);
    }

    /// None: where a segment stands says nothing of the sum, and the whole file was held against the
    /// cap before its first byte. A segment brings no byte past its end.
    fn quota(&self) -> Option<&Quota> {
        None
    }
}
