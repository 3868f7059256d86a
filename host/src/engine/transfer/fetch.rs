//! A run of a download job: its files strictly in order, each asked for from where it stands, at one
//! of its places after the other.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, IF_RANGE, RANGE};
use tokio_util::sync::CancellationToken;

use super::anew::{StartOvers, Why};
use super::answer::{self, Answer, Asked, Version};
use super::classify::Class;
use super::fault::{Fault, Halt};
use super::mirrors::{Place, Tried, places};
use super::pour::{End, Expect, Pour};
use super::sink::Sink;
use super::speak::Speaker;
use super::target::{Purpose, Target, Targets};
use super::work::{Next, Work};
use super::{Progress, address, disk, headers};
use crate::clock::Clock;
use crate::engine::RunEnd;
use crate::job::{Existing, FileStatus, JobId, PlacingSpec};

/// Files up to this size get one checkpoint, at their end or after half a second: one more at their
/// start would double what a job of small files costs (P6).
const SMALL_BYTES: u64 = 1 << 20;
/// Requests for one file within one run: one that is refused its range, one for the whole, and the
/// slices of a server that answers ranges in parts. Beyond, it is the retry's turn with its delay.
pub(super) const REQUESTS_MAX: usize = 64;

/// Everything a run of a download needs.
pub(super) struct Fetch<'a, P> {
    pub(super) speaker: &'a Speaker,
    pub(super) progress: &'a P,
    pub(super) clock: &'a Clock,
    pub(super) stop: &'a CancellationToken,
    pub(super) job: JobId,
    pub(super) attempt: u32,
    pub(super) idle: Duration,
    pub(super) start_overs: &'a StartOvers,
    pub(super) targets: &'a Targets,
    pub(super) placing: &'a PlacingSpec,
    pub(super) existing: Existing,
}

/// What a request led to.
pub(super) enum Opened {
    /// A body that belongs behind what is here.
    Body(reqwest::Response, Expect),
    /// All bytes are here.
    Complete,
    /// Ask again: the file was begun anew.
    Again,
}

impl<P: Progress> Fetch<'_, P> {
    /// Fetches every file that is not yet transferred.
    pub(super) async fn run(&self, files: Vec<FileStatus>) -> RunEnd {
        let mut connected = false;
        let mut files = files.into_iter().filter(|file| !file.transferred).peekable();
        while let Some(status) = files.next() {
            let shown = status.clone();
            match self.file(status, files.peek().is_none(), &mut connected).await {
                Ok(()) => {}
                Err(Halt::Stopped) => return RunEnd::Stopped,
                Err(Halt::Fault(fault)) => {
                    let fault = self.speaker.weigh(fault);
                    return fault.into_end(&shown, self.attempt, self.clock.now());
                }
            }
        }
        match self.connect(&mut connected).await {
            Ok(()) => RunEnd::Finished,
            Err(_) => RunEnd::Stopped,
        }
    }

    /// The first good answer of a run ends the life of the job's error (B-23).
    pub(super) async fn connect(&self, connected: &mut bool) -> Result<(), Halt> {
        if !*connected {
            self.progress.connected().await?;
            *connected = true;
        }
        Ok(())
    }

    /// The same where a small file follows: it is told with the file's checkpoint.
    async fn connect_soon(&self, connected: &mut bool) -> Result<(), Halt> {
        if !*connected {
            self.progress.connected_soon().await?;
            *connected = true;
        }
        Ok(())
    }

    async fn file(&self, status: FileStatus, last: bool, connected: &mut bool) -> Result<(), Halt> {
        let mut work = self.find(status).await?;
        work.last = last;
        if self.keeps_what_is_there(&work).await? {
            work.status.bytes_transferred = 0;
            work.status.bytes_total = Some(0);
            work.status.transferred = true;
            return Ok(self.progress.checkpoint(work.status).await?);
        }
        let mut tried = Tried::default();
        for place in places(&work.status, &work.session) {
            work.restarts = 0;
            let fetched = match self.fetch_from(&mut work, &place, connected).await {
                Ok(()) => self.finish(&mut work).await,
                halted => halted,
            };
            match fetched {
                Err(Halt::Fault(fault)) if Tried::is_theirs(&fault) && !self.speaker.asks_once(&fault) => {
                    tried.note(&place, fault);
                }
                ended => return ended,
            }
        }
        match tried.fault() {
            Some(fault) => Err(fault.into()),
            None => Ok(()),
        }
    }

    /// Whether a file that is at the destination already is as good (B-123). Where it must not be
    /// replaced, it is an error before a byte is fetched; completion looks again.
    async fn keeps_what_is_there(&self, work: &Work) -> Result<bool, Halt> {
        if !matches!(self.existing, Existing::Fail | Existing::Keep) {
            return Ok(false);
        }
        let local = work.status.local.clone();
        let there = disk::blocking(move || Ok(std::fs::symlink_metadata(local).is_ok())).await?;
        match self.existing {
            Existing::Fail if there => Err(Fault::in_the_way().into()),
            _ => Ok(there),
        }
    }

    /// Brings the bytes of a file from one place; on success all are here, which may still have to be
    /// recorded.
    async fn fetch_from(&self, work: &mut Work, place: &Place, connected: &mut bool) -> Result<(), Halt> {
        if let Target::File(path) = self.targets.resolve(&place.remote, Purpose::Fetch).await? {
            self.connect(connected).await?;
            return self.copy(work, place.number, path).await;
        }
        if self.speaker.begins_anew() {
            work.status.bytes_transferred = 0;
        } else if self.is_segmented(work) && self.fetch_segments(work, place, connected).await? {
            return Ok(());
        }
        for _ in 0..REQUESTS_MAX {
            let asked = match work.next(place.number, self.placing) {
                Next::Nothing => return Ok(()),
                Next::Ask(asked) => asked,
                Next::Anew => {
                    self.start_over(work, unproven(work))?;
                    continue;
                }
            };
            let (body, expect) = match self.open(work, place, &asked, connected).await? {
                Opened::Body(body, expect) => (body, expect),
                Opened::Complete => return Ok(()),
                Opened::Again => continue,
            };
            match self.pour(work, body, expect).await? {
                End::Whole => return Ok(()),
                End::Part => {}
                End::Broken(fault) => return Err(fault.into()),
                End::Stopped => return Err(Halt::Stopped),
            }
        }
        let total = work.status.bytes_total.unwrap_or_default();
        Err(Fault::cut(work.status.bytes_transferred, total).into())
    }

    /// Asks, and prepares for what comes.
    async fn open(
        &self,
        work: &mut Work,
        place: &Place,
        asked: &Asked,
        connected: &mut bool,
    ) -> Result<Opened, Halt> {
        let response = self.ask(&place.remote, asked).await?;
        self.report(work, place, &response);
        let headers = response.headers();
        let version = answer::version(headers);
        match answer::judge(asked, response.status().as_u16(), headers, self.clock.now())? {
            Answer::StartOver(why) => {
                self.start_over(work, Why::Changed(why))?;
                Ok(Opened::Again)
            }
            Answer::Complete => {
                self.connect(connected).await?;
                Ok(Opened::Complete)
            }
            Answer::Whole { total } => {
                if !asked.fresh {
                    self.start_over(work, sent_whole(asked, &version))?;
                }
                if asked.until.is_some() {
                    return if asked.fresh {
                        Err(ignores_ranges().into())
                    } else {
                        Ok(Opened::Again)
                    };
                }
                if total.is_some_and(|total| total <= SMALL_BYTES) {
                    self.connect_soon(connected).await?;
                } else {
                    self.connect(connected).await?;
                }
                self.learn(work, total)?;
                self.greet(work, headers);
                self.begin(work, place.number, version).await?;
                let expect = Expect {
                    total,
                    ..self.expect(work, total)
                };
                Ok(Opened::Body(response, expect))
            }
            Answer::Rest { total, end } => {
                self.connect(connected).await?;
                self.learn(work, total)?;
                self.greet(work, headers);
                if asked.fresh {
                    self.begin(work, place.number, version).await?;
                }
                work.session.place = place.number;
                work.remember();
                let expect = self.expect(work, Some(end - asked.from));
                Ok(Opened::Body(response, expect))
            }
        }
    }

    /// What is expected of a body that brings `length` bytes, where that is known.
    fn expect(&self, work: &Work, length: Option<u64>) -> Expect {
        let plan = &work.status.plan;
        Expect {
            total: work.status.bytes_total,
            end: length.map(|length| work.status.bytes_transferred + length),
            seal: plan.checksum.is_none() && plan.size.is_none() && self.existing != Existing::Rename,
            last: work.last,
        }
    }

    /// Takes in the size of the file, which the cap of the job must have room for (B-76).
    pub(super) fn learn(&self, work: &mut Work, size: Option<u64>) -> Result<(), Fault> {
        work.learn(size)?;
        self.within_cap(work)
    }

    /// Holds the size of the file against the cap of the job before any byte of it is fetched.
    pub(super) fn within_cap(&self, work: &Work) -> Result<(), Fault> {
        let (Some(quota), Some(total)) = (self.progress.quota(), work.status.bytes_total) else {
            return Ok(());
        };
        match quota.exceeded(work.status.index, total) {
            Some(most) => Err(Fault::too_large(most)),
            None => Ok(()),
        }
    }

    /// Renames a file that was redirected, where the job wants that (B-145). A mirror is no name of the
    /// file, and only what was asked for by its own name was redirected from it.
    pub(super) fn report(&self, work: &mut Work, place: &Place, response: &reqwest::Response) {
        if place.number == 0
            && place.remote.starts_with("http")
            && let Some(remote) = self.speaker.reported(&place.remote, response.url())
        {
            work.status.remote = remote;
        }
    }

    /// Keeps what a good answer says of itself (B-133).
    pub(super) fn greet(&self, work: &mut Work, headers: &HeaderMap) {
        work.session.headers = headers::kept(headers);
    }

    pub(super) async fn ask(&self, remote: &str, asked: &Asked) -> Result<reqwest::Response, Halt> {
        let target = self.targets.resolve(remote, Purpose::Fetch).await?;
        let (url, stores) = match &target {
            Target::Http(url) => (url, false),
            Target::Object(url) => (url, true),
            Target::File(_) => return Err(Fault::answer("it is a file of this machine").into()),
        };
        let make = |client: &reqwest::Client| {
            let mut request = client.request(self.speaker.method(), url);
            if asked.is_range() {
                request = request.header(RANGE, asked.range());
                if let Some(validator) = &asked.validator {
                    request = request.header(IF_RANGE, validator);
                }
            }
            request
        };
        let answer = async {
            if stores {
                self.speaker.send_bare(make).await
            } else {
                self.speaker.send(make).await
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            answer = answer => answer.map_err(Halt::from),
        }
    }

    /// Prepares for a file from its first byte: records its version before a byte of it is written.
    pub(super) async fn begin(&self, work: &mut Work, place: u32, mut version: Version) -> Result<(), Halt> {
        let total = work.status.bytes_total;
        let large = total.is_none_or(|total| total > SMALL_BYTES);
        if self.speaker.begins_anew() {
            // Nobody goes on with it, whatever it is called.
            version.validator = None;
        } else if large && (total.is_none() || version.validator.is_none()) {
            // BP-03: whatever a server leaves out, its files are fetched.
            tracing::info!(
                job = %self.job,
                url = address::display_url(&work.status.remote),
                "fetched as a stream: the server names {}, so an interruption begins the file anew",
                if total.is_none() { "no size" } else { "no version of the file" }
            );
        }
        work.reset(place, version);
        work.remember();
        if work.recorded || large {
            self.progress.checkpoint(work.status.clone()).await?;
            work.recorded = false;
        }
        let sum = work.status.plan.sum().ok().flatten().map(|sum| sum.kind);
        let (path, temp) = (work.path.clone(), work.temp.take());
        if temp.is_none() && !large {
            work.temp = Some(Arc::new(Sink::at(path, sum)));
            return Ok(());
        }
        let temp = disk::blocking(move || match temp.and_then(Arc::into_inner) {
            Some(temp) => temp.clear(sum),
            None => disk::create(&path).map(|file| Sink::new(file, sum)),
        });
        work.temp = Some(Arc::new(temp.await?));
        Ok(())
    }

    /// Forgets the bytes that are here (B-94). Once in a run: a file that changes faster than it is
    /// fetched waits for the retry. Some ten times in all (BP-09).
    pub(super) fn start_over(&self, work: &mut Work, why: Why) -> Result<(), Fault> {
        tracing::info!(
            url = address::display_url(&work.status.remote),
            lost = work.status.bytes_transferred,
            "starting the file over: {}",
            why.words()
        );
        work.status.bytes_transferred = 0;
        work.session.segments.clear();
        work.session.restarts += 1;
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
}

/// Nothing names the version that the bytes which are here are of.
fn unproven(work: &Work) -> Why {
    if work.status.validator.is_none() {
        Why::NoRange("the server names no version of the file that could be gone on with")
    } else {
        Why::Changed("the bytes that are here are of another place")
    }
}

/// What a whole file in answer to a range means: another version, or a server without ranges (B-87).
fn sent_whole(asked: &Asked, version: &Version) -> Why {
    if asked.lenient.is_some() || version.validator == asked.validator {
        Why::NoRange("the server sent the whole file where the rest of it was asked for")
    } else {
        Why::Changed("the server has another version of the file")
    }
}

/// Ranges of a file were wanted from a server that has none (B-87).
fn ignores_ranges() -> Fault {
    Why::NoRange("the server sent the whole file where a range of it was asked for")
        .fault(Class::Fatal, "so ranges cannot be had there")
}
