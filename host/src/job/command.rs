//! What may be asked of a job, and what a permitted command changes.

use std::borrow::Cow;
use std::time::Duration;

use super::{
    CallState, Code, DeadCall, ErrorInfo, EventKind, FileRef, FileSpec, Intent, Job, JobChange, JobSpec,
    JobState, Outcome, OwnerName, Priority, Timestamp,
};

/// Something that wants to change a job. The first group comes from people and handlers, the
/// second from the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Go on: now, or after the delay (B-21, B-34…B-36).
    Resume {
        /// How long to wait first; counted from `at`.
        after: Duration,
        /// When it was asked.
        at: Timestamp,
    },
    /// Stop and stay (B-33).
    Suspend,
    /// Delete everything of the job (B-38, B-46).
    Cancel,
    /// Keep what is whole, drop the rest (B-37, B-44).
    Complete,
    /// The same, but only if everything is whole (BP-10).
    CompleteWhole,
    /// Change the scheduling level (B-67).
    SetPriority(Priority),
    /// Put the reply there (B-48).
    SetReply(String),
    /// Say whether a file that is here is good (B-55, B-97).
    Validate {
        /// Which.
        file: Box<FileRef>,
        /// Whether its bytes are what was wanted.
        valid: bool,
        /// When it was said.
        at: Timestamp,
    },
    /// Change properties (B-41, B-156).
    Change(Box<JobChange>),
    /// More files, all or none (B-42, B-120).
    AddFiles(Vec<FileSpec>),
    /// Fetch one file from elsewhere (B-52, B-130).
    SetRemote {
        /// Its position.
        file: u32,
        /// Where from now on.
        remote: String,
    },
    /// Fetch every file whose remote name begins so from elsewhere (B-52).
    ReplacePrefix {
        /// How the names begin, case and all.
        from: String,
        /// What stands there instead.
        to: String,
    },
    /// Give the job to another owner, without what its own owner trusted it with (B-15).
    TakeOwnership(OwnerName),

    /// A runner took it (B-22).
    Start,
    /// The other side answered; bytes flow (B-23).
    Connected,
    /// The runner gave it back without an error: drain, preemption, end of a time slice (B-25).
    Yield,
    /// Its time slice is over and another of its level waits (B-25, B-68).
    SliceOver,
    /// A condition keeps it from running, no fault of its own (B-31, B-72, B-95).
    Held {
        /// The condition, as the job's error object.
        error: ErrorInfo,
    },
    /// The condition that held it is over (B-28).
    HoldOver,
    /// An error that may pass (B-24, B-26).
    TransientError {
        /// What went wrong.
        error: ErrorInfo,
        /// The server's own wish, from `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// An error that will not pass (B-24, B-27).
    FatalError {
        /// What went wrong.
        error: ErrorInfo,
    },
    /// A call ended without its own doing: with the host, or in its drain.
    Interrupted {
        /// What that is as an error.
        error: ErrorInfo,
        /// The host died of something while it ran (C-45, CJ-07).
        crashed: bool,
    },
    /// Nobody can help a failed call: it is a dead letter (C-76).
    Bury(DeadCall),
    /// A failed call begins anew, with its identity and its history (C-81).
    Requeue,
    /// The delay after a transient error is over (B-28, B-30).
    RetryDue {
        /// The time it is.
        at: Timestamp,
    },
    /// The network is back (B-29).
    NetworkReturned,
    /// Everything that the runner was given is fetched, sent or run (B-32).
    Finished {
        /// The time it is.
        at: Timestamp,
        /// How many files it was given: those added meanwhile take another run (B-42).
        files: u32,
    },
    /// Every delivery that completion waits for is settled (design: completion).
    Release,
    /// The inactivity time-out passed (B-39, B-62).
    Expired,
    /// A job that had to end first ended in another way.
    Unmet {
        /// Which, and how.
        error: ErrorInfo,
    },
    /// The file work of the intent is done.
    IntentDone {
        /// How completion ended; ignored for a cancel.
        outcome: Outcome,
    },
    /// The file work of the intent failed past its limit.
    IntentFailed {
        /// Why.
        error: ErrorInfo,
    },
}

impl Command {
    /// The verb as messages name it.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Resume { .. } => "resume",
            Self::Suspend => "suspend",
            Self::Cancel => "cancel",
            Self::Complete => "complete",
            Self::CompleteWhole => "complete --require-all",
            Self::SetPriority(_) => "set-priority",
            Self::SetReply(_) => "set-reply",
            Self::Validate { .. } => "set-validation",
            Self::Change(_) => "set",
            Self::AddFiles(_) => "add",
            Self::SetRemote { .. } => "set-remote",
            Self::ReplacePrefix { .. } => "replace-prefix",
            Self::TakeOwnership(_) => "take-ownership",
            Self::Start => "start",
            Self::Connected => "connected",
            Self::Yield => "yield",
            Self::SliceOver => "slice-over",
            Self::Held { .. } => "held",
            Self::HoldOver => "hold-over",
            Self::TransientError { .. } => "transient-error",
            Self::FatalError { .. } => "fatal-error",
            Self::Interrupted { .. } => "interrupted",
            Self::Bury(_) => "bury",
            Self::Requeue => "requeue",
            Self::RetryDue { .. } => "retry-due",
            Self::NetworkReturned => "network-returned",
            Self::Finished { .. } => "finished",
            Self::Release => "release",
            Self::Expired => "expire",
            Self::Unmet { .. } => "unmet",
            Self::IntentDone { .. } => "intent-done",
            Self::IntentFailed { .. } => "intent-failed",
        }
    }
}

/// When the job moves on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// As before.
    Keep,
    /// Nothing moves it.
    Never,
    /// At this time.
    At(Timestamp),
}

/// What happens to the list of files.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum FilesChange {
    /// Nothing.
    #[default]
    None,
    /// These come behind those there are.
    Add(Vec<FileSpec>),
    /// One has another remote name, unless it is transferred.
    Rename {
        /// Which.
        file: u32,
        /// The name.
        remote: String,
    },
    /// Those not transferred whose remote name begins with `from` begin with `to` instead.
    RenamePrefix {
        /// The old beginning.
        from: String,
        /// The new one.
        to: String,
    },
}

/// What a permitted command changes. The store writes exactly this.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The state afterwards.
    pub to: JobState,
    /// The intent afterwards.
    pub intent: Option<Intent>,
    /// The outcome afterwards.
    pub outcome: Option<Outcome>,
    /// The priority afterwards.
    pub priority: Priority,
    /// The error object afterwards.
    pub error: Option<ErrorInfo>,
    /// The error count afterwards (B-64).
    pub error_count: u32,
    /// Retries in a row afterwards.
    pub retries: u32,
    /// Start of the no-progress clock afterwards.
    pub no_progress_since: Option<Timestamp>,
    /// When it was last transferred, afterwards.
    pub transferred: Option<Timestamp>,
    /// How the call stands, afterwards.
    pub call: CallState,
    /// The properties afterwards, where they change.
    pub spec: Option<Box<JobSpec>>,
    /// The owner afterwards, where it is another.
    pub owner: Option<OwnerName>,
    /// What happens to the list of files.
    pub files: FilesChange,
    /// A runner took it: the attempt number goes up.
    pub starts_attempt: bool,
    /// Others of its level that wait already come first (B-68).
    pub goes_behind: bool,
    /// The time it may connect and transfer begins anew (B-61).
    pub resets_active: bool,
    /// What to do about the due time.
    pub due: Due,
    /// The revision goes up.
    pub revises: bool,
    /// Handlers to be told, in this order.
    pub events: Vec<EventKind>,
}

impl Transition {
    /// Makes `job` what it is afterwards; its times of creation and modification stay.
    pub fn carry_out(self, job: &mut Job) {
        job.state = self.to;
        job.intent = self.intent;
        job.outcome = self.outcome;
        job.priority = self.priority;
        job.error = self.error;
        job.error_count = self.error_count;
        job.retries = self.retries;
        job.no_progress_since = self.no_progress_since;
        job.transferred = self.transferred;
        job.call = self.call;
        if let Some(spec) = self.spec {
            job.spec = *spec;
        }
        if let Some(owner) = self.owner {
            job.owner = owner;
        }
        if let FilesChange::Add(files) = self.files {
            let added = u32::try_from(files.len()).unwrap_or(u32::MAX);
            job.progress.files_total = job.progress.files_total.saturating_add(added);
            let sums = job.progress.bytes_total.map(|sum| (sum, files.iter()));
            job.progress.bytes_total = sums.and_then(|(sum, mut files)| {
                files.try_fold(sum, |sum, file| {
                    Some(sum.saturating_add(file.plan.known_total()?))
                })
            });
        }
        job.attempt = job.attempt.saturating_add(u32::from(self.starts_attempt));
        job.revision = job.revision.saturating_add(u64::from(self.revises));
        match self.due {
            Due::Keep => {}
            Due::Never => job.due = None,
            Due::At(time) => job.due = Some(time),
        }
    }

    /// Whether it leaves `job` exactly as it is, so that nothing need be written.
    #[must_use]
    pub fn is_noop(&self, job: &Job) -> bool {
        !self.revises && !self.starts_attempt && self.events.is_empty() && self.to == job.state
    }
}

/// Why a command is not permitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {verb} a job that is {state}: {why}")]
pub struct Refusal {
    /// `BG_E_INVALID_STATE`, `BG_E_EMPTY`, `E_NOTIMPL`, `E_PENDING`, a limit, or what is wrong with a property.
    pub code: Code,
    /// The command's verb.
    pub verb: &'static str,
    /// The job's state.
    pub state: JobState,
    /// What stands in the way, and what would help.
    pub why: Cow<'static, str>,
}
