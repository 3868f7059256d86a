//! The smallest handler that decides something: it shows what a component costs.

use sexton_sdk::{CallInfo, ErrorInfo, JobCallback, JobSnapshot, Result, job};

struct Minimal;

impl JobCallback for Minimal {
    fn job_error(_: &CallInfo, _: &JobSnapshot, _: &ErrorInfo) -> Result {
        Ok(job::cancel()?)
    }
}

sexton_sdk::export!(Minimal: JobCallback);
