//! What a query asks, and what its sink is told (WMI `IWbemServices::ExecQueryAsync`, `IWbemObjectSink`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::words;
use super::{Code, ErrorInfo, ProviderError};

/// It is kept in the job's row.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Long enough for a URL.
const PROVIDER_BYTES_MAX: usize = 4 << 10;

/// A watch that asks without a pause would keep its provider from everything else.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// One query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuerySpec {
    /// Who is asked.
    pub provider: ProviderRef,
    /// What, in the provider's language: SQL.
    pub text: String,
    /// Its handlers hear of progress (`WBEM_FLAG_SEND_STATUS`, W-12).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub progress: bool,
    /// Its objects are kept for `job objects` (W-02).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// At most this many objects (W-65).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Asked again and again: only what appeared, changed or disappeared is told (W-25).
    #[serde(
        default,
        rename = "every_ms",
        with = "super::time::opt_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub every: Option<Duration>,
    /// Columns by which a watch tells its objects apart; without them, all (W-25).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// How long one run may take; absent, what the host says (W-21).
    #[serde(
        default,
        rename = "deadline_ms",
        with = "super::time::opt_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub deadline: Option<Duration>,
}

/// `sexton`, `system`, `sqlite:PATH`, `postgres:URL`, or the name of a component that exports `provider`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderRef(pub String);

impl ProviderRef {
    /// What stands before the first colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(scheme, _)| scheme)
    }

    /// What stands behind it.
    #[must_use]
    pub fn rest(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, rest)| rest)
    }
}

impl FromStr for ProviderRef {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ProviderRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl QuerySpec {
    /// A query of which nothing else is said.
    #[must_use]
    pub fn new(provider: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            provider: ProviderRef(provider.into()),
            text: text.into(),
            progress: false,
            keep: false,
            limit: None,
            every: None,
            by: Vec::new(),
            deadline: None,
        }
    }

    /// Whether it can be asked at all.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong.
    pub fn check(&self) -> Result<(), (Code, String)> {
        if self.text.trim().is_empty() {
            return Err((Code::INVALIDARG, "the query is empty".to_owned()));
        }
        for (what, found, most) in [
            ("query", self.text.len(), TEXT_BYTES_MAX),
            ("provider", self.provider.0.len(), PROVIDER_BYTES_MAX),
        ] {
            if found > most {
                let why = format!("the {what} has {found} bytes; at most {most} are taken");
                return Err((Code::STRING_TOO_LONG, why));
            }
        }
        if self.every.is_some_and(|every| every < EVERY_MIN) {
            let why = "a watch asks once a second at most".to_owned();
            return Err((Code::INVALIDARG, why));
        }
        if self.every.is_none() && !self.by.is_empty() {
            let why = "only a watch tells objects apart by columns: say how often, too".to_owned();
            return Err((Code::INVALIDARG, why));
        }
        if self.limit == Some(0) || self.deadline.is_some_and(|deadline| deadline.is_zero()) {
            let why = "a limit of nothing leaves nothing to ask".to_owned();
            return Err((Code::INVALIDARG, why));
        }
        Ok(())
    }
}

/// One value of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

words! {
    /// What has happened to the objects of a batch since the query was last asked (W-25).
    ObjectChange {
        /// They are the answer of a query that is asked once.
        Result = "result",
        /// They are new.
        Appeared = "appeared",
        /// They are not what they were.
        Changed = "changed",
        /// They are gone; this is what they were.
        Disappeared = "disappeared",
    }
}

/// Objects of a query, told together (W-13).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectBatch {
    /// The run of the job that found them: what an earlier run told may come again.
    pub run: u32,
    /// Its place among the batches of that run, from 0.
    pub index: u32,
    /// What has happened to them.
    pub change: ObjectChange,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The objects, each with a value for every column.
    pub rows: Vec<Vec<Value>>,
}

/// How far a query is (W-16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryProgress {
    /// Steps in all, where the provider knows.
    pub total: Option<u64>,
    /// Steps done.
    pub done: u64,
    /// What it is doing.
    pub message: String,
}

words! {
    /// The three classes of status (W-94).
    SinkStatus {
        /// All of it.
        Ok = "ok",
        /// It is done, with something to say: partial, timed out waiting, objects dropped.
        Warning = "warning",
        /// It failed or was cancelled.
        Failed = "failed",
    }
}

/// How a query ended (W-15, W-31): `OnCompleted(hresult, error, context)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// What the synchronous form would return.
    pub code: Code,
    /// Which class that is.
    pub class: SinkStatus,
    /// Objects handed to handlers.
    pub delivered: u64,
    /// Objects that were not, because handlers were too slow (W-81).
    pub dropped: u64,
    /// Always there when it failed (W-43).
    pub error: Option<ErrorInfo>,
}

/// Some of the answer of a component that is asked (`provider.fetch`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryPage {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The objects, each with a value for every column.
    pub rows: Vec<Vec<Value>>,
    /// What to ask with for the rest.
    pub next: Option<String>,
    /// Objects in all, where that is known.
    pub total: Option<u64>,
}

/// What a component says of a query that it cannot answer, beside its code and message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchFault {
    /// Where in the text, in characters from 0.
    pub position: Option<u32>,
    /// Its own part of the error (W-45).
    pub error: Option<ProviderError>,
}

/// What the sink of a query is told, beside the call and the job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinkEvent {
    /// `on-object-ready`
    Objects(ObjectBatch),
    /// `on-progress`
    Progress(QueryProgress),
    /// `on-object-put`: the path of what was stored (W-32).
    Put(String),
    /// `on-completed`
    Completed(Box<Completion>),
}
