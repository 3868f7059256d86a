//! What is wrong with a configuration: every fault with its place, what was expected there, and
//! what to do, rendered with the line it stands in.

use std::fmt;
use std::path::Path;

use super::shown::is_deceptive;
use super::value::Span;

/// Faults shown by [`ConfigErrors`]'s `Display`: more help nobody, and a file of another kind
/// given by mistake would fill the terminal.
const SHOWN_MAX: usize = 50;

/// Characters of a source line that are shown: two terminal widths, so that a file without line
/// breaks stays readable.
const LINE_SHOWN_MAX: usize = 160;

/// Columns up to which the expectation stands beside the carets; a longer one gets its own line.
const BESIDE_MAX: usize = 90;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ConfigError {
    /// The file, environment variable or flag.
    pub file: String,
    /// Line from 1; 0 when the fault has no place in a file.
    pub line: usize,
    /// Column in characters from 1; 0 when the fault has no place in a file.
    pub column: usize,
    /// The key's path, such as `plugin.pager.limits.memory`; empty when no key is at fault.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_line: Option<String>,
    /// How many characters of the line are at fault.
    pub width: usize,
}

impl ConfigError {
    /// A fault that stands in no file.
    pub(super) fn elsewhere(place: impl Into<String>, fault: Fault) -> Self {
        Self {
            file: place.into(),
            line: 0,
            column: 0,
            key: String::new(),
            message: fault.message,
            expected: fault.expected,
            hint: fault.hint,
            source_line: None,
            width: 0,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error: {}", escaped(&self.file))?;
        if self.line > 0 {
            write!(out, ":{}:{}", self.line, self.column)?;
        }
        write!(out, ": {}", escaped(&self.message))?;
        match &self.source_line {
            Some(line) => self.show_line(out, line)?,
            None => {
                if let Some(expected) = &self.expected {
                    write!(out, "; expected {}", escaped(expected))?;
                }
            }
        }
        if let Some(hint) = &self.hint {
            write!(out, "\nhint: {}", escaped(hint))?;
        }
        Ok(())
    }
}

impl ConfigError {
    fn show_line(&self, out: &mut fmt::Formatter<'_>, line: &str) -> fmt::Result {
        let at = self.column.saturating_sub(1);
        let start = if at < LINE_SHOWN_MAX / 2 {
            0
        } else {
            at - LINE_SHOWN_MAX / 4
        };
        let shown: String = line
            .chars()
            .skip(start)
            .take(LINE_SHOWN_MAX)
            .map(|c| match c {
                '\t' => ' ',
                c if is_deceptive(c) => char::REPLACEMENT_CHARACTER,
                c => c,
            })
            .collect();
        let room = shown.chars().count().saturating_sub(at - start);
        let carets = "^".repeat(self.width.min(room).max(1));
        let gutter = " ".repeat(self.line.to_string().len());
        write!(out, "\n {gutter} |\n {} | {}", self.line, shown.trim_end())?;
        write!(out, "\n {gutter} | {}{carets}", " ".repeat(at - start))?;
        match &self.expected {
            Some(expected) if at - start + carets.len() + expected.chars().count() < BESIDE_MAX => {
                write!(out, " expected {}", escaped(expected))
            }
            Some(expected) => write!(out, "\nexpected: {}", escaped(expected)),
            None => Ok(()),
        }
    }
}

/// Text that is what it looks like.
fn escaped(text: &str) -> String {
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

/// Every fault found, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[serde(transparent)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().take(SHOWN_MAX).enumerate() {
            if index > 0 {
                out.write_str("\n\n")?;
            }
            error.fmt(out)?;
        }
        match self.0.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(out, "\n\nand {more} more"),
        }
    }
}

impl ConfigErrors {
    pub(super) fn one(place: impl Into<String>, fault: Fault) -> Self {
        Self(vec![ConfigError::elsewhere(place, fault)])
    }
}

/// The words of a fault, before it has a place.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) expected: Option<String>,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            expected: None,
            hint: None,
        }
    }

    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The text of a file and what it is called in messages.
pub(super) struct Source<'t> {
    name: String,
    text: &'t str,
}

impl<'t> Source<'t> {
    pub(super) fn new(path: &Path, text: &'t str) -> Self {
        Self {
            name: path.display().to_string(),
            text,
        }
    }

    /// What stands at `span`.
    pub(super) fn slice(&self, span: &Span) -> &'t str {
        self.text.get(span.clone()).unwrap_or("")
    }

    /// Line and column, both from 1, and the line.
    fn place(&self, offset: usize) -> (usize, usize, &'t str) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(start..).unwrap_or("").chars().count() + 1;
        let rest = self.text.get(start..).unwrap_or("");
        (line, column, rest.lines().next().unwrap_or(""))
    }

    /// The number of the line at `span`.
    pub(super) fn line(&self, span: &Span) -> usize {
        self.place(span.start).0
    }

    fn error(&self, span: &Span, key: &str, fault: Fault) -> ConfigError {
        let (line, column, source_line) = self.place(span.start);
        let width = self.slice(span).lines().next().unwrap_or("").chars().count();
        ConfigError {
            line,
            column,
            key: key.to_owned(),
            source_line: Some(source_line.to_owned()),
            width: width.max(1),
            ..ConfigError::elsewhere(self.name.clone(), fault)
        }
    }
}

/// Collects the faults of one file.
pub(super) struct Report<'t> {
    pub(super) source: Source<'t>,
    faults: Vec<(usize, ConfigError)>,
}

impl<'t> Report<'t> {
    pub(super) fn new(source: Source<'t>) -> Self {
        Self {
            source,
            faults: Vec::new(),
        }
    }

    /// `key`, which stands at `span`, is at fault.
    pub(super) fn add(&mut self, span: &Span, key: &str, fault: Fault) {
        let error = self.source.error(span, key, fault);
        self.faults.push((span.start, error));
    }

    /// Something outside of the file is at fault.
    pub(super) fn add_elsewhere(&mut self, place: &str, fault: Fault) {
        self.faults
            .push((usize::MAX, ConfigError::elsewhere(place, fault)));
    }

    pub(super) fn finish(mut self) -> Result<(), ConfigErrors> {
        if self.faults.is_empty() {
            return Ok(());
        }
        self.faults.sort_by_key(|(offset, _)| *offset);
        Err(ConfigErrors(
            self.faults.into_iter().map(|(_, error)| error).collect(),
        ))
    }
}

/// The candidate that `word` was most likely meant to be.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let folded = word.to_lowercase().replace(['_', ' ', '+'], "-");
    candidates
        .into_iter()
        .map(|candidate| {
            let plain = candidate.replace('_', "-");
            (strsim::jaro_winkler(&folded, &plain), candidate)
        })
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
