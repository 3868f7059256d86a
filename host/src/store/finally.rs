//! The end of a call that was worth retries: once nothing is left to try and its handler has let it go, its
//! final callback is called, and without one, or when that fails too, it is a dead letter (C-75…C-80).

use rusqlite::params;

use crate::job::{Command, DeadCall, EventKind, Family, Job, JobState};

use super::rows::{EventData, StoredJob};
use super::writer::{Done, Work};

/// Whether a job may end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finally {
    /// It is not of this kind, or its final callback has resolved it.
    MayEnd,
    /// Somebody is still to be told, or nobody can help.
    Stays,
}

impl Work<'_> {
    /// Goes a step further with a call that has failed for good; harmless when repeated.
    pub(super) fn ask_finally(&mut self, stored: &mut StoredJob) -> Done<Finally> {
        let Some(event) = final_event(&stored.job) else {
            return Ok(Finally::MayEnd);
        };
        if stored.job.call.dead.is_some() || self.has_open(stored, EventKind::OnError)? {
            return Ok(Finally::Stays);
        }
        if self.event_of_entry(stored, event)?.is_none() {
            if self.router.routes(&stored.job, event).is_empty() {
                self.apply(stored, &Command::Bury(reason(event)))?;
                return Ok(Finally::Stays);
            }
            let data = EventData {
                error: stored.job.error.clone(),
                ..EventData::default()
            };
            self.raise(stored, event, &data)?;
            return Ok(Finally::Stays);
        }
        match self.state_of(stored, event)? {
            (true, _) => Ok(Finally::Stays),
            (false, true) => {
                self.apply(stored, &Command::Bury(reason(event)))?;
                Ok(Finally::Stays)
            }
            (false, false) => Ok(Finally::MayEnd),
        }
    }

    /// Whether anybody is still to hear of it, or has failed to: then it waits for a person.
    fn has_open(&self, stored: &StoredJob, event: EventKind) -> Done<bool> {
        self.state_of(stored, event).map(|(open, buried)| open || buried)
    }

    /// Of the event of this entry: whether a delivery is not over, and whether one is dead.
    fn state_of(&self, stored: &StoredJob, event: EventKind) -> Done<(bool, bool)> {
        let Some(seq) = self.event_of_entry(stored, event)? else {
            return Ok((false, false));
        };
        let found = self
            .db
            .prepare_cached(
                "SELECT coalesce(max(state IN ('pending', 'running')), 0), \
                 coalesce(max(state IN ('dead', 'poison')), 0) FROM deliveries WHERE event = ?1",
            )?
            .query_row(params![seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found)
    }
}

/// What is called at the very end of a call; only those with a ladder have that (C-71).
fn final_event(job: &Job) -> Option<EventKind> {
    let spec = job.spec.batch.as_deref()?;
    let at_its_end =
        job.kind.family() == Family::Batch && job.state == JobState::Error && job.intent.is_none();
    (at_its_end && spec.retry.is_some()).then_some(if job.call.unstarted {
        EventKind::FinalClientRetry
    } else {
        EventKind::FinalServerRetry
    })
}

const fn reason(event: EventKind) -> DeadCall {
    match event {
        EventKind::FinalClientRetry => DeadCall::NeverStarted,
        _ => DeadCall::Exhausted,
    }
}
