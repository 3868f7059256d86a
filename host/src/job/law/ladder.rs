//! The law of calls that fail: the ladder of retries (C-70…C-74), what a crash of the host means
//! (C-45, C-46, CJ-07), dead letters and their return (C-76, C-80, C-81).

use std::time::Duration;

use super::super::{
    CallLadder, CallState, Code, Command, DeadCall, Due, ErrorInfo, Family, Job, JobState, OnHostCrash,
    Refusal, Transition,
};
use super::{RETRY_MIN, into_error, moved, refuse, unchanged};

/// Crashes in a row after which a call is not run again, where nothing says it.
const CRASH_LIMIT: u32 = 2;

impl CallLadder {
    /// The delay before retry number `retry`, from 0: that of its level, which depends on the level's
    /// position alone (C-73). `None` is past the last.
    #[must_use]
    pub fn delay(&self, retry: u32) -> Option<Duration> {
        let level = retry.checked_div(self.tries)?;
        if level >= self.levels {
            return None;
        }
        let grown = self
            .base
            .saturating_mul(1_u32.checked_shl(level).unwrap_or(u32::MAX));
        Some(grown.max(RETRY_MIN))
    }
}

/// C-70…C-72: a rung further; past the last one its handler is told, once.
pub(super) fn failed(job: &Job, error: &ErrorInfo) -> Transition {
    let spec = job.spec.batch.as_deref();
    let delay = spec.and_then(|spec| spec.retry?.delay(job.retries));
    let due = delay.map(|delay| error.at.after(delay));
    // C-84: what would come too late is not tried.
    let useful = |due: &_| spec.and_then(|spec| spec.finish_by).is_none_or(|by| *due < by);
    let Some(due) = due.filter(useful) else {
        return into_error(job, error.clone(), 1);
    };
    Transition {
        error: Some(error.clone()),
        error_count: job.error_count.saturating_add(1),
        retries: job.retries.saturating_add(1),
        due: Due::At(due),
        call: CallState::default(),
        ..moved(job, JobState::TransientError)
    }
}

/// A call that did not end by itself. Its attempt was counted before it began (C-46), so a crash uses one
/// up; after so many crashes in a row it is suspected to be their cause, and is not run again (CJ-07).
pub(super) fn interrupted(job: &Job, error: &ErrorInfo, crashed: bool) -> Transition {
    let Some(spec) = job
        .spec
        .batch
        .as_deref()
        .filter(|_| job.kind.family() == Family::Batch)
    else {
        return queued(job);
    };
    let crashes = if crashed {
        job.call.crashes.saturating_add(1)
    } else {
        0
    };
    if crashes >= spec.crash_limit.unwrap_or(CRASH_LIMIT) {
        return suspected(job, error, crashes);
    }
    let call = CallState {
        crashes,
        ..CallState::default()
    };
    let next = match spec.on_host_crash {
        Some(OnHostCrash::Rerun) => queued(job),
        Some(OnHostCrash::Error) | None => failed(job, error),
    };
    Transition { call, ..next }
}

/// It rests in `error`, and its handler, which might have it run again, is not asked.
fn suspected(job: &Job, error: &ErrorInfo, crashes: u32) -> Transition {
    let why = format!("the host died {crashes} times in a row while this ran; it may be the cause");
    let error = ErrorInfo {
        code: Code::SX_HOST_CRASH,
        description: why,
        ..error.clone()
    };
    let buried = into_error(job, error, 1);
    if is_awaited(job) {
        return buried;
    }
    Transition {
        call: CallState {
            crashes,
            dead: Some(DeadCall::HostCrash),
            ..CallState::default()
        },
        events: Vec::new(),
        ..buried
    }
}

/// C-76: nobody is told any more, and nothing moves it but [`Command::Requeue`].
pub(super) fn bury(job: &Job, command: &Command, why: DeadCall) -> Result<Transition, Refusal> {
    if job.kind.family() != Family::Batch || job.state != JobState::Error {
        return Err(refuse(job, command, "only a failed call becomes a dead letter"));
    }
    if job.call.dead.is_some() {
        return Ok(unchanged(job));
    }
    Ok(Transition {
        call: CallState {
            dead: Some(why),
            ..job.call
        },
        revises: true,
        ..unchanged(job)
    })
}

/// C-81: a fresh ladder; the job, its attempts and its count of errors stay what they are.
pub(super) fn requeue(job: &Job, command: &Command) -> Result<Transition, Refusal> {
    if job.kind.family() != Family::Batch || job.state != JobState::Error {
        return Err(refuse(job, command, "only a failed call is queued again"));
    }
    Ok(Transition {
        retries: 0,
        call: CallState::default(),
        resets_active: true,
        ..queued(job)
    })
}

/// A handler that has it run again does not forget the crashes; a person who takes it out of the dead
/// letters does.
pub(super) fn resumed(job: &Job) -> CallState {
    match job.call.dead {
        Some(_) => CallState::default(),
        None => job.call,
    }
}

/// C-77: whether a call that has failed for good had begun.
pub(super) fn at_its_end(job: &Job, code: Code) -> CallState {
    let batch = job.kind.family() == Family::Batch;
    CallState {
        unstarted: batch && (job.state == JobState::Connecting || code == Code::SX_SPAWN),
        ..CallState::default()
    }
}

/// Its submitter waits for it (C-04).
pub(super) fn is_awaited(job: &Job) -> bool {
    job.spec.batch.as_ref().is_some_and(|spec| spec.sync)
}

fn queued(job: &Job) -> Transition {
    Transition {
        due: Due::Never,
        ..moved(job, JobState::Queued)
    }
}
