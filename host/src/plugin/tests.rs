//! What the room's unit tests share.

use async_trait::async_trait;

use super::{Call, CallView, Function};
use crate::job::{
    Code, DeliveryId, ErrorContext, ErrorInfo, Job, JobId, JobKind, JobSpec, JobState, Outcome, Priority,
    Profile, Progress, Role, Timestamp,
};

/// No state at all.
pub(super) struct Nothing;

#[async_trait]
impl CallView for Nothing {
    async fn state(&self, _key: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    async fn state_bytes(&self) -> Result<u64, String> {
        Ok(0)
    }
}

/// A call of the function named `event`, about a job that is in `error`.
pub(super) fn call(event: &str) -> Call {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let error = ErrorInfo {
        code: Code::http(403),
        context: ErrorContext::RemoteFile,
        description: "the server answered 403".to_owned(),
        file: None,
        protocol: Some("https".to_owned()),
        leg: None,
        attempt: 1,
        at: now,
    };
    Call {
        function: Function::Event(event.parse().unwrap()),
        delivery: DeliveryId::fresh(),
        event_id: "event".to_owned(),
        seq: 7,
        attempt: 1,
        stale: false,
        role: Role::Decider,
        job: Job {
            id: JobId::fresh(),
            owner: "uid-0".parse().unwrap(),
            kind: JobKind::Download,
            state: JobState::Error,
            intent: None,
            outcome: None,
            priority: Priority::Normal,
            revision: 1,
            attempt: 1,
            error_count: 1,
            retries: 0,
            no_progress_since: None,
            reply: None,
            due: None,
            created: now,
            modified: now,
            transferred: None,
            progress: Progress {
                files_total: 1,
                ..Progress::default()
            },
            error: Some(error.clone()),
            spec: JobSpec::new("test", Profile::Sexton),
        },
        files: Vec::new(),
        error: Some(error),
        file: None,
        outcome: Some(Outcome::Failed),
    }
}
