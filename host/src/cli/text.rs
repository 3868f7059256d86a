//! Words and numbers for people: escaped, humanised, relative.

use std::time::Duration;

use bytesize::ByteSize;

use crate::api::view::{Profile, Timestamp};
use crate::config::is_deceptive;

/// `text` on one line with nothing in it that moves a cursor, changes a colour or turns the
/// direction of writing: guests and servers choose such texts.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The same for a text of many lines.
pub(super) fn clean_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) && !matches!(c, '\n' | '\t') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The same for a text that is JSON already: what is unsafe can only be within its strings.
pub(super) fn clean_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_deceptive(c) {
            // JSON writes what is beyond the first plane in two halves.
            for half in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{half:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// `1.5 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// `1.5 GiB of 3.0 GiB`, `1.5 GiB` while the size is not known.
pub(super) fn bytes_of(done: u64, total: Option<u64>) -> String {
    match total {
        Some(total) if total == done => bytes(done),
        Some(total) => format!("{} of {}", bytes(done), bytes(total)),
        None if done == 0 => "-".to_owned(),
        None => bytes(done),
    }
}

/// The largest unit of a duration and what is left of the next: `2h 5m`, `3d 4h`, `17s`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {}s", seconds % 60),
        3600..86_400 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// `3m 2s ago`, `in 5s`, `now`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let (ago, ahead) = (now.since(at), at.since(now));
    if ahead >= Duration::from_secs(1) {
        format!("in {}", span(ahead))
    } else if ago >= Duration::from_secs(1) {
        format!("{} ago", span(ago))
    } else {
        "now".to_owned()
    }
}

/// `2026-01-02T03:04:05.678Z (3m 2s ago)`.
pub(super) fn time(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({})", relative(at, now))
}

/// The word of a profile.
pub(super) const fn profile(profile: Profile) -> &'static str {
    match profile {
        Profile::Sexton => "sexton",
        Profile::Bits => "bits",
        Profile::DeliveryOptimization => "delivery-optimization",
    }
}

/// The first digits of a digest, as many as a person compares.
pub(super) fn digest(digest: &str) -> String {
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_guest_says_reaches_the_terminal_raw() {
        let hostile = "a\u{1b}[31mb\r\nc\u{9b}2J\u{202e}gpj.exe\u{7f}é漢";
        assert_eq!(
            clean(hostile),
            "a\\u{1b}[31mb\\r\\nc\\u{9b}2J\\u{202e}gpj.exe\\u{7f}é漢"
        );
        let json = serde_json::to_string(hostile).unwrap();
        let cleaned = clean_json(&json);
        assert!(
            !cleaned.contains(['\u{9b}', '\u{202e}', '\u{7f}', '\u{1b}']),
            "{cleaned}"
        );
        assert_eq!(serde_json::from_str::<String>(&cleaned).unwrap(), hostile);
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(bytes_of(1536, Some(3 << 20)), "1.5 KiB of 3.0 MiB");
        assert_eq!(bytes_of(0, None), "-");
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(relative(now, now), "now");
        assert_eq!(relative(now, now.after(Duration::from_secs(182))), "3m 2s ago");
        assert_eq!(
            relative(now.after(Duration::from_secs(3 * 86_400)), now),
            "in 3d 0h"
        );
    }
}
