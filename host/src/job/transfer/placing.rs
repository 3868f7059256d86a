//! How files are checked and put in place.

use serde::{Deserialize, Serialize};

/// How files are checked and put in place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlacingSpec {}

impl PlacingSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {};

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}
