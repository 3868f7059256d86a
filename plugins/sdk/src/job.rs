//! Decisions about the job of this call.
//!
//! Each is checked at once against the job as this call's earlier requests would leave it,
//! buffered, and committed together with the call's `Ok(())`. Only the decider's requests are
//! applied: see [`CallInfo::decides`](crate::CallInfo::decides).

use std::time::Duration;

use crate::failure::millis;
use crate::host::job_control;
use crate::{JobState, Priority, Refusal};

/// Deletes everything of the job.
///
/// # Errors
/// When the job's state does not allow it, or this handler does not decide.
pub fn cancel() -> Result<(), Refusal> {
    job_control::cancel()
}

/// Keeps the files that are whole and drops the rest.
///
/// # Errors
/// As [`cancel`].
pub fn complete() -> Result<(), Refusal> {
    job_control::complete()
}

/// Tries again at once.
///
/// # Errors
/// As [`cancel`].
pub fn resume() -> Result<(), Refusal> {
    job_control::resume(None)
}

/// Tries again after a while; longer delays are cut to the 49 days that the interface can hold.
///
/// # Errors
/// As [`cancel`].
pub fn resume_after(delay: Duration) -> Result<(), Refusal> {
    job_control::resume(Some(millis(delay)))
}

/// Stops the job; it stays until someone resumes it.
///
/// # Errors
/// As [`cancel`].
pub fn suspend() -> Result<(), Refusal> {
    job_control::suspend()
}

/// Changes the scheduling level.
///
/// # Errors
/// As [`cancel`].
pub fn set_priority(level: Priority) -> Result<(), Refusal> {
    job_control::set_priority(level)
}

/// Changes the first delay between retries of errors that may pass; further ones grow from it.
///
/// # Errors
/// As [`cancel`].
pub fn set_retry_delay(delay: Duration) -> Result<(), Refusal> {
    job_control::set_retry_delay(millis(delay))
}

/// In `file_transferred`: whether the file is what was wanted. `false` drops its bytes and puts the job
/// into `error` with `BG_E_VALIDATION_FAILED`; a resume fetches it again.
///
/// # Errors
/// As [`cancel`]; in other functions `BG_E_FILE_NOT_AVAILABLE`.
pub fn set_validation(valid: bool) -> Result<(), Refusal> {
    job_control::set_validation(valid)
}

/// Has a file of a download, named by its `index`, fetched from elsewhere; one that is here already keeps
/// its name. A job in `error` goes on with [`resume`].
///
/// # Errors
/// As [`cancel`]; `E_INVALIDARG` for what cannot be fetched, `BG_E_NOT_FOUND` where there is no such file,
/// `E_ACCESSDENIED` for `file:` and `s3:` names, and for servers that the submitter did not name where the
/// job has credentials or secret headers.
pub fn set_remote(file: u32, remote: &str) -> Result<(), Refusal> {
    job_control::set_remote(file, remote)
}

/// Has a header sent with every request of the job, in place of all of its name; with `None`, none is sent.
/// A fresh token, then [`resume`], mends a job that a server did not let in.
///
/// # Errors
/// As [`cancel`]; `E_INVALIDARG` for what is no header or would break a transfer.
pub fn set_header(name: &str, value: Option<&str>) -> Result<(), Refusal> {
    job_control::set_header(name, value)
}

/// The state in which this call's own requests would leave the job.
#[must_use]
pub fn current_state() -> JobState {
    job_control::current_state()
}
