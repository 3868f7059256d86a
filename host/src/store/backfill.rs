//! A new routing: what waits for a renewed plugin is due now, and jobs that rest get the deliveries
//! they lack. However many there are, it is done in pieces between which other verbs have their turn.
//! A piece that is done again changes nothing, so one that was cut off is simply begun anew.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use crate::job::{EventKind, Family, Job, JobState, OwnerName, PluginName, Router};

use super::Change;
use super::rows::{EventData, JOB_COLUMNS, StoredJob, int, job_of, word};
use super::writer::{Done, Work};

/// Rows of one piece: a few milliseconds of the writer.
const PIECE: usize = 500;

/// How far the look through a plugin's waiting deliveries has come.
#[derive(Clone, Debug)]
pub(super) struct Renewed {
    owner: OwnerName,
    due: i64,
    seq: i64,
}

impl Work<'_> {
    /// From here on events are routed by `router`.
    pub(super) fn replace_router(&mut self, router: Arc<dyn Router>) {
        *self.router = router;
    }

    /// Makes a piece of a plugin's waiting deliveries due now: all, or those last tried with another
    /// digest. Returns where to go on, `None` at the end.
    pub(super) fn renew(
        &mut self,
        plugin: &PluginName,
        digest: Option<&str>,
        after: Option<&Renewed>,
    ) -> Done<Option<Renewed>> {
        let Some(from) = self.renew_from(plugin, after)? else {
            return Ok(None);
        };
        let rows = self.waiting_after(plugin, &from)?;
        let mut update = self
            .db
            .prepare_cached("UPDATE deliveries SET due = ?2, since = ?2 WHERE seq = ?1")?;
        for (_, seq, tried) in &rows {
            if digest.is_none_or(|digest| !tried.is_empty() && tried != digest) {
                update.execute([*seq, self.now.as_millis()])?;
            }
        }
        drop(update);
        self.changes.push(Change::Deliveries);
        let (due, seq) = match rows.last() {
            Some((due, seq, _)) if rows.len() >= PIECE => (*due, *seq),
            _ => (i64::MAX, i64::MAX),
        };
        Ok(Some(Renewed {
            owner: from.owner,
            due,
            seq,
        }))
    }

    /// A piece of an owner's waiting deliveries: due time, row and digest. Two looks, because one over
    /// both columns would step through all that are due at the same time.
    fn waiting_after(&self, plugin: &PluginName, from: &Renewed) -> Done<Vec<(i64, i64, String)>> {
        let mut found = Vec::new();
        for beyond in ["due = ?3 AND seq > ?4", "due > ?3 AND ?4 IS NOT NULL"] {
            let sql = format!(
                "SELECT due, seq, digest FROM deliveries INDEXED BY deliveries_due WHERE plugin = ?1 AND owner = ?2 \
                 AND state = 'pending' AND due IS NOT NULL AND {beyond} ORDER BY due, seq LIMIT ?5"
            );
            let mut statement = self.db.prepare_cached(&sql)?;
            let left = int(PIECE.saturating_sub(found.len()) as u64);
            let rows = statement.query_map(
                params![plugin.as_str(), from.owner.as_str(), from.due, from.seq, left],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            for row in rows {
                found.push(row?);
            }
        }
        Ok(found)
    }

    /// The place itself, or the beginning of the next owner where an owner is done.
    fn renew_from(&self, plugin: &PluginName, after: Option<&Renewed>) -> Done<Option<Renewed>> {
        if let Some(at) = after.filter(|at| at.due < i64::MAX) {
            return Ok(Some(at.clone()));
        }
        let done = after.map(|at| at.owner.as_str()).unwrap_or_default();
        let next = self
            .db
            .prepare_cached(
                "SELECT owner FROM deliveries INDEXED BY deliveries_due WHERE plugin = ?1 AND owner > ?2 \
                 AND state = 'pending' AND due IS NOT NULL ORDER BY owner LIMIT 1",
            )?
            .query_row([plugin.as_str(), done], |row| word(row, 0))
            .optional()?;
        Ok(next.map(|owner| Renewed {
            owner,
            due: self.now.as_millis(),
            seq: i64::MAX,
        }))
    }

    /// Writes the rows that a piece of the resting jobs after row `after` lacks, and ends batches that a
    /// start would have ended; returns the last row seen, `None` at the end.
    pub(super) fn backfill(&mut self, state: JobState, after: i64) -> Done<Option<i64>> {
        let sql = format!(
            "SELECT {JOB_COLUMNS} FROM jobs j INDEXED BY jobs_by_state JOIN job_data d ON d.job = j.seq \
             WHERE j.state = ?1 AND j.seq > ?2 ORDER BY j.seq LIMIT ?3"
        );
        let mut jobs = {
            let mut statement = self.db.prepare_cached(&sql)?;
            let rows = statement.query_map(params![state.as_str(), after, piece()], job_of)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        };
        for stored in jobs.iter_mut().filter(|stored| stored.job.intent.is_none()) {
            self.backfill_job(stored)?;
            let batch = stored.job.kind.family() == Family::Batch;
            // A failed batch of which nobody was told stays: it is not lost to those who come later.
            if batch && self.event_of_entry(stored, EventKind::OnError)?.is_some() {
                self.release_if_done(stored)?;
            } else if batch {
                self.ask_finally(stored)?;
            }
        }
        Ok(jobs.last().map(|stored| stored.seq))
    }

    /// The same for one job that rests.
    pub(super) fn backfill_job(&mut self, stored: &StoredJob) -> Done<()> {
        let Some(event) = resting_event(&stored.job) else {
            return Ok(());
        };
        let routes = self.router.routes(&stored.job, event);
        if routes.is_empty() {
            return Ok(());
        }
        let seq = match self.event_of_entry(stored, event)? {
            Some(seq) => seq,
            None => {
                let data = EventData {
                    error: stored.job.error.clone(),
                    ..EventData::default()
                };
                self.insert_event(stored, event, &data)?
            }
        };
        for route in routes {
            self.insert_delivery(stored, seq, event, &route)?;
        }
        self.changes.push(Change::Deliveries);
        Ok(())
    }

    /// The event that told of the state the job is in, if anybody was told.
    pub(super) fn event_of_entry(&self, stored: &StoredJob, event: EventKind) -> Done<Option<i64>> {
        let known = self
            .db
            .prepare_cached(
                "SELECT seq FROM events WHERE job = ?1 AND kind = ?2 AND revision >= ?3 ORDER BY seq DESC",
            )?
            .query_row(params![stored.seq, event.as_str(), int(stored.entered)], |row| {
                row.get(0)
            });
        Ok(known.optional()?)
    }
}

/// What handlers hear of the state in which a job rests.
pub(super) const fn resting_event(job: &Job) -> Option<EventKind> {
    match (job.state, job.kind.family()) {
        // Nobody is asked about a dead letter any more (C-80).
        (JobState::Error, Family::Batch) if job.call.dead.is_some() => None,
        (JobState::Transferred, Family::Transfer) => Some(EventKind::JobTransferred),
        (JobState::Error, Family::Transfer) => Some(EventKind::JobError),
        (JobState::Error, Family::Batch) => Some(EventKind::OnError),
        _ => None,
    }
}

fn piece() -> i64 {
    int(PIECE as u64)
}
