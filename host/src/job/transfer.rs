//! What a submitter says about a transfer beyond its files: one part for each concern, every one of
//! them with defaults that need nothing said.

mod http;
mod limits;
mod placing;
mod upload;

use serde::{Deserialize, Serialize};

use super::{Code, FileSpec};
pub use http::{
    AuthScheme, AuthTarget, Credential, Header, HttpSpec, ProxySpec, ProxyUse, Redirects, StatusClass,
    TlsSpec,
};
pub use limits::{LimitSpec, rate};
pub use placing::{Existing, PlacingSpec, Preserve, Versions};
pub use upload::{ReplyProgress, UploadProtocol, UploadSpec, reply_path};

/// What only transfers have. Every part can be changed later (B-156).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferSpec {
    /// How servers are spoken to.
    #[serde(skip_serializing_if = "HttpSpec::is_default")]
    pub http: HttpSpec,
    /// How much, how fast and how long.
    #[serde(skip_serializing_if = "LimitSpec::is_default")]
    pub limits: LimitSpec,
    /// How files are checked and put in place.
    #[serde(skip_serializing_if = "PlacingSpec::is_default")]
    pub placing: PlacingSpec,
    /// How files are sent.
    #[serde(skip_serializing_if = "UploadSpec::is_default")]
    pub upload: UploadSpec,
}

impl TransferSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {
        http: HttpSpec::DEFAULT,
        limits: LimitSpec::DEFAULT,
        placing: PlacingSpec::DEFAULT,
        upload: UploadSpec::DEFAULT,
    };

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// As it may be listed.
    #[must_use]
    pub fn shown(&self) -> Self {
        Self {
            http: self.http.shown(),
            ..self.clone()
        }
    }

    /// Whether a job with these files can be done.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong.
    pub fn check(&self, files: &[FileSpec]) -> Result<(), (Code, String)> {
        self.check_parts()?;
        self.http.check_files(files)
    }

    /// The same without the files: what each part says for itself.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong.
    pub fn check_parts(&self) -> Result<(), (Code, String)> {
        self.http.check()?;
        self.limits.check()?;
        self.placing.check()
    }
}

impl Default for TransferSpec {
    fn default() -> Self {
        Self::DEFAULT
    }
}
