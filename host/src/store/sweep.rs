//! Retention and inactivity: ended things are forgotten, forgotten ones are cancelled. A sweep goes
//! through everything that is old enough, a bounded piece in each transaction, and then rests; what is
//! old but must stay is stepped over once per sweep and not once per piece.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::job::{Command, DeliveryState, JobId, Outcome, PluginName, Timestamp};

use super::rows::{int, load_job_at, to_json, word};
use super::writer::{Done, Work};
use super::{Change, RetentionRule};

/// Jobs or deliveries looked at in one transaction.
const LOOKED_AT: usize = 500;

/// Rows of files, events and deliveries removed in one transaction with their jobs. A single job may
/// have more: it goes whole.
const ROWS_GONE: i64 = 5_000;

/// How long a sweep rests when it is through. Retention is counted in hours and days.
const REST: Duration = Duration::from_secs(60);

/// The same after a sweep that found nothing to do: what is old must stay for a reason.
const REST_IN_VAIN: Duration = Duration::from_secs(3600);

/// The least time before a job's inactivity is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(86_400);

/// How far the sweep is, kept in the store: a transaction that is rolled back takes it along.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Sweep {
    /// Which of the outcomes is being gone through; `None` between sweeps.
    outcome: Option<usize>,
    /// Time and row of the last job looked at.
    modified: i64,
    seq: i64,
    /// Whether this sweep has done anything.
    moved: bool,
    /// When the last one ended, and when the next may wake the host.
    ended: i64,
    next: i64,
}

impl Work<'_> {
    /// Does a piece of a sweep if one is due or under way. Returns when there is more to do.
    pub(super) fn sweep(&mut self, rule: RetentionRule) -> Done<Option<Timestamp>> {
        let mut sweep = self.load_sweep()?;
        let ended = Timestamp::from_millis(sweep.ended);
        if sweep.outcome.is_none() && self.now >= ended && self.now.since(ended) < REST {
            return self.next_sweep(rule, sweep.next);
        }
        let mut left = LOOKED_AT;
        let moved = self.expire_inactive(left)? + self.forget_dead(rule, left)?;
        sweep.moved |= moved > 0;
        left = left.saturating_sub(moved);
        while let Some(outcome) = Outcome::ALL.get(sweep.outcome.unwrap_or(0)) {
            if left == 0 {
                self.keep_sweep(&sweep)?;
                return Ok(Some(self.now));
            }
            match self.forget(rule, *outcome, left, &mut sweep)? {
                Some(looked_at) => left = left.saturating_sub(looked_at),
                None => left = 0,
            }
        }
        let rest = if sweep.moved { REST } else { REST_IN_VAIN };
        let next = self.now.after(rest).as_millis();
        self.keep_sweep(&Sweep {
            ended: self.now.as_millis(),
            next,
            ..Sweep::default()
        })?;
        self.next_sweep(rule, next)
    }

    fn load_sweep(&self) -> Done<Sweep> {
        let kept: Option<String> = self
            .db
            .prepare_cached("SELECT value FROM meta WHERE key = 'sweep'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        // One that cannot be read is one that has not begun.
        Ok(kept
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_default())
    }

    fn keep_sweep(&self, sweep: &Sweep) -> Done<()> {
        self.db
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('sweep', ?1)")?
            .execute([to_json(sweep)?])?;
        Ok(())
    }

    /// When there will be something to sweep, no earlier than `not_before`.
    fn next_sweep(&self, rule: RetentionRule, not_before: i64) -> Done<Option<Timestamp>> {
        let resting =
            self.first("SELECT looked_after FROM jobs WHERE outcome IS NULL ORDER BY looked_after LIMIT 1")?;
        let mut times: Vec<Timestamp> = resting.into_iter().collect();
        for outcome in Outcome::ALL {
            let Some(age) = age_of(rule, *outcome) else {
                continue;
            };
            let oldest = self
                .db
                .prepare_cached("SELECT modified FROM jobs WHERE outcome = ?1 ORDER BY modified LIMIT 1")?
                .query_row([outcome.as_str()], |row| row.get(0))
                .optional()?;
            times.extend(oldest.map(|since| Timestamp::from_millis(since).after(age)));
        }
        if let Some(age) = rule.dead {
            let oldest = self.first(
                "SELECT ended FROM deliveries INDEXED BY deliveries_buried \
                 WHERE state IN ('dead', 'poison') ORDER BY ended LIMIT 1",
            )?;
            times.extend(oldest.map(|since| since.after(age)));
        }
        let not_before = Timestamp::from_millis(not_before);
        Ok(times.into_iter().min().map(|at| at.max(not_before)))
    }

    /// B-39, B-62: a job that nothing has touched for its profile's time-out is cancelled. A job that
    /// something has touched is only noted to be looked at again, so that no other verb need keep
    /// track of how long it rests. Returns how many were looked at.
    fn expire_inactive(&mut self, most: usize) -> Done<usize> {
        let seqs: Vec<i64> = {
            let mut statement = self.db.prepare_cached(
                "SELECT seq FROM jobs INDEXED BY jobs_resting WHERE outcome IS NULL AND looked_after <= ?1 \
                 ORDER BY looked_after LIMIT ?2",
            )?;
            let rows =
                statement.query_map(params![self.now.as_millis(), int(most as u64)], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for seq in &seqs {
            let mut stored = load_job_at(self.db, *seq)?;
            let limit = stored.job.spec.profile.inactivity();
            let expires = stored.job.modified.after(limit);
            let rests = stored.job.intent.is_none() && stored.job.call.dead.is_none();
            if rests && self.now.since(stored.job.modified) >= limit {
                tracing::warn!(job = %stored.job.id, "cancelled after its inactivity time-out");
                self.apply(&mut stored, &Command::Expired)?;
            }
            let again = expires.max(self.now.after(LOOK_AGAIN));
            self.db
                .prepare_cached("UPDATE jobs SET looked_after = ?2 WHERE seq = ?1")?
                .execute([*seq, again.as_millis()])?;
        }
        Ok(seqs.len())
    }

    /// Dead and parked deliveries that are old enough are purged. Returns how many.
    fn forget_dead(&mut self, rule: RetentionRule, most: usize) -> Done<usize> {
        let Some(age) = rule.dead else { return Ok(0) };
        let seqs: Vec<i64> = {
            let mut statement = self.db.prepare_cached(
                "SELECT seq FROM deliveries INDEXED BY deliveries_buried \
                 WHERE state IN ('dead', 'poison') AND ended <= ?1 ORDER BY ended LIMIT ?2",
            )?;
            let until = before(self.now, age).as_millis();
            let rows = statement.query_map(params![until, int(most as u64)], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for seq in &seqs {
            self.drop_delivery(*seq)?;
        }
        Ok(seqs.len())
    }

    /// Goes on through the ended jobs of one outcome; a job goes only when all its deliveries are
    /// settled or purged. Returns how many it looked at, `None` when it removed enough for one
    /// transaction.
    fn forget(
        &mut self,
        rule: RetentionRule,
        outcome: Outcome,
        most: usize,
        sweep: &mut Sweep,
    ) -> Done<Option<usize>> {
        let found = match age_of(rule, outcome) {
            Some(age) => self.ended_before(outcome, before(self.now, age), most, sweep)?,
            None => Vec::new(),
        };
        let mut rows = 0;
        for (modified, seq) in &found {
            (sweep.modified, sweep.seq) = (*modified, *seq);
            if let Some(gone) = self.forget_job(*seq)? {
                sweep.moved = true;
                rows += gone;
            }
            if rows >= ROWS_GONE {
                return Ok(None);
            }
        }
        if found.len() < most {
            let done = sweep.outcome.unwrap_or(0);
            sweep.outcome = Some(done + 1);
            (sweep.modified, sweep.seq) = (0, 0);
        }
        Ok(Some(found.len()))
    }

    fn ended_before(
        &self,
        outcome: Outcome,
        until: Timestamp,
        most: usize,
        sweep: &Sweep,
    ) -> Done<Vec<(i64, i64)>> {
        let mut found = Vec::new();
        // Two looks, because one over both columns would step through all that ended at the same time.
        for beyond in ["modified = ?3 AND seq > ?4", "modified > ?3 AND ?4 IS NOT NULL"] {
            let sql = format!(
                "SELECT modified, seq FROM jobs INDEXED BY jobs_ended WHERE outcome = ?1 AND modified <= ?2 \
                 AND {beyond} ORDER BY modified, seq LIMIT ?5"
            );
            let mut statement = self.db.prepare_cached(&sql)?;
            let left = int(most.saturating_sub(found.len()) as u64);
            let rows = statement.query_map(
                params![
                    outcome.as_str(),
                    until.as_millis(),
                    sweep.modified,
                    sweep.seq,
                    left
                ],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            for row in rows {
                found.push(row?);
            }
        }
        Ok(found)
    }

    /// Removes a job with all that hangs on it, unless one of its deliveries is not over. Returns about
    /// how many rows went.
    fn forget_job(&mut self, seq: i64) -> Done<Option<i64>> {
        let stays: bool = self
            .db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM deliveries WHERE job = ?1 AND state <> 'settled')")?
            .query_row([seq], |row| row.get(0))?;
        if stays {
            return Ok(None);
        }
        let mut gone = 1;
        {
            let mut statement = self
                .db
                .prepare_cached("SELECT plugin, state FROM deliveries WHERE job = ?1")?;
            let mut rows = statement.query([seq])?;
            while let Some(row) = rows.next()? {
                let (plugin, state): (PluginName, DeliveryState) = (word(row, 0)?, word(row, 1)?);
                self.ledger.delivery(&plugin, Some(state), None);
                gone += 2;
            }
        }
        let (state, files, id): (_, i64, _) = self
            .db
            .prepare_cached("DELETE FROM jobs WHERE seq = ?1 RETURNING state, files_total, id")?
            .query_row([seq], |row| Ok((word(row, 0)?, row.get(1)?, row.get(2)?)))?;
        self.ledger.job(Some(state), None);
        self.changes.push(Change::Forgotten {
            id: JobId::from_bytes(id),
        });
        Ok(Some(gone + files))
    }
}

/// How long a job of this outcome is kept, where there is an end to it.
fn age_of(rule: RetentionRule, outcome: Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Succeeded => rule.finished,
        Outcome::Partial | Outcome::Failed | Outcome::Cancelled => rule.failed,
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(millis))
}
