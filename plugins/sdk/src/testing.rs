//! A host for native unit tests: call your handler functions directly, then ask what they did.
//!
//! Each test thread has its own host. It does not judge requests as the real one does; it records
//! them, or refuses all of them after [`observe`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::log::Level;
use crate::{CallInfo, Code, ErrorInfo, ErrorOrigin, JobKind, JobSnapshot, JobState, Priority};

/// What a handler asked of its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// [`crate::job::resume`] or [`crate::job::resume_after`].
    Resume(Option<Duration>),
    /// [`crate::job::cancel`]
    Cancel,
    /// [`crate::job::complete`]
    Complete,
    /// [`crate::job::suspend`]
    Suspend,
    /// [`crate::job::set_priority`]
    SetPriority(Priority),
    /// [`crate::job::set_retry_delay`]
    SetRetryDelay(Duration),
    /// [`crate::job::set_validation`]
    SetValidation(bool),
    /// [`crate::job::set_remote`]
    SetRemote(u32, String),
    /// [`crate::job::set_header`]
    SetHeader(String, Option<String>),
}

#[derive(Default)]
struct Host {
    observer: bool,
    state_now: Option<JobState>,
    config: BTreeMap<String, String>,
    state: BTreeMap<String, Vec<u8>>,
    requests: Vec<Request>,
    lines: Vec<(Level, String)>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

fn with<T>(ask: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(ask)
}

/// Forgets everything: a fresh host that lets the handler decide.
pub fn reset() {
    with(|host| *host = Host::default());
}

/// Refuses requests from now on, as for a handler that does not decide.
pub fn observe() {
    with(|host| host.observer = true);
}

/// The state the job is in now; [`JobState::Error`] unless this says otherwise.
pub fn set_job_state(state: JobState) {
    with(|host| host.state_now = Some(state));
}

/// Adds to the operator's `config` table.
pub fn set_config<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let pairs = pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    with(|host| host.config.extend(pairs));
}

/// What was asked since the last time, in order.
#[must_use]
pub fn take_requests() -> Vec<Request> {
    with(|host| std::mem::take(&mut host.requests))
}

/// What was logged since the last time, in order.
#[must_use]
pub fn take_log() -> Vec<(Level, String)> {
    with(|host| std::mem::take(&mut host.lines))
}

/// A call that decides, first attempt.
#[must_use]
pub fn call() -> CallInfo {
    CallInfo {
        delivery_id: "0199-delivery".into(),
        event_id: "0199-event".into(),
        seq: 1,
        attempt: 1,
        stale: false,
        decides: true,
        context: String::new(),
        deadline_ms: 5_000,
        labels: Vec::new(),
    }
}

/// A download in `error` for the first time.
#[must_use]
pub fn job() -> JobSnapshot {
    JobSnapshot {
        id: "0199-job".into(),
        name: "nightly".into(),
        description: String::new(),
        owner: "ops".into(),
        kind: JobKind::Download,
        state: JobState::Error,
        priority: Priority::Normal,
        attempt: 1,
        error_count: 1,
        bytes_total: Some(1_000),
        bytes_transferred: 10,
        files_total: 1,
        files_transferred: 0,
        created: "2026-01-01T00:00:00Z".into(),
        modified: "2026-01-01T00:00:01Z".into(),
        files: Vec::new(),
    }
}

/// An error of the remote file.
#[must_use]
pub fn error(code: Code) -> ErrorInfo {
    ErrorInfo {
        code,
        name: String::new(),
        origin: ErrorOrigin::RemoteFile,
        description: "it did not work".into(),
        origin_description: "the remote file".into(),
        file: None,
        protocol: Some("https".into()),
        leg: None,
        attempt: 1,
        at: "2026-01-01T00:00:01Z".into(),
        extended: None,
    }
}

pub(crate) mod job_control {
    use std::time::Duration;

    use super::{Request, with};
    use crate::{JobState, Priority, Refusal, codes};

    fn ask(request: Request) -> Result<(), Refusal> {
        with(|host| {
            if host.observer {
                return Err(Refusal {
                    code: codes::E_ACCESSDENIED,
                    message: "another handler decides about this job".into(),
                });
            }
            host.state_now = Some(match request {
                Request::Resume(_) => JobState::Queued,
                Request::Cancel => JobState::Cancelled,
                Request::Complete => JobState::Acknowledged,
                Request::Suspend => JobState::Suspended,
                Request::SetValidation(false) => JobState::Error,
                Request::SetPriority(_)
                | Request::SetRetryDelay(_)
                | Request::SetValidation(true)
                | Request::SetRemote(..)
                | Request::SetHeader(..) => host.state_now.unwrap_or(JobState::Error),
            });
            host.requests.push(request);
            Ok(())
        })
    }

    pub(crate) fn resume(after_ms: Option<u32>) -> Result<(), Refusal> {
        ask(Request::Resume(
            after_ms.map(|ms| Duration::from_millis(ms.into())),
        ))
    }
    pub(crate) fn cancel() -> Result<(), Refusal> {
        ask(Request::Cancel)
    }
    pub(crate) fn complete() -> Result<(), Refusal> {
        ask(Request::Complete)
    }
    pub(crate) fn suspend() -> Result<(), Refusal> {
        ask(Request::Suspend)
    }
    pub(crate) fn set_priority(level: Priority) -> Result<(), Refusal> {
        ask(Request::SetPriority(level))
    }
    pub(crate) fn set_retry_delay(delay_ms: u32) -> Result<(), Refusal> {
        ask(Request::SetRetryDelay(Duration::from_millis(delay_ms.into())))
    }
    pub(crate) fn set_validation(valid: bool) -> Result<(), Refusal> {
        ask(Request::SetValidation(valid))
    }
    pub(crate) fn set_remote(file: u32, remote: &str) -> Result<(), Refusal> {
        ask(Request::SetRemote(file, remote.to_owned()))
    }
    pub(crate) fn set_header(name: &str, value: Option<&str>) -> Result<(), Refusal> {
        ask(Request::SetHeader(name.to_owned(), value.map(str::to_owned)))
    }
    pub(crate) fn current_state() -> JobState {
        with(|host| host.state_now.unwrap_or(JobState::Error))
    }
}

pub(crate) mod state {
    use super::with;
    use crate::StateError;

    pub(crate) fn get(key: &str) -> Option<Vec<u8>> {
        with(|host| host.state.get(key).cloned())
    }
    pub(crate) fn set(key: &str, value: &[u8]) -> Result<(), StateError> {
        if key.is_empty() || key.len() > 256 {
            return Err(StateError::BadKey);
        }
        if value.len() > 64 * 1024 {
            return Err(StateError::ValueTooLarge);
        }
        with(|host| host.state.insert(key.to_owned(), value.to_vec()));
        Ok(())
    }
    #[expect(clippy::unnecessary_wraps, reason = "as the generated function")]
    pub(crate) fn delete(key: &str) -> Result<(), StateError> {
        with(|host| host.state.remove(key));
        Ok(())
    }
}

pub(crate) mod config {
    use super::with;

    pub(crate) fn get(key: &str) -> Option<String> {
        with(|host| host.config.get(key).cloned())
    }
    pub(crate) fn all() -> Vec<(String, String)> {
        with(|host| host.config.clone().into_iter().collect())
    }
}

pub(crate) mod log {
    use super::with;
    use crate::log::Level;

    pub(crate) fn write(severity: Level, message: &str) {
        with(|host| host.lines.push((severity, message.to_owned())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job as control, state as store};

    #[test]
    fn it_records_what_a_decider_asks_and_refuses_observers() {
        reset();
        control::resume_after(Duration::from_secs(1)).unwrap();
        assert_eq!(control::current_state(), JobState::Queued);
        assert_eq!(take_requests(), [Request::Resume(Some(Duration::from_secs(1)))]);
        observe();
        assert_eq!(control::cancel().unwrap_err().code, crate::codes::E_ACCESSDENIED);
        assert_eq!(take_requests(), []);
    }

    #[test]
    fn counters_count() {
        reset();
        assert_eq!(store::increment("n").unwrap(), 1);
        assert_eq!(store::increment("n").unwrap(), 2);
        store::delete("n").unwrap();
        assert_eq!(store::get_u64("n").unwrap(), 0);
        store::set("n", "x").unwrap();
        assert!(store::increment("n").is_err());
    }
}
