//! `moody`: one component that behaves as its configuration says, mostly badly.
//!
//! `mood` names the behaviour of every handler function, `mood.job-error` (or any other function)
//! that of one. The moods are the arms of [`behave`] and, where they are about the sandbox and not
//! about the job, those of [`misbehave::act`], [`flood::act`] and [`probe::act`]. With
//! `then = "transient"` what ended well fails after all, so that a ladder repeats it.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "misbehaving is what it is for"
)]

mod flood;
mod misbehave;
mod probe;

use std::time::Duration;

use sexton_sdk::{
    AsyncErrorNotify, CallInfo, ErrorInfo, Failure, FileInfo, FinalRetry, JobCallback, JobEnd, JobSnapshot,
    Outcome, Priority, Result, codes, config, job, log, state,
};

struct Moody;

sexton_sdk::export!(Moody: JobCallback, JobEnd, AsyncErrorNotify, FinalRetry);

impl JobCallback for Moody {
    fn job_transferred(call: &CallInfo, _: &JobSnapshot) -> Result {
        act("job-transferred", call)
    }

    fn job_error(call: &CallInfo, _: &JobSnapshot, _: &ErrorInfo) -> Result {
        act("job-error", call)
    }

    fn job_modification(call: &CallInfo, _: &JobSnapshot) -> Result {
        act("job-modification", call)
    }

    fn file_transferred(call: &CallInfo, _: &JobSnapshot, file: &FileInfo) -> Result {
        if let Some(path) = &file.temporary {
            log::info!("{} is in {path}", file.local);
        }
        act("file-transferred", call)
    }
}

impl JobEnd for Moody {
    fn on_ended(call: &CallInfo, _: &JobSnapshot, _: Outcome, _: Option<&ErrorInfo>) -> Result {
        act("on-ended", call)
    }
}

impl AsyncErrorNotify for Moody {
    fn on_error(call: &CallInfo, _: &JobSnapshot, _: &ErrorInfo) -> Result {
        act("on-error", call)
    }
}

impl FinalRetry for Moody {
    fn final_client_retry(call: &CallInfo, _: &JobSnapshot) -> Result {
        act("final-client-retry", call)
    }

    fn final_server_retry(call: &CallInfo, _: &JobSnapshot) -> Result {
        act("final-server-retry", call)
    }
}

fn act(function: &str, call: &CallInfo) -> Result {
    let mood = config::get(&format!("mood.{function}")).unwrap_or_else(|| config::get_or("mood", "ok"));
    log::debug!(
        "{function} attempt {} of {}: {mood}",
        call.attempt,
        call.delivery_id
    );
    behave(&mood, call)?;
    match config::get_or("then", "ok").as_str() {
        "transient" => Err(transient()?),
        _ => Ok(()),
    }
}

/// Which of many otherwise equal components this is: a test writes other digits into the file.
static VERSION: [u8; 21] = *b"sexton-version-000000";

/// The digits as they are in memory; the compiler must not know them.
fn version() -> String {
    String::from_utf8_lossy(std::hint::black_box(&VERSION)).into_owned()
}

fn behave(mood: &str, call: &CallInfo) -> Result {
    match mood {
        "ok" => {}
        "cancel" => job::cancel()?,
        "complete" => job::complete()?,
        "resume" => job::resume_after(delay()?)?,
        "suspend" => job::suspend()?,
        "hurry" => job::set_priority(Priority::High)?,
        // Leads the first file to where the job's context says, and has it fetched from there.
        "elsewhere" => {
            job::set_remote(0, &call.context)?;
            job::resume()?;
        }
        // The same, but what was decided is lost.
        "elsewhere-then-panic" => {
            job::set_remote(0, &call.context)?;
            panic!("moody leads it elsewhere and panics");
        }
        // Has the job's context sent as a header, and takes another away.
        "let-in" => {
            job::set_header("Authorization", Some(&call.context))?;
            job::set_header("X-Old", None)?;
            job::resume()?;
        }
        "retry-later" => job::set_retry_delay(delay()?)?,
        // Finds the first file bad, and whatever comes in its place good. Jobs are told apart by their
        // context.
        "inspect" => {
            let first = state::increment(&format!("inspected/{}", call.context))? == 1;
            job::set_validation(!first)?;
        }
        "transient" => return Err(transient()?),
        "permanent" => return Err(Failure::permanent("moody will not").with_code(codes::E_INVALIDARG)),
        "fail-then-ok" => {
            // Not counted in the state: a failed call's writes are dropped.
            if call.attempt <= config::parse("failures")?.unwrap_or(2) {
                return Err(transient()?);
            }
        }
        "slow" => std::thread::sleep(delay()?),
        "state-count" => log::info!("count {}", state::increment("count")?),
        // Books every delivery under its id, counts them, and goes on in another mood: all of it is
        // committed with the acknowledgement, or nothing.
        "ledger" => {
            state::increment(&format!("seen/{}", call.delivery_id))?;
            state::increment("count")?;
            return behave(&config::get_or("then", "ok"), call);
        }
        // Lets a job go on twice; the third time it is out. Jobs are told apart by their context.
        "strikes" => match state::increment(&format!("strikes/{}", call.context))? {
            ..3 => job::resume()?,
            _ => job::cancel()?,
        },
        "version" => {
            std::thread::sleep(delay()?);
            log::info!("{} made {}", version(), call.delivery_id);
        }
        // What was decided or written before a failure must leave no trace.
        "cancel-then-panic" => {
            job::cancel()?;
            panic!("moody cancels and panics");
        }
        "cancel-then-transient" => {
            job::cancel()?;
            return Err(transient()?);
        }
        "state-then-panic" => {
            state::increment("count")?;
            panic!("moody counts and panics");
        }
        // Time for the job to change under the decision.
        "complete-then-slow" => {
            job::complete()?;
            std::thread::sleep(delay()?);
        }
        "cancel-then-slow" => {
            job::cancel()?;
            std::thread::sleep(delay()?);
        }
        other => return sandbox(other),
    }
    Ok(())
}

/// The moods that would be the same whatever the call is about.
fn sandbox(mood: &str) -> Result {
    let acts = [misbehave::act, flood::act, probe::act];
    let done = acts.iter().find_map(|act| act(mood));
    done.unwrap_or_else(|| Err(Failure::permanent(format!("no mood is called `{mood}`"))))
}

fn delay() -> Result<Duration> {
    Ok(Duration::from_millis(config::parse("delay_ms")?.unwrap_or(0)))
}

fn transient() -> Result<Failure> {
    let failure = Failure::transient("moody does not feel like it");
    Ok(match config::parse("retry_after_ms")? {
        Some(ms) => failure.retry_after(Duration::from_millis(ms)),
        None => failure,
    })
}
