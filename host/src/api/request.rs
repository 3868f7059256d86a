//! What the control API is asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

pub use crate::job::ActivityDraft;
use crate::job::{
    ActivityName, After, BatchSpec, DeliveryId, DeliveryState, FilePlan, FileRange, FileSpec, JobId, JobKind,
    JobState, OutputStream, OwnerName, PluginName, Priority, Profile, QuerySpec, TransferSpec,
};
pub use crate::store::JobMatch;

/// An activity to be made: `POST /v1/activities`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityRequest {
    /// Its name.
    pub name: ActivityName,
    /// What it is.
    #[serde(default)]
    pub spec: ActivityDraft,
}

/// One job to be accepted: `POST /v1/jobs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// What it does.
    pub kind: JobKind,
    /// A label, at most 256 characters; absent, the name of its first file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most 1,024 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Opaque text echoed to handlers, at most 64 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Free key/values, at most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its level; absent, `normal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Whose numbers; absent, the host's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Whether a finished job waits to be completed; absent, as the profile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<bool>,
    /// Its own handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<PluginName>,
    /// Program and arguments run when the handler fails or there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify_command: Vec<String>,
    /// What its handlers are told: `job-transferred`, `job-error`, `job-modification`,
    /// `file-transferred`, or `disable`; absent, as they are subscribed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Vec<String>>,
    /// How often handlers hear of changes; absent, every 500 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_interval_ms: Option<u64>,
    /// The first delay between retries; absent, the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_delay_ms: Option<u64>,
    /// The no-progress time-out; absent, the profile's; 0 makes any error fatal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_progress_ms: Option<u64>,
    /// Jobs that must end first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<After>,
    /// What only transfers have.
    #[serde(default, skip_serializing_if = "TransferSpec::is_default")]
    pub transfer: TransferSpec,
    /// What a batch job runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Box<BatchSpec>>,
    /// What a query asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Box<QuerySpec>>,
    /// Files, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRequest>,
    /// Idempotency key, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Starts suspended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

impl SubmitRequest {
    /// A job of which nothing else is said.
    #[must_use]
    pub fn new(kind: JobKind, files: Vec<FileRequest>) -> Self {
        Self {
            kind,
            name: None,
            description: String::new(),
            context: String::new(),
            labels: BTreeMap::new(),
            priority: None,
            profile: None,
            hold: None,
            handler: None,
            notify_command: Vec::new(),
            notify: None,
            notify_interval_ms: None,
            retry_delay_ms: None,
            no_progress_ms: None,
            after: Vec::new(),
            transfer: TransferSpec::DEFAULT,
            batch: None,
            query: None,
            files,
            key: None,
            suspended: false,
        }
    }
}

/// One file of a job to be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// Where it is fetched from.
    pub remote: String,
    /// Absolute path it is put at; of an upload, what is sent.
    pub local: String,
    /// Only these ranges, one behind the other; a list that is there has one at least (B-125).
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "some_ranges"
    )]
    pub ranges: Vec<FileRange>,
    /// Other places of the same file, tried in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// What its bytes must come to: `sha256:` and hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Its size, where it is known beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

fn some_ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FileRange>, D::Error> {
    let ranges = Vec::<FileRange>::deserialize(deserializer)?;
    if ranges.is_empty() {
        let why = "the list of ranges is empty; leave it out to fetch the whole file";
        return Err(serde::de::Error::custom(why));
    }
    Ok(ranges)
}

impl FileRequest {
    /// A plain file.
    #[must_use]
    pub fn new(remote: impl Into<String>, local: impl Into<String>) -> Self {
        Self {
            remote: remote.into(),
            local: local.into(),
            ranges: Vec::new(),
            mirrors: Vec::new(),
            checksum: None,
            size: None,
        }
    }
}

impl From<FileRequest> for FileSpec {
    fn from(file: FileRequest) -> Self {
        Self {
            remote: file.remote,
            local: file.local,
            plan: FilePlan {
                ranges: file.ranges,
                mirrors: file.mirrors,
                checksum: file.checksum,
                size: file.size,
            },
        }
    }
}

/// What a person can tell a job to do: `POST /v1/jobs/{id}/{verb}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobVerb {
    /// Stop and stay.
    Suspend,
    /// Go on, after this many milliseconds.
    Resume {
        /// The delay.
        after_ms: u64,
    },
    /// Delete everything of it.
    Cancel,
    /// Keep what is whole, drop the rest.
    Complete,
    /// Say whether a file is good.
    SetValidation(ValidationRequest),
    /// The same, but only if everything is whole.
    CompleteWhole,
    /// Make the caller its owner.
    TakeOwnership,
    /// Queue a call again that failed.
    Requeue,
}

impl JobVerb {
    /// The word in the path.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume { .. } => "resume",
            Self::Cancel => "cancel",
            Self::Complete | Self::CompleteWhole => "complete",
            Self::SetValidation(_) => "set-validation",
            Self::TakeOwnership => "take-ownership",
            Self::Requeue => "requeue",
        }
    }
}

/// The body of `POST /v1/jobs/{id}/resume`; may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// How long to wait first.
    #[serde(default)]
    pub after_ms: u64,
}

/// The body of `POST /v1/jobs/{id}/set-validation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationRequest {
    /// Which file.
    pub index: u32,
    /// Whether its bytes are what was wanted.
    pub valid: bool,
}

/// The body of `POST /v1/jobs/{id}/complete`; may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompleteRequest {
    /// Nothing is done unless every file is transferred.
    #[serde(default)]
    pub require_all: bool,
}

/// `PATCH /v1/jobs/{id}/files/{index}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteRequest {
    /// Where the file is fetched from now on.
    pub remote: String,
}

/// `POST /v1/jobs/{id}/replace-prefix`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixRequest {
    /// How the remote names begin, case and all.
    pub from: String,
    /// What stands there instead.
    pub to: String,
}

/// `PUT /v1/jobs/{id}/reply`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyRequest {
    /// Absolute path of the reply.
    pub local: String,
}

/// Which deliveries to replay or purge. Must name something: an id, a filter, or `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverySelection {
    /// Only this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<DeliveryId>,
    /// Only this plugin's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginName>,
    /// Only this job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Only these states: `dead`, `poison`; to purge what waits for a plugin that is gone, `pending`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<DeliveryState>,
    /// Every dead or parked one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// `GET /v1/jobs`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// Only these states; empty is all.
    pub states: Vec<JobState>,
    /// Only this owner's.
    pub owner: Option<OwnerName>,
    /// Only jobs that fit.
    pub wanted: JobMatch,
    /// Only jobs made before this one.
    pub before: Option<JobId>,
    /// At most this many, up to 1,000; absent, 100.
    pub limit: Option<usize>,
}

/// `GET /v1/deliveries`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// Only these states; empty is all.
    pub states: Vec<DeliveryState>,
    /// Only this plugin's.
    pub plugin: Option<PluginName>,
    /// Only this job's.
    pub job: Option<JobId>,
    /// Only deliveries made before this one.
    pub before: Option<DeliveryId>,
    /// At most this many, up to 1,000; absent, 100.
    pub limit: Option<usize>,
}

/// `GET /v1/jobs/{id}/output`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputQuery {
    /// Which of its outputs; absent, `stdout`.
    pub stream: OutputStream,
    /// Of which run, from 1; absent, the last that printed anything.
    pub attempt: Option<u32>,
    /// From which byte of all that it printed; absent, the first.
    pub offset: u64,
}

impl Default for OutputQuery {
    fn default() -> Self {
        Self {
            stream: OutputStream::Stdout,
            attempt: None,
            offset: 0,
        }
    }
}

/// `GET /v1/jobs/{id}/files`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageQuery {
    /// The first file.
    pub offset: u32,
    /// At most this many, up to 1,000; absent, 100.
    pub limit: Option<u32>,
}
