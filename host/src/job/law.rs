//! The law: how a job may change. One pure, exhaustive function; live work, handlers' decisions
//! and crash recovery all go through it.
//!
//! Rows B-20…B-46 of the transfer specification are its table; `law_tests.rs` names them.

mod ladder;
mod query;
mod setting;

use std::borrow::Cow;
use std::time::Duration;

use super::{
    CallState, Code, Command, Due, ErrorContext, ErrorInfo, EventKind, Family, FilesChange, HoldReason,
    Intent, Job, JobKind, JobState, Outcome, Refusal, Timestamp, Transition,
};

/// The least delay between retries, whatever the job asks for. B-57 raises it to 5 s; a tenth of a
/// second is enough to keep a job from spinning, and lets short-lived work be short.
const RETRY_MIN: Duration = Duration::from_millis(100);

/// The least delay that a server may ask for, where the job's own is longer (B-57).
const RETRY_FLOOR: Duration = Duration::from_secs(5);

/// The only way a job changes.
///
/// # Errors
/// A [`Refusal`] when the job's state, kind or pending intent does not permit the command; the job
/// stays as it is.
pub fn apply(job: &Job, command: &Command) -> Result<Transition, Refusal> {
    if job.state.is_final() {
        return Err(refuse(job, command, "it has ended; submit a new job"));
    }
    match (job.intent, command) {
        (_, Command::SetPriority(priority)) => setting::set_priority(job, command, *priority),
        (Some(intent), command) => under_intent(job, intent, command),
        (None, Command::IntentDone { .. } | Command::IntentFailed { .. }) => {
            Err(refuse(job, command, "it has no file work under way"))
        }
        (None, Command::Resume { after, at }) => resume(job, command, *after, *at),
        (None, Command::Suspend) => Ok(suspend(job)),
        // C-80: dead letters stay until somebody decides about them.
        (None, Command::Expired) if job.call.dead.is_some() => Ok(unchanged(job)),
        (None, Command::Cancel | Command::Expired) => Ok(cancelled(job)),
        // It never will run: it is cancelled, and says why.
        (None, Command::Unmet { error }) => Ok(Transition {
            error: Some(error.clone()),
            ..cancelled(job)
        }),
        (None, Command::Complete) => complete(job, command),
        (None, Command::SetReply(path)) => setting::set_reply(job, command, path),
        (None, Command::Validate { file, valid, at }) => setting::validate(job, command, file, *valid, *at),
        (None, Command::CompleteWhole) => setting::complete_whole(job, command),
        (None, Command::Change(change)) => setting::change(job, command, change),
        (None, Command::AddFiles(files)) => setting::add_files(job, command, files),
        (None, Command::SetRemote { file, remote }) => {
            let (file, remote) = (*file, remote.clone());
            setting::rename(job, command, FilesChange::Rename { file, remote })
        }
        (None, Command::ReplacePrefix { from, to }) => {
            let (from, to) = (from.clone(), to.clone());
            setting::rename(job, command, FilesChange::RenamePrefix { from, to })
        }
        (None, Command::TakeOwnership(owner)) => Ok(setting::take_ownership(job, owner)),
        (None, Command::Release) => release(job, command),
        (None, Command::Bury(why)) => ladder::bury(job, command, *why),
        (None, Command::Requeue) => ladder::requeue(job, command),
        (None, Command::RetryDue { at }) => retry_due(job, command, *at),
        (None, Command::NetworkReturned | Command::HoldOver) => condition_over(job, command),
        (None, command) => running(job, command),
    }
}

/// Commands of the runner, and the one that makes a job run.
fn running(job: &Job, command: &Command) -> Result<Transition, Refusal> {
    match (job.state, command) {
        (JobState::Queued, Command::Start) => Ok(Transition {
            starts_attempt: true,
            due: Due::Never,
            ..moved(job, JobState::Connecting)
        }),
        (JobState::Connecting, Command::Connected) => Ok(Transition {
            error: None,
            ..moved(job, JobState::Transferring)
        }),
        (JobState::Transferring, Command::Connected) => Ok(unchanged(job)),
        (JobState::Connecting | JobState::Transferring, Command::Yield) => Ok(Transition {
            due: Due::Never,
            ..moved(job, JobState::Queued)
        }),
        (JobState::Connecting | JobState::Transferring, Command::SliceOver) => Ok(Transition {
            due: Due::Never,
            goes_behind: true,
            ..moved(job, JobState::Queued)
        }),
        (JobState::Queued | JobState::Connecting | JobState::Transferring, Command::Held { error }) => {
            Ok(held(job, error))
        }
        (JobState::Connecting | JobState::Transferring, Command::TransientError { error, retry_after }) => {
            Ok(match job.kind.family() {
                Family::Batch => ladder::failed(job, error),
                Family::Transfer | Family::Query => transient(job, error, *retry_after),
            })
        }
        (JobState::Connecting | JobState::Transferring, Command::Interrupted { error, crashed }) => {
            Ok(ladder::interrupted(job, error, *crashed))
        }
        (JobState::Connecting | JobState::Transferring, Command::FatalError { error }) => {
            Ok(into_error(job, error.clone(), counts(error)))
        }
        (JobState::Connecting | JobState::Transferring, Command::Finished { at, files }) => {
            Ok(finished(job, *at, *files))
        }
        (_, command) => Err(refuse(job, command, "no runner holds it")),
    }
}

fn under_intent(job: &Job, intent: Intent, command: &Command) -> Result<Transition, Refusal> {
    match (intent, command) {
        // Asking again for what is under way changes nothing.
        (Intent::Complete, Command::Complete | Command::CompleteWhole | Command::Release)
        | (Intent::Cancel, Command::Cancel | Command::Expired) => Ok(unchanged(job)),
        (Intent::Complete, Command::IntentDone { outcome }) => {
            Ok(ended(job, JobState::Acknowledged, *outcome))
        }
        (Intent::Cancel, Command::IntentDone { .. }) => {
            Ok(ended(job, JobState::Cancelled, Outcome::Cancelled))
        }
        (_, Command::IntentFailed { error }) => Ok(Transition {
            intent: None,
            ..into_error(job, error.clone(), 1)
        }),
        (Intent::Complete, command) => Err(refuse(job, command, "it is being completed")),
        (Intent::Cancel, command) => Err(refuse(job, command, "it is being cancelled")),
    }
}

/// B-21, B-34, B-35, B-36.
fn resume(job: &Job, command: &Command, after: Duration, at: Timestamp) -> Result<Transition, Refusal> {
    let needs_files = job.kind.family() == Family::Transfer;
    if needs_files && job.progress.files_total == 0 {
        return Err(Refusal {
            code: Code::EMPTY,
            ..refuse(job, command, "it has no files; add one first")
        });
    }
    let due = if after.is_zero() {
        Due::Never
    } else {
        Due::At(at.after(after))
    };
    match job.state {
        JobState::Suspended | JobState::Error | JobState::TransientError | JobState::Transferred => {
            Ok(Transition {
                due,
                retries: 0,
                no_progress_since: None,
                resets_active: true,
                call: ladder::resumed(job),
                ..moved(job, JobState::Queued)
            })
        }
        // A queued job that waits for a due time is released by a plain resume; otherwise B-35.
        JobState::Queued if job.due.is_some() => Ok(Transition {
            due,
            revises: true,
            ..unchanged(job)
        }),
        JobState::Queued | JobState::Connecting | JobState::Transferring => Ok(unchanged(job)),
        JobState::Acknowledged | JobState::Cancelled => Err(refuse(job, command, "it has ended")),
    }
}

/// B-33: from any non-final state; from `suspended` it changes nothing.
fn suspend(job: &Job) -> Transition {
    if job.state == JobState::Suspended {
        return unchanged(job);
    }
    Transition {
        due: Due::Never,
        ..moved(job, JobState::Suspended)
    }
}

/// B-37, B-44: downloads from any non-final state, uploads only when transferred.
fn complete(job: &Job, command: &Command) -> Result<Transition, Refusal> {
    match job.kind {
        JobKind::Download => Ok(with_intent(job, Intent::Complete)),
        JobKind::Upload | JobKind::UploadReply | JobKind::Batch | JobKind::Query => {
            if job.state == JobState::Transferred {
                Ok(with_intent(job, Intent::Complete))
            } else {
                Err(refuse(
                    job,
                    command,
                    "a part of it cannot be completed; wait for `transferred`, or cancel it",
                ))
            }
        }
    }
}

/// A transferred job whose handlers are all done completes by itself unless it is held. A failed
/// batch whose `on-error` is settled ends too, with outcome `failed`.
fn release(job: &Job, command: &Command) -> Result<Transition, Refusal> {
    if job.spec.hold {
        return Err(refuse(job, command, "it was submitted with --hold"));
    }
    match job.state {
        // B-36: what was added since has yet to be fetched, and is not dropped unasked.
        JobState::Transferred if job.transferred.is_none() => Err(refuse(
            job,
            command,
            "it has files that are not transferred; resume it",
        )),
        JobState::Transferred => Ok(with_intent(job, Intent::Complete)),
        JobState::Error if job.kind == JobKind::Batch => {
            Ok(ended(job, JobState::Acknowledged, Outcome::Failed))
        }
        _ => Err(refuse(job, command, "it is not finished")),
    }
}

/// B-28, and B-30 when the no-progress time-out has passed.
fn retry_due(job: &Job, command: &Command, at: Timestamp) -> Result<Transition, Refusal> {
    match job.state {
        JobState::TransientError
            if job.kind.family() != Family::Batch
                && !query::is_watch(job)
                && no_progress_left(job, at).is_zero() =>
        {
            Ok(into_error(job, no_progress_error(job, at), 0))
        }
        JobState::TransientError => Ok(Transition {
            due: Due::Never,
            ..moved(job, JobState::Queued)
        }),
        _ => Err(refuse(job, command, "it waits for no retry")),
    }
}

/// B-29: when the network is back every job in `transient-error` goes on, whatever its error was. The
/// end of another condition concerns only those that waited for it: they have no due time (B-28).
fn condition_over(job: &Job, command: &Command) -> Result<Transition, Refusal> {
    let waits = job.due.is_none() || *command == Command::NetworkReturned;
    match job.state {
        JobState::TransientError if waits => Ok(Transition {
            due: Due::Never,
            ..moved(job, JobState::Queued)
        }),
        _ => Err(refuse(job, command, "it waits for no condition")),
    }
}

/// B-31, B-72, B-95: not an error of the job, so nothing is counted and no clock of it begins.
fn held(job: &Job, error: &ErrorInfo) -> Transition {
    Transition {
        error: Some(error.clone()),
        due: Due::Never,
        ..moved(job, JobState::TransientError)
    }
}

/// B-24, B-26, B-30, B-59.
fn transient(job: &Job, error: &ErrorInfo, retry_after: Option<Duration>) -> Transition {
    let own = job.spec.retry.delay(job.retries).max(RETRY_MIN);
    // A server's wish wins, but `Retry-After: 0` must not make a loop without a pause.
    let delay = retry_after.map_or(own, |wish| wish.max(own.min(RETRY_FLOOR)));
    if job.spec.no_progress.is_zero() || delay > job.spec.no_progress {
        return into_error(job, error.clone(), counts(error));
    }
    let since = job.no_progress_since.unwrap_or(error.at);
    let waiting = Job {
        no_progress_since: Some(since),
        ..job.clone()
    };
    let left = no_progress_left(&waiting, error.at);
    Transition {
        error: Some(error.clone()),
        error_count: job.error_count.saturating_add(counts(error)),
        retries: job.retries.saturating_add(1),
        no_progress_since: Some(since),
        due: Due::At(error.at.after(delay.min(left))),
        ..moved(job, JobState::TransientError)
    }
}

/// B-32. Files that were added while the runner was busy with the others take a run of their own (B-42).
fn finished(job: &Job, at: Timestamp, files: u32) -> Transition {
    if job.kind.family() == Family::Query {
        return query::finished(job, at);
    }
    if files < job.progress.files_total {
        return Transition {
            retries: 0,
            no_progress_since: None,
            due: Due::Never,
            ..moved(job, JobState::Queued)
        };
    }
    let mut transition = moved(job, JobState::Transferred);
    transition.transferred = Some(at);
    transition.retries = 0;
    transition.no_progress_since = None;
    transition.due = Due::Never;
    transition.call = CallState::default();
    if job.kind.family() == Family::Transfer {
        transition.events.push(EventKind::JobTransferred);
    }
    transition
}

/// B-27, B-99: entering `error` tells the handler, once per entry.
fn into_error(job: &Job, error: ErrorInfo, counted: u32) -> Transition {
    // C-04: whoever waits for it owns its error.
    if ladder::is_awaited(job) {
        return Transition {
            error: Some(error),
            error_count: job.error_count.saturating_add(counted),
            call: CallState::default(),
            ..ended(job, JobState::Acknowledged, Outcome::Failed)
        };
    }
    let error_code = error.code;
    let event = match job.kind.family() {
        Family::Transfer => Some(EventKind::JobError),
        Family::Batch => Some(EventKind::OnError),
        Family::Query => return query::failed(job, error, counted),
    };
    Transition {
        error: Some(error),
        error_count: job.error_count.saturating_add(counted),
        due: Due::Never,
        call: ladder::at_its_end(job, error_code),
        events: event.into_iter().collect(),
        ..moved(job, JobState::Error)
    }
}

/// A query has nothing to undo: it ends at once.
fn cancelled(job: &Job) -> Transition {
    match job.kind.family() {
        Family::Query => query::cancelled(job),
        Family::Transfer | Family::Batch => with_intent(job, Intent::Cancel),
    }
}

/// The decision is recorded; the engine carries it out. A job that was moving stops first.
fn with_intent(job: &Job, intent: Intent) -> Transition {
    let to = match job.state {
        JobState::Queued | JobState::Connecting | JobState::Transferring | JobState::TransientError => {
            JobState::Suspended
        }
        resting => resting,
    };
    Transition {
        intent: Some(intent),
        due: Due::Never,
        ..moved(job, to)
    }
}

/// Final: the one terminal notification.
fn ended(job: &Job, to: JobState, outcome: Outcome) -> Transition {
    Transition {
        intent: None,
        outcome: Some(outcome),
        due: Due::Never,
        events: match job.kind.family() {
            Family::Query => vec![EventKind::OnCompleted, EventKind::OnEnded],
            Family::Transfer | Family::Batch => vec![EventKind::OnEnded],
        },
        ..moved(job, to)
    }
}

/// Leaves everything but the state as it is; raises the revision.
fn moved(job: &Job, to: JobState) -> Transition {
    Transition {
        to,
        revises: true,
        ..unchanged(job)
    }
}

fn unchanged(job: &Job) -> Transition {
    Transition {
        to: job.state,
        intent: job.intent,
        outcome: job.outcome,
        priority: job.priority,
        error: job.error.clone(),
        error_count: job.error_count,
        retries: job.retries,
        no_progress_since: job.no_progress_since,
        transferred: job.transferred,
        call: job.call,
        spec: None,
        owner: None,
        files: FilesChange::None,
        starts_attempt: false,
        goes_behind: false,
        resets_active: false,
        due: Due::Keep,
        revises: false,
        events: Vec::new(),
    }
}

fn refuse(job: &Job, command: &Command, why: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal {
        code: Code::INVALID_STATE,
        verb: command.verb(),
        state: job.state,
        why: why.into(),
    }
}

/// B-64: a lost network and a policy stop are not counted.
fn counts(error: &ErrorInfo) -> u32 {
    u32::from(HoldReason::of(error.code).is_none())
}

/// What is left of the no-progress time-out at `at`, clamped to it (B-59, B-63).
fn no_progress_left(job: &Job, at: Timestamp) -> Duration {
    let passed = job
        .no_progress_since
        .map_or(Duration::ZERO, |since| at.since(since));
    job.spec.no_progress.saturating_sub(passed)
}

fn no_progress_error(job: &Job, at: Timestamp) -> ErrorInfo {
    let limit = humantime::format_duration(job.spec.no_progress);
    let last = job.error.as_ref();
    ErrorInfo {
        code: job.spec.profile.no_progress_code(),
        context: last.map_or(ErrorContext::Unknown, |error| error.context),
        description: match last {
            Some(error) => format!(
                "no byte of progress within {limit}; last error: {} ({})",
                error.description, error.code
            ),
            None => format!("no byte of progress within {limit}"),
        },
        file: last.and_then(|error| error.file.clone()),
        protocol: last.and_then(|error| error.protocol.clone()),
        leg: last.and_then(|error| error.leg),
        attempt: job.attempt,
        at,
        extended: None,
    }
}
