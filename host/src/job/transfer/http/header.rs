//! Headers that a job sends with every request (B-143).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::invalid;
use crate::job::{Code, SecretRef};

/// All headers of a job together, as they stand in a request (B-143).
const BLOCK_CHARS_MAX: usize = 16_384;
/// What listings show instead of a value.
const MASK: &str = "***";
/// Words in the name of a header whose value opens a door.
const SECRET_WORDS: [&str; 9] = [
    "auth", "cookie", "key", "token", "secret", "pass", "session", "sig", "cred",
];
/// Headers that say where a message ends, or which part of a file is meant: a job that set them would
/// mix up files.
const FRAMING: [&str; 15] = [
    "content-length",
    "content-range",
    "content-encoding",
    "transfer-encoding",
    "accept-encoding",
    "te",
    "trailer",
    "range",
    "if-range",
    "connection",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "expect",
    "http2-settings",
];

/// One header. It has a value, or says where its value is to be found when a run begins.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// `X-Api-Version`
    pub name: String,
    /// As it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where it is to be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
}

impl Header {
    /// A header that is sent as it stands here.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
            secret: None,
        }
    }

    /// A header whose value is elsewhere.
    #[must_use]
    pub fn secret(name: impl Into<String>, secret: SecretRef) -> Self {
        Self {
            name: name.into(),
            value: None,
            secret: Some(secret),
        }
    }

    /// Whether it has this name, which is in lower case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether its value opens a door: it is never listed, and never sent to another server than the
    /// one it was meant for.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        self.secret.is_some() || SECRET_WORDS.iter().any(|word| name.contains(word))
    }

    pub(super) fn shown(&self, hidden: bool) -> Self {
        let masked = hidden || self.is_secret();
        Self {
            name: self.name.clone(),
            value: match &self.value {
                Some(_) if masked => Some(MASK.to_owned()),
                None if hidden => Some(MASK.to_owned()),
                value => value.clone(),
            },
            secret: self.secret.clone().filter(|_| !hidden),
        }
    }

    fn chars(&self) -> usize {
        let secret = self.secret.as_ref().map(SecretRef::as_str);
        let value = self.value.as_deref().or(secret).unwrap_or_default();
        // With ": " and the end of the line.
        self.name.chars().count() + value.chars().count() + 4
    }
}

/// No value: what is printed for a person who looks for a mistake may end in a log.
impl fmt::Debug for Header {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {MASK}", self.name)
    }
}

pub(super) fn check(headers: &[Header]) -> Result<(), (Code, String)> {
    let chars: usize = headers.iter().map(Header::chars).sum();
    if chars > BLOCK_CHARS_MAX {
        let why =
            format!("the headers have {chars} characters together; at most {BLOCK_CHARS_MAX} are allowed");
        return Err((Code::STRING_TOO_LONG, why));
    }
    headers.iter().try_for_each(check_one)
}

fn check_one(header: &Header) -> Result<(), (Code, String)> {
    let name = header.name.to_ascii_lowercase();
    if !is_token(&name) {
        return invalid("the name of a header is empty or has other characters than letters, digits and `-`");
    }
    if FRAMING.contains(&name.as_str()) || name.starts_with("bits-") {
        return invalid(format!(
            "the header {} is set by the transfer itself",
            header.name
        ));
    }
    if name == "proxy-authorization" {
        return invalid(
            "the header Proxy-Authorization would reach servers too; set credentials for the proxy",
        );
    }
    match (&header.value, &header.secret) {
        (Some(value), None) if value == MASK => invalid(format!(
            "`{MASK}` is what listings show in place of a value of {}; say the value itself",
            header.name
        )),
        (Some(value), None) if !is_value(value) => invalid(format!(
            "the value of the header {} has a line break, a control character or a blank at its end",
            header.name
        )),
        (None, Some(secret)) => secret.check(&format!("the header {}", header.name)),
        (Some(_), None) => Ok(()),
        _ => invalid(format!(
            "the header {} needs a value or a secret, and not both",
            header.name
        )),
    }
}

/// A word as HTTP has them (RFC 9110, 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn is_value(text: &str) -> bool {
    text.trim() == text && !text.chars().any(|char| char.is_control() && char != '\t')
}
