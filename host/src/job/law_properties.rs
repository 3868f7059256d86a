//! The law about what may be changed of an open job while it goes on.

use std::time::Duration;

use super::law::{refuse, unchanged};
use super::{Code, Command, Job, JobSpec, NotifyFlag, Priority, Refusal, Registration, Transition};

pub(super) fn set_priority(job: &Job, priority: Priority) -> Transition {
    Transition {
        priority,
        revises: priority != job.priority,
        ..unchanged(job)
    }
}

/// B-57: the first delay; those after it grow as before, from there.
pub(super) fn set_retry_delay(job: &Job, delay: Duration) -> Transition {
    let mut spec = job.spec.clone();
    spec.retry.initial = delay;
    spec.retry.max = spec.retry.max.max(delay);
    changed(job, spec)
}

/// B-98, B-103, B-111: who is told of what. A handler that is set anew is told anew, so naming one is a
/// change even where it is the same.
pub(super) fn register(
    job: &Job,
    command: &Command,
    registration: &Registration,
) -> Result<Transition, Refusal> {
    if let Some(flags) = &registration.flags
        && let Err(why) = NotifyFlag::allowed(flags, job.kind, job.spec.profile)
    {
        return Err(Refusal {
            code: Code::NOTIMPL,
            ..refuse(job, command, why)
        });
    }
    let transition = changed(job, registration.applied(&job.spec));
    Ok(Transition {
        revises: transition.revises || registration.handler.is_some(),
        ..transition
    })
}

fn changed(job: &Job, spec: JobSpec) -> Transition {
    Transition {
        revises: spec != job.spec,
        spec: Some(Box::new(spec)),
        ..unchanged(job)
    }
}
