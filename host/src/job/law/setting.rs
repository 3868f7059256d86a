//! The law of what is changed about an open job beside its state: properties, files, owner, and what is
//! found out about a file.

use super::super::{
    Code, Command, ErrorContext, ErrorInfo, FileRef, FileSpec, FilesChange, FlagsRefused, Intent, Job,
    JobChange, JobKind, Leg, NotifyFlag, OwnerName, Priority, Refusal, Timestamp, Transition,
};
use super::{complete, into_error, moved, refuse, unchanged, with_intent};
use crate::job::{Due, Family, JobState, change};

/// BP-10: nothing of a set is dropped by mistake.
pub(super) fn complete_whole(job: &Job, command: &Command) -> Result<Transition, Refusal> {
    if job.kind != JobKind::Download {
        return complete(job, command);
    }
    let progress = &job.progress;
    if progress.files_transferred < progress.files_total {
        let why = format!(
            "{} of its {} files are transferred, and all were asked for",
            progress.files_transferred, progress.files_total
        );
        return Err(refuse(job, command, why));
    }
    Ok(with_intent(job, Intent::Complete))
}

/// B-67: in any open state, also while files are put in place.
pub(super) fn set_priority(job: &Job, command: &Command, priority: Priority) -> Result<Transition, Refusal> {
    may_have(job, command, priority)?;
    Ok(Transition {
        priority,
        revises: priority != job.priority,
        ..unchanged(job)
    })
}

/// B-128, B-144: what begins anew after an interruption would do so for ever in the background.
fn may_have(job: &Job, command: &Command, priority: Priority) -> Result<(), Refusal> {
    if job.spec.transfer().http.begins_anew() && priority != Priority::Foreground {
        let why = "what begins anew after an interruption stays in the foreground";
        return Err(refuse(job, command, why));
    }
    Ok(())
}

/// B-48: until the reply comes.
fn may_name_reply(job: &Job, command: &Command) -> Result<(), Refusal> {
    if job.kind != JobKind::UploadReply {
        return Err(Refusal {
            code: Code::NOTIMPL,
            ..refuse(job, command, "only an upload-reply has a reply")
        });
    }
    if job.reply.is_some() {
        return Err(refuse(job, command, "its reply is being fetched already"));
    }
    Ok(())
}

/// B-48: where the reply goes can be said until it comes.
pub(super) fn set_reply(job: &Job, command: &Command, path: &str) -> Result<Transition, Refusal> {
    may_name_reply(job, command)?;
    let mut spec = job.spec.clone();
    spec.transfer.get_or_insert_default().upload.reply = Some(path.to_owned());
    Ok(Transition {
        spec: Some(Box::new(spec)),
        revises: true,
        ..unchanged(job)
    })
}

/// B-41, B-51, B-156: any property in any open state, but for those that shape what has begun.
pub(super) fn change(job: &Job, command: &Command, change: &JobChange) -> Result<Transition, Refusal> {
    let said = |code, why: String| Refusal {
        code,
        ..refuse(job, command, why)
    };
    if change.transfer.is_some() && job.kind.family() != Family::Transfer {
        return Err(said(
            Code::NOTIMPL,
            "only transfers have a `transfer` part".to_owned(),
        ));
    }
    let spec = change
        .onto(&job.spec)
        .map_err(|error| said(error.code, error.message))?;
    if change.notify.is_some()
        && let Some(flags) = &spec.notify
        && let Err(why) = NotifyFlag::allowed(flags, job.kind, job.spec.profile)
    {
        return Err(said(FlagsRefused::CODE, why.to_owned()));
    }
    let (before, after) = (job.spec.transfer(), spec.transfer());
    if before != after {
        let checked = before
            .http
            .check_change(&after.http)
            .and_then(|()| after.check_parts());
        checked.map_err(|(code, why)| said(code, why))?;
    }
    if before.upload.reply != after.upload.reply {
        may_name_reply(job, command)?;
    }
    // B-50: what has been copied has it already.
    if before.placing.preserve != after.placing.preserve && job.state == JobState::Transferred {
        let why = "what is taken over from its sources is fixed once it is transferred";
        return Err(refuse(job, command, why));
    }
    let priority = change.priority.unwrap_or(job.priority);
    if change.priority.is_some() {
        may_have(job, command, priority)?;
    }
    // A handler that is named is told anew, so naming one is a change even where it is the same (B-103).
    if spec == job.spec && priority == job.priority && !change.names_handler() {
        return Ok(unchanged(job));
    }
    if has_been_resumed(job)
        && let Some(name) = change::fixed_after_resume(job.spec.transfer(), spec.transfer())
    {
        let why = format!("`{name}` cannot be set once the job has been resumed");
        return Err(said(Code::READ_ONLY_PROPERTY_AFTER_RESUME, why));
    }
    // A run goes by what it was given; another begins with what is asked now.
    let anew = spec.transfer() != job.spec.transfer();
    Ok(Transition {
        spec: Some(Box::new(spec)),
        priority,
        revises: true,
        ..if anew { run_anew(job) } else { unchanged(job) }
    })
}

/// Whether the job has run or is about to.
fn has_been_resumed(job: &Job) -> bool {
    job.attempt > 0 || job.state != JobState::Suspended
}

/// B-36, B-42, B-120: in any open state. A run that is under way goes on with what it has.
pub(super) fn add_files(job: &Job, command: &Command, files: &[FileSpec]) -> Result<Transition, Refusal> {
    let said = |code, why: String| Refusal {
        code,
        ..refuse(job, command, why)
    };
    let total = u64::from(job.progress.files_total) + files.len() as u64;
    let most = job.spec.profile.files_per_job();
    match job.kind {
        JobKind::Batch | JobKind::Query => Err(said(Code::NOTIMPL, "only transfers have files".to_owned())),
        JobKind::Upload | JobKind::UploadReply if total > 1 => Err(said(
            Code::TOO_MANY_FILES,
            "an upload has exactly one file".to_owned(),
        )),
        _ if total > u64::from(most) => {
            let why = format!("it would have {total} files, and at most {most} are allowed");
            Err(said(Code::TOO_MANY_FILES_IN_JOB, why))
        }
        _ if files.is_empty() => Ok(unchanged(job)),
        _ => Ok(Transition {
            files: FilesChange::Add(files.to_vec()),
            transferred: None,
            revises: true,
            ..unchanged(job)
        }),
    }
}

/// B-52, B-130: a download goes on from another place, in a run of its own.
pub(super) fn rename(job: &Job, command: &Command, files: FilesChange) -> Result<Transition, Refusal> {
    if job.kind != JobKind::Download {
        return Err(Refusal {
            code: Code::NOTIMPL,
            ..refuse(job, command, "only a download can go on from another place")
        });
    }
    Ok(Transition {
        files,
        revises: true,
        ..run_anew(job)
    })
}

/// B-15: what the owner before trusted the job with does not go with it.
pub(super) fn take_ownership(job: &Job, owner: &OwnerName) -> Transition {
    if job.owner == *owner {
        return unchanged(job);
    }
    let spec = change::without_trust(&job.spec);
    let anew = spec.transfer() != job.spec.transfer();
    Transition {
        spec: Some(Box::new(spec)),
        owner: Some(owner.clone()),
        revises: true,
        ..if anew { run_anew(job) } else { unchanged(job) }
    }
}

/// B-97: a file whose bytes are not good puts the job into `error`, from wherever it is; what is here of
/// the file is dropped with it. A job that is in `error` already is not entered anew: its handlers have
/// been told.
pub(super) fn validate(
    job: &Job,
    command: &Command,
    file: &FileRef,
    valid: bool,
    at: Timestamp,
) -> Result<Transition, Refusal> {
    if job.kind != JobKind::Download {
        return Err(Refusal {
            code: Code::NOTIMPL,
            ..refuse(job, command, "only what is downloaded can be found bad")
        });
    }
    if valid {
        return Ok(unchanged(job));
    }
    let error = ErrorInfo {
        code: Code::VALIDATION_FAILED,
        context: ErrorContext::RemoteFile,
        description: format!("a handler found that `{}` is not what was wanted", file.local),
        protocol: file.remote.split_once(':').map(|(scheme, _)| scheme.to_owned()),
        file: Some(file.clone()),
        leg: Some(Leg::Download),
        attempt: job.attempt,
        at,
        extended: None,
    };
    let entered = into_error(job, error, 1);
    if job.state == JobState::Error {
        return Ok(Transition {
            events: Vec::new(),
            ..entered
        });
    }
    Ok(entered)
}

/// What runs goes back to the queue, so that its next run goes by what is asked now.
fn run_anew(job: &Job) -> Transition {
    if job.state.is_running() {
        Transition {
            due: Due::Never,
            ..moved(job, JobState::Queued)
        }
    } else {
        unchanged(job)
    }
}
