//! Transfers. Downloads: files fetched over HTTP into temporary files beside their destinations, and
//! put in place when the job is completed. Uploads, and their replies, have a room below: `upload`.
//!
//! ```text
//! fetch ─ asks ─► answer (what does it mean?) ─► pour ─► disk
//!   │                │                             │
//!   └─ speak, clients└────── classify ◄── fault ◄──┘      place: complete and cancel
//! ```
//! Deliberately absent: `HEAD` requests (B-140: servers that refuse them exist, BP-03) and any guess
//! that two versions of a file are the same: what cannot be proven starts over (B-94).

mod address;
mod anew;
mod answer;
mod begun;
mod classify;
mod client;
mod clients;
mod copy;
mod digest;
mod directory;
mod disk;
mod fault;
mod fetch;
mod headers;
mod lanes;
mod mirrors;
mod naming;
mod orphans;
mod place;
mod pour;
mod preserve;
mod proof;
mod proxies;
mod redirect;
mod secret;
mod segments;
mod sink;
mod speak;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod upload;
mod work;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{IntentControl, Quota, RunControl, RunEnd, Runner, Stopped, Throttle};
use crate::clock::Clock;
use crate::config::TransferConfig;
use crate::job::{Code, ErrorContext, ErrorInfo, FileStatus, Job, JobKind, Outcome};
use crate::store::Run;

use anew::StartOvers;
use client::Purpose;
use clients::Clients;
use speak::Speaker;
use target::Targets;

pub use address::{check_file, check_remotes, check_reply, check_source, display_url};
pub use client::TransferError;
pub use orphans::sweep;
pub use upload::reply_data;

/// Runs [`JobKind::Download`], [`JobKind::Upload`] and [`JobKind::UploadReply`].
///
/// A run is stopped through its control. Dropping its future instead loses nothing, but the next run
/// of the job may find the temporary file still held for a moment and be put off by a retry.
#[derive(Clone, Debug)]
pub struct TransferRunner {
    clients: Arc<Clients>,
    sending: Arc<Clients>,
    clock: Clock,
    idle: Duration,
    start_overs: Arc<StartOvers>,
    targets: Targets,
}

impl TransferRunner {
    /// A runner whose downloads share one pool of connections, as do its uploads.
    ///
    /// # Errors
    /// When the configuration makes no HTTP client.
    pub fn new(config: &TransferConfig, clock: Clock) -> Result<Self, TransferError> {
        Ok(Self {
            clients: Arc::new(Clients::new(config, Purpose::Fetching)?),
            sending: Arc::new(Clients::new(config, Purpose::Sending)?),
            clock,
            idle: config.idle_timeout,
            start_overs: Arc::default(),
            targets: Targets::new(config),
        })
    }

    async fn fetch(&self, job: &Job, files: Vec<FileStatus>, control: &RunControl) -> RunEnd {
        let speaker = match Speaker::of(&self.clients, job, &files, control.clock.now()).await {
            Ok(speaker) => speaker,
            Err(end) => return end,
        };
        let fetch = fetch::Fetch {
            speaker: &speaker,
            progress: control,
            clock: &control.clock,
            stop: &control.stop,
            job: job.id,
            attempt: job.attempt,
            idle: self.idle,
            start_overs: &self.start_overs,
            targets: &self.targets,
            placing: &job.spec.transfer().placing,
            existing: job.spec.transfer().placing.existing(job.spec.profile),
        };
        fetch.run(files).await
    }

    async fn send(&self, job: &Job, files: Vec<FileStatus>, control: &RunControl) -> RunEnd {
        let speaker = match Speaker::of(&self.sending, job, &files, control.clock.now()).await {
            Ok(speaker) => speaker,
            Err(end) => return end,
        };
        let upload = upload::Upload {
            speaker: &speaker,
            fetching: &self.clients,
            progress: control,
            clock: &control.clock,
            stop: &control.stop,
            job,
            idle: self.idle,
            start_overs: &self.start_overs,
            targets: &self.targets,
        };
        upload.run(files).await
    }

    fn not_implemented(&self, job: &Job) -> ErrorInfo {
        ErrorInfo {
            code: Code::NOTIMPL,
            context: ErrorContext::GeneralQueueManager,
            description: format!("jobs of kind {} cannot be run by this version", job.kind),
            file: None,
            protocol: None,
            leg: None,
            attempt: job.attempt,
            at: self.clock.now(),
            extended: None,
        }
    }
}

#[async_trait]
impl Runner for TransferRunner {
    async fn run(&self, run: Run, control: RunControl) -> RunEnd {
        let Run { job, files, .. } = run;
        let end = match job.kind {
            JobKind::Download => self.fetch(&job, files, &control).await,
            JobKind::Upload | JobKind::UploadReply => self.send(&job, files, &control).await,
            JobKind::Batch | JobKind::Query => RunEnd::Fatal {
                error: self.not_implemented(&job),
            },
        };
        if matches!(end, RunEnd::Finished | RunEnd::Fatal { .. }) {
            self.start_overs.forget(job.id);
        }
        end
    }

    async fn complete(
        &self,
        job: &Job,
        files: &[FileStatus],
        control: &IntentControl,
    ) -> Result<Outcome, ErrorInfo> {
        self.start_overs.forget(job.id);
        match job.kind {
            JobKind::Download => place::complete(job, files, control).await,
            JobKind::Upload | JobKind::UploadReply => upload::complete(job, files, control).await,
            JobKind::Batch | JobKind::Query => Err(self.not_implemented(job)),
        }
    }

    async fn cancel(
        &self,
        job: &Job,
        files: &[FileStatus],
        control: &IntentControl,
    ) -> Result<(), ErrorInfo> {
        self.start_overs.forget(job.id);
        match job.kind {
            JobKind::Download => place::cancel(job, files, control).await,
            JobKind::Upload | JobKind::UploadReply => {
                upload::cancel((&self.sending, &self.targets), job, files, control).await
            }
            // Other kinds have nothing on the disk.
            JobKind::Batch | JobKind::Query => Ok(()),
        }
    }

    fn cancel_patience(&self, job: &Job) -> Option<Duration> {
        job.kind.sends().then(|| upload::cancel_patience(job))
    }
}

/// What fetching needs of a [`RunControl`]: what it tells the store, and its limits. Kept this small so that
/// fetching is tested without one.
trait Progress: Sync {
    /// See [`RunControl::connected`].
    fn connected(&self) -> impl Future<Output = Result<(), Stopped>> + Send;

    /// See [`RunControl::connected_soon`]. Who keeps nothing tells it at once.
    fn connected_soon(&self) -> impl Future<Output = Result<(), Stopped>> + Send {
        self.connected()
    }

    /// See [`RunControl::owes`].
    fn owes(&self) -> bool {
        false
    }

    /// See [`RunControl::checkpoint`].
    fn checkpoint(&self, file: FileStatus) -> impl Future<Output = Result<(), Stopped>> + Send;

    /// See [`RunControl::conclude`]. Who keeps nothing tells it at once.
    fn conclude(&self, file: FileStatus) -> impl Future<Output = Result<(), Stopped>> + Send {
        self.checkpoint(file)
    }

    /// See [`RunControl::throttle`]; `None` is no limit.
    fn throttle(&self) -> Option<&Throttle> {
        None
    }

    /// See [`RunControl::set_resumable`].
    fn set_resumable(&self, _: bool) {}

    /// See [`RunControl::quota`].
    fn quota(&self) -> Option<&Quota> {
        None
    }
}

impl Progress for RunControl {
    async fn connected(&self) -> Result<(), Stopped> {
        Self::connected(self).await
    }

    async fn connected_soon(&self) -> Result<(), Stopped> {
        Self::connected_soon(self);
        Ok(())
    }

    fn owes(&self) -> bool {
        Self::owes(self)
    }

    async fn checkpoint(&self, file: FileStatus) -> Result<(), Stopped> {
        Self::checkpoint(self, file).await
    }

    async fn conclude(&self, file: FileStatus) -> Result<(), Stopped> {
        Self::conclude(self, file);
        Ok(())
    }

    fn throttle(&self) -> Option<&Throttle> {
        Some(&self.throttle)
    }

    fn set_resumable(&self, resumable: bool) {
        Self::set_resumable(self, resumable);
    }

    fn quota(&self) -> Option<&Quota> {
        self.quota.as_deref()
    }
}

/// A secret where a query needs one. It may read a file, so it is not for the async threads.
///
/// # Errors
/// A sentence that names the reference.
pub(super) fn read_secret(reference: &crate::job::SecretRef) -> Result<String, String> {
    secret::read(reference).map_err(|fault| fault.what)
}
