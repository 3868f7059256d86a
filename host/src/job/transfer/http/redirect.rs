//! What becomes of redirects (B-145).

use serde::{Deserialize, Serialize};

/// What becomes of redirects (B-145).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redirects {
    /// Followed.
    #[default]
    Silent,
    /// Followed, and where they lead becomes the file's remote name.
    Report,
    /// An error with the status of the redirect.
    Disallow,
}

impl Redirects {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Silent, Self::Report, Self::Disallow];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::Silent
    }

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Report => "report",
            Self::Disallow => "disallow",
        }
    }
}
