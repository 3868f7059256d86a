//! The law of queries: what is finished or has failed is final, whatever becomes of its handlers (CX-01), and
//! a watch ends only by a cancel (W-25).

use std::time::Duration;

use super::super::{
    Code, Due, ErrorContext, ErrorInfo, Family, Job, JobState, Outcome, Timestamp, Transition,
};
use super::{ended, moved};

/// Whether it is asked again and again.
pub(super) fn is_watch(job: &Job) -> bool {
    every(job).is_some()
}

fn every(job: &Job) -> Option<Duration> {
    let asked = job.kind.family() == Family::Query;
    job.spec.query.as_ref().filter(|_| asked)?.every
}

/// Everything that was found is told. A watch waits for its next run.
pub(super) fn finished(job: &Job, at: Timestamp) -> Transition {
    let rested = |to| Transition {
        error: None,
        retries: 0,
        no_progress_since: None,
        due: Due::Never,
        ..moved(job, to)
    };
    match every(job) {
        Some(every) => Transition {
            due: Due::At(at.after(every)),
            ..rested(JobState::Queued)
        },
        None if job.spec.hold => Transition {
            transferred: Some(at),
            ..rested(JobState::Transferred)
        },
        None => Transition {
            error: None,
            retries: 0,
            no_progress_since: None,
            transferred: Some(at),
            ..ended(job, JobState::Acknowledged, Outcome::Succeeded)
        },
    }
}

/// A query that failed is over and keeps its error; of a watch only this run is.
pub(super) fn failed(job: &Job, error: ErrorInfo, counted: u32) -> Transition {
    let error_count = job.error_count.saturating_add(counted);
    match every(job) {
        Some(every) => Transition {
            due: Due::At(error.at.after(every)),
            error: Some(error),
            error_count,
            no_progress_since: None,
            ..moved(job, JobState::TransientError)
        },
        None => Transition {
            error: Some(error),
            error_count,
            ..ended(job, JobState::Acknowledged, Outcome::Failed)
        },
    }
}

/// W-51: there are no files to delete, so it is over at once. The store says when that was.
pub(super) fn cancelled(job: &Job) -> Transition {
    let error = ErrorInfo {
        code: Code::WBEM_CALL_CANCELLED,
        context: ErrorContext::GeneralQueueManager,
        description: "the query was cancelled".to_owned(),
        file: None,
        protocol: None,
        leg: None,
        attempt: job.attempt,
        at: Timestamp::default(),
        extended: None,
    };
    Transition {
        error: Some(error),
        ..ended(job, JobState::Cancelled, Outcome::Cancelled)
    }
}
