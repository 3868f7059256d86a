//! A run of a download job: its files strictly in order, each asked for from where it stands.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{IF_RANGE, RANGE};
use tokio_util::sync::CancellationToken;

use super::anew::{StartOvers, Why};
use super::answer::{self, Answer, Asked, Version};
use super::classify::Class;
use super::fault::{Fault, Halt};
use super::pour::{End, Expect, Pour};
use super::target::{Purpose, Target, Targets};
use super::{Progress, address, disk};
use crate::clock::Clock;
use crate::engine::RunEnd;
use crate::job::{FileStatus, JobId};

/// Files up to this size get one checkpoint, at their end or after half a second: one more at their
/// start would double what a job of small files costs (P6).
const SMALL_BYTES: u64 = 1 << 20;
/// Requests for one file within one run: one that is refused its range, one for the whole, and the
/// slices of a server that answers ranges in parts. Beyond, it is the retry's turn with its delay.
const REQUESTS_MAX: u32 = 64;

/// Everything a run of a download needs.
pub(super) struct Fetch<'a, P> {
    pub(super) client: &'a reqwest::Client,
    pub(super) progress: &'a P,
    pub(super) clock: &'a Clock,
    pub(super) stop: &'a CancellationToken,
    pub(super) job: JobId,
    pub(super) attempt: u32,
    pub(super) idle: Duration,
    pub(super) start_overs: &'a StartOvers,
    pub(super) targets: &'a Targets,
}

/// One file while it is worked on.
struct Work {
    status: FileStatus,
    path: PathBuf,
    temp: Option<Arc<File>>,
    /// The store counts bytes that may no longer count: say so before they are cut off.
    recorded: bool,
    restarts: u32,
}

impl<P: Progress> Fetch<'_, P> {
    /// Fetches every file that is not yet transferred.
    pub(super) async fn run(&self, files: Vec<FileStatus>) -> RunEnd {
        let mut connected = false;
        for status in files.into_iter().filter(|file| !file.transferred) {
            let shown = status.clone();
            match self.file(status, &mut connected).await {
                Ok(()) => {}
                Err(Halt::Stopped) => return RunEnd::Stopped,
                Err(Halt::Fault(fault)) => return fault.into_end(&shown, self.attempt, self.clock.now()),
            }
        }
        match self.connect(&mut connected).await {
            Ok(()) => RunEnd::Finished,
            Err(_) => RunEnd::Stopped,
        }
    }

    /// The first good answer of a run ends the life of the job's error (B-23).
    async fn connect(&self, connected: &mut bool) -> Result<(), Halt> {
        if !*connected {
            self.progress.connected().await?;
            *connected = true;
        }
        Ok(())
    }

    async fn file(&self, status: FileStatus, connected: &mut bool) -> Result<(), Halt> {
        let mut work = self.find(status).await?;
        for _ in 0..REQUESTS_MAX {
            if work.status.bytes_transferred > 0
                && work.status.bytes_total == Some(work.status.bytes_transferred)
            {
                return self.finish(work).await;
            }
            let asked = work.asked();
            let response = self.ask(&work.status.remote, &asked).await?;
            let headers = response.headers();
            let version = answer::version(headers);
            let expect = match answer::judge(&asked, response.status().as_u16(), headers, self.clock.now())? {
                Answer::StartOver(why) => {
                    self.start_over(&mut work, Why::Changed(why))?;
                    continue;
                }
                Answer::Complete => {
                    self.connect(connected).await?;
                    return self.finish(work).await;
                }
                Answer::Whole { total } => {
                    if asked.from > 0 {
                        let why = sent_whole(&asked, &version);
                        self.start_over(&mut work, why)?;
                    }
                    self.connect(connected).await?;
                    self.begin(&mut work, version, total).await?;
                    Expect { total, end: total }
                }
                Answer::Rest { total, end } => {
                    self.connect(connected).await?;
                    work.status.bytes_total = total;
                    Expect {
                        total,
                        end: Some(end),
                    }
                }
            };
            match self.pour(&mut work, response, expect).await? {
                End::Whole => return Ok(()),
                End::Part => {}
                End::Broken(fault) => return Err(fault.into()),
                End::Stopped => return Err(Halt::Stopped),
            }
        }
        let total = work.status.bytes_total.unwrap_or_default();
        Err(Fault::cut(work.status.bytes_transferred, total).into())
    }

    /// Finds what earlier runs left of a file.
    async fn find(&self, status: FileStatus) -> Result<Work, Halt> {
        let path = disk::temporary_path(self.job, &status);
        let mut work = Work {
            recorded: status.bytes_transferred > 0,
            status,
            path,
            temp: None,
            restarts: 0,
        };
        let durable = work.status.bytes_transferred;
        let usable = work.status.validator.is_some() || work.status.bytes_total == Some(durable);
        if durable > 0 && usable {
            let path = work.path.clone();
            work.temp = disk::blocking(move || disk::resume(&path, durable))
                .await?
                .map(Arc::new);
        }
        if work.temp.is_none() {
            if durable > 0 && !usable {
                let why = Why::NoRange("the server names no version of the file that could be gone on with");
                self.start_overs.count(self.job, work.status.index, why)?;
            }
            work.status.bytes_transferred = 0;
        }
        Ok(work)
    }

    async fn ask(&self, remote: &str, asked: &Asked) -> Result<reqwest::Response, Halt> {
        let target = match self.targets.resolve(remote, Purpose::Fetch).await? {
            Target::Http(url) => url,
            Target::File(_) => return Err(Fault::local(&std::io::ErrorKind::Unsupported.into()).into()),
        };
        let mut request = self.client.get(target);
        if let (from @ 1.., Some(validator)) = (asked.from, &asked.validator) {
            request = request
                .header(RANGE, format!("bytes={from}-"))
                .header(IF_RANGE, validator);
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            answer = request.send() => answer.map_err(|why| Fault::wire(&why).into()),
        }
    }

    /// Prepares for a file from its first byte: records its version before a byte of it is written.
    async fn begin(&self, work: &mut Work, version: Version, total: Option<u64>) -> Result<(), Halt> {
        work.status.temporary = Some(work.path.to_string_lossy().into_owned());
        work.status.bytes_total = total;
        work.status.bytes_transferred = 0;
        work.status.validator = version.validator;
        work.status.last_modified = version.last_modified;
        if work.recorded || total.is_none_or(|total| total > SMALL_BYTES) {
            self.progress.checkpoint(work.status.clone()).await?;
            work.recorded = false;
        }
        let (path, temp) = (work.path.clone(), work.temp.take());
        let temp = disk::blocking(move || match temp {
            Some(temp) => temp.set_len(0).map(|()| temp),
            None => disk::create(&path).map(Arc::new),
        });
        work.temp = Some(temp.await?);
        Ok(())
    }

    /// Forgets the bytes that are here (B-94). Once in a run: a file that changes faster than it is
    /// fetched waits for the retry. Some ten times in all (BP-09).
    fn start_over(&self, work: &mut Work, why: Why) -> Result<(), Fault> {
        tracing::info!(
            url = address::display_url(&work.status.remote),
            lost = work.status.bytes_transferred,
            "starting the file over: {}",
            why.words()
        );
        work.status.bytes_transferred = 0;
        work.restarts += 1;
        self.start_overs.count(self.job, work.status.index, why)?;
        if work.restarts > 1 {
            return Err(why.fault(Class::Transient, "for the second time in a row"));
        }
        Ok(())
    }

    async fn pour(&self, work: &mut Work, body: reqwest::Response, expect: Expect) -> Result<End, Halt> {
        let Some(temp) = work.temp.clone() else {
            return Err(Fault::local(&std::io::ErrorKind::NotFound.into()).into());
        };
        let pour = Pour::new(
            self.progress,
            self.clock,
            self.stop,
            temp,
            expect,
            self.idle,
            work.status.clone(),
        );
        let (end, status) = pour.run(body).await?;
        work.recorded = status.bytes_transferred > 0;
        work.status = status;
        Ok(end)
    }

    /// All bytes are here already: an earlier run ended between the last of them and saying so.
    async fn finish(&self, mut work: Work) -> Result<(), Halt> {
        if let Some(temp) = work.temp.take() {
            disk::blocking(move || temp.sync_data()).await?;
        }
        work.status.bytes_total = Some(work.status.bytes_transferred);
        work.status.transferred = true;
        self.progress.checkpoint(work.status).await?;
        Ok(())
    }
}

impl Work {
    fn asked(&self) -> Asked {
        let from = self.status.bytes_transferred;
        Asked {
            from,
            total: self.status.bytes_total.filter(|_| from > 0),
            validator: self.status.validator.clone().filter(|_| from > 0),
        }
    }
}

/// What a whole file in answer to a range means: another version, or a server without ranges (B-87).
fn sent_whole(asked: &Asked, version: &Version) -> Why {
    if version.validator == asked.validator {
        Why::NoRange("the server sent the whole file where the rest of it was asked for")
    } else {
        Why::Changed("the server has another version of the file")
    }
}
