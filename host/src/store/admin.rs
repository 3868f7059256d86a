//! What operators do with what is dead: replay and purge.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::job::{DeliveryState, PluginName};

use super::read::delivery_clause;
use super::rows::load_job_at;
use super::writer::{Done, Work};
use super::{Change, DeliveryFilter};

/// What is over without having been settled.
const BURIED: [DeliveryState; 2] = [DeliveryState::Dead, DeliveryState::Poison];

impl Work<'_> {
    /// Dead and parked deliveries become due now with a fresh count of tries; their ids stay, so a
    /// handler recognises the repeat.
    pub(super) fn replay(&mut self, filter: &DeliveryFilter) -> Done<u64> {
        let seqs = self.over(filter, &BURIED)?;
        let mut statement = self.db.prepare_cached(
            "UPDATE deliveries SET state = 'pending', stage = 'handler', charged = 0, conflicts = 0, \
             interrupted = 0, host_faults = 0, fail_fasts = 0, rounds = 0, due = ?2, ended = NULL, result = NULL \
             WHERE seq = ?1",
        )?;
        for (seq, _) in &seqs {
            statement.execute([*seq, self.now.as_millis()])?;
        }
        drop(statement);
        // The decider may have become another while these were dead.
        self.follow_routing()?;
        self.changes.push(Change::Deliveries);
        Ok(seqs.len() as u64)
    }

    /// Drops dead and parked deliveries, and pending ones where the filter names that state; jobs that
    /// waited for them go on.
    pub(super) fn purge(&mut self, filter: &DeliveryFilter) -> Done<u64> {
        let [dead, poison] = BURIED;
        let seqs = self.over(filter, &[dead, poison, DeliveryState::Pending])?;
        for (seq, job) in &seqs {
            self.drop_delivery(*seq, *job)?;
        }
        Ok(seqs.len() as u64)
    }

    /// The row stays while its job does: without it the next routing would tell the handler anew,
    /// under another id.
    pub(super) fn drop_delivery(&mut self, seq: i64, job: i64) -> Done<()> {
        self.db
            .prepare_cached(
                "UPDATE deliveries SET state = 'settled', result = 'purged', ended = ?2, due = NULL WHERE seq = ?1",
            )?
            .execute([seq, self.now.as_millis()])?;
        let mut stored = load_job_at(self.db, job)?;
        self.release_if_done(&mut stored)
    }

    /// (delivery, job) rows of the filter in states that are allowed: the buried ones unless it says.
    fn over(&self, filter: &DeliveryFilter, allowed: &[DeliveryState]) -> Done<Vec<(i64, i64)>> {
        let mut filter = filter.clone();
        filter.states.retain(|state| allowed.contains(state));
        if filter.states.is_empty() {
            filter.states = BURIED.to_vec();
        }
        let (clause, values): (String, Vec<Value>) = delivery_clause(&filter);
        let limit = if filter.limit == 0 {
            -1
        } else {
            i64::try_from(filter.limit).unwrap_or(-1)
        };
        let sql = format!(
            "SELECT d.seq, d.job FROM deliveries d JOIN jobs j ON j.seq = d.job {clause} ORDER BY d.seq LIMIT {limit}"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The store is about to be closed in order.
    pub(super) fn note_closed(&mut self) -> Done<()> {
        self.db.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('closed', ?1)",
            [self.incarnation.to_string()],
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
