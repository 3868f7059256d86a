//! Where output goes: data to stdout, the rest to stderr, in the shape that was asked for.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::error::{CliError, report};
use super::exit::ExitStatus;
use super::table::{Table, Tone};
use super::text::{clean, clean_json, clean_lines};
use crate::api::view::Timestamp;
use crate::clock::Clock;

/// The two streams and how to write to them.
pub struct Output<'a> {
    stdout: &'a mut dyn Write,
    stderr: &'a mut dyn Write,
    json: bool,
    /// Columns of the terminal that stdout is; `None` when it is none.
    width: Option<usize>,
    stdout_colour: bool,
    stderr_colour: bool,
    /// stderr is a terminal: progress bars may be drawn.
    progress: bool,
    clock: Clock,
}

impl<'a> Output<'a> {
    /// Output of this process: `stdout` and `stderr` must be its own.
    pub fn new(stdout: &'a mut dyn Write, stderr: &'a mut dyn Write, json: bool) -> Self {
        let out_terminal = io::stdout().is_terminal();
        let err_terminal = io::stderr().is_terminal();
        let colours = colours_wanted();
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        Self {
            stdout,
            stderr,
            json,
            width: out_terminal.then_some(width),
            stdout_colour: out_terminal && colours,
            stderr_colour: err_terminal && colours,
            progress: err_terminal,
            clock: Clock::real(),
        }
    }

    /// Output into buffers at a fixed time: what a pipe would get.
    #[cfg(test)]
    pub(super) fn plain(stdout: &'a mut dyn Write, stderr: &'a mut dyn Write, now: Timestamp) -> Self {
        Self {
            stdout,
            stderr,
            json: false,
            width: None,
            stdout_colour: false,
            stderr_colour: false,
            progress: false,
            clock: Clock::simulated(now),
        }
    }

    /// Whether `--json` was given.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether progress bars may be drawn on stderr.
    pub(super) const fn draws_progress(&self) -> bool {
        self.progress
    }

    /// The time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// One line of data. The caller has escaped what others wrote.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub fn line(&mut self, line: impl AsRef<str>) -> Result<(), CliError> {
        writeln!(self.stdout, "{}", line.as_ref())?;
        self.stdout.flush()?;
        Ok(())
    }

    /// One object of JSON on a line of its own.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub fn object(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let json = serde_json::to_string(value).map_err(io::Error::other)?;
        self.line(clean_json(&json))
    }

    /// Bytes as they are: data that is not ours to escape.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub(super) fn raw(&mut self, data: &[u8]) -> Result<(), CliError> {
        self.stdout.write_all(data)?;
        self.stdout.flush()?;
        Ok(())
    }

    /// What a command printed: as it is, but on a terminal with nothing in it that moves a cursor.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub(super) fn printed(&mut self, data: &[u8], to_stderr: bool) -> Result<(), CliError> {
        let (stream, terminal) = if to_stderr {
            (&mut *self.stderr, self.progress)
        } else {
            (&mut *self.stdout, self.width.is_some())
        };
        if terminal {
            stream.write_all(clean_lines(&String::from_utf8_lossy(data)).as_bytes())?;
        } else {
            stream.write_all(data)?;
        }
        stream.flush()?;
        Ok(())
    }

    /// A table.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub fn table(&mut self, table: &Table) -> Result<(), CliError> {
        let text = table.render(self.width, self.stdout_colour);
        self.stdout.write_all(text.as_bytes())?;
        self.stdout.flush()?;
        Ok(())
    }

    /// Labelled values, one a line, the labels aligned. Values are escaped here; values of several
    /// lines go on under their first.
    pub fn fields(&mut self, fields: &[(&str, String)]) -> Result<(), CliError> {
        let width = fields.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        for (label, value) in fields {
            let label = Tone::Dim.paint(&format!("{label:width$}"), self.stdout_colour);
            let mut lines = value.lines();
            let first = clean(lines.next().unwrap_or_default());
            writeln!(self.stdout, "{}", format!("{label}  {first}").trim_end())?;
            for line in lines {
                writeln!(self.stdout, "{:width$}  {}", "", clean(line))?;
            }
        }
        self.stdout.flush()?;
        Ok(())
    }

    /// `text` in a tone, for [`Output::line`].
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        tone.paint(text, self.stdout_colour)
    }

    /// A remark on stderr; lost if stderr is gone.
    pub fn note(&mut self, note: impl AsRef<str>) {
        let _ = writeln!(self.stderr, "{}", clean(note.as_ref()));
    }

    /// Says what went wrong.
    pub fn complain(&mut self, error: &CliError) {
        report(error, self.stderr, self.stderr_colour);
    }

    /// Says what went wrong, if anything did, and how to exit.
    pub fn finish(&mut self, result: Result<ExitStatus, CliError>) -> ExitStatus {
        match result {
            Ok(status) => status,
            Err(error) => {
                self.complain(&error);
                error.exit()
            }
        }
    }
}

/// `NO_COLOR` and dumb terminals are honoured.
fn colours_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !set("NO_COLOR") && !dumb
}
