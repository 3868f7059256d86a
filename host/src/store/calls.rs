//! Taking due deliveries for dispatch: those of each plugin and owner that are first of their pair,
//! oldest due first, past owners whose calls are all under way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use crate::job::{DeliveryState, EventKind, JobState, OwnerName, PluginName, Timestamp};

use super::recover::INTERRUPTED_ALONE;
use super::rows::{
    DELIVERY_COLUMNS, StoredDelivery, StoredJob, delivery_of, int, load_delivery_at, load_event, load_files,
    load_job_at, word,
};
use super::writer::{Done, Work};
use super::{Claim, ClaimDeliveries};

/// Files a handler is shown.
const FILES_SHOWN: u32 = 100;

impl Work<'_> {
    pub(super) fn claim_deliveries(&mut self, ask: &ClaimDeliveries) -> Done<Vec<Claim>> {
        let running: usize = ask.busy.values().sum();
        // A delivery during which the host keeps dying runs by itself, so that the next death names
        // it: nothing starts before it or beside it, nor while the verdict on it is on its way here.
        if self.suspect_runs()? {
            return Ok(Vec::new());
        }
        if let Some(alone) = self.suspect(&ask.serving)? {
            return if running == 0 {
                Ok(vec![self.claim(alone, ask.lease)?])
            } else {
                Ok(Vec::new())
            };
        }
        let mut busy = ask.busy.clone();
        let mut claims = Vec::new();
        let plugins = least_busy_first(ask);
        // Slots that become free together are shared; a second round gives out what is left over.
        let share = ask.limit.div_ceil(plugins.len().max(1));
        for most in [share, ask.limit] {
            let mut wanted_more = false;
            for plugin in &plugins {
                let free = ask.limit.saturating_sub(claims.len()).min(most);
                let due = self.due_of(plugin, free, ask.per_pair, &mut busy)?;
                wanted_more |= due.len() >= free;
                for seq in due {
                    let delivery = load_delivery_at(self.db, seq)?;
                    claims.push(self.claim(delivery, ask.lease)?);
                }
            }
            if !wanted_more || claims.len() >= ask.limit {
                break;
            }
        }
        Ok(claims)
    }

    /// Up to `free` due deliveries of a plugin, oldest due first, no more of an owner than it has free.
    fn due_of(
        &self,
        plugin: &PluginName,
        free: usize,
        per_pair: usize,
        busy: &mut BTreeMap<(OwnerName, PluginName), usize>,
    ) -> Done<Vec<i64>> {
        let mut statement = self.db.prepare_cached(
            "SELECT due, seq FROM deliveries INDEXED BY deliveries_due WHERE plugin = ?1 AND owner = ?2 \
             AND state = 'pending' AND due IS NOT NULL AND due <= ?3 ORDER BY due, seq LIMIT ?4",
        )?;
        let mut found: Vec<(i64, i64, OwnerName)> = Vec::new();
        for owner in self.owners_waiting(plugin)? {
            let pair = (owner, plugin.clone());
            let calls = busy.get(&pair).copied().unwrap_or(0);
            let most = per_pair.saturating_sub(calls).min(free);
            if most > 0 {
                let owner = pair.0;
                let rows = statement.query_map(
                    params![
                        plugin.as_str(),
                        owner.as_str(),
                        self.now.as_millis(),
                        int(most as u64)
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?, owner.clone())),
                )?;
                for row in rows {
                    found.push(row?);
                }
            }
        }
        found.sort_unstable();
        found.truncate(free);
        let mut due = Vec::with_capacity(found.len());
        for (_, seq, owner) in found {
            *busy.entry((owner, plugin.clone())).or_insert(0) += 1;
            due.push(seq);
        }
        Ok(due)
    }

    /// Owners with deliveries to a plugin that wait for a time or a slot: one look into the index per
    /// owner, however many deliveries each has. Owners are people and services: there are few.
    pub(super) fn owners_waiting(&self, plugin: &PluginName) -> Done<Vec<OwnerName>> {
        let mut statement = self.db.prepare_cached(
            "SELECT owner FROM deliveries INDEXED BY deliveries_due WHERE plugin = ?1 AND owner > ?2 \
             AND state = 'pending' AND due IS NOT NULL ORDER BY owner LIMIT 1",
        )?;
        let mut owners: Vec<OwnerName> = Vec::new();
        loop {
            let last = owners.last().map_or("", OwnerName::as_str);
            let next = statement
                .query_row([plugin.as_str(), last], |row| word(row, 0))
                .optional()?;
            match next {
                Some(owner) => owners.push(owner),
                None => return Ok(owners),
            }
        }
    }

    fn suspect(&self, serving: &BTreeSet<PluginName>) -> Done<Option<StoredDelivery>> {
        // The literal lets SQLite use the partial index: there are hardly ever any.
        let sql = format!(
            "SELECT {DELIVERY_COLUMNS} FROM deliveries d INDEXED BY deliveries_suspect JOIN jobs j ON j.seq = d.job \
             WHERE d.state = 'pending' AND d.interrupted >= {INTERRUPTED_ALONE} AND d.due <= ?1 ORDER BY d.seq"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query([self.now.as_millis()])?;
        while let Some(row) = rows.next()? {
            let delivery = delivery_of(row)?;
            if serving.contains(&delivery.record.plugin) {
                return Ok(Some(delivery));
            }
        }
        Ok(None)
    }

    fn suspect_runs(&self) -> Done<bool> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_suspect WHERE state = 'running' AND interrupted >= {INTERRUPTED_ALONE})"
        );
        Ok(self.db.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
    }

    /// Counts the attempt and gathers what the call needs.
    fn claim(&mut self, mut delivery: StoredDelivery, lease: Duration) -> Done<Claim> {
        self.moved(&delivery, DeliveryState::Running);
        delivery.record.state = DeliveryState::Running;
        delivery.record.attempt = delivery.record.attempt.saturating_add(1);
        delivery.record.charged = delivery.record.charged.saturating_add(1);
        self.db
            .prepare_cached(
                "UPDATE deliveries SET state = 'running', attempt = ?2, charged = ?3, claimed_by = ?4, \
                 claim_expires = ?5 WHERE seq = ?1",
            )?
            .execute(params![
                delivery.seq,
                delivery.record.attempt,
                delivery.record.charged,
                int(self.incarnation),
                self.now.after(lease).as_millis(),
            ])?;
        let StoredJob {
            seq, entered, job, ..
        } = load_job_at(self.db, delivery.job)?;
        let (revision, data) = load_event(self.db, delivery.event)?;
        let moved_on = match delivery.record.event {
            EventKind::JobError
            | EventKind::OnError
            | EventKind::FinalServerRetry
            | EventKind::FinalClientRetry => job.state != JobState::Error || revision < entered,
            EventKind::JobTransferred => job.state != JobState::Transferred || revision < entered,
            EventKind::JobModification
            | EventKind::FileTransferred
            | EventKind::OnEnded
            | EventKind::OnObjectReady
            | EventKind::OnProgress
            | EventKind::OnObjectPut
            | EventKind::OnCompleted => false,
        };
        let files = load_files(self.db, seq, 0, FILES_SHOWN)?;
        Ok(Claim {
            delivery: delivery.record,
            job,
            files,
            error: data.error,
            file: data.file,
            outcome: data.outcome,
            stale: moved_on,
            sink: data.sink,
        })
    }

    pub(super) fn next_delivery(
        &self,
        serving: &BTreeSet<PluginName>,
        after: Timestamp,
    ) -> Done<Option<Timestamp>> {
        let mut statement = self.db.prepare_cached(
            "SELECT due FROM deliveries INDEXED BY deliveries_due WHERE plugin = ?1 AND owner = ?2 \
             AND state = 'pending' AND due IS NOT NULL AND due > ?3 ORDER BY due LIMIT 1",
        )?;
        let mut next: Option<i64> = None;
        for plugin in serving {
            for owner in self.owners_waiting(plugin)? {
                let due = statement
                    .query_row(
                        params![plugin.as_str(), owner.as_str(), after.as_millis()],
                        |row| row.get(0),
                    )
                    .optional()?;
                next = next.into_iter().chain(due).min();
            }
        }
        Ok(next.map(Timestamp::from_millis))
    }
}

/// Under the global limit the plugins with the fewest calls come first, so that one with a long
/// queue does not take every slot that becomes free.
fn least_busy_first(ask: &ClaimDeliveries) -> Vec<&PluginName> {
    let mut calls: BTreeMap<&PluginName, usize> = BTreeMap::new();
    for ((_, plugin), running) in &ask.busy {
        *calls.entry(plugin).or_insert(0) += running;
    }
    let mut plugins: Vec<&PluginName> = ask.serving.iter().collect();
    plugins.sort_by_key(|plugin| calls.get(plugin).copied().unwrap_or(0));
    plugins
}
