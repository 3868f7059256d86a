//! Carrying out `complete` and `cancel`: committed first, done idempotently, then made final.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::job::{Command, ErrorInfo, FileStatus, Intent, Job, Outcome, Timestamp};
use crate::store::{Store, StoreError};

use super::run::no_runner;
use super::runner::{IntentControl, Runner};

/// Tries of the file work before the job goes to `error`.
const TRIES: u32 = 4;

/// The wait after the first failed try; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Waits between tries of a cancel that has patience: as long as has passed, so that they double.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(600);

/// How the work on an intent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntentEnd {
    /// The job is final: nothing more can be asked of it.
    Final,
    /// The job is in `error`, or gone.
    Done,
    /// It could not be done; the intent stands until it is tried again then.
    Later(Timestamp),
    /// The store could not be told; the intent stands and is carried out again.
    StoreFailed,
}

/// Carries out the intent of `job`; `files` are its files where they are known.
pub(super) async fn carry_out(
    job: Job,
    files: Option<Vec<FileStatus>>,
    runner: Option<Arc<dyn Runner>>,
    store: Arc<dyn Store>,
    clock: Clock,
) -> IntentEnd {
    let Some(intent) = job.intent else {
        return IntentEnd::Done;
    };
    let files = match (files, job.progress.files_total) {
        (Some(files), _) => Ok(files),
        (None, 0) => Ok(Vec::new()),
        (None, _) => store.files(job.id, 0, u32::MAX).await,
    };
    let files = match files {
        Ok(files) => files,
        Err(StoreError::NotFound { .. }) => return IntentEnd::Done,
        Err(_) => return IntentEnd::StoreFailed,
    };
    let control = IntentControl::new(Arc::clone(&store), clock.clone());
    let result = match (&runner, intent) {
        (Some(runner), Intent::Cancel) if runner.cancel_patience(&job).is_some() => {
            match patiently(runner.as_ref(), &job, &files, &control).await {
                None => Ok(Outcome::Cancelled),
                Some(later) => return IntentEnd::Later(later),
            }
        }
        (Some(runner), _) => try_hard(runner.as_ref(), intent, &job, &files, &control).await,
        // Work that never ran has left nothing behind.
        (None, Intent::Cancel) => Ok(Outcome::Cancelled),
        (None, Intent::Complete) => Err(no_runner(job.kind, job.attempt, clock.now())),
    };
    let (command, end) = match result {
        Ok(outcome) => (Command::IntentDone { outcome }, IntentEnd::Final),
        Err(error) => (Command::IntentFailed { error }, IntentEnd::Done),
    };
    match store.end_intent(job.id, control.take_placed(), command).await {
        Err(why @ (StoreError::Backend(_) | StoreError::Closed)) => {
            tracing::error!(job = %job.id, "the end of {intent} cannot be recorded: {why}");
            IntentEnd::StoreFailed
        }
        Ok(_) => end,
        Err(_) => IntentEnd::Done,
    }
}

/// One try of a cancel that has patience: when it is tried again, or `None` when the job ends, undone
/// or not. The intent was the last change of the job, so that is when it began, across restarts too.
async fn patiently(
    runner: &dyn Runner,
    job: &Job,
    files: &[FileStatus],
    control: &IntentControl,
) -> Option<Timestamp> {
    let error = runner.cancel(job, files, control).await.err()?;
    let now = control.clock.now();
    let passed = now.since(job.modified);
    let left = runner
        .cancel_patience(job)
        .unwrap_or_default()
        .saturating_sub(passed);
    let later = (!left.is_zero()).then(|| now.after(passed.clamp(WAIT_MIN, WAIT_MAX).min(left)));
    let again = if later.is_some() {
        "it is tried again"
    } else {
        "the job ends all the same"
    };
    tracing::warn!(job = %job.id, "cancel failed, {again}: {}", error.description);
    later
}

/// The file work, tried again with growing waits.
async fn try_hard(
    runner: &dyn Runner,
    intent: Intent,
    job: &Job,
    files: &[FileStatus],
    control: &IntentControl,
) -> Result<Outcome, ErrorInfo> {
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        let result = match intent {
            Intent::Complete => runner.complete(job, files, control).await,
            Intent::Cancel => runner
                .cancel(job, files, control)
                .await
                .map(|()| Outcome::Cancelled),
        };
        let error = match result {
            Err(error) if attempt < TRIES => error,
            last => return last,
        };
        tracing::warn!(job = %job.id, "{intent} failed (try {attempt} of {TRIES}): {}", error.description);
        let clock = &control.clock;
        clock.sleep_until(clock.now().after(wait)).await;
        wait *= 2;
        attempt += 1;
    }
}
