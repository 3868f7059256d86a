//! Settlement: the acknowledgement and everything the handler decided, in one transaction, or the
//! failure and what follows it.

use rusqlite::params;

use crate::job::{Command, DeliveryState, FailureRecord, PluginName, Role, StateRead, StateWrite};

use super::read::plugin_state;
use super::rows::{StoredDelivery, int, load_delivery, load_job_at, stage_word, to_json};
use super::writer::{Done, Work};
use super::{AfterFailure, Change, SettleResult, Settlement, Stage, StoreError, Verdict};

/// Conflicts after which a delivery is acknowledged without its requests.
const CONFLICTS_MAX: u32 = 3;

/// Failures kept of one delivery; older ones are dropped.
const ATTEMPTS_KEPT: u32 = 50;

impl Work<'_> {
    pub(super) fn settle(&mut self, settlement: &Settlement) -> Done<SettleResult> {
        let delivery = load_delivery(self.db, settlement.delivery)?;
        self.check_fence(&delivery, settlement)?;
        match &settlement.verdict {
            Verdict::Acknowledged {
                requests,
                state_writes,
            } => self.acknowledge(&delivery, settlement, requests, state_writes),
            Verdict::Failed { record, next } => self.fail(&delivery, record, next),
        }
    }

    fn check_fence(&self, delivery: &StoredDelivery, settlement: &Settlement) -> Done<()> {
        let claimed_by: Option<i64> = self
            .db
            .prepare_cached("SELECT claimed_by FROM deliveries WHERE seq = ?1")?
            .query_row([delivery.seq], |row| row.get(0))?;
        let held = delivery.record.state == DeliveryState::Running
            && delivery.record.attempt == settlement.attempt
            && claimed_by == Some(int(self.incarnation));
        if held { Ok(()) } else { Err(StoreError::Fenced) }
    }

    fn acknowledge(
        &mut self,
        delivery: &StoredDelivery,
        settlement: &Settlement,
        requests: &[Command],
        writes: &[StateWrite],
    ) -> Done<SettleResult> {
        let mut stored = load_job_at(self.db, delivery.job)?;
        let decides = !requests.is_empty() || !writes.is_empty();
        if decides && self.state_has_moved(delivery, &settlement.state_reads)? {
            // Another call of the plugin has changed what this one went by. Not counted: one of them
            // always gets through.
            self.note_conflict(delivery, 0)?;
            self.moved(delivery, DeliveryState::Pending);
            self.changes.push(Change::Deliveries);
            return Ok(SettleResult::Conflict);
        }
        if !requests.is_empty() && delivery.record.role == Role::Observer {
            // Another was made the decider during the call. Not counted: the next call is told so.
            self.note_conflict(delivery, 0)?;
            self.moved(delivery, DeliveryState::Pending);
            self.changes.push(Change::Deliveries);
            return Ok(SettleResult::Conflict);
        }
        let moved = stored.job.revision != settlement.revision;
        let result = if moved && !requests.is_empty() {
            if self.note_conflict(delivery, 1)? <= CONFLICTS_MAX {
                self.moved(delivery, DeliveryState::Pending);
                self.changes.push(Change::Deliveries);
                return Ok(SettleResult::Conflict);
            }
            SettleResult::Superseded
        } else {
            for request in requests {
                // The law allowed it on the same revision when it was made. A job completed under
                // `--hold` rules or the like can only differ if the revision had moved.
                self.apply(&mut stored, request)?;
            }
            self.write_state(&delivery.record.plugin, writes)?;
            SettleResult::Settled
        };
        let word = if result == SettleResult::Superseded {
            "superseded"
        } else {
            "acknowledged"
        };
        self.end(delivery, DeliveryState::Settled, word, &settlement.digest)?;
        self.release_if_done(&mut stored)?;
        Ok(result)
    }

    /// Back to pending, uncharged; returns how often that has happened now.
    fn note_conflict(&self, delivery: &StoredDelivery, counted: u32) -> Done<u32> {
        let due = self.due_in_turn(delivery, self.now.as_millis())?;
        let conflicts: u32 = self
            .db
            .prepare_cached(
                "UPDATE deliveries SET state = 'pending', due = ?2, since = ?4, charged = max(charged - 1, 0), \
                 conflicts = conflicts + ?3, interrupted = 0, claimed_by = NULL, claim_expires = NULL WHERE seq = ?1 \
                 RETURNING conflicts",
            )?
            .query_row(
                params![delivery.seq, due, counted, self.now.as_millis()],
                |row| row.get(0),
            )?;
        Ok(conflicts)
    }

    /// Whether any key that the call read has another value now.
    fn state_has_moved(&self, delivery: &StoredDelivery, reads: &[StateRead]) -> Done<bool> {
        for read in reads {
            let now = plugin_state(self.db, &delivery.record.plugin, &read.key)?;
            if StateRead::of(read.key.clone(), now.as_deref()) != *read {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn write_state(&self, plugin: &PluginName, writes: &[StateWrite]) -> Done<()> {
        let plugin = plugin.as_str();
        for write in writes {
            match &write.value {
                Some(value) => self
                    .db
                    .prepare_cached(
                        "INSERT INTO plugin_state (plugin, key, value) VALUES (?1, ?2, ?3) \
                         ON CONFLICT (plugin, key) DO UPDATE SET value = excluded.value",
                    )?
                    .execute(params![plugin, write.key, value])?,
                None => self
                    .db
                    .prepare_cached("DELETE FROM plugin_state WHERE plugin = ?1 AND key = ?2")?
                    .execute(params![plugin, write.key])?,
            };
        }
        Ok(())
    }

    fn end(
        &mut self,
        delivery: &StoredDelivery,
        state: DeliveryState,
        result: &str,
        digest: &str,
    ) -> Done<()> {
        self.moved(delivery, state);
        self.db
            .prepare_cached(
                "UPDATE deliveries SET state = ?2, result = ?3, ended = ?4, due = NULL, \
                 digest = CASE WHEN ?5 = '' THEN digest ELSE ?5 END, \
                 interrupted = 0, host_faults = 0, claimed_by = NULL, claim_expires = NULL WHERE seq = ?1",
            )?
            .execute(params![
                delivery.seq,
                state.as_str(),
                result,
                self.now.as_millis(),
                digest
            ])?;
        // A later delivery of the pair may have waited for this one.
        self.unblock(delivery.job, &delivery.record.plugin)?;
        self.changes.push(Change::Deliveries);
        Ok(())
    }

    fn fail(
        &mut self,
        delivery: &StoredDelivery,
        record: &FailureRecord,
        next: &AfterFailure,
    ) -> Done<SettleResult> {
        self.keep_failure(delivery, record)?;
        if delivery.record.event.is_coalesced() && !matches!(next, AfterFailure::FailFast { .. }) {
            // Latest wins, never retried (B-106).
            self.end(
                delivery,
                DeliveryState::Settled,
                "failed; not repeated",
                &record.digest,
            )?;
            return Ok(SettleResult::Settled);
        }
        match next {
            AfterFailure::Retry { due, stage } => {
                self.again(delivery, record, due.as_millis(), *stage)?;
                Ok(SettleResult::Retrying)
            }
            AfterFailure::Dead { why } => self.bury(delivery, DeliveryState::Dead, why, record),
            AfterFailure::Park { why } => self.bury(delivery, DeliveryState::Poison, why, record),
            AfterFailure::FailFast { crash_limit } => self.note_fail_fast(delivery, record, *crash_limit),
        }
    }

    /// Buried or parked; a job that waited for it goes on, if it may.
    fn bury(
        &mut self,
        delivery: &StoredDelivery,
        state: DeliveryState,
        why: &str,
        record: &FailureRecord,
    ) -> Done<SettleResult> {
        self.end(delivery, state, why, &record.digest)?;
        if !record.class.is_charged() {
            self.db
                .prepare_cached("UPDATE deliveries SET charged = max(charged - 1, 0) WHERE seq = ?1")?
                .execute([delivery.seq])?;
        }
        let mut stored = load_job_at(self.db, delivery.job)?;
        self.release_if_done(&mut stored)?;
        Ok(SettleResult::Dead)
    }

    fn again(
        &mut self,
        delivery: &StoredDelivery,
        record: &FailureRecord,
        due: i64,
        stage: Stage,
    ) -> Done<()> {
        let charge = i64::from(!record.class.is_charged());
        let host_fault = record.class == crate::job::FailureClass::HostFault;
        let is_command =
            delivery.record.stage == Stage::Command || delivery.record.plugin.is_notify_command();
        let rounds = i64::from(is_command);
        self.moved(delivery, DeliveryState::Pending);
        let due = self.due_in_turn(delivery, due)?;
        self.db
            .prepare_cached(
                "UPDATE deliveries SET state = 'pending', due = ?2, since = ?8, stage = ?3, \
                 charged = max(charged - ?4, 0), digest = ?5, \
                 host_faults = CASE WHEN ?6 THEN host_faults + 1 ELSE 0 END, rounds = rounds + ?7, \
                 interrupted = 0, claimed_by = NULL, claim_expires = NULL WHERE seq = ?1",
            )?
            .execute(params![
                delivery.seq,
                due,
                stage_word(stage),
                charge,
                record.digest,
                host_fault,
                rounds,
                self.now.as_millis()
            ])?;
        self.changes.push(Change::Deliveries);
        Ok(())
    }

    /// The durable record of a FailFast. Only the delivery named in it is charged; at the limit it is
    /// parked, so that a supervisor's restart cannot loop.
    fn note_fail_fast(
        &mut self,
        delivery: &StoredDelivery,
        record: &FailureRecord,
        crash_limit: u32,
    ) -> Done<SettleResult> {
        let so_far: u32 = self
            .db
            .prepare_cached(
                "UPDATE deliveries SET fail_fasts = fail_fasts + 1 WHERE seq = ?1 RETURNING fail_fasts",
            )?
            .query_row([delivery.seq], |row| row.get(0))?;
        self.db
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('last_fail_fast', ?1)")?
            .execute([to_json(&(delivery.record.id, self.now, record))?])?;
        if so_far >= crash_limit {
            let why = format!("ended the host {so_far} times");
            return self.bury(delivery, DeliveryState::Poison, &why, record);
        }
        self.again(delivery, record, self.now.as_millis(), delivery.record.stage)?;
        Ok(SettleResult::Retrying)
    }

    fn keep_failure(&self, delivery: &StoredDelivery, record: &FailureRecord) -> Done<()> {
        let json = to_json(record)?;
        self.db
            .prepare_cached("UPDATE deliveries SET last_failure = ?2 WHERE seq = ?1")?
            .execute(params![delivery.seq, json])?;
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO attempts (delivery, attempt, record) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![delivery.seq, record.attempt, json])?;
        if let Some(oldest) = record.attempt.checked_sub(ATTEMPTS_KEPT) {
            self.db
                .prepare_cached("DELETE FROM attempts WHERE delivery = ?1 AND attempt <= ?2")?
                .execute(params![delivery.seq, oldest])?;
        }
        Ok(())
    }
}
