//! What a job is: its kind, states, files and progress.

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::after::AFTER_MAX;
use super::{
    After, Backoff, BatchSpec, CallState, Code, ErrorInfo, JobId, NotifyFlag, OwnerName, PluginName, Profile,
    Progress, QuerySpec, ReplyProgress, Timestamp, TransferSpec,
};

/// A word that names none of the values of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {expected}")]
pub struct UnknownWord {
    word: String,
    expected: &'static str,
}

/// Declares an enum whose values have one spelling everywhere: JSON, store, WIT and terminal.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in JSON, the store and on the terminal.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, out: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                out.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::job::UnknownWord;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::job::UnknownWord::new(word, concat!($("`", $word, "` "),+))),
                }
            }
        }
    };
}
pub(crate) use words;

impl UnknownWord {
    /// `word` is none of the values listed in `expected`.
    #[must_use]
    pub fn new(word: &str, expected: &'static str) -> Self {
        Self {
            word: word.chars().take(60).flat_map(char::escape_default).collect(),
            expected: expected.trim_end(),
        }
    }
}

words! {
    /// What a job does; the family decides which handler interface hears of it.
    JobKind {
        /// Fetches files (B-66).
        Download = "download",
        /// Sends one file (B-66).
        Upload = "upload",
        /// Sends one file and fetches the reply (B-66).
        UploadReply = "upload-reply",
        /// Runs a command or a component's `service-call`.
        Batch = "batch",
        /// Asks a provider.
        Query = "query",
    }
}

words! {
    /// The four ancestors seen as families of job kinds, as `[[subscribe]] kind` names them.
    Family {
        /// Downloads and uploads: BITS and Delivery Optimization.
        Transfer = "transfer",
        /// COM+ activities.
        Batch = "batch",
        /// WMI queries.
        Query = "query",
    }
}

words! {
    /// The nine states of BITS, used for every kind (B-20…B-39).
    JobState {
        /// Waiting for a slot or for its due time.
        Queued = "queued",
        /// A runner has it and is reaching for the other side.
        Connecting = "connecting",
        /// Bytes flow, or the command runs.
        Transferring = "transferring",
        /// Stopped by a person, a handler, or never started.
        Suspended = "suspended",
        /// Stopped by a fatal error; a handler or a person decides.
        Error = "error",
        /// Stopped by an error that may pass; tried again by itself.
        TransientError = "transient-error",
        /// All done, not yet completed.
        Transferred = "transferred",
        /// Completed: final.
        Acknowledged = "acknowledged",
        /// Cancelled: final.
        Cancelled = "cancelled",
    }
}

impl JobState {
    /// No command leaves this state.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Cancelled)
    }

    /// A runner holds the job.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Connecting | Self::Transferring)
    }
}

words! {
    /// How a job ended. `acknowledged` carries one of the first three.
    Outcome {
        /// All of it.
        Succeeded = "succeeded",
        /// What had been whole was kept, the rest dropped (B-44).
        Partial = "partial",
        /// A batch whose error was settled without a resume.
        Failed = "failed",
        /// Cancelled.
        Cancelled = "cancelled",
    }
}

words! {
    /// File work that a decision needs, committed before it is carried out.
    Intent {
        /// Rename what is whole to its destination, drop the rest (B-44).
        Complete = "complete",
        /// Delete everything of the job (B-46).
        Cancel = "cancel",
    }
}

words! {
    /// Scheduling levels (B-67).
    Priority {
        /// All at once, beside the background slots.
        Foreground = "foreground",
        /// First of the background levels.
        High = "high",
        /// The default.
        Normal = "normal",
        /// Last.
        Low = "low",
    }
}

impl JobKind {
    /// The family this kind belongs to.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Download | Self::Upload | Self::UploadReply => Family::Transfer,
            Self::Batch => Family::Batch,
            Self::Query => Family::Query,
        }
    }

    /// Its file goes to the server (B-66).
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Upload | Self::UploadReply)
    }
}

/// What a submitter fixes about a job; kept beside the hot columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// A label, not a key: at most 256 characters, duplicates allowed (B-01, B-05).
    pub name: String,
    /// At most 1,024 characters (B-05).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Opaque text echoed to handlers, at most 64 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Free key/values shown to handlers, at most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whose numbers the job follows.
    #[serde(default)]
    pub profile: Profile,
    /// A finished job waits to be completed by hand or handler.
    #[serde(default)]
    pub hold: bool,
    /// The call's own handler: decides before any subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<PluginName>,
    /// Program and arguments run when the handler fails or there is none (B-114, B-115); never a shell string.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify_command: Vec<String>,
    /// What its handlers are told; `None` leaves it to the subscriptions (B-98).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<BTreeSet<NotifyFlag>>,
    /// Handlers hear of changes at most this often (B-110).
    #[serde(
        default = "JobSpec::default_interval",
        rename = "notify_interval_ms",
        with = "super::time::millis",
        skip_serializing_if = "JobSpec::is_default_interval"
    )]
    pub notify_interval: Duration,
    /// Delay between retries of transient errors (B-57).
    pub retry: Backoff,
    /// See [`Profile::no_progress`]; zero means that any error is fatal (B-59).
    #[serde(rename = "no_progress_ms", with = "super::time::millis")]
    pub no_progress: Duration,
    /// Jobs that must end first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<After>,
    /// What only transfers have; most need none of it, so it is apart. Read it with
    /// [`JobSpec::transfer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Box<TransferSpec>>,
    /// What a batch job runs; other kinds have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Box<BatchSpec>>,
    /// What a query asks; other kinds have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Box<QuerySpec>>,
}

impl JobSpec {
    /// A job named `name` with the numbers of `profile`; of another level than normal,
    /// [`JobSpec::at_level`].
    #[must_use]
    pub fn new(name: impl Into<String>, profile: Profile) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            context: String::new(),
            labels: BTreeMap::new(),
            profile,
            hold: profile.holds(),
            handler: None,
            notify_command: Vec::new(),
            notify: None,
            notify_interval: Self::NOTIFY_INTERVAL,
            retry: profile.retry(Priority::Normal),
            no_progress: profile.no_progress(Priority::Normal),
            after: Vec::new(),
            transfer: None,
            batch: None,
            query: None,
        }
    }

    /// Whether what it says of its work fits its kind: a batch job runs something, a query asks.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong.
    pub fn check_work(&self, kind: JobKind) -> Result<(), (Code, String)> {
        let family = kind.family();
        for (part, of, said) in [
            ("transfer", Family::Transfer, self.transfer.is_some()),
            ("batch", Family::Batch, self.batch.is_some()),
            ("query", Family::Query, self.query.is_some()),
        ] {
            if said && of != family {
                return Err((
                    Code::INVALIDARG,
                    format!("a job of kind {kind} has no part `{part}`"),
                ));
            }
            if !said && of == family && of != Family::Transfer {
                let why = format!("a job of kind {kind} says in its part `{part}` what it does");
                return Err((Code::INVALIDARG, why));
            }
        }
        if self.after.len() > AFTER_MAX {
            let why = format!(
                "it waits for {} jobs; at most {AFTER_MAX} can be named",
                self.after.len()
            );
            return Err((Code::INVALIDARG, why));
        }
        self.batch.as_ref().map_or(Ok(()), |batch| batch.check())?;
        self.query.as_ref().map_or(Ok(()), |query| query.check())
    }

    /// With the numbers that its profile has for jobs submitted at this level (DC-06).
    #[must_use]
    pub fn at_level(self, level: Priority) -> Self {
        Self {
            retry: self.profile.retry(level),
            no_progress: self.profile.no_progress(level),
            ..self
        }
    }

    /// What only transfers have; the defaults where nothing was said.
    #[must_use]
    pub fn transfer(&self) -> &TransferSpec {
        static NOTHING_SAID: TransferSpec = TransferSpec::DEFAULT;
        self.transfer.as_deref().unwrap_or(&NOTHING_SAID)
    }
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
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
    /// Raised by every change of state, property or intent; not by progress.
    pub revision: u64,
    /// How often a runner took it; fences what that runner reports (J-28).
    pub attempt: u32,
    /// Errors so far; never reset (B-64).
    pub error_count: u32,
    /// Transient errors in a row without progress.
    pub retries: u32,
    /// The first transient error since the last progress (B-59).
    pub no_progress_since: Option<Timestamp>,
    /// When the state moves on by itself: start of a queued job, retry of a transient error.
    pub due: Option<Timestamp>,
    /// When it was submitted.
    pub created: Timestamp,
    /// Last change of state, property or progress (B-06).
    pub modified: Timestamp,
    /// When it last reached `transferred`.
    pub transferred: Option<Timestamp>,
    /// Sums over its files.
    pub progress: Progress,
    /// How much of its reply is here, once the download of that has begun (B-08).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplyProgress>,
    /// The error object, while it lives (B-80); a final job keeps its last one.
    pub error: Option<ErrorInfo>,
    /// What only a batch job has beside its state.
    #[serde(default, skip_serializing_if = "CallState::is_default")]
    pub call: CallState,
    /// What its submitter fixed.
    #[serde(flatten)]
    pub spec: JobSpec,
}
