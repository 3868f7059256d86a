//! What the store keeps about telling one handler of one event, and what a call brings back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::words;
use super::{Command, FailureRecord, FetchFault, QueryPage};

words! {
    /// Where a delivery stands.
    DeliveryState {
        /// Waits for its due time, an earlier delivery, a slot, or its plugin.
        Pending = "pending",
        /// A call is under way.
        Running = "running",
        /// Acknowledged.
        Settled = "settled",
        /// Buried: a person decides (`delivery replay`, `delivery purge`).
        Dead = "dead",
        /// Parked because it keeps ending the host.
        Poison = "poison",
    }
}

impl DeliveryState {
    /// Nothing more happens by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Settled | Self::Dead | Self::Poison)
    }
}

/// One buffered write to a plugin's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    /// 1 to 256 bytes.
    pub key: String,
    /// `None` removes the key.
    pub value: Option<Vec<u8>>,
}

/// What a call saw of one key of its plugin's state, short enough to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRead {
    /// The key.
    pub key: String,
    /// SHA-256 of the value; `None` for a key that was absent.
    pub seen: Option<[u8; 32]>,
}

impl StateRead {
    /// What reading `key` showed.
    #[must_use]
    pub fn of(key: String, value: Option<&[u8]>) -> Self {
        use sha2::{Digest, Sha256};
        Self {
            key,
            seen: value.map(|value| Sha256::digest(value).into()),
        }
    }
}

/// What a call that does work brings back, beside its verdict.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Answer {
    /// It was a handler: there is nothing else.
    #[default]
    Nothing,
    /// What `service-call.on-call` returned.
    Output(String),
    /// What `provider.fetch` returned.
    Page(QueryPage),
    /// What `provider.fetch` said of its failure.
    Fault(Box<FetchFault>),
}

/// What one call into a component brought back. Requests and writes are kept only when the verdict
/// is an acknowledgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Acknowledged, or how it failed.
    pub verdict: Result<(), Box<FailureRecord>>,
    /// Decisions about the job, in order; each was checked by the law when it was made.
    pub requests: Vec<Command>,
    /// Writes to the plugin's state, in order.
    pub state_writes: Vec<StateWrite>,
    /// SHA-256 of the component that ran, hex.
    pub digest: String,
    /// How long the call took.
    pub duration: Duration,
    /// Most linear memory the instance had, in bytes.
    pub peak_memory: u64,
    /// What else it returned.
    pub answer: Answer,
}
