//! Which certificates are accepted, and which one is shown (B-146, B-147).

use serde::{Deserialize, Serialize};

use super::{invalid, is_false};
use crate::job::Code;

/// Files and pins of one kind; each is read at every run.
const ENTRIES_MAX: usize = 16;
/// What a pin begins with; hexadecimal digits follow.
const PIN: &str = "sha256:";
const PIN_DIGITS: usize = 64;

/// Which certificates are accepted, and which one is shown (B-146, B-147).
///
/// Whoever takes a check away takes away what TLS is for: the log warns at every run of such a job, and
/// listings say so. Deliberately absent: ignoring a wrong usage, as a certificate that is made for
/// something else proves nothing about a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSpec {
    /// PEM files of authorities that are trusted beside those of the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
    /// The server's key must be one of these: `sha256:` and the digest of its `SubjectPublicKeyInfo` in
    /// hexadecimal digits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
    /// PEM file of the certificate that is shown to servers that ask for one, with its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// PEM file of its key; absent, that stands in the file of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The name of a server need not be in its certificate.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_name: bool,
    /// A certificate may have expired, or not be valid yet.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_date: bool,
    /// A certificate may be by anyone.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_unknown_ca: bool,
    /// Asking whether a certificate was revoked; refused, as lists of revoked certificates are not
    /// fetched.
    #[serde(skip_serializing_if = "is_false")]
    pub revocation: bool,
}

impl TlsSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {
        authorities: Vec::new(),
        pins: Vec::new(),
        certificate: None,
        key: None,
        ignore_name: false,
        ignore_date: false,
        ignore_unknown_ca: false,
        revocation: false,
    };

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// The checks that are taken away, in words; empty is how it should be.
    #[must_use]
    pub fn ignored(&self) -> Vec<&'static str> {
        let flags = [
            (self.ignore_name, "the name"),
            (self.ignore_date, "the date"),
            (self.ignore_unknown_ca, "the authority"),
        ];
        let ignored = flags.into_iter().filter(|(ignored, _)| *ignored);
        ignored.map(|(_, what)| what).collect()
    }

    /// The digests of [`TlsSpec::pins`].
    #[must_use]
    pub fn pinned(&self) -> Vec<[u8; 32]> {
        self.pins.iter().filter_map(|pin| digest(pin)).collect()
    }

    /// Whether it can be kept. Files are read when a run begins.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong.
    pub fn check(&self) -> Result<(), (Code, String)> {
        if self.revocation {
            let why = "whether a certificate was revoked is not asked; pin the key instead";
            return Err((Code::NOTIMPL, why.to_owned()));
        }
        if self.authorities.len().max(self.pins.len()) > ENTRIES_MAX {
            return invalid(format!(
                "at most {ENTRIES_MAX} authorities and as many pins are taken"
            ));
        }
        let files = self.authorities.iter().chain(&self.certificate).chain(&self.key);
        if let Some(file) = files.into_iter().find(|file| !file.starts_with('/')) {
            let shown: String = file.chars().take(80).flat_map(char::escape_debug).collect();
            return invalid(format!("`{shown}` is not an absolute path"));
        }
        if self.key.is_some() && self.certificate.is_none() {
            return invalid("a key is shown by no one without its certificate");
        }
        if self.pins.iter().any(|pin| digest(pin).is_none()) {
            return invalid(format!(
                "a pin is `{PIN}` and {PIN_DIGITS} hexadecimal digits of the key"
            ));
        }
        Ok(())
    }
}

fn digest(pin: &str) -> Option<[u8; 32]> {
    let digits = pin.strip_prefix(PIN)?.as_bytes();
    let mut digest = [0; 32];
    if digits.len() != PIN_DIGITS || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}
