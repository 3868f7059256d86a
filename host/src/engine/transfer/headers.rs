//! The headers of an answer that are kept for whoever asks later (B-133).

use http::HeaderMap;

use super::address;

/// Bytes of names and values that are kept of one answer: they are stored with the file and shown.
const KEPT_BYTES_MAX: usize = 16 << 10;
/// Words in the name of a header whose value lets somebody in.
const SECRET_WORDS: [&str; 8] = [
    "cookie",
    "auth",
    "token",
    "secret",
    "key",
    "password",
    "signature",
    "credential",
];

/// Headers in their order, as far as they fit; no secrets, nothing but text.
pub(super) fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut room = KEPT_BYTES_MAX;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name = name.as_str();
        let value = if SECRET_WORDS.iter().any(|word| name.contains(word)) {
            "***".to_owned()
        } else if matches!(name, "location" | "content-location") {
            // Where a signed URL may stand.
            address::display_url(&String::from_utf8_lossy(value.as_bytes()))
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        match room.checked_sub(name.len() + value.len()) {
            Some(left) => room = left,
            None => break,
        }
        kept.push((name.to_owned(), value));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b133_headers_are_bounded_and_carry_no_secrets() {
        let mut headers = HeaderMap::new();
        headers.insert("etag", "\"a\"".parse().unwrap());
        headers.insert("set-cookie", "sid=hunter2".parse().unwrap());
        headers.insert("x-auth-token", "hunter2".parse().unwrap());
        headers.insert(
            "content-location",
            "https://me:hunter2@h/x?sig=hunter2".parse().unwrap(),
        );
        headers.insert("x-long", "y".repeat(KEPT_BYTES_MAX).parse().unwrap());
        let kept = kept(&headers);
        assert_eq!(kept.first(), Some(&("etag".to_owned(), "\"a\"".to_owned())));
        assert!(!format!("{kept:?}").contains("hunter2"), "{kept:?}");
        assert_eq!(kept.len(), 4, "the long one did not fit");
    }
}
