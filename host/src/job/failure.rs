//! How a call into a handler can go wrong, told apart because policies differ by class.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::words;
use super::{Code, Timestamp};

words! {
    /// HX-01…HX-13, folded into what an operator can act on.
    FailureClass {
        /// The handler returned a failure that may pass.
        ErrorTransient = "error-transient",
        /// The handler returned a failure that will not pass.
        ErrorPermanent = "error-permanent",
        /// It trapped: panic, wild pointer, stack overflow…
        Trap = "trap",
        /// It asked for more memory than its limit and died of it.
        Memory = "memory",
        /// It did not return in time: loop, sleep and HTTP wait alike.
        Timeout = "timeout",
        /// It called exit.
        Exit = "exit",
        /// No slot; ours, uncharged.
        Overload = "overload",
        /// The job moved while the handler thought; uncharged.
        Conflict = "conflict",
        /// The host died by other hands; uncharged.
        Interrupted = "interrupted",
        /// Our own fault; uncharged.
        HostFault = "host-fault",
    }
}

impl FailureClass {
    /// Whether the attempt counts against the handler.
    #[must_use]
    pub const fn is_charged(self) -> bool {
        !matches!(
            self,
            Self::Overload | Self::Conflict | Self::Interrupted | Self::HostFault
        )
    }
}

/// Everything known about one failed attempt, kept with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// What went wrong.
    pub class: FailureClass,
    /// The HRESULT: the handler's own, or one of ours for traps and limits.
    pub code: Code,
    /// One sentence: the handler's message or the trap's words.
    pub message: String,
    /// Tail of what the guest printed on stderr, escaped and capped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_words: String,
    /// WASM frames, innermost first, capped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
    /// The limit that was hit, such as `memory 64 MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Most linear memory the instance had, in bytes.
    pub peak_memory: u64,
    /// SHA-256 of the component, hex; empty when none was called.
    #[serde(default)]
    pub digest: String,
    /// Attempt number of the delivery, from 1.
    pub attempt: u32,
    /// When the call ended.
    pub at: Timestamp,
    /// How long it took.
    #[serde(rename = "duration_ms", with = "super::time::millis")]
    pub duration: Duration,
    /// The delay the handler asked for, at most one hour.
    #[serde(
        default,
        rename = "retry_after_ms",
        skip_serializing_if = "Option::is_none",
        with = "super::time::opt_millis"
    )]
    pub retry_after: Option<Duration>,
}
