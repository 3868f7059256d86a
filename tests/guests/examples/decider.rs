//! Reads its configuration, logs one line, decides: the handler that the benchmarks call.

use sexton_sdk::{
    AsyncErrorNotify, CallInfo, ErrorInfo, Failure, JobCallback, JobSnapshot, Result, config, job, log,
};

struct Decider;

impl JobCallback for Decider {
    fn job_error(_: &CallInfo, job: &JobSnapshot, error: &ErrorInfo) -> Result {
        decide(job, error)
    }
}

impl AsyncErrorNotify for Decider {
    fn on_error(_: &CallInfo, job: &JobSnapshot, error: &ErrorInfo) -> Result {
        decide(job, error)
    }
}

fn decide(job: &JobSnapshot, error: &ErrorInfo) -> Result {
    let action = config::require("action")?;
    log::info!("{} failed with {:#010x}: {action}", job.name, error.code);
    match action.as_str() {
        "cancel" => job::cancel()?,
        "suspend" => job::suspend()?,
        other => return Err(Failure::permanent(format!("no action is called `{other}`"))),
    }
    Ok(())
}

sexton_sdk::export!(Decider: JobCallback, AsyncErrorNotify);
