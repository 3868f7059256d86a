//! What keeps a transfer from running although nothing is wrong with it (B-28, B-31, B-72, B-74, B-75).

use serde::{Deserialize, Serialize};

use super::Code;
use super::model::words;

words! {
    /// A condition that a held transfer waits for. It waits in `transient-error`, without a due time.
    HoldReason {
        /// There is no network (B-31).
        Network = "network",
        /// The bandwidth policy is zero now (B-72).
        Bandwidth = "bandwidth",
        /// The operator says that the network costs (B-74).
        Cost = "cost",
        /// The operator says that power is short (B-75).
        Power = "power",
        /// The operator holds transfers for another reason (B-75).
        Operator = "operator",
    }
}

impl HoldReason {
    /// The code of the job's error object while it is held.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Network => Code::NETWORK_DISCONNECTED,
            Self::Bandwidth => Code::BLOCKED_BY_POLICY,
            Self::Cost => Code::BLOCKED_BY_COST_TRANSFER_POLICY,
            Self::Power => Code::BLOCKED_BY_BATTERY_POLICY,
            Self::Operator => Code::BLOCKED_BY_SYSTEM_POLICY,
        }
    }

    /// The reason behind a code, where it is one of these.
    #[must_use]
    pub fn of(code: Code) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// What ends it.
    #[must_use]
    pub const fn ends(self) -> &'static str {
        match self {
            Self::Network => "the network comes back",
            Self::Bandwidth => "the bandwidth policy allows it",
            Self::Cost | Self::Power | Self::Operator => "`[transfer] hold` is taken back",
        }
    }
}
