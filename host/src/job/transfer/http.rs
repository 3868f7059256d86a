//! How servers are spoken to: headers, credentials, proxies, redirects, certificates.

use serde::{Deserialize, Serialize};

/// How servers are spoken to: headers, credentials, proxies, redirects, certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSpec {}

impl HttpSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {};

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}
