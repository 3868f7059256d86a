//! What operators do with what is dead: replay and purge, piece by piece.

use std::collections::BTreeSet;

use rusqlite::params;

use crate::job::{DeliveryState, PluginName};

use super::list::{self, BURIED};
use super::rows::{int, load_delivery_at, load_job_at};
use super::writer::{Done, Work};
use super::{Change, DeliveryFilter};

/// Deliveries of one transaction.
pub(super) const PIECE: usize = 500;

/// What a piece of a replay or purge led to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// How many were done.
    pub(super) done: usize,
    /// The last row seen; `None` when there are no more.
    pub(super) last: Option<i64>,
}

impl Work<'_> {
    /// Dead and parked deliveries after row `after` become due now with a fresh count of tries; their
    /// ids stay, so a handler recognises the repeat.
    pub(super) fn replay(&mut self, filter: &DeliveryFilter, after: i64, most: usize) -> Done<Piece> {
        let seqs = self.over(filter, &BURIED, after, most)?;
        let mut jobs = BTreeSet::new();
        for seq in &seqs {
            self.open_again(*seq)?;
            jobs.insert(load_delivery_at(self.db, *seq)?.job);
        }
        // The decider may have become another while they were dead.
        for job in jobs {
            self.follow_routing_of(job)?;
        }
        self.changes.push(Change::Deliveries);
        Ok(piece(&seqs, most))
    }

    /// A delivery that was over is due now, with a fresh count of tries.
    pub(super) fn open_again(&mut self, seq: i64) -> Done<()> {
        let delivery = load_delivery_at(self.db, seq)?;
        self.moved(&delivery, DeliveryState::Pending);
        let due = self.due_in_turn(&delivery, self.now.as_millis())?;
        self.db
            .prepare_cached(
                "UPDATE deliveries SET state = 'pending', stage = 'handler', charged = 0, conflicts = 0, \
                 interrupted = 0, host_faults = 0, fail_fasts = 0, rounds = 0, due = ?2, since = ?3, \
                 ended = NULL, result = NULL WHERE seq = ?1",
            )?
            .execute(params![seq, due, self.now.as_millis()])?;
        if !delivery.record.event.is_coalesced() {
            self.block_after(delivery.job, &delivery.record.plugin, seq)?;
        }
        self.changes.push(Change::Deliveries);
        Ok(())
    }

    /// Drops dead and parked deliveries after row `after`, and pending ones where the filter names that
    /// state; jobs that waited for them go on.
    pub(super) fn purge(&mut self, filter: &DeliveryFilter, after: i64, most: usize) -> Done<Piece> {
        let [dead, poison] = BURIED;
        let seqs = self.over(filter, &[dead, poison, DeliveryState::Pending], after, most)?;
        for seq in &seqs {
            self.drop_delivery(*seq)?;
        }
        Ok(piece(&seqs, most))
    }

    /// The row stays while its job does: without it the next routing would tell the handler anew,
    /// under another id.
    pub(super) fn drop_delivery(&mut self, seq: i64) -> Done<()> {
        let delivery = load_delivery_at(self.db, seq)?;
        self.moved(&delivery, DeliveryState::Settled);
        self.db
            .prepare_cached(
                "UPDATE deliveries SET state = 'settled', result = 'purged', ended = ?2, due = NULL WHERE seq = ?1",
            )?
            .execute([seq, self.now.as_millis()])?;
        self.unblock(delivery.job, &delivery.record.plugin)?;
        let mut stored = load_job_at(self.db, delivery.job)?;
        self.release_if_done(&mut stored)
    }

    /// Rows of the filter in states that are allowed, oldest first: the buried ones unless it says.
    fn over(
        &self,
        filter: &DeliveryFilter,
        allowed: &[DeliveryState],
        after: i64,
        most: usize,
    ) -> Done<Vec<i64>> {
        let mut filter = filter.clone();
        filter.states.retain(|state| allowed.contains(state));
        if filter.states.is_empty() {
            filter.states = BURIED.to_vec();
        }
        list::delivery_seqs_after(self.db, &filter, after, most)
    }

    /// The store is about to be closed in order.
    pub(super) fn note_closed(&mut self) -> Done<()> {
        self.db.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('closed', ?1)",
            [int(self.incarnation).to_string()],
        )?;
        Ok(())
    }

    /// A commit that is of no use but to see whether commits succeed again.
    pub(super) fn note_trouble(&mut self) -> Done<()> {
        self.db.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('trouble', ?1)",
            [self.now.as_millis().to_string()],
        )?;
        Ok(())
    }

    /// State belongs to the plugin's name until this.
    pub(super) fn purge_plugin_state(&mut self, plugin: &PluginName) -> Done<u64> {
        let gone = self
            .db
            .prepare_cached("DELETE FROM plugin_state WHERE plugin = ?1")?
            .execute([plugin.as_str()])?;
        Ok(gone as u64)
    }
}

fn piece(seqs: &[i64], most: usize) -> Piece {
    Piece {
        done: seqs.len(),
        last: seqs.last().copied().filter(|_| seqs.len() >= most),
    }
}
