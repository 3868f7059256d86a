//! One run of one job, and the telling of its end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::Clock;
use crate::job::{Code, Command, ErrorContext, ErrorInfo, JobKind, Timestamp};
use crate::store::{Run, Store, StoreError};

use super::intents::{IntentEnd, carry_out};
use super::runner::{RunControl, RunEnd, Runner};

/// Wait before the end of a run is told again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// One run from its claim to the commit of its end; and where that end is its completion, the file
/// work too: the run owns the files already, so nobody else has to be told to begin.
pub(super) async fn run_job(
    run: Run,
    runner: Option<Arc<dyn Runner>>,
    control: RunControl,
    verdict: Arc<OnceLock<Command>>,
    store: Arc<dyn Store>,
    clock: Clock,
) -> Option<IntentEnd> {
    let id = run.id();
    let kind = run.job.kind;
    let files = u32::try_from(run.files.len()).unwrap_or(u32::MAX);
    let owed = Arc::clone(&control.owed);
    let end = match &runner {
        Some(runner) => runner.run(run, control).await,
        None => RunEnd::Fatal {
            error: no_runner(kind, id.attempt, clock.now()),
        },
    };
    let command = match (end, verdict.get()) {
        // It was asked to stop, and why says how it ends. A run may have met what stopped it itself.
        (RunEnd::Stopped, Some(why))
        | (RunEnd::Transient { .. }, Some(why @ (Command::Held { .. } | Command::FatalError { .. }))) => {
            why.clone()
        }
        (RunEnd::Stopped, None) => Command::Yield,
        (RunEnd::Interrupted { .. }, Some(why)) => why.clone(),
        (RunEnd::Interrupted { error }, None) => Command::Interrupted {
            error,
            crashed: false,
        },
        (RunEnd::Finished, _) => Command::Finished {
            at: clock.now(),
            files,
        },
        (RunEnd::Transient { error, retry_after }, _) => Command::TransientError { error, retry_after },
        (RunEnd::Fatal { error }, _) => Command::FatalError { error },
    };
    // The end must not get lost while the store is in trouble: it is told until it is heard.
    let told = owed.take(Some(command.clone()));
    loop {
        match store.tell(id, told.clone()).await {
            Ok(job) => {
                // What it means to the job is a line of the journal.
                tracing::debug!(state = %job.state, "run ended: {}", command.verb());
                if let Some(runner) = &runner {
                    runner.ended(&job).await;
                }
                job.intent?;
                return Some(carry_out(job, owed.files(), runner, store, clock).await);
            }
            Err(StoreError::Backend(why)) => {
                tracing::error!("the end of a run cannot be recorded: {why}");
                clock.sleep_until(clock.now().after(STORE_RETRY)).await;
            }
            // Fenced: the job moved on, by a decision that stopped this run.
            Err(_) => return None,
        }
    }
}

/// What a job of a kind without a runner ends with.
pub(super) fn no_runner(kind: JobKind, attempt: u32, at: Timestamp) -> ErrorInfo {
    ErrorInfo {
        code: Code::NOTIMPL,
        context: ErrorContext::GeneralQueueManager,
        description: format!("this host runs no jobs of kind {kind}"),
        file: None,
        protocol: None,
        leg: None,
        attempt,
        at,
        extended: None,
    }
}
