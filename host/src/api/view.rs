//! What the control API says: one set of types for server, client and `--json`.
//!
//! Field names are those of the records in `wit/types.wit`, in snake_case.

mod activity;
mod host;
mod objects;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::job::{
    ActivityName, After, BatchSpec, CallLadder, CallSpec, CallState, Code, CommandSpec, DeadCall, DeliveryId,
    DeliveryState, ErrorContext, EventKind, Existing, FailureRecord, Family, Intent, Interface, JobId,
    JobKind, JobState, Leg, LimitSpec, OnHostCrash, Outcome, OutputPage, OutputStream, OwnerName,
    PlacingSpec, PluginName, Preserve, Priority, Profile, Role, Timestamp, TransferSpec, UploadProtocol,
    Versions, Work, rate,
};
pub use crate::job::{
    AuthScheme, AuthTarget, Credential, FileRange, Header, HttpSpec, NotifyFlag, ProxySpec, Redirects,
    SecretRef, StatusClass, TlsSpec, UnknownCode,
};
use crate::job::{
    DownloadSession, ErrorInfo, FileRef, FileStatus, Job, JobSpec, reply_path, without_password,
};
pub use crate::job::{ExtendedStatus, ObjectChange, QuerySpec};
pub use crate::store::{Counts, DeliveryRecord};
pub use activity::{ActivitiesView, ActivityView, Hours, LaneOrder, PoolKind};
pub use host::{
    FailFastView, HostState, HostStatus, PluginView, PluginsView, StatusView, SubscriptionView, WaitingView,
};
pub use objects::{BatchView, ObjectsView};
pub use waits::WaitView;

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its identity.
    pub id: JobId,
    /// Its label.
    pub name: String,
    /// What its submitter says of it.
    pub description: String,
    /// Whose it is.
    pub owner: OwnerName,
    /// What it does.
    pub kind: JobKind,
    /// Where it stands.
    pub state: JobState,
    /// File work that is under way.
    pub intent: Option<Intent>,
    /// How it ended, once final.
    pub outcome: Option<Outcome>,
    /// Scheduling level.
    pub priority: Priority,
    /// Raised by every change of state, property or intent.
    pub revision: u64,
    /// How often a runner took it.
    pub attempt: u32,
    /// Errors so far.
    pub error_count: u32,
    /// Sum of the sizes; `None` while any is unknown.
    pub bytes_total: Option<u64>,
    /// Durable bytes.
    pub bytes_transferred: u64,
    /// How many files it has.
    pub files_total: u32,
    /// How many are wholly fetched or sent.
    pub files_transferred: u32,
    /// The reply of an upload-reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplyView>,
    /// When it was submitted.
    pub created: Timestamp,
    /// Last change of state, property or progress.
    pub modified: Timestamp,
    /// When it last reached `transferred`.
    pub transferred: Option<Timestamp>,
    /// When the state moves on by itself.
    pub due: Option<Timestamp>,
    /// What keeps it from going on by itself right now.
    #[serde(default)]
    pub waits: Option<WaitView>,
    /// How much, how fast and how long it may be.
    #[serde(default, skip_serializing_if = "LimitSpec::is_default")]
    pub limits: LimitSpec,
    /// Whose numbers it follows.
    pub profile: Profile,
    /// Once finished it waits to be completed by hand or handler.
    pub hold: bool,
    /// The first delay between retries.
    #[serde(default)]
    pub retry_delay_ms: u64,
    /// The no-progress time-out.
    #[serde(default)]
    pub no_progress_ms: u64,
    /// Its own handler.
    pub handler: Option<PluginName>,
    /// Free key/values.
    pub labels: BTreeMap<String, String>,
    /// Opaque text echoed to handlers.
    pub context: String,
    /// Program and arguments run when the handler fails or there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify_command: Vec<String>,
    /// What only transfers have, without values that open a door.
    #[serde(default, skip_serializing_if = "TransferSpec::is_default")]
    pub transfer: TransferSpec,
    /// What a batch job runs, without what may be secret or long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSpec>,
    /// How a call stands beside its state.
    #[serde(default, skip_serializing_if = "CallState::is_default")]
    pub call: CallState,
    /// What a query asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QuerySpec>,
    /// What its handlers are told; absent, as they are subscribed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<BTreeSet<NotifyFlag>>,
    /// How often handlers hear of changes.
    #[serde(default = "notify_interval")]
    pub notify_interval_ms: u64,
    /// The error object, while it lives.
    pub error: Option<ErrorView>,
    /// Its first files; only where one job is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileView>>,
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        let spec = &job.spec;
        Self {
            id: job.id,
            name: spec.name.clone(),
            description: spec.description.clone(),
            owner: job.owner.clone(),
            kind: job.kind,
            state: shown_state(job),
            intent: job.intent,
            outcome: job.outcome,
            priority: job.priority,
            revision: job.revision,
            attempt: job.attempt,
            error_count: job.error_count,
            bytes_total: job.progress.bytes_total,
            bytes_transferred: job.progress.bytes_transferred,
            files_total: job.progress.files_total,
            files_transferred: job.progress.files_transferred,
            reply: (job.kind == JobKind::UploadReply).then(|| ReplyView::from(job)),
            created: job.created,
            modified: job.modified,
            transferred: job.transferred,
            due: job.due,
            waits: WaitView::of(job),
            limits: spec.transfer().limits.clone(),
            profile: spec.profile,
            hold: spec.hold,
            retry_delay_ms: millis(spec.retry.initial),
            no_progress_ms: millis(spec.no_progress),
            handler: spec.handler.clone(),
            labels: spec.labels.clone(),
            context: spec.context.clone(),
            notify_command: spec.notify_command.clone(),
            transfer: spec.transfer().shown(),
            batch: spec.batch.as_ref().map(|batch| batch.shown()),
            call: job.call,
            query: spec.query.as_deref().cloned(),
            notify: spec.notify.clone(),
            notify_interval_ms: millis(spec.notify_interval),
            error: job.error.as_ref().map(|error| ErrorView::of(error, spec.profile)),
            files: None,
        }
    }
}

impl JobView {
    /// With the first files of `job`, after which a reply without a name is called (B-138).
    pub(super) fn with_files(job: &Job, files: &[FileStatus]) -> Self {
        let mut view = Self::from(job);
        if let (Some(reply), Some(first)) = (&mut view.reply, files.first()) {
            reply.local = Some(reply_path(job, &first.local));
        }
        view.files = Some(files.iter().map(FileView::from).collect());
        view
    }
}

/// The second progress of an upload-reply (B-08).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyView {
    /// Where it is put; a name that was made up is told where one job is shown.
    pub local: Option<String>,
    /// Its size; unknown until its download begins.
    pub bytes_total: Option<u64>,
    /// Durable bytes.
    pub bytes_transferred: u64,
}

impl From<&Job> for ReplyView {
    fn from(job: &Job) -> Self {
        let progress = job.reply.unwrap_or_default();
        Self {
            local: job.spec.transfer().upload.reply.clone(),
            bytes_total: progress.bytes_total,
            bytes_transferred: progress.bytes_transferred,
        }
    }
}

fn millis(delay: Duration) -> u64 {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
}

fn notify_interval() -> u64 {
    millis(JobSpec::NOTIFY_INTERVAL)
}

/// D-03: Delivery Optimization knows no `connecting`; what reaches for the other side transfers.
fn shown_state(job: &Job) -> JobState {
    match (job.spec.profile, job.state) {
        (Profile::DeliveryOptimization, JobState::Connecting) => JobState::Transferring,
        (_, state) => state,
    }
}

/// The error object (B-77…B-81).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// `0x` and eight digits.
    pub code: Code,
    /// `BG_E_…`, `HTTP_403`, `SX_E_…`; empty when the code has no name.
    pub name: String,
    /// Where in the work it arose.
    pub context: ErrorContext,
    /// A sentence about this very error.
    pub description: String,
    /// The documented sentence for the context.
    pub context_description: String,
    /// The file being worked on; `None` is `BG_E_FILE_NOT_AVAILABLE`.
    pub file: Option<ErrorFileView>,
    /// `http`, `https`, `file`; `None` is `BG_E_PROTOCOL_NOT_AVAILABLE`.
    pub protocol: Option<String>,
    /// Which direction.
    pub leg: Option<Leg>,
    /// The run of the job in which it happened.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// What the error of a query has beyond that (W-40).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended: Option<Box<ExtendedStatus>>,
}

impl ErrorView {
    /// As a job of this profile tells it (D-04).
    #[must_use]
    pub fn of(error: &ErrorInfo, profile: Profile) -> Self {
        let context = profile.context_of(error);
        Self {
            code: error.code,
            name: error.code.name().unwrap_or_default(),
            context,
            description: error.description.clone(),
            context_description: context.describe().to_owned(),
            file: error.file.as_ref().map(ErrorFileView::from),
            protocol: error.protocol.clone(),
            leg: error.leg,
            attempt: error.attempt,
            at: error.at,
            extended: error.extended.clone(),
        }
    }
}

/// The file an error is tied to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFileView {
    /// Position in the job, from 0.
    pub index: u32,
    /// The remote name, without password.
    pub remote: String,
    /// The local path.
    pub local: String,
}

impl From<&FileRef> for ErrorFileView {
    fn from(file: &FileRef) -> Self {
        Self {
            index: file.index,
            remote: file.shown_remote(),
            local: file.local.clone(),
        }
    }
}

/// One file of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// Position in the job, from 0.
    pub index: u32,
    /// The remote name, without password.
    pub remote: String,
    /// Where it is put.
    pub local: String,
    /// The temporary file, once there is one.
    pub temporary: Option<String>,
    /// Size, where it is known.
    pub bytes_total: Option<u64>,
    /// Durable bytes.
    pub bytes_transferred: u64,
    /// All bytes are here, not yet renamed.
    pub transferred: bool,
    /// At its destination.
    pub completed: bool,
    /// The mirror whose bytes these are, if they are not of `remote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// How often it was begun anew, as the remote file had changed or could not be gone on with (B-94).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: u32,
    /// Headers of the last good answer, secrets masked (B-133).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl From<&FileStatus> for FileView {
    fn from(file: &FileStatus) -> Self {
        let session = DownloadSession::read(file.session.as_deref());
        let mirror = usize::try_from(session.place)
            .ok()
            .and_then(|place| place.checked_sub(1));
        Self {
            index: file.index,
            remote: file.shown_remote(),
            local: session.placed.unwrap_or_else(|| file.local.clone()),
            temporary: file.temporary.clone(),
            bytes_total: file.bytes_total,
            bytes_transferred: file.bytes_transferred,
            transferred: file.transferred,
            completed: file.completed,
            mirror: mirror
                .and_then(|mirror| file.plan.mirrors.get(mirror))
                .map(|mirror| without_password(mirror)),
            restarts: session.restarts,
            headers: session.headers,
        }
    }
}

/// The answer to a submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubmittedView {
    /// The job.
    pub job: JobView,
    /// False when its key had been used before: this is the first job.
    pub new: bool,
    /// What was accepted, but may not be meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A job some of whose files are fetched from elsewhere now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RenamedView {
    /// The job.
    pub job: JobView,
    /// How many files have another name; 0 when none matched, and nothing has changed.
    pub changed: u64,
}

/// A list of jobs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobsView {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// Where the next page begins: its `before`. A page may have few jobs or none and not be the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<JobId>,
}

/// Files of one job in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilesView {
    /// The files.
    pub files: Vec<FileView>,
}

/// Deliveries, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveriesView {
    /// The deliveries.
    pub deliveries: Vec<DeliveryRecord>,
}

/// How many things a request changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountView {
    /// How many.
    pub count: u64,
}

/// Every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: Problem,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `0x` and eight digits.
    pub code: Code,
    /// The code's name; empty when it has none.
    pub name: String,
    /// What failed and why.
    pub message: String,
    /// What to do next; empty when there is nothing to say.
    #[serde(default)]
    pub hint: String,
    /// Of a list that was refused: each entry that is wrong, as far as they were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<ListProblem>,
    /// The queue that was full (C-05).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Box<FullQueue>>,
}

/// A queue that takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullQueue {
    /// How many wait in it.
    pub depth: u64,
    /// When it may be worth trying again.
    pub retry_after_ms: u64,
}

/// What is wrong with one entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListProblem {
    /// Which, from 0.
    pub index: usize,
    /// `0x` and eight digits.
    pub code: Code,
    /// What is wrong and why.
    pub message: String,
}
