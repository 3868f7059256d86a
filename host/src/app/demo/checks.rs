//! Holds what was told against what is there: job states, files, deliveries, and what the server saw.

use super::fail_fast::Shown;
use super::news::last_words;
use super::place::{DECIDER, FAULTY, LATE, Place};
use super::server::{CUT_BYTES, Server, sha256};
use super::tour::{BUSY, CUT, FORBIDDEN, LATER, LOCKED, PARTS, SLOW, Scenario, Seen, local};
use crate::api::view::{Code, DeliveryRecord, DeliveryState, JobState, JobView, Outcome};
use crate::cli::{Cell, Table, Tone};
use crate::job::{FailureClass, FailureRecord};

/// Bytes that an interruption may cost: received, but without a checkpoint.
const AGAIN_MAX: usize = 8 << 20;

/// One line of the summary.
#[derive(Debug, serde::Serialize)]
pub(super) struct Check {
    what: &'static str,
    expected: &'static str,
    seen: String,
    pub(super) good: bool,
}

/// Everything that the checks look at.
struct Evidence<'a> {
    seen: &'a Seen,
    server: &'a Server,
    place: &'a Place,
}

/// The summary of the tour and of the host that failed fast.
pub(super) fn all(seen: &Seen, shown: &Shown, server: &Server, place: &Place) -> Vec<Check> {
    let evidence = Evidence { seen, server, place };
    vec![
        evidence.slow(),
        evidence.forbidden(),
        evidence.busy(),
        evidence.cut(),
        evidence.parts(),
        evidence.locked(),
        evidence.faulty(),
        evidence.late(),
        fail_fast(shown),
        poison(shown),
    ]
}

/// The summary as a table.
pub(super) fn table(checks: &[Check]) -> Table {
    let mut table = Table::new(&["", "WHAT", "EXPECTED", "SEEN"]);
    for check in checks {
        let (mark, tone) = if check.good {
            ("ok", Tone::Good)
        } else {
            ("NO", Tone::Bad)
        };
        table.row(vec![
            Cell::new(mark).tone(tone),
            Cell::new(check.what),
            Cell::new(check.expected),
            Cell::new(&check.seen),
        ]);
    }
    table
}

impl Evidence<'_> {
    fn slow(&self) -> Check {
        let (job, file) = (self.job(SLOW), self.file(SLOW, 0));
        let runs = job.map_or(0, |job| job.attempt);
        Check {
            what: "a download that goes well",
            expected: "succeeded in one run, file identical",
            seen: format!("{}, runs {runs}, file {file}", ended(job)),
            good: self.succeeded(SLOW) && file == File::Identical && runs == 1,
        }
    }

    fn forbidden(&self) -> Check {
        let file = self.file(FORBIDDEN, 0);
        let job = self.job(FORBIDDEN);
        let error = job.and_then(|job| job.error.as_ref()).map(|error| error.code);
        Check {
            what: "403, fatal",
            expected: "handler cancels, no file",
            seen: format!("{}, file {file}, {}", ended(job), code(error)),
            good: job.is_some_and(|job| job.state == JobState::Cancelled)
                && file == File::Absent
                && error == Some(Code::http(403))
                && self.decided(FORBIDDEN) == 1,
        }
    }

    fn busy(&self) -> Check {
        let file = self.file(BUSY, 0);
        let answers = self.answers(BUSY, 0);
        Check {
            what: "503, then 200",
            expected: "retried by itself, no handler called",
            seen: format!(
                "{}, answers {answers:?}, {} handlers called",
                ended(self.job(BUSY)),
                self.decided(BUSY)
            ),
            good: self.succeeded(BUSY)
                && file == File::Identical
                && answers == [503, 200]
                && self.decided(BUSY) == 0,
        }
    }

    fn cut(&self) -> Check {
        let file = self.file(CUT, 0);
        let requests = self.server.seen("/cut.bin");
        let sent: usize = requests.iter().map(|seen| seen.sent).sum();
        let size = self.job(CUT).and_then(|job| job.bytes_total).unwrap_or_default();
        let again = sent.saturating_sub(usize::try_from(size).unwrap_or_default());
        let last = requests.last();
        let from = last.and_then(|seen| seen.from);
        let resumed = last.is_some_and(|seen| seen.status == 206 && seen.if_range);
        Check {
            what: "body cut after 4 MiB",
            expected: "resumed with Range and If-Range, file identical",
            seen: format!(
                "asked from byte {}, {again} bytes sent again, file {file}",
                from.unwrap_or(0)
            ),
            good: self.succeeded(CUT)
                && file == File::Identical
                && resumed
                && from.is_some_and(|from| from > 0 && from <= CUT_BYTES)
                && again <= AGAIN_MAX,
        }
    }

    fn parts(&self) -> Check {
        let files = [0, 1, 2].map(|index| self.file(PARTS, index));
        let job = self.job(PARTS);
        let [first, second, third] = &files;
        Check {
            what: "the third of three files is 404",
            expected: "handler completes with two files",
            seen: format!("{}, files {first}, {second}, {third}", ended(job)),
            good: job.is_some_and(|job| job.outcome == Some(Outcome::Partial))
                && files == [File::Identical, File::Identical, File::Absent]
                && self.decided(PARTS) == 1,
        }
    }

    fn locked(&self) -> Check {
        let answers = self.answers(LOCKED, 0);
        Check {
            what: "401, fatal, unlocked later",
            expected: "handler resumes, succeeded",
            seen: format!(
                "{}, answers {answers:?}, {} decision",
                ended(self.job(LOCKED)),
                self.decided(LOCKED)
            ),
            good: self.succeeded(LOCKED)
                && self.file(LOCKED, 0) == File::Identical
                && answers == [401, 200]
                && self.decided(LOCKED) == 1,
        }
    }

    /// Called for the same events as the decider, which worked meanwhile.
    fn faulty(&self) -> Check {
        let calls = self.seen.of(FAULTY);
        let dead = |delivery: &&&DeliveryRecord| {
            let failure = delivery.last_failure.as_ref();
            delivery.state == DeliveryState::Dead && delivery.attempt == 2 && failure.is_some_and(is_panic)
        };
        let (all, buried) = (calls.len(), calls.iter().filter(dead).count());
        Check {
            what: "a handler that traps",
            expected: "contained, 2 attempts, dead letter, last words kept",
            seen: format!("{buried} of {all} are dead letters with last words"),
            good: all == 3 && buried == all,
        }
    }

    fn late(&self) -> Check {
        let jobs = self.seen.jobs();
        let settled = self.seen.of(LATE);
        let settled = settled
            .iter()
            .filter(|known| known.state == DeliveryState::Settled)
            .count();
        let lines = self.place.journal().lines().count();
        Check {
            what: "a handler dropped in while the host works",
            expected: "called for all ends, earlier ones too",
            seen: format!(
                "{settled} of {jobs} ends, {} had waited, {lines} lines in its journal",
                self.seen.waited
            ),
            good: settled == jobs && lines == jobs && self.succeeded(LATER),
        }
    }

    fn job(&self, scenario: Scenario) -> Option<&JobView> {
        self.seen.job(scenario)
    }

    fn succeeded(&self, scenario: Scenario) -> bool {
        self.job(scenario)
            .is_some_and(|job| job.outcome == Some(Outcome::Succeeded))
    }

    /// How often the decider settled something about a job.
    fn decided(&self, scenario: Scenario) -> usize {
        let Some(job) = self.job(scenario) else { return 0 };
        let decider = self.seen.of(DECIDER);
        let its = decider.iter().filter(|delivery| delivery.job == job.id);
        its.filter(|delivery| delivery.state == DeliveryState::Settled)
            .count()
    }

    fn answers(&self, scenario: Scenario, index: usize) -> Vec<u16> {
        let path = scenario.files.get(index).copied().unwrap_or_default();
        self.server.seen(path).iter().map(|seen| seen.status).collect()
    }

    fn file(&self, scenario: Scenario, index: usize) -> File {
        let path = scenario.files.get(index).copied().unwrap_or_default();
        match std::fs::read(local(scenario, path, self.place)) {
            Err(_) => File::Absent,
            Ok(bytes) if sha256(&bytes) == self.server.sha256(path) => File::Identical,
            Ok(_) => File::Different,
        }
    }
}

/// A download held against what the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Identical,
    Different,
    Absent,
}

impl std::fmt::Display for File {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Identical => "identical",
            Self::Different => "DIFFERENT",
            Self::Absent => "absent",
        })
    }
}

fn ended(job: Option<&JobView>) -> String {
    match job {
        None => "never ended".to_owned(),
        Some(job) => match job.outcome {
            Some(outcome) => outcome.to_string(),
            None => job.state.to_string(),
        },
    }
}

fn code(code: Option<Code>) -> String {
    code.map_or("no error".to_owned(), |code| code.to_string())
}

fn is_panic(failure: &FailureRecord) -> bool {
    let words = last_words(failure).unwrap_or_default();
    failure.class == FailureClass::Trap && words.contains("the ledger has no page")
}

fn fail_fast(shown: &Shown) -> Check {
    let told = shown.reports.iter().filter(|report| {
        report
            .plugin
            .as_ref()
            .is_some_and(|plugin| plugin.as_str() == FAULTY)
            && report.failure.as_ref().is_some_and(is_panic)
    });
    let told = told.count();
    Check {
        what: "the same handler under FailFast",
        expected: "2 deaths by SIGABRT, each with a report",
        seen: format!("{} deaths by SIGABRT, {told} reports", shown.deaths),
        good: shown.deaths == 2 && told == 2,
    }
}

fn poison(shown: &Shown) -> Check {
    let same = shown.delivery.as_ref().map(|delivery| delivery.id);
    let parked = shown.reports.iter().all(|report| report.delivery == same);
    let job = shown.job.as_ref();
    let state = shown
        .delivery
        .as_ref()
        .map_or("lost".to_owned(), |delivery| delivery.state.to_string());
    Check {
        what: "the third start",
        expected: "stays up, delivery parked, store intact",
        seen: format!(
            "delivery {state}, job in {}",
            job.map_or("?".to_owned(), |job| job.state.to_string())
        ),
        good: same.is_some()
            && parked
            && job.is_some_and(|job| job.state == JobState::Error && job.error.is_some()),
    }
}
