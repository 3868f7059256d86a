//! Answers to digest challenges (RFC 7616), of servers and proxies alike.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use digest_auth::{AlgorithmType, AuthContext, HttpMethod, WwwAuthenticateHeader};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::{Origin, Url};

/// A user, a password, and the challenge that was heard last: it holds for more than one request.
pub(super) struct Digest {
    user: String,
    password: String,
    /// And whose it was: an answer to one server is no business of another.
    heard: Mutex<Option<(Origin, WwwAuthenticateHeader)>>,
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Digest").finish_non_exhaustive()
    }
}

impl Digest {
    pub(super) fn new(user: String, password: String) -> Self {
        Self {
            user,
            password,
            heard: Mutex::new(None),
        }
    }

    /// Takes in the challenge of a refusal, if there is one that can be answered.
    pub(super) fn hear(
        &self,
        url: &Url,
        headers: &HeaderMap,
        name: &HeaderName,
    ) -> Option<WwwAuthenticateHeader> {
        let challenge = challenge(headers, name);
        let heard = challenge.clone().map(|challenge| (url.origin(), challenge));
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = heard;
        challenge
    }

    /// What a request for `uri` at `url` carries, once a challenge was heard there.
    pub(super) fn answer(&self, url: &Url, method: &str, uri: &str) -> Option<HeaderValue> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let (origin, challenge) = heard.as_mut()?;
        if *origin != url.origin() {
            return None;
        }
        let context = AuthContext::new_with_method(
            self.user.as_str(),
            self.password.as_str(),
            uri,
            None::<&[u8]>,
            HttpMethod(method.into()),
        );
        let answer = challenge.respond(&context).ok()?;
        let mut value = HeaderValue::from_str(&answer.to_header_string()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// The best challenge of a refusal. Its text is ASCII, as the parser counts characters where it means
/// bytes; one that is not is none.
fn challenge(headers: &HeaderMap, name: &HeaderName) -> Option<WwwAuthenticateHeader> {
    let values = headers.get_all(name).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let parsed: Vec<_> = texts
        .filter_map(digest_part)
        .filter_map(|text| digest_auth::parse(text).ok())
        .collect();
    let strong = |challenge: &&WwwAuthenticateHeader| challenge.algorithm.algo != AlgorithmType::MD5;
    let best = parsed.iter().find(strong).or_else(|| parsed.first());
    best.cloned()
}

/// What stands behind `Digest`, which need not be the first scheme of its line.
fn digest_part(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let mut places = lower.match_indices("digest ");
    let (at, scheme) = places.find(|(at, _)| {
        let before = lower.get(..*at).unwrap_or_default().trim_end();
        before.is_empty() || before.ends_with(',')
    })?;
    text.get(at + scheme.len()..)
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;

    use super::*;

    fn hear(lines: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(line));
        }
        let digest = Digest::new("me".to_owned(), "hunter2".to_owned());
        let url = Url::parse("http://h/x").unwrap();
        digest.hear(&url, &headers, &WWW_AUTHENTICATE)?;
        let elsewhere = Url::parse("http://other/x").unwrap();
        assert_eq!(digest.answer(&elsewhere, "GET", "/x"), None);
        let answer = digest.answer(&url, "GET", "/x").unwrap();
        Some(answer.to_str().unwrap().to_owned())
    }

    #[test]
    fn b141_the_strongest_digest_challenge_is_answered() {
        let md5 = r#"Digest realm="old", nonce="1""#;
        let sha = r#"Digest realm="new", qop="auth", algorithm=SHA-256, nonce="2""#;
        assert!(hear(&[md5]).unwrap().contains(r#"realm="old""#));
        assert!(hear(&[md5, sha]).unwrap().contains("SHA-256"));
        let behind = r#"Basic realm="digest basic", DIGEST realm="r", nonce="1""#;
        assert!(hear(&[behind]).unwrap().contains(r#"realm="r""#));
        assert!(!hear(&[sha]).unwrap().contains("hunter2"));
    }

    #[test]
    fn b141_what_is_no_digest_challenge_is_none() {
        for line in [
            "",
            "Basic realm=\"x\"",
            "Digest",
            "Digest realm=\"x\"",
            "Digest realm=\"x",
            "Digest nonce=, =",
            "Digest realm=\"x\", nonce=\"1\", algorithm=ROT13",
        ] {
            assert_eq!(hear(&[line]), None, "{line}");
        }
        let mut headers = HeaderMap::new();
        let bytes = HeaderValue::from_bytes("Digest r\u{e9}alm=\u{e9}x, nonce=1".as_bytes()).unwrap();
        headers.append(WWW_AUTHENTICATE, bytes);
        let digest = Digest::new(String::new(), String::new());
        let url = Url::parse("http://h/x").unwrap();
        assert_eq!(digest.hear(&url, &headers, &WWW_AUTHENTICATE), None);
    }
}
