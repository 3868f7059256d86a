//! What goes into the store and what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Hold, Yielding};
use crate::job::{
    ActivityName, ActivitySpec, Code, Command, DeliveryId, DeliveryState, ErrorInfo, EventKind,
    FailureRecord, FileSpec, FileStatus, Job, JobId, JobKind, JobSpec, JobState, Outcome, OwnerName,
    PluginName, Priority, Refusal, ReplyProgress, Role, SinkEvent, StateRead, StateWrite, Timestamp,
};

/// A job to be accepted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Whose.
    pub owner: OwnerName,
    /// What it does.
    pub kind: JobKind,
    /// Its level.
    pub priority: Priority,
    /// What its submitter fixes.
    pub spec: JobSpec,
    /// Files, in order.
    pub files: Vec<FileSpec>,
    /// Idempotency key, unique per owner, at most 256 bytes.
    pub key: Option<String>,
    /// Starts suspended instead of queued (B-20).
    pub suspended: bool,
}

/// An activity as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityRow {
    /// Its name.
    pub name: ActivityName,
    /// What it is; `None` where the configuration file says it.
    pub spec: Option<ActivitySpec>,
    /// When it was made, or first paused.
    pub created: Timestamp,
    /// It takes nothing until it is resumed.
    pub paused: bool,
}

/// An accepted job.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The job.
    pub job: Job,
    /// False when the key had been used before.
    pub created: bool,
}

/// What the scheduler can take. What is said of levels, remote hosts and yielding concerns transfers.
#[derive(Clone, Debug, Default)]
pub struct ClaimJobs {
    /// Free background slots.
    pub background: usize,
    /// Most foreground jobs to take at once.
    pub foreground: usize,
    /// Running jobs by remote host.
    pub busy_hosts: BTreeMap<String, usize>,
    /// Background jobs one remote host may have.
    pub per_host: usize,
    /// Running background jobs that would make room for others.
    pub yielding: Vec<Yielding>,
    /// What keeps transfers from running: those that it concerns are held and not taken.
    pub holds: Vec<Hold>,
    /// Free slots of batch work, of every level.
    pub batch: usize,
    /// Running batch jobs by lane.
    pub busy_lanes: BTreeMap<String, usize>,
    /// Lanes that take nothing now.
    pub closed_lanes: Arc<BTreeSet<String>>,
    /// Free slots of queries, of every level.
    pub queries: usize,
    /// How long the claim holds without renewal, for backends with several hosts.
    pub lease: Duration,
}

/// One run of one job: the fence of everything its runner says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId {
    /// The job.
    pub job: JobId,
    /// Its attempt.
    pub attempt: u32,
}

/// A claimed job.
#[derive(Clone, Debug)]
pub struct Run {
    /// The job, in `connecting`.
    pub job: Job,
    /// Its files in order.
    pub files: Vec<FileStatus>,
    /// How long its earlier runs took since it was last resumed (B-61).
    pub active: Duration,
}

impl Run {
    /// The fence.
    #[must_use]
    pub fn id(&self) -> RunId {
        RunId {
            job: self.job.id,
            attempt: self.job.attempt,
        }
    }
}

/// What one component wrote to its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginWrites {
    /// Whose state.
    pub plugin: PluginName,
    /// In order.
    pub writes: Vec<StateWrite>,
}

/// What is durable of one file, told by its runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheckpoint {
    /// The file as it now stands; `index` says which.
    pub file: FileStatus,
    /// How much of the job's reply is here; `None` while its download has not begun (B-08).
    pub reply: Option<ReplyProgress>,
    /// The reply, once it has arrived: handlers are told of it as of any file (B-159).
    pub arrived: Option<Box<FileStatus>>,
}

impl From<FileStatus> for FileCheckpoint {
    fn from(file: FileStatus) -> Self {
        Self {
            file,
            reply: None,
            arrived: None,
        }
    }
}

/// What a run tells at once: all of it is committed, or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The other side answered ([`Command::Connected`]).
    pub connected: bool,
    /// What is durable of files, in order.
    pub files: Vec<FileCheckpoint>,
    /// How the run ended.
    pub end: Option<Command>,
    /// What components wrote to their state in it.
    pub writes: Vec<PluginWrites>,
}

impl Told {
    /// How a run ended, and nothing else.
    #[must_use]
    pub fn end(command: Command) -> Self {
        Self {
            end: Some(command),
            ..Self::default()
        }
    }
}

/// How long ended things are kept; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// Jobs that succeeded.
    pub finished: Option<Duration>,
    /// Other ended jobs.
    pub failed: Option<Duration>,
    /// Dead deliveries.
    pub dead: Option<Duration>,
}

/// What dispatch can take.
#[derive(Clone, Debug)]
pub struct ClaimDeliveries {
    /// Most deliveries at once.
    pub limit: usize,
    /// Plugins that have a component to call.
    pub serving: BTreeSet<PluginName>,
    /// Running calls by owner and plugin.
    pub busy: BTreeMap<(OwnerName, PluginName), usize>,
    /// Calls one (owner, plugin) may have (B-105).
    pub per_pair: usize,
    /// How long the claim holds without renewal, for backends with several hosts.
    pub lease: Duration,
}

/// Which step of its policy a delivery is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The handler function of the event.
    #[default]
    Handler,
    /// The final callback (C-76).
    Final,
    /// The job's notify command (B-114).
    Command,
}

/// A claimed delivery with everything its call needs.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The delivery as it stands, in `running`, its attempt counted.
    pub delivery: DeliveryRecord,
    /// The job as it stands; its revision is the conflict check.
    pub job: Job,
    /// Its first 100 files.
    pub files: Vec<FileStatus>,
    /// The event's own error.
    pub error: Option<ErrorInfo>,
    /// The event's file.
    pub file: Option<FileStatus>,
    /// The event's outcome.
    pub outcome: Option<Outcome>,
    /// What the sink of a query is told.
    pub sink: Option<SinkEvent>,
    /// The job has moved on since the event.
    pub stale: bool,
}

/// The end of one attempt.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Which attempt: the fence.
    pub attempt: u32,
    /// The job's revision that the call saw.
    pub revision: u64,
    /// Digest of the component that ran.
    pub digest: String,
    /// What the call read of the plugin's state: if any of it has changed, the call is made again.
    pub state_reads: Vec<StateRead>,
    /// How it ended.
    pub verdict: Verdict,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Acknowledged, with what the handler decided.
    Acknowledged {
        /// Decisions about the job, in order.
        requests: Vec<Command>,
        /// Writes to the plugin's state, in order.
        state_writes: Vec<StateWrite>,
    },
    /// Failed.
    Failed {
        /// How.
        record: Box<FailureRecord>,
        /// What follows.
        next: AfterFailure,
    },
}

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Again at this time, on this step.
    Retry {
        /// When.
        due: Timestamp,
        /// What is called then.
        stage: Stage,
    },
    /// Bury it.
    Dead {
        /// Why.
        why: String,
    },
    /// Park it at once (five host faults in a row).
    Park {
        /// Why.
        why: String,
    },
    /// The process is about to end; park instead of pending once this has happened `crash_limit`
    /// times.
    FailFast {
        /// The limit.
        crash_limit: u32,
    },
}

/// What a settlement led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleResult {
    /// Done, and the handler's requests with it.
    Settled,
    /// The job had moved: everything dropped, called again.
    Conflict,
    /// Conflicted too often: acknowledged without its requests.
    Superseded,
    /// Will be called again.
    Retrying,
    /// Buried or parked.
    Dead,
}

/// One delivery as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// The idempotency key.
    pub id: DeliveryId,
    /// The event, shared by its handlers.
    pub event_id: String,
    /// Position of the event in this host's history.
    pub seq: u64,
    /// The event.
    pub event: EventKind,
    /// The job.
    pub job: JobId,
    /// Its owner.
    pub owner: OwnerName,
    /// The handler.
    pub plugin: PluginName,
    /// Decides or observes.
    pub role: Role,
    /// Where it stands.
    pub state: DeliveryState,
    /// Which step of its policy.
    pub stage: Stage,
    /// Attempts so far.
    pub attempt: u32,
    /// Attempts that count against the handler.
    pub charged: u32,
    /// Host faults in a row.
    pub host_faults: u32,
    /// Rounds of handler and notify command.
    pub rounds: u32,
    /// When it is next due.
    pub due: Option<Timestamp>,
    /// When the event was committed.
    pub created: Timestamp,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// `acknowledged`, `superseded`, or why it is dead.
    pub result: Option<String>,
    /// Digest of the component of the last attempt.
    pub digest: String,
    /// The last failure.
    pub last_failure: Option<FailureRecord>,
    /// Every failure kept, oldest first; only in the record of one delivery.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<FailureRecord>,
}

/// Which jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFilter {
    /// Only these states; empty is all.
    #[serde(default)]
    pub states: Vec<JobState>,
    /// Only this owner's.
    pub owner: Option<OwnerName>,
    /// Only jobs made before this one (for paging).
    pub before: Option<JobId>,
    /// At most this many; 0 is 100.
    #[serde(default)]
    pub limit: usize,
}

/// Which deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFilter {
    /// Only this one.
    pub id: Option<DeliveryId>,
    /// Only these states; empty is all.
    #[serde(default)]
    pub states: Vec<DeliveryState>,
    /// Only this plugin's.
    pub plugin: Option<PluginName>,
    /// Only this job's.
    pub job: Option<JobId>,
    /// Only deliveries made before this one (for paging a list).
    #[serde(default)]
    pub before: Option<DeliveryId>,
    /// At most this many; 0 is 100 for lists and no limit for `replay` and `purge`.
    #[serde(default)]
    pub limit: usize,
}

/// Numbers for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Jobs by state.
    pub jobs: BTreeMap<JobState, u64>,
    /// Deliveries by state.
    pub deliveries: BTreeMap<DeliveryState, u64>,
}

/// Something committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A job's state, intent, property or progress.
    Job {
        /// Which.
        id: JobId,
        /// Its state now.
        state: JobState,
        /// Its revision now.
        revision: u64,
        /// Its level now.
        priority: Priority,
        /// Whether file work is under way.
        intent: bool,
        /// When it moves on by itself.
        due: Option<Timestamp>,
    },
    /// Deliveries were written or became due.
    Deliveries,
    /// A job is no longer there.
    Forgotten {
        /// Which.
        id: JobId,
    },
}

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No such job or delivery.
    #[error("there is no {what} {id}")]
    NotFound {
        /// `job` or `delivery`.
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// The law said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A limit is reached.
    #[error("{message}")]
    Limit {
        /// The code of the limit.
        code: Code,
        /// What, how many, and what to do.
        message: String,
    },
    /// The queue of an activity is full (C-05).
    #[error("activity `{activity}` takes no more: {queued} calls wait in its queue, as many as it may have")]
    Rejected {
        /// `CO_E_ASYNC_WORK_REJECTED`
        code: Code,
        /// Which.
        activity: ActivityName,
        /// How many wait.
        queued: u64,
    },
    /// The claim is no longer the caller's.
    #[error("this claim has been taken over")]
    Fenced,
    /// Another host has the state directory.
    #[error("the state directory {dir} is in use by another host (lock {lock})")]
    Locked {
        /// The directory.
        dir: String,
        /// The lock file.
        lock: String,
    },
    /// Written by a newer version.
    #[error(
        "the store {path} has schema {found}, this version speaks up to {supported}; start the newer version"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its schema.
        found: i64,
        /// Ours.
        supported: i64,
    },
    /// Not usable for another reason.
    #[error("cannot use the store {path}: {why}")]
    Unusable {
        /// The file or directory.
        path: String,
        /// Why, and what to do.
        why: String,
    },
    /// The backend failed; nothing was changed.
    #[error("the store failed: {0}")]
    Backend(String),
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}
