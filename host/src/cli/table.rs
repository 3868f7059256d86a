//! Aligned tables, cut to the terminal's width.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::text::clean;

/// Columns are this far apart.
const GAP: usize = 2;

/// A flexible column is not cut shorter than this.
const FLEXIBLE_MIN: usize = 12;

/// What a colour means; never the only sign of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// Good.
    Good,
    /// Moving.
    Active,
    /// Look at it.
    Warn,
    /// Bad.
    Bad,
    /// Beside the point.
    Dim,
    /// Headings.
    Strong,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\u{1b}[32m",
            Self::Active => "\u{1b}[36m",
            Self::Warn => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
            Self::Dim => "\u{1b}[2m",
            Self::Strong => "\u{1b}[1m",
        }
    }

    /// `text` in this tone, if colours are on.
    pub(super) fn paint(self, text: &str, colour: bool) -> String {
        if colour && self != Self::Plain {
            format!("{}{text}\u{1b}[0m", self.code())
        } else {
            text.to_owned()
        }
    }
}

/// One cell: its text is escaped when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A plain cell.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: clean(text.as_ref()),
            tone: Tone::Plain,
        }
    }

    /// The same in a tone.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// Rows under a header. The last column is flexible: it is cut where the terminal ends.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The table as lines. `width` is the terminal's; `None` cuts nothing.
    pub(super) fn render(&self, width: Option<usize>, colour: bool) -> String {
        let header: Vec<Cell> = self
            .header
            .iter()
            .map(|text| Cell::new(text).tone(Tone::Strong))
            .collect();
        let columns = self.header.len();
        let mut widths = vec![0; columns];
        for row in std::iter::once(&header).chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        if let (Some(terminal), Some((last, others))) = (width, widths.split_last_mut()) {
            let before: usize = others.iter().map(|width| width + GAP).sum();
            *last = (*last).min(terminal.saturating_sub(before).max(FLEXIBLE_MIN));
        }
        let mut out = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut line = String::new();
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let text = cut(&cell.text, *width);
                line.push_str(&cell.tone.paint(&text, colour));
                if index + 1 < columns {
                    let padding = width.saturating_sub(text.width()) + GAP;
                    line.extend(std::iter::repeat_n(' ', padding));
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// `text` cut to `width` columns, with an ellipsis where it was cut.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["ID", "STATE", "NAME"]);
        table.row(vec![
            Cell::new("1"),
            Cell::new("transferring").tone(Tone::Active),
            Cell::new("漢字漢字漢字漢字漢字漢字漢字"),
        ]);
        table.row(vec![
            Cell::new("2"),
            Cell::new("error").tone(Tone::Bad),
            Cell::new("a\u{1b}[2J\nb"),
        ]);
        table
    }

    #[test]
    fn columns_align_by_what_is_seen() {
        assert_eq!(
            table().render(None, false),
            "ID  STATE         NAME\n\
             1   transferring  漢字漢字漢字漢字漢字漢字漢字\n\
             2   error         a\\u{1b}[2J\\nb\n"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 30..60 {
            for line in table().render(Some(width), false).lines() {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        assert!(table().render(Some(35), false).contains('…'));
    }

    #[test]
    fn colours_only_when_asked() {
        assert!(!table().render(None, false).contains('\u{1b}'));
        assert!(table().render(None, true).contains("\u{1b}[31merror\u{1b}[0m"));
    }
}
