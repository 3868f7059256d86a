//! The journal: one line of the log for each step of a job that an operator looks for, under a number
//! that stays (B-152). Written once the step is durable.
//!
//! | number | step | | number | step |
//! |---|---|---|---|---|
//! | 1 | resumed | | 61 | stopped with an error, transient or not |
//! | 2 | suspended | | 1001 | properties set |
//! | 3 | created | | 1002 | files added |
//! | 4 | completed | | 1003 | files renamed |
//! | 5 | cancelled | | 1004 | ownership taken |
//! | 6 | notify command set | | 1005 | cancelled because nothing moved it for too long |
//! | 59 | started | | 60 | stopped, everything transferred |
//!
//! Numbers up to 64 are those of the BITS operational log; ours begin at 1001.

use crate::job::{Code, Command, ErrorContext, Job, JobId, JobState, OwnerName};

/// A step that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    event: u16,
    step: &'static str,
    job: JobId,
    owner: OwnerName,
    error: Option<(Code, ErrorContext)>,
}

impl Note {
    /// A job was accepted.
    pub(super) fn created(job: &Job) -> Self {
        Self::new(3, "created", job)
    }

    /// What `command` did to a job that was in state `was`, where that is a step.
    pub(super) fn of(command: &Command, was: JobState, job: &Job) -> Option<Self> {
        let moved = was != job.state;
        let (event, step) = match (command, job.state) {
            (Command::IntentDone { .. }, JobState::Acknowledged) => (4, "completed"),
            (Command::IntentDone { .. } | Command::Cancel, JobState::Cancelled) => (5, "cancelled"),
            (Command::Finished { .. }, JobState::Acknowledged) => (4, "completed"),
            (
                Command::FatalError { .. } | Command::TransientError { .. } | Command::RetryDue { .. },
                JobState::Acknowledged,
            ) => (61, "stopped with an error"),
            (_, JobState::Error | JobState::TransientError) if moved => (61, "stopped with an error"),
            (Command::Resume { .. }, JobState::Queued) if moved => (1, "resumed"),
            (Command::Suspend, _) => (2, "suspended"),
            (Command::Start, _) => (59, "started"),
            (Command::Finished { .. }, JobState::Transferred) => (60, "transferred"),
            (Command::Change(change), _) if change.notify_command.is_some() => (6, "notify command set"),
            (Command::Change(_) | Command::SetPriority(_), _) => (1001, "properties set"),
            (Command::AddFiles(_), _) => (1002, "files added"),
            (Command::SetRemote { .. } | Command::ReplacePrefix { .. }, _) => (1003, "files renamed"),
            (Command::TakeOwnership(_), _) => (1004, "ownership taken"),
            (Command::Expired, _) => (1005, "left alone for too long"),
            _ => return None,
        };
        Some(Self::new(event, step, job))
    }

    fn new(event: u16, step: &'static str, job: &Job) -> Self {
        let failed = event == 61;
        let error = job.error.as_ref().filter(|_| failed);
        Self {
            event,
            step,
            job: job.id,
            owner: job.owner.clone(),
            error: error.map(|error| (error.code, error.context)),
        }
    }

    /// Writes the line.
    pub(super) fn write(&self) {
        let (event, job, owner) = (self.event, &self.job, &self.owner);
        match (self.event, self.error) {
            // Every run begins so; what it led to is a line of its own.
            (59, _) => tracing::debug!(event, %job, %owner, "job {}", self.step),
            (_, Some((code, context))) => {
                tracing::info!(event, %job, %owner, %code, %context, "job {}", self.step);
            }
            (_, None) => tracing::info!(event, %job, %owner, "job {}", self.step),
        }
    }
}
