//! The result: rows with value, latencies, ratio to the peer and budget, as one Markdown table.

use std::fmt;
use std::time::Duration;

use crate::bench::Bench;
use crate::machine;
use crate::measure::Samples;

/// One line of the table.
#[derive(Clone, Debug, Default)]
pub struct Row {
    what: String,
    value: String,
    p50: Option<Duration>,
    p99: Option<Duration>,
    beside: String,
    budgets: Vec<(String, bool)>,
}

impl Row {
    /// A row about `what`.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..Self::default()
        }
    }

    /// A peer or a mode that could not be measured, said loudly.
    pub fn skipped(what: impl Into<String>, why: &str) -> Self {
        let what = what.into();
        eprintln!("  {what}: {why}");
        Self::new(what).text(format!("**{why}**"))
    }

    /// Its value in words.
    pub fn text(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// Its value is a number of `unit`: `121,000 calls/s`.
    pub fn number(self, value: f64, unit: &str) -> Self {
        let text = if value < 100.0 {
            format!("{value:.2}")
        } else {
            grouped(value.round() as u64)
        };
        self.text(format!("{text} {unit}"))
    }

    /// Its value is a time.
    pub fn time(self, value: Duration) -> Self {
        self.text(time(value))
    }

    /// Its value is a size in bytes.
    pub fn size(self, bytes: u64) -> Self {
        self.text(format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)))
    }

    /// Its latencies.
    pub fn samples(mut self, samples: &Samples) -> Self {
        self.p50 = Some(samples.p50());
        self.p99 = Some(samples.p99());
        self
    }

    /// How it stands beside a peer of the same run.
    pub fn beside(mut self, ratio: f64, peer: &str) -> Self {
        if !self.beside.is_empty() {
            self.beside.push_str("; ");
        }
        let digits = if ratio < 10.0 { 2 } else { 0 };
        self.beside.push_str(&format!("{ratio:.digits$} × {peer}"));
        self
    }

    /// A budget, and whether it is met. A row may have several.
    pub fn must(mut self, budget: impl Into<String>, met: bool) -> Self {
        self.budgets.push((budget.into(), met));
        self
    }

    fn verdict(&self) -> String {
        let missed: Vec<&str> = self
            .budgets
            .iter()
            .filter(|(_, met)| !met)
            .map(|(budget, _)| budget.as_str())
            .collect();
        match (self.budgets.is_empty(), missed.is_empty()) {
            (true, _) => String::new(),
            (false, true) => "met".to_owned(),
            (false, false) => format!("**missed** ({})", missed.join(", ")),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budgets: Vec<&str> = self.budgets.iter().map(|(budget, _)| budget.as_str()).collect();
        let (p50, p99) = (
            self.p50.map(time).unwrap_or_default(),
            self.p99.map(time).unwrap_or_default(),
        );
        write!(
            out,
            "{} | {} | {p50} | {p99} | {} | {} | {} |",
            self.what,
            self.value,
            self.beside,
            budgets.join(", "),
            self.verdict()
        )
    }
}

/// What one benchmark found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    /// Adds a row.
    pub fn row(&mut self, row: Row) {
        eprintln!("  {}: {} {}", row.what, row.value, row.verdict());
        self.rows.push(row);
    }

    /// Adds a sentence below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// The whole result.
pub struct Table {
    head: Vec<String>,
    lines: Vec<String>,
    notes: Vec<String>,
}

impl Table {
    /// An empty table with the machine above it.
    pub fn new(bench: &Bench) -> Self {
        let mut head = machine::describe(bench.dir());
        if bench.quick() {
            head.push("**quick sizes: these numbers mean nothing**".to_owned());
        }
        if cfg!(debug_assertions) {
            head.push("**unoptimised build: these numbers mean nothing**".to_owned());
        }
        Self {
            head,
            lines: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds what a benchmark found, with the disk's syncs before and after it.
    pub fn add(&mut self, id: &str, title: &str, report: Report, syncs: &[Samples]) {
        let id = id.to_uppercase();
        self.lines.push(format!("| **{id}** | **{title}** | | | | | | |"));
        let mut disk = Samples::default();
        syncs.iter().for_each(|some| disk.merge(some));
        let disk = Row::new("`fdatasync` of 4 KiB, before and after").samples(&disk);
        for row in report.rows.iter().chain([&disk]) {
            self.lines.push(format!("| {id} | {row}"));
        }
        let notes = report.notes.iter().map(|note| format!("{id}: {note}"));
        self.notes.extend(notes);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{}.\n", self.head.join("; "))?;
        writeln!(out, "| | what | value | p50 | p99 | beside | budget | |")?;
        writeln!(out, "|---|---|---|---|---|---|---|---|")?;
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        for note in &self.notes {
            writeln!(out, "\n{note}")?;
        }
        Ok(())
    }
}

/// A time as people write it: three digits and a unit.
pub fn time(value: Duration) -> String {
    let nanos = value.as_nanos() as f64;
    let (scaled, unit) = match nanos {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let digits = match scaled {
        s if s < 10.0 => 2,
        s if s < 100.0 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$} {unit}")
}

/// `121000` as `121,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
