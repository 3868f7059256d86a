//! How much, how fast and how long a transfer may be.

use serde::{Deserialize, Serialize};

/// How much, how fast and how long a transfer may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSpec {}

impl LimitSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {};

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}
