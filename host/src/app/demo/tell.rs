//! What happens, told: one line each, when it happened, to whom, and what.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::cli::{CliError, Output, Tone, clean};
use crate::clock::Clock;
use crate::job::Timestamp;

/// Jobs and deliveries are seen by different ways; what happened is held back this long, so that it
/// can be told in the order in which it happened.
const HELD: Duration = Duration::from_millis(250);

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    pub(super) at: Timestamp,
    /// A job, `host` or `server`.
    pub(super) who: String,
    pub(super) what: String,
    pub(super) tone: Tone,
    /// Lines below the first.
    pub(super) more: Vec<String>,
}

impl Happening {
    pub(super) fn new(at: Timestamp, who: &str, tone: Tone, what: impl Into<String>) -> Self {
        Self {
            at,
            who: who.to_owned(),
            what: what.into(),
            tone,
            more: Vec::new(),
        }
    }

    pub(super) fn more(mut self, line: impl Into<String>) -> Self {
        self.more.push(line.into());
        self
    }
}

/// Tells on stdout.
pub(super) struct Teller<'a, 'o> {
    output: &'a mut Output<'o>,
    clock: Clock,
    start: Timestamp,
    held: Vec<Happening>,
}

/// A happening with `--json`.
#[derive(Serialize)]
struct Line<'a> {
    offset_ms: u64,
    who: &'a str,
    what: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    more: &'a [String],
}

impl<'a, 'o> Teller<'a, 'o> {
    pub(super) fn new(output: &'a mut Output<'o>) -> Self {
        let clock = Clock::real();
        Self {
            start: clock.now(),
            output,
            clock,
            held: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now().since(self.start)
    }

    /// A heading of the tour.
    pub(super) fn heading(&mut self, text: &str) -> Result<(), CliError> {
        self.flush()?;
        if self.output.is_json() {
            return Ok(());
        }
        self.output.line("")?;
        self.output.line(self.output.paint(Tone::Strong, text))
    }

    /// Text between the happenings.
    pub(super) fn text(&mut self, text: &str) -> Result<(), CliError> {
        if self.output.is_json() {
            return Ok(());
        }
        self.output.line(text)
    }

    /// Told at once.
    pub(super) fn say(&mut self, who: &str, tone: Tone, what: impl Into<String>) -> Result<(), CliError> {
        self.line(&Happening::new(self.now(), who, tone, what))
    }

    /// A labelled value below what was said last.
    pub(super) fn detail(&mut self, label: &str, value: &str) -> Result<(), CliError> {
        if self.output.is_json() {
            return self.output.object(&BTreeMap::from([(label, value)]));
        }
        let label = self.output.paint(Tone::Dim, &format!("{label:<10}"));
        self.output.line(format!("{:23}{label}  {}", "", clean(value)))
    }

    /// Told in its turn.
    pub(super) fn hold(&mut self, happening: Happening) {
        self.held.push(happening);
    }

    /// Tells what was held back for long enough.
    pub(super) fn tick(&mut self) -> Result<(), CliError> {
        let now = self.now();
        self.tell_held(|happening| now.since(happening.at) >= HELD)
    }

    /// Tells all that was held back.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        self.tell_held(|_| true)
    }

    pub(super) fn output(&mut self) -> &mut Output<'o> {
        self.output
    }

    fn tell_held(&mut self, ripe: impl Fn(&Happening) -> bool) -> Result<(), CliError> {
        let (mut told, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition::<Vec<_>, _>(ripe);
        self.held = held;
        told.sort_by_key(|happening| happening.at);
        told.iter().try_for_each(|happening| self.line(happening))
    }

    fn line(&mut self, happening: &Happening) -> Result<(), CliError> {
        let Happening {
            at,
            who,
            what,
            tone,
            more,
        } = happening;
        let offset = at.since(self.start);
        if self.output.is_json() {
            let offset_ms = u64::try_from(offset.as_millis()).unwrap_or(u64::MAX);
            return self.output.object(&Line {
                offset_ms,
                who,
                what,
                more,
            });
        }
        let time = self
            .output
            .paint(Tone::Dim, &format!("{:>6.2} s", offset.as_secs_f64()));
        let what = self.output.paint(*tone, &clean(what));
        self.output.line(format!("{time}  {:<10} {what}", clean(who)))?;
        for line in more {
            let line = self.output.paint(Tone::Dim, &clean(line));
            self.output.line(format!("{:23}{line}", ""))?;
        }
        Ok(())
    }
}

/// `2.5 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}
