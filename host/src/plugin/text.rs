//! Guest text made harmless: nothing a guest prints, returns or names may break the log, the
//! terminal or the store.

use crate::config::is_deceptive;

/// Longest text kept of one message or log line.
pub(super) const TEXT_MAX: usize = 4 << 10;

/// Whether newlines survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// Newlines stay: the text is shown as a block.
    Keep,
    /// One line whatever the guest wrote.
    Join,
}

/// `text` with control and direction characters written as `\u{…}`, cut at `max` bytes.
pub(super) fn escape(text: &str, lines: Lines, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for (at, c) in text.char_indices() {
        let before = out.len();
        match c {
            '\n' if lines == Lines::Keep => out.push('\n'),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_deceptive(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
        if out.len() > max {
            out.truncate(before);
            out.push_str(&format!("… ({} bytes more)", text.len() - at));
            break;
        }
    }
    out
}

/// A number of bytes as people write it: `64 MiB`.
pub(super) fn bytes(count: u64) -> String {
    bytesize::ByteSize::b(count)
        .display()
        .iec()
        .to_string()
        .replace(".0 ", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let hostile = "a\u{1b}[31mred\u{202e}txt\r\nb";
        assert_eq!(
            escape(hostile, Lines::Join, 100),
            "a\\u{1b}[31mred\\u{202e}txt\\u{d}\\nb"
        );
        assert!(escape(hostile, Lines::Keep, 100).contains('\n'));
    }

    #[test]
    fn long_texts_are_cut_and_say_so() {
        assert_eq!(escape(&"é".repeat(10), Lines::Join, 5), "éé… (16 bytes more)");
        assert_eq!(escape("short", Lines::Join, 5), "short");
    }
}
