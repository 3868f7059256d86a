//! What a start owes to the one before it: claims that died with it, and a clock that was moved.

use rusqlite::params;

use crate::job::{
    Code, Command, DeliveryState, ErrorContext, ErrorInfo, FailureClass, Family, Job, Timestamp,
};

use super::rows::{StoredDelivery, load_delivery_at, load_job_at};
use super::writer::{Done, Work};
use super::{Change, tally};

/// A command cannot go on from where it was: the law says what becomes of it (C-45, CJ-07).
fn crashed(job: &Job, now: Timestamp) -> Command {
    let error = ErrorInfo {
        code: Code::SX_INTERRUPTED,
        context: ErrorContext::RemoteApplication,
        description: "the host died while this ran, and it was ended with it".to_owned(),
        file: None,
        protocol: None,
        leg: None,
        attempt: job.attempt,
        at: now,
        extended: None,
    };
    Command::Interrupted { error, crashed: true }
}

/// Deaths in a row after which a delivery is run alone; the next parks it.
pub(super) const INTERRUPTED_ALONE: u32 = 5;

impl Work<'_> {
    /// Holding the state lock proves earlier starts dead: what they claimed is free at once. Running
    /// jobs go back to the queue through the law; running calls were interrupted, which charges nobody.
    /// Both are found by index: a start costs as much as was running, not as much as is stored.
    pub(super) fn recover(&mut self) -> Done<()> {
        let alive = tally::last_commit(self.db)?;
        for seq in self.seqs("SELECT seq FROM jobs WHERE state IN ('connecting', 'transferring')")? {
            let mut stored = load_job_at(self.db, seq)?;
            if let (Some(since), Some(alive)) = (stored.active.since, alive) {
                // It ran until the host died, which was no earlier than its last commit (B-61).
                stored.active.ended = stored.active.ended.saturating_add(alive.since(since));
            }
            stored.active.since = None;
            let command = match stored.job.kind.family() {
                Family::Batch => crashed(&stored.job, self.now),
                Family::Transfer | Family::Query => Command::Yield,
            };
            self.apply(&mut stored, &command)?;
        }
        let running = self.seqs(
            "SELECT seq FROM deliveries INDEXED BY deliveries_running WHERE state = 'running' ORDER BY seq",
        )?;
        for seq in &running {
            let delivery = load_delivery_at(self.db, *seq)?;
            self.interrupted(&delivery)?;
        }
        if !running.is_empty() {
            let class = FailureClass::Interrupted;
            let count = running.len();
            tracing::warn!("{count} calls were {class} when the host last ended; they are made again");
            self.changes.push(Change::Deliveries);
        }
        self.clamp_due_times()
    }

    fn seqs(&self, sql: &str) -> Done<Vec<i64>> {
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn interrupted(&mut self, delivery: &StoredDelivery) -> Done<()> {
        let now = self.now.as_millis();
        let so_far: u32 = self
            .db
            .prepare_cached(
                "UPDATE deliveries SET interrupted = interrupted + 1, charged = max(charged - 1, 0), since = ?2, \
                 claimed_by = NULL, claim_expires = NULL WHERE seq = ?1 RETURNING interrupted",
            )?
            .query_row([delivery.seq, now], |row| row.get(0))?;
        if so_far > INTERRUPTED_ALONE {
            self.moved(delivery, DeliveryState::Poison);
            self.db
                .prepare_cached(
                    "UPDATE deliveries SET state = 'poison', ended = ?2, due = NULL, \
                     result = 'the host died again while only this ran' WHERE seq = ?1",
                )?
                .execute([delivery.seq, now])?;
            self.unblock(delivery.job, &delivery.record.plugin)?;
            // Its job waited for it. The end of a batch is told at once, and nobody is known yet: it comes
            // with the first routing, see `Work::backfill`.
            let mut stored = load_job_at(self.db, delivery.job)?;
            if stored.job.kind.family() == Family::Batch {
                return Ok(());
            }
            return self.release_if_done(&mut stored);
        }
        self.moved(delivery, DeliveryState::Pending);
        let due = self.due_in_turn(delivery, now)?;
        self.db
            .prepare_cached("UPDATE deliveries SET state = 'pending', due = ?2 WHERE seq = ?1")?
            .execute(params![delivery.seq, due])?;
        Ok(())
    }

    /// A wall clock that was moved back while no host ran must not stretch a wait: what remains is
    /// clamped to the original delay (design: laws). `modified` and `since` are when the delay began.
    /// Everything that waits is read for it, so only when the last commit lies in the future.
    fn clamp_due_times(&self) -> Done<()> {
        let now = self.now.as_millis();
        if tally::last_commit(self.db)?.is_none_or(|last| last <= self.now) {
            return Ok(());
        }
        self.db.execute(
            "UPDATE jobs SET due = ?1 + (due - modified) WHERE due IS NOT NULL AND modified > ?1 AND due > modified",
            [now],
        )?;
        self.db.execute(
            "UPDATE deliveries SET due = ?1 + max(due - since, 0), since = ?1 \
             WHERE state = 'pending' AND due IS NOT NULL AND since > ?1",
            [now],
        )?;
        Ok(())
    }
}
