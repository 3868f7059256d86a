//! What happens by itself when its time comes: retries, delayed starts, inactivity, retention.

use rusqlite::{OptionalExtension, params};

use crate::job::{Command, JobState, Timestamp};

use super::RetentionRule;
use super::rows::{int, load_job_at};
use super::writer::{Done, Work};

/// Jobs moved in one transaction; the rest follows in the next.
const PER_TICK: usize = 500;

impl Work<'_> {
    pub(super) fn tick(&mut self, retention: RetentionRule) -> Done<Option<Timestamp>> {
        let due = self.due_jobs()?;
        for seq in &due {
            self.fire(*seq)?;
        }
        let sweep = self.sweep(retention)?;
        if due.len() >= PER_TICK {
            return Ok(Some(self.now));
        }
        // When something happens by itself next, so that an idle host need not wake for nothing.
        let timer = self.first("SELECT due FROM jobs WHERE due IS NOT NULL ORDER BY due LIMIT 1")?;
        Ok(timer.into_iter().chain(sweep).min())
    }

    fn due_jobs(&self) -> Done<Vec<i64>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT seq FROM jobs WHERE due <= ?1 ORDER BY due LIMIT ?2")?;
        let rows = statement.query_map(params![self.now.as_millis(), int(PER_TICK as u64)], |row| {
            row.get(0)
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn fire(&mut self, seq: i64) -> Done<()> {
        let mut stored = load_job_at(self.db, seq)?;
        match stored.job.state {
            JobState::TransientError => {
                let at = self.now;
                self.apply(&mut stored, &Command::RetryDue { at })
            }
            // A delayed start: the job becomes runnable; its state and revision stay.
            _ => {
                self.db
                    .prepare_cached("UPDATE jobs SET due = NULL WHERE seq = ?1")?
                    .execute([seq])?;
                stored.job.due = None;
                self.changed(&stored);
                Ok(())
            }
        }
    }

    /// The time that a query without parameters finds, if any.
    pub(super) fn first(&self, sql: &str) -> Done<Option<Timestamp>> {
        let found = self
            .db
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(found.map(Timestamp::from_millis))
    }
}
