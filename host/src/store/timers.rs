//! What happens by itself when its time comes: retries, delayed starts, inactivity, retention.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use crate::job::{Command, DeliveryState, JobState, Outcome, Timestamp};

use super::RetentionRule;
use super::rows::load_job_at;
use super::writer::{Done, Work};

/// Jobs moved or removed in one transaction; the rest follows in the next.
const PER_TICK: usize = 500;

/// How often ended things are looked through. Retention is counted in hours and days.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The same after a look that found nothing to do: what is old must stay for a reason.
const SWEEP_IN_VAIN: Duration = Duration::from_secs(3600);

impl Work<'_> {
    pub(super) fn tick(&mut self, retention: RetentionRule) -> Done<Option<Timestamp>> {
        let due = self.rows(
            "SELECT seq FROM jobs WHERE due <= ?1 ORDER BY due LIMIT ?2",
            self.now,
        )?;
        for seq in &due {
            self.fire(*seq)?;
        }
        let mut more = due.len() >= PER_TICK;
        let mut swept = false;
        if self.sweep_is_due()? {
            self.expire_inactive()?;
            let gone = self.forget(retention)?;
            swept = gone == 0;
            if gone >= PER_TICK {
                // There is more to forget than one transaction should hold.
                self.note_swept(None)?;
                more = true;
            }
        }
        if more {
            Ok(Some(self.now))
        } else {
            self.next_timer(retention, swept)
        }
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
                self.changed(&stored);
                Ok(())
            }
        }
    }

    /// When something happens by itself next, so that an idle host need not wake for nothing.
    fn next_timer(&self, rule: RetentionRule, swept_for_nothing: bool) -> Done<Option<Timestamp>> {
        let due = self.first(
            "SELECT due FROM jobs WHERE due IS NOT NULL ORDER BY due LIMIT 1",
            "",
        )?;
        let resting = self.first(
            "SELECT modified FROM jobs WHERE outcome IS NULL ORDER BY modified LIMIT 1",
            "",
        )?;
        let mut sweeps: Vec<Timestamp> = resting
            .map(|since| since.after(crate::job::Profile::DeliveryOptimization.inactivity()))
            .into_iter()
            .collect();
        for (outcome, age) in ages(rule) {
            let oldest = self.first(
                "SELECT modified FROM jobs WHERE outcome = ?1 ORDER BY modified LIMIT 1",
                outcome.as_str(),
            )?;
            sweeps.extend(oldest.map(|since| since.after(age)));
        }
        for state in [DeliveryState::Dead, DeliveryState::Poison] {
            let Some(age) = rule.dead else { break };
            let oldest = self.first(
                "SELECT ended FROM deliveries WHERE ended IS NOT NULL AND state = ?1 ORDER BY ended LIMIT 1",
                state.as_str(),
            )?;
            sweeps.extend(oldest.map(|since| since.after(age)));
        }
        // Things that are due but must stay (a job with a dead letter) do not make the host spin.
        let pause = if swept_for_nothing {
            SWEEP_IN_VAIN
        } else {
            SWEEP_EVERY
        };
        let sweep = sweeps.into_iter().min().map(|at| at.max(self.now.after(pause)));
        Ok(due.into_iter().chain(sweep).min())
    }

    fn first(&self, sql: &str, word: &str) -> Done<Option<Timestamp>> {
        let mut statement = self.db.prepare_cached(sql)?;
        let found: Option<i64> = if statement.parameter_count() == 0 {
            statement.query_row([], |row| row.get(0)).optional()?
        } else {
            statement.query_row([word], |row| row.get(0)).optional()?
        };
        Ok(found.map(Timestamp::from_millis))
    }

    fn sweep_is_due(&self) -> Done<bool> {
        let last: Option<String> = self
            .db
            .prepare_cached("SELECT value FROM meta WHERE key = 'swept'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        let last = last
            .and_then(|text| text.parse().ok())
            .map(Timestamp::from_millis);
        if last.is_some_and(|last| self.now >= last && self.now.since(last) < SWEEP_EVERY) {
            return Ok(false);
        }
        self.note_swept(Some(self.now))?;
        Ok(true)
    }

    /// When ended things were last looked through; `None` makes the next tick look again.
    fn note_swept(&self, at: Option<Timestamp>) -> Done<()> {
        let millis = at.map_or(0, Timestamp::as_millis);
        self.db
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('swept', ?1)")?
            .execute([millis.to_string()])?;
        Ok(())
    }

    /// B-39, B-62: a job that nothing has touched for its profile's time-out is cancelled. Each
    /// profile's limit is checked on the job itself; the shortest finds the candidates.
    fn expire_inactive(&mut self) -> Done<()> {
        let shortest = crate::job::Profile::DeliveryOptimization.inactivity();
        let seqs = self.rows(
            "SELECT seq FROM jobs WHERE outcome IS NULL AND intent IS NULL AND modified <= ?1 \
             ORDER BY modified LIMIT ?2",
            before(self.now, shortest),
        )?;
        for seq in seqs {
            let mut stored = load_job_at(self.db, seq)?;
            if self.now.since(stored.job.modified) >= stored.job.spec.profile.inactivity() {
                tracing::warn!(job = %stored.job.id, "cancelled after its inactivity time-out");
                self.apply(&mut stored, &Command::Expired)?;
            }
        }
        Ok(())
    }

    /// A job goes only when all its deliveries are settled or purged. Returns how much went.
    fn forget(&mut self, rule: RetentionRule) -> Done<usize> {
        let mut gone = 0;
        if let Some(age) = rule.dead {
            for (delivery, job) in self.dead_before(before(self.now, age))? {
                self.drop_delivery(delivery, job)?;
                gone += 1;
            }
        }
        for (outcome, age) in ages(rule) {
            gone += self
                .db
                .prepare_cached(
                    "DELETE FROM jobs WHERE seq IN (SELECT j.seq FROM jobs j INDEXED BY jobs_ended \
                     WHERE j.outcome = ?1 AND j.modified <= ?2 AND NOT EXISTS \
                     (SELECT 1 FROM deliveries d WHERE d.job = j.seq AND d.state <> 'settled') \
                     ORDER BY j.modified LIMIT ?3)",
                )?
                .execute(params![
                    outcome.as_str(),
                    before(self.now, age).as_millis(),
                    limit()
                ])?;
        }
        Ok(gone)
    }

    fn dead_before(&self, until: Timestamp) -> Done<Vec<(i64, i64)>> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq, job FROM deliveries WHERE ended <= ?1 AND state IN ('dead', 'poison') \
             ORDER BY ended LIMIT ?2",
        )?;
        let rows = statement.query_map(params![until.as_millis(), limit()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn rows(&self, sql: &str, until: Timestamp) -> Done<Vec<i64>> {
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map(params![until.as_millis(), limit()], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn limit() -> i64 {
    i64::try_from(PER_TICK).unwrap_or(i64::MAX)
}

/// How long a job of each outcome is kept, where there is an end to it.
fn ages(rule: RetentionRule) -> impl Iterator<Item = (Outcome, Duration)> {
    Outcome::ALL.iter().filter_map(move |outcome| {
        let age = match outcome {
            Outcome::Succeeded => rule.finished,
            Outcome::Partial | Outcome::Failed | Outcome::Cancelled => rule.failed,
        };
        age.map(|age| (*outcome, age))
    })
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(millis))
}
