//! What is new in a job or a delivery, put into words.

use std::collections::BTreeMap;

use super::tell::{Happening, bytes};
use crate::api::view::{DeliveryId, DeliveryRecord, DeliveryState, ErrorView, JobState, JobView};
use crate::cli::Tone;
use crate::job::{FailureRecord, Intent, Outcome, Role, Timestamp};

/// Progress of smaller jobs is not worth a line.
const PROGRESS_BYTES_MIN: u64 = 5 << 20;
/// Progress is told in steps of so many percent.
const PROGRESS_STEP: u64 = 20;

/// What was told before.
#[derive(Default)]
pub(super) struct News {
    deliveries: BTreeMap<DeliveryId, (DeliveryState, u32)>,
}

/// What is new of a delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeliveryNews {
    failed: bool,
    over: bool,
}

impl News {
    /// What a change of a job is, in words.
    pub(super) fn of_job(&self, name: &str, last: Option<&JobView>, job: &JobView) -> Vec<Happening> {
        let mut news = Vec::new();
        let earlier_errors = last.map_or(0, |last| last.error_count);
        if job.error_count > earlier_errors
            && let Some(error) = &job.error
        {
            news.push(error_line(name, error, job));
        }
        let resumed = job.state.is_running() && job.attempt > last.map_or(1, |last| last.attempt.max(1));
        if resumed {
            let what = match job.bytes_transferred {
                0 => format!("runs again (run {})", job.attempt),
                bytes_there => format!(
                    "runs again (run {}) with {} in place",
                    job.attempt,
                    bytes(bytes_there)
                ),
            };
            news.push(Happening::new(job.modified, name, Tone::Plain, what));
        }
        if !job.state.is_final() {
            news.extend(progress_line(name, last, job));
        } else if last.is_none_or(|last| !last.state.is_final()) {
            news.push(end_line(name, job));
        }
        news
    }

    /// Whether there is anything new about a delivery.
    pub(super) fn of_delivery(&mut self, delivery: &DeliveryRecord) -> Option<DeliveryNews> {
        let failures = delivery
            .last_failure
            .as_ref()
            .map_or(0, |failure| failure.attempt);
        let now = (delivery.state, failures);
        let before = self.deliveries.insert(delivery.id, now);
        let news = DeliveryNews {
            failed: failures > before.map_or(0, |(_, failures)| failures),
            over: delivery.state.is_over() && before.is_none_or(|(state, _)| !state.is_over()),
        };
        (news.failed || news.over).then_some(news)
    }
}

impl DeliveryNews {
    /// In words. `job` is the delivery's, as it is after it.
    pub(super) fn told(self, name: &str, delivery: &DeliveryRecord, job: &JobView) -> Vec<Happening> {
        let mut news = Vec::new();
        if self.failed
            && let Some(failure) = &delivery.last_failure
        {
            news.push(failure_line(name, delivery, failure));
        }
        if self.over {
            news.push(over_line(name, delivery, job));
        }
        news
    }
}

fn error_line(name: &str, error: &ErrorView, job: &JobView) -> Happening {
    // An error that may pass rests for at least a second in its state, which no watch misses.
    let class = if job.state == JobState::TransientError {
        "transient"
    } else {
        "fatal"
    };
    let wait = job.due.filter(|_| job.state == JobState::TransientError);
    let wait = wait.map_or(String::new(), |due| {
        format!("; again by itself in {}", seconds(due, error.at))
    });
    let what = format!("{class} error {}{wait}", error.code);
    Happening::new(error.at, name, Tone::Warn, what).more(error.description.clone())
}

fn seconds(due: Timestamp, from: Timestamp) -> String {
    format!("{:.1} s", due.since(from).as_secs_f64())
}

fn progress_line(name: &str, last: Option<&JobView>, job: &JobView) -> Option<Happening> {
    let total = job.bytes_total.filter(|total| *total >= PROGRESS_BYTES_MIN)?;
    let percent = |done: u64| done.saturating_mul(100) / total.max(1);
    let now = percent(job.bytes_transferred);
    let before = last.map_or(0, |last| percent(last.bytes_transferred));
    let step = now / PROGRESS_STEP > before / PROGRESS_STEP && job.state == JobState::Transferring;
    step.then(|| {
        let what = format!("{now:>3} %  {} of {}", bytes(job.bytes_transferred), bytes(total));
        Happening::new(job.modified, name, Tone::Dim, what)
    })
}

fn end_line(name: &str, job: &JobView) -> Happening {
    let whole = job.bytes_total.unwrap_or(job.bytes_transferred);
    let (tone, what) = match (job.state, job.outcome) {
        (JobState::Cancelled, _) => (Tone::Bad, "ended: cancelled, nothing of it is left".to_owned()),
        (_, Some(Outcome::Partial)) => {
            let kept = format!("{} of {} files kept", job.files_transferred, job.files_total);
            (Tone::Warn, format!("ended: partial, {kept}"))
        }
        (_, Some(Outcome::Succeeded)) => (Tone::Good, format!("ended: succeeded, {}", bytes(whole))),
        (state, outcome) => (Tone::Bad, format!("ended: {state} {outcome:?}")),
    };
    Happening::new(job.modified, name, tone, what)
}

fn failure_line(name: &str, delivery: &DeliveryRecord, failure: &FailureRecord) -> Happening {
    let follows = match (delivery.state, delivery.due) {
        (DeliveryState::Dead | DeliveryState::Poison, _) | (_, None) => String::new(),
        (_, Some(due)) => format!("; called again in {}", seconds(due, failure.at)),
    };
    let what = format!(
        "{}.{} failed, attempt {}: {} {}{follows}",
        delivery.plugin, delivery.event, failure.attempt, failure.class, failure.code
    );
    let happening = Happening::new(failure.at, name, Tone::Bad, what);
    // The lines before the last say where; the report of a FailFast has them too.
    match failure.last_words.lines().rev().find(|line| is_telling(line)) {
        Some(words) if failure.attempt == 1 => happening.more(format!("last words: {words}")),
        _ => happening,
    }
}

/// What a guest printed last, on one line.
pub(super) fn last_words(failure: &FailureRecord) -> Option<String> {
    let lines = failure.last_words.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| is_telling(line)).collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}

fn is_telling(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with("note: ")
}

fn over_line(name: &str, delivery: &DeliveryRecord, job: &JobView) -> Happening {
    let at = delivery.ended.unwrap_or(delivery.created);
    let handler = format!("{}.{}", delivery.plugin, delivery.event);
    let (tone, what) = match (delivery.state, delivery.role) {
        (DeliveryState::Settled, Role::Decider) => (Tone::Active, format!("decided: {}", decision(job, at))),
        (DeliveryState::Settled, Role::Observer) => (Tone::Dim, "acknowledged".to_owned()),
        (DeliveryState::Poison, _) => (Tone::Bad, "parked as poison".to_owned()),
        _ => (
            Tone::Bad,
            format!("dead letter after {} attempts", delivery.attempt),
        ),
    };
    Happening::new(at, name, tone, format!("{handler} {what}"))
}

/// What a decider made of its job: decision and acknowledgement are one commit.
fn decision(job: &JobView, at: Timestamp) -> String {
    match (job.state, job.intent, job.outcome) {
        (JobState::Cancelled, ..) | (_, Some(Intent::Cancel), _) => "cancel it".to_owned(),
        (_, Some(Intent::Complete), _) | (_, _, Some(Outcome::Partial)) => {
            "complete what is whole".to_owned()
        }
        (JobState::Error, ..) => "leave it in error".to_owned(),
        _ => match job.due {
            Some(due) => format!("resume it in {}", seconds(due, at)),
            None => "resume it".to_owned(),
        },
    }
}
