//! The credentials of a job for one target, and when they are shown (B-141).

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::clients::Login;
use super::digest::Digest;
use super::fault::Fault;
use super::secret;
use crate::job::{AuthScheme, AuthTarget, Credential};

/// The credentials of a job for one target.
#[derive(Default)]
pub(super) struct Proof {
    /// `basic` and `bearer`: sent unasked, unless there is a digest to wait for.
    plain: Option<HeaderValue>,
    /// What is in `plain`, for those that speak no HTTP.
    user: Option<(String, String)>,
    digest: Option<Digest>,
}

/// What was tried for one request.
#[derive(Debug, Default)]
pub(super) struct Tries {
    answers: u32,
    plain: bool,
}

impl fmt::Debug for Proof {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Proof").finish_non_exhaustive()
    }
}

impl Proof {
    /// Reads the secrets of one target.
    ///
    /// # Errors
    /// When one cannot be had.
    pub(super) fn read(credentials: &[Credential], target: &AuthTarget) -> Result<Self, Fault> {
        let mut proof = Self::default();
        for credential in credentials.iter().filter(|one| one.target == *target) {
            let secret = secret::read(&credential.password)?;
            match credential.scheme {
                AuthScheme::Digest => proof.digest = Some(Digest::new(credential.user.clone(), secret)),
                AuthScheme::Bearer => proof.plain = Some(value(format!("Bearer {secret}"), credential)?),
                _ => {
                    proof.plain = Some(value(basic(&credential.user, &secret), credential)?);
                    proof.user = Some((credential.user.clone(), secret));
                }
            }
        }
        Ok(proof)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plain.is_none() && self.digest.is_none()
    }

    /// What a proxy is shown with every connection, if it is not asked first.
    pub(super) fn login(&self) -> Login {
        match self.digest {
            Some(_) => Login {
                header: None,
                user: self.user.clone(),
            },
            None => Login {
                header: self.plain.clone(),
                user: self.user.clone(),
            },
        }
    }

    /// What a request carries.
    pub(super) fn show(&self, url: &Url, method: &Method, uri: &str, tries: &Tries) -> Option<HeaderValue> {
        match &self.digest {
            Some(digest) if !tries.plain => digest.answer(url, method.as_str(), uri),
            _ => self.plain.clone(),
        }
    }

    /// Takes in a refusal; true if the request may be sent again with another answer. A password that
    /// was not accepted is not tried a second time: accounts are locked for less.
    pub(super) fn hears(&self, url: &Url, headers: &HeaderMap, name: &HeaderName, tries: &mut Tries) -> bool {
        let Some(digest) = self.digest.as_ref().filter(|_| !tries.plain) else {
            return false;
        };
        if let Some(challenge) = digest.hear(url, headers, name) {
            let again = tries.answers == 0 || (tries.answers == 1 && challenge.stale);
            tries.answers += 1;
            return again;
        }
        // The server wants it plain, and the job has that too.
        tries.plain = self.plain.is_some();
        tries.plain
    }
}

/// `Basic` as RFC 7617 has it, in UTF-8.
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

fn value(text: String, credential: &Credential) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        let reference = credential.password.as_str();
        secret::missing(format!("the secret `{reference}` cannot stand in a header"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 4648, 4: four letters for three bytes.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at)) & 63;
            let letter = LETTERS.get(index as usize).copied().unwrap_or(b'=');
            text.push(char::from(if at <= three.len() { letter } else { b'=' }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b141_basic_is_written_as_rfc_7617_has_it() {
        assert_eq!(
            basic("Aladdin", "open sesame"),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(basic("test", "123\u{a3}"), "Basic dGVzdDoxMjPCow==");
        assert_eq!(basic("a", "b"), "Basic YTpi");
    }
}
