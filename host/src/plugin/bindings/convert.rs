//! The host's nouns as the records of `sexton:plugin@0.1`.

use super::wit::types as wit;
use crate::job::{
    ErrorContext, ErrorInfo, FileRef, FileStatus, Job, JobKind, JobState, Leg, Outcome, Priority, Role,
};
use crate::plugin::Call;

/// Files shown in a snapshot, as `types.wit` says.
const FILES_MAX: usize = 100;

pub(super) fn call_info(call: &Call, deadline_ms: u32) -> wit::CallInfo {
    let labels = &call.job.spec.labels;
    wit::CallInfo {
        delivery_id: call.delivery.to_string(),
        event_id: call.event_id.clone(),
        seq: call.seq,
        attempt: call.attempt,
        stale: call.stale,
        decides: call.role == Role::Decider,
        context: call.job.spec.context.clone(),
        deadline_ms,
        labels: labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
    }
}

pub(super) fn job_snapshot(call: &Call) -> wit::JobSnapshot {
    let job: &Job = &call.job;
    wit::JobSnapshot {
        id: job.id.to_string(),
        name: job.spec.name.clone(),
        description: job.spec.description.clone(),
        owner: job.owner.to_string(),
        kind: job_kind(job.kind),
        state: job_state(job.state),
        priority: priority(job.priority),
        attempt: job.attempt,
        error_count: job.error_count,
        bytes_total: job.progress.bytes_total,
        bytes_transferred: job.progress.bytes_transferred,
        files_total: job.progress.files_total,
        files_transferred: job.progress.files_transferred,
        created: job.created.to_string(),
        modified: job.modified.to_string(),
        files: call.files.iter().take(FILES_MAX).map(file_info).collect(),
    }
}

pub(super) fn file_info(file: &FileStatus) -> wit::FileInfo {
    wit::FileInfo {
        index: file.index,
        remote: file.shown_remote(),
        local: file.local.clone(),
        temporary: file.temporary.clone().filter(|_| !file.completed),
        bytes_total: file.bytes_total,
        bytes_transferred: file.bytes_transferred,
        transferred: file.transferred,
        completed: file.completed,
    }
}

pub(super) fn error_info(error: &ErrorInfo, call: &Call) -> wit::ErrorInfo {
    let context = call.job.spec.profile.context_of(error);
    wit::ErrorInfo {
        code: error.code.0,
        name: error.code.name().unwrap_or_default(),
        origin: origin(context),
        description: error.description.clone(),
        origin_description: context.describe().to_owned(),
        file: error.file.as_ref().map(|file| referred(file, call)),
        protocol: error.protocol.clone(),
        leg: error.leg.map(leg),
        attempt: error.attempt,
        at: error.at.to_string(),
        extended: error.extended.as_deref().map(super::sink::extended_status),
    }
}

/// The file an error is tied to, with its numbers where the call knows them.
fn referred(file: &FileRef, call: &Call) -> wit::FileInfo {
    let known = call.files.iter().find(|known| known.index == file.index);
    let numbers = known.map(file_info);
    wit::FileInfo {
        index: file.index,
        remote: file.shown_remote(),
        local: file.local.clone(),
        temporary: numbers.as_ref().and_then(|n| n.temporary.clone()),
        bytes_total: numbers.as_ref().and_then(|n| n.bytes_total),
        bytes_transferred: numbers.as_ref().map_or(0, |n| n.bytes_transferred),
        transferred: numbers.as_ref().is_some_and(|n| n.transferred),
        completed: numbers.as_ref().is_some_and(|n| n.completed),
    }
}

const fn job_kind(kind: JobKind) -> wit::JobKind {
    match kind {
        JobKind::Download => wit::JobKind::Download,
        JobKind::Upload => wit::JobKind::Upload,
        JobKind::UploadReply => wit::JobKind::UploadReply,
        JobKind::Batch => wit::JobKind::Batch,
        JobKind::Query => wit::JobKind::Query,
    }
}

pub(super) const fn job_state(state: JobState) -> wit::JobState {
    match state {
        JobState::Queued => wit::JobState::Queued,
        JobState::Connecting => wit::JobState::Connecting,
        JobState::Transferring => wit::JobState::Transferring,
        JobState::Suspended => wit::JobState::Suspended,
        JobState::Error => wit::JobState::Error,
        JobState::TransientError => wit::JobState::TransientError,
        JobState::Transferred => wit::JobState::Transferred,
        JobState::Acknowledged => wit::JobState::Acknowledged,
        JobState::Cancelled => wit::JobState::Cancelled,
    }
}

const fn priority(priority: Priority) -> wit::Priority {
    match priority {
        Priority::Foreground => wit::Priority::Foreground,
        Priority::High => wit::Priority::High,
        Priority::Normal => wit::Priority::Normal,
        Priority::Low => wit::Priority::Low,
    }
}

pub(super) const fn priority_from(priority: wit::Priority) -> Priority {
    match priority {
        wit::Priority::Foreground => Priority::Foreground,
        wit::Priority::High => Priority::High,
        wit::Priority::Normal => Priority::Normal,
        wit::Priority::Low => Priority::Low,
    }
}

pub(super) const fn outcome(outcome: Outcome) -> wit::Outcome {
    match outcome {
        Outcome::Succeeded => wit::Outcome::Succeeded,
        Outcome::Partial => wit::Outcome::Partial,
        Outcome::Failed => wit::Outcome::Failed,
        Outcome::Cancelled => wit::Outcome::Cancelled,
    }
}

const fn leg(leg: Leg) -> wit::Leg {
    match leg {
        Leg::Download => wit::Leg::Download,
        Leg::Upload => wit::Leg::Upload,
        Leg::Reply => wit::Leg::Reply,
    }
}

const fn origin(context: ErrorContext) -> wit::ErrorOrigin {
    match context {
        ErrorContext::None => wit::ErrorOrigin::None,
        ErrorContext::Unknown => wit::ErrorOrigin::Unknown,
        ErrorContext::GeneralQueueManager => wit::ErrorOrigin::GeneralQueueManager,
        ErrorContext::QueueManagerNotification => wit::ErrorOrigin::QueueManagerNotification,
        ErrorContext::LocalFile => wit::ErrorOrigin::LocalFile,
        ErrorContext::RemoteFile => wit::ErrorOrigin::RemoteFile,
        ErrorContext::GeneralTransport => wit::ErrorOrigin::GeneralTransport,
        ErrorContext::RemoteApplication => wit::ErrorOrigin::RemoteApplication,
        ErrorContext::ServerCertificateCallback => wit::ErrorOrigin::ServerCertificateCallback,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::FileSpec;

    #[test]
    fn b141_handlers_see_no_password_of_a_url() {
        let file = FileStatus::new(0, FileSpec::new("http://me:hunter2@h/x", "/x"));
        assert_eq!(file_info(&file).remote, "http://me:***@h/x");
    }
}
