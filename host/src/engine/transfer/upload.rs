//! Uploads: one file sent by one of four protocols, then the reply fetched, where there is one.
//!
//! ```text
//! run ─► source (unchanged?) ─► discover (which protocol?) ─► plain │ multipart │ tus │ bits ─► reply
//!            └──────────── session: what a later run needs, durable ────────────┘
//! ```
//! `plain` sends the whole file again after a fault; `multipart`, `tus` and `bits` ask the server where it
//! stands.
//! `end` is the work of `complete` and `cancel`. Redirects are not followed when a file is sent (B-145
//! is about downloads alone): nobody else than who was named gets it.

mod bits;
mod discover;
mod end;
mod multipart;
mod plain;
mod reply;
mod send;
mod session;
mod source;
#[cfg(test)]
mod tests;
mod tus;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::anew::StartOvers;
use super::clients::Clients;
use super::fault::{Fault, Halt};
use super::speak::Speaker;
use super::target::{self, Targets};
use super::{Progress, disk};
use crate::clock::Clock;
use crate::engine::{RunControl, RunEnd, Stopped};
use crate::job::{Code, FileStatus, Job, JobKind, Leg, ReplyProgress, UploadProtocol};
use crate::store::FileCheckpoint;

pub(super) use end::{cancel, cancel_patience, complete};
pub use reply::reply_data;

use session::{BitsWay, MultipartWay, Session, Way};
use source::Source;

/// What sending needs of a [`RunControl`] beyond what fetching does.
pub(super) trait UploadProgress: Progress {
    /// See [`RunControl::checkpoint_all`].
    fn checkpoint_all(&self, checkpoint: FileCheckpoint) -> impl Future<Output = Result<(), Stopped>> + Send;

    /// See [`RunControl::job`].
    fn job(&self) -> impl Future<Output = Result<Job, Stopped>> + Send;
}

impl UploadProgress for RunControl {
    async fn checkpoint_all(&self, checkpoint: FileCheckpoint) -> Result<(), Stopped> {
        Self::checkpoint_all(self, checkpoint).await
    }

    async fn job(&self) -> Result<Job, Stopped> {
        Self::job(self).await
    }
}

/// Everything a run of an upload needs.
pub(super) struct Upload<'a, P> {
    /// Sends: follows no redirect and waits for no answer while it sends.
    pub(super) speaker: &'a Speaker,
    /// Fetch replies that have a URL of their own: few jobs need them.
    pub(super) fetching: &'a Arc<Clients>,
    pub(super) progress: &'a P,
    pub(super) clock: &'a Clock,
    pub(super) stop: &'a CancellationToken,
    pub(super) job: &'a Job,
    pub(super) idle: Duration,
    pub(super) start_overs: &'a StartOvers,
    pub(super) targets: &'a Targets,
}

/// The file while it is worked on.
struct Work {
    file: FileStatus,
    source: Arc<Source>,
    session: Session,
    reply: Option<ReplyProgress>,
    connected: bool,
}

/// Why the work ended early.
enum Break {
    Stopped,
    Fault(Leg, Fault),
    /// Fetching the reply ended the run in its own words.
    Ended(Box<RunEnd>),
}

impl From<Halt> for Break {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Stopped => Self::Stopped,
            Halt::Fault(fault) => Self::Fault(Leg::Upload, fault),
        }
    }
}

impl From<Fault> for Break {
    fn from(fault: Fault) -> Self {
        Self::Fault(Leg::Upload, fault)
    }
}

impl From<Stopped> for Break {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl<P: UploadProgress> Upload<'_, P> {
    /// Sends the file and fetches the reply.
    pub(super) async fn run(&self, files: Vec<FileStatus>) -> RunEnd {
        for file in files.into_iter().filter(|file| !file.transferred) {
            let shown = file.clone();
            match self.file(file).await {
                Ok(()) => {}
                Err(Break::Stopped) => return RunEnd::Stopped,
                Err(Break::Ended(end)) => return *end,
                Err(Break::Fault(leg, fault)) => {
                    let fault = self.speaker.weigh(fault);
                    return fault.into_end_of(leg, &shown, self.job.attempt, self.clock.now());
                }
            }
        }
        match self.progress.connected().await {
            Ok(()) => RunEnd::Finished,
            Err(Stopped) => RunEnd::Stopped,
        }
    }

    async fn file(&self, file: FileStatus) -> Result<(), Break> {
        let mut work = self.begin(file).await?;
        if work.session.way.is_none() {
            work.session.way = Some(self.choose(&mut work).await?);
            self.save(&mut work).await?;
        }
        match work.session.way.clone() {
            Some(Way::Put) => self.plain(&mut work, http::Method::PUT).await?,
            Some(Way::Multipart(way)) => self.multipart(&mut work, way).await?,
            Some(Way::Tus(way)) => self.tus(&mut work, way).await?,
            Some(Way::Bits(way)) => self.bits(&mut work, way).await?,
            Some(Way::Post) | None => self.plain(&mut work, http::Method::POST).await?,
        }
        work.file.transferred = true;
        self.save(&mut work).await
    }

    /// Opens the file and holds it against what was first sent (B-93).
    async fn begin(&self, mut file: FileStatus) -> Result<Work, Break> {
        let path = PathBuf::from(&file.local);
        let source = Arc::new(disk::blocking(move || Source::open(&path)).await?);
        // The error lives until bytes flow again (B-80), so it is still there when somebody who saw it
        // has resumed the job: that is the decision to send the file as it is now.
        let accepted = self.job.error.as_ref().map(|error| error.code) == Some(Code::LOCAL_FILE_CHANGED);
        let known = Session::of(&file);
        let protocol = self.job.spec.transfer().upload.protocol;
        let session = match known {
            Some(known) if known.source == source.mark => known,
            Some(_) if !accepted => return Err(source::changed().into()),
            _ => Session::new(source.mark),
        };
        let fits = session.way.as_ref().is_some_and(|way| way.is_a(protocol));
        let mut work = Work {
            reply: self.job.reply,
            session,
            source,
            connected: false,
            file: file.clone(),
        };
        if !fits {
            if let Some(Way::Multipart(way)) = Session::of(&file).and_then(|session| session.way) {
                self.multipart_abandon(&work, way).await?;
            }
            let mark = work.source.mark;
            file.bytes_total = Some(mark.size);
            file.bytes_transferred = 0;
            work.file = file;
            work.reply = None;
            work.session = Session::new(mark);
            self.save(&mut work).await?;
        }
        Ok(work)
    }

    /// The protocol: the submitter's, or what the server offers.
    async fn choose(&self, work: &mut Work) -> Result<Way, Break> {
        match self.job.spec.transfer().upload.protocol {
            UploadProtocol::Auto if target::takes_put_alone(&work.file.remote) => {
                let large = work.source.mark.size > multipart::WHOLE_BYTES_MAX;
                Ok(if large && target::is_object(&work.file.remote) {
                    Way::Multipart(MultipartWay::default())
                } else {
                    Way::Put
                })
            }
            UploadProtocol::Put => Ok(Way::Put),
            UploadProtocol::Post => Ok(Way::Post),
            UploadProtocol::Bits => Ok(Way::Bits(BitsWay::default())),
            UploadProtocol::Tus => self.discover_tus(work).await,
            UploadProtocol::Auto => self.discover(work).await,
        }
    }

    fn wants_reply(&self) -> bool {
        self.job.kind == JobKind::UploadReply
    }

    /// Makes what is known durable.
    async fn save(&self, work: &mut Work) -> Result<(), Break> {
        self.save_with(work, None).await
    }

    /// The same with a reply that has just arrived.
    async fn save_with(&self, work: &mut Work, arrived: Option<FileStatus>) -> Result<(), Break> {
        work.file.session = work.session.words();
        let checkpoint = FileCheckpoint {
            file: work.file.clone(),
            reply: work.reply,
            arrived: arrived.map(Box::new),
        };
        Ok(self.progress.checkpoint_all(checkpoint).await?)
    }

    /// The first good answer of a run, or the first bytes that are taken, end the life of the job's
    /// error (B-23).
    async fn connect(&self, work: &mut Work) -> Result<(), Break> {
        if !work.connected {
            self.progress.connected().await?;
            work.connected = true;
        }
        Ok(())
    }
}
