//! What may be shown as it is: texts that others chose reach terminals, logs and messages.

/// Whether a character moves a cursor, changes a colour, turns the direction of writing, or cannot be
/// seen: all that makes a text look like another one.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
