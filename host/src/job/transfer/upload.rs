//! How files are sent, and where the reply goes.

use serde::{Deserialize, Serialize};

/// How files are sent, and where the reply goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadSpec {}

impl UploadSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {};

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}
