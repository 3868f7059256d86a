//! Order per (job, handler): a delivery with an earlier open one of its pair has no due time until it
//! is first. So what may be claimed is an index of its own, and a claim never reads what may not.
//!
//! A modification blocks nothing (B-106), but waits its turn like the others.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use crate::job::{DeliveryState, EventKind, PluginName};

use super::rows::{StoredDelivery, load_job_at, millis, word};
use super::writer::{Done, Work};

impl Work<'_> {
    /// Whether an open delivery of the pair comes before `seq`.
    pub(super) fn is_blocked(&self, job: i64, plugin: &PluginName, seq: i64) -> Done<bool> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_open WHERE job = ?1 AND plugin = ?2 \
                 AND seq < ?3 AND state IN ('pending', 'running') AND kind <> 'job-modification')",
            )?
            .query_row(params![job, plugin.as_str(), seq], |row| row.get(0))?)
    }

    /// When a delivery that becomes pending is due: at `due`, or once it is first of its pair.
    pub(super) fn due_in_turn(&self, delivery: &StoredDelivery, due: i64) -> Done<Option<i64>> {
        let blocked = self.is_blocked(delivery.job, &delivery.record.plugin, delivery.seq)?;
        Ok((!blocked).then_some(due))
    }

    /// A delivery is over: the next of its pair is due, and modifications before that one.
    pub(super) fn unblock(&self, job: i64, plugin: &PluginName) -> Done<()> {
        while let Some((seq, is_last)) = self.first_blocked(job, plugin)? {
            if self.is_blocked(job, plugin, seq)? {
                return Ok(());
            }
            // Only a modification is not the last; it keeps its job's interval (B-110).
            let interval = if is_last {
                Duration::ZERO
            } else {
                load_job_at(self.db, job)?.job.spec.notify_interval
            };
            self.db
                .prepare_cached(
                    "UPDATE deliveries SET since = ?2, due = CASE kind WHEN 'job-modification' \
                     THEN max(?2, min(coalesce(ended, 0), ?2) + ?3) ELSE ?2 END WHERE seq = ?1",
                )?
                .execute(params![seq, self.now.as_millis(), millis(interval)])?;
            if is_last {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The first of a pair that waits for its turn, and whether it blocks the others.
    fn first_blocked(&self, job: i64, plugin: &PluginName) -> Done<Option<(i64, bool)>> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT seq, kind FROM deliveries INDEXED BY deliveries_blocked WHERE job = ?1 AND plugin = ?2 \
                 AND state = 'pending' AND due IS NULL ORDER BY seq LIMIT 1",
            )?
            .query_row(params![job, plugin.as_str()], |row| {
                let kind: EventKind = word(row, 1)?;
                Ok((row.get(0)?, !kind.is_coalesced()))
            })
            .optional()?)
    }

    /// A delivery that was over is open again: what comes after it waits. Only two of a pair can be
    /// due at once, its first and its modification.
    pub(super) fn block_after(&self, job: i64, plugin: &PluginName, seq: i64) -> Done<()> {
        for sql in [
            "SELECT seq FROM deliveries INDEXED BY deliveries_open WHERE job = ?1 AND plugin = ?2 AND seq > ?3 \
             AND state IN ('pending', 'running') AND kind <> 'job-modification' ORDER BY seq LIMIT 1",
            "SELECT d.seq FROM events e JOIN deliveries d ON d.event = e.seq \
             WHERE e.job = ?1 AND e.kind = 'job-modification' AND d.plugin = ?2 AND d.seq > ?3",
        ] {
            let later: Option<i64> = self
                .db
                .prepare_cached(sql)?
                .query_row(params![job, plugin.as_str(), seq], |row| row.get(0))
                .optional()?;
            if let Some(later) = later {
                self.db
                    .prepare_cached("UPDATE deliveries SET due = NULL WHERE seq = ?1 AND state = 'pending'")?
                    .execute([later])?;
            }
        }
        Ok(())
    }

    /// Counts a delivery's step from one state to another.
    pub(super) fn moved(&mut self, delivery: &StoredDelivery, to: DeliveryState) {
        let record = &delivery.record;
        self.ledger.delivery(&record.plugin, Some(record.state), Some(to));
    }
}
