//! How servers are spoken to: headers, credentials, proxies, redirects, certificates, and what answers
//! mean.

mod class;
mod credential;
mod header;
mod proxy;
mod redirect;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::{Code, FileSpec, Priority};
pub use class::StatusClass;
pub use credential::{AuthScheme, AuthTarget, Credential};
pub use header::Header;
pub use proxy::{ProxySpec, ProxyUse};
pub use redirect::Redirects;
pub use tls::TlsSpec;

/// Longest name of a method; the longest registered one has 17 characters.
const METHOD_CHARS_MAX: usize = 32;

/// How servers are spoken to.
///
/// Deliberately absent: doing network access as another user (B-149). There is one user to a host, and
/// what BITS needs a helper token for is said here by credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSpec {
    /// Sent with every request (B-143), in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// No listing shows the value of a header again. Once set it stays (B-143).
    #[serde(skip_serializing_if = "is_false")]
    pub headers_hidden: bool,
    /// At most one for each target and scheme (B-141).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<Credential>,
    /// By which proxies servers are reached (B-142).
    #[serde(skip_serializing_if = "ProxySpec::is_default")]
    pub proxy: ProxySpec,
    /// Which certificates are accepted, and which one is shown (B-146, B-147).
    #[serde(skip_serializing_if = "TlsSpec::is_default")]
    pub tls: TlsSpec,
    /// What becomes of redirects (B-145).
    #[serde(skip_serializing_if = "Redirects::is_default")]
    pub redirects: Redirects,
    /// A redirect from https to http is followed (B-145).
    #[serde(skip_serializing_if = "is_false")]
    pub https_to_http: bool,
    /// The method of downloads, if it is not `GET` (B-144): network errors are fatal then, and
    /// whatever interrupts a file has it begun anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The remote file is made while it is sent (B-128): no part of it is ever asked for, and whatever
    /// interrupts it has it begun anew.
    #[serde(skip_serializing_if = "is_false")]
    pub dynamic: bool,
    /// What these statuses mean instead of what B-82…B-85 say.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<u16, StatusClass>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl HttpSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {
        headers: Vec::new(),
        headers_hidden: false,
        credentials: Vec::new(),
        proxy: ProxySpec::DEFAULT,
        tls: TlsSpec::DEFAULT,
        redirects: Redirects::Silent,
        https_to_http: false,
        method: None,
        dynamic: false,
        classes: BTreeMap::new(),
    };

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// The method of downloads where it is not `GET`.
    #[must_use]
    pub fn own_method(&self) -> Option<&str> {
        self.method.as_deref().filter(|method| *method != "GET")
    }

    /// Whether an interrupted file is begun anew whatever its server can do.
    #[must_use]
    pub fn begins_anew(&self) -> bool {
        self.dynamic || self.own_method().is_some()
    }

    /// Whether redirects are followed as usual.
    #[must_use]
    pub fn redirects_are_plain(&self) -> bool {
        self.redirects == Redirects::Silent && !self.https_to_http
    }

    /// Whether it carries what opens a door: such a job's requests are for the servers that its
    /// submitter named.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        !self.credentials.is_empty() || self.headers.iter().any(Header::is_secret)
    }

    /// As it may be listed: no value of a header that opens a door (B-143). Passwords are not in it,
    /// only the names of where they are.
    #[must_use]
    pub fn shown(&self) -> Self {
        let headers = self
            .headers
            .iter()
            .map(|header| header.shown(self.headers_hidden));
        Self {
            headers: headers.collect(),
            ..self.clone()
        }
    }

    /// Whether it can be done.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong and repeats no secret.
    pub fn check(&self) -> Result<(), (Code, String)> {
        header::check(&self.headers)?;
        credential::check(&self.credentials)?;
        self.proxy.check()?;
        self.tls.check()?;
        if let Some(method) = &self.method {
            check_method(method)?;
        }
        let preset = self.headers.iter().any(|header| header.is("authorization"));
        let server = self
            .credentials
            .iter()
            .any(|credential| credential.target == AuthTarget::Server);
        if preset && server {
            return invalid("the header Authorization and credentials for the server exclude each other");
        }
        if self.dynamic && self.own_method().is_some() {
            let why = "content made while it is sent (dynamic) cannot be asked for by another method";
            return Err((Code::NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD, why.to_owned()));
        }
        match self.classes.keys().find(|status| !(300..=599).contains(*status)) {
            Some(status) => invalid(format!(
                "the status {status} has no class of errors; 300 to 599 have"
            )),
            None => Ok(()),
        }
    }

    /// Whether these files can be fetched so.
    ///
    /// # Errors
    /// When parts are asked of what can only be had from its first byte.
    pub fn check_files(&self, files: &[FileSpec]) -> Result<(), (Code, String)> {
        if self.begins_anew() && files.iter().any(|file| !file.plan.ranges.is_empty()) {
            return invalid("ranges exclude another method than GET and content made while it is sent");
        }
        Ok(())
    }

    /// The level of a job that was given `wanted`: one that begins anew has to be through before it is
    /// interrupted, so it is a foreground job and stays one (B-128, B-144).
    ///
    /// # Errors
    /// When content that is made while it is sent was given another level.
    pub fn priority(&self, wanted: Option<Priority>) -> Result<Priority, (Code, String)> {
        match wanted {
            Some(Priority::Foreground) => Ok(Priority::Foreground),
            Some(_) if self.dynamic => {
                invalid("content made while it is sent (dynamic) needs the priority `foreground`")
            }
            _ if self.begins_anew() => Ok(Priority::Foreground),
            wanted => Ok(wanted.unwrap_or(Priority::Normal)),
        }
    }

    /// Whether it may take the place of `self` in a job.
    ///
    /// # Errors
    /// When hidden headers would be shown again (B-143).
    pub fn check_change(&self, next: &Self) -> Result<(), (Code, String)> {
        if self.headers_hidden && !next.headers_hidden {
            let why = "the headers of this job are hidden, and that cannot be taken back";
            return Err((Code::ACCESSDENIED, why.to_owned()));
        }
        Ok(())
    }
}

fn check_method(method: &str) -> Result<(), (Code, String)> {
    if method.chars().count() > METHOD_CHARS_MAX || !header::is_token(method) {
        return invalid("the method is not a word of at most 32 letters");
    }
    if ["HEAD", "CONNECT", "TRACE"].contains(&method.to_ascii_uppercase().as_str()) {
        return invalid(format!("the answer to {method} is no file"));
    }
    Ok(())
}

fn invalid<T>(why: impl Into<String>) -> Result<T, (Code, String)> {
    Err((Code::INVALIDARG, why.into()))
}
