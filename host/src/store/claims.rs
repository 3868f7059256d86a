//! Taking work: runnable jobs for the engine, due deliveries for dispatch, and what earlier starts
//! of this host left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use crate::job::{
    Command, DeliveryState, EventKind, FailureClass, JobState, OwnerName, PluginName, Priority, Timestamp,
};

use super::rows::{
    DELIVERY_COLUMNS, JobClaim, StoredDelivery, StoredJob, delivery_of, int, load_event, load_files,
    load_job_at,
};
use super::writer::{Done, Work};
use super::{Change, Claim, ClaimDeliveries, ClaimJobs, Run};

/// Files a claim or a handler is shown.
const FILES_SHOWN: u32 = 100;

/// Deaths in a row after which a delivery is run alone; the next parks it.
const INTERRUPTED_ALONE: u32 = 5;

impl Work<'_> {
    pub(super) fn claim_jobs(&mut self, ask: &ClaimJobs) -> Done<Vec<Run>> {
        let mut hosts = ask.busy_hosts.clone();
        let mut runs = Vec::new();
        for level in [
            Priority::Foreground,
            Priority::High,
            Priority::Normal,
            Priority::Low,
        ] {
            let free = match level {
                Priority::Foreground => ask.foreground,
                _ => ask.background.saturating_sub(background(&runs)),
            };
            if free == 0 {
                continue;
            }
            for mut stored in self.runnable(level, free, ask, &mut hosts)? {
                stored.claim = Some(JobClaim {
                    incarnation: int(self.incarnation),
                    expires: self.now.after(ask.lease).as_millis(),
                });
                self.apply(&mut stored, &Command::Start)?;
                let files = load_files(self.db, stored.seq, 0, u32::MAX)?;
                runs.push(Run {
                    job: stored.job,
                    files,
                });
            }
        }
        Ok(runs)
    }

    /// Runnable jobs of one level, oldest first, with their remote hosts counted.
    fn runnable(
        &self,
        level: Priority,
        free: usize,
        ask: &ClaimJobs,
        hosts: &mut BTreeMap<String, usize>,
    ) -> Done<Vec<StoredJob>> {
        // The look walks the index alone, hosts included, so that stepping over many jobs of a
        // saturated remote host neither loads them nor hides the jobs of others behind them.
        let mut statement = self.db.prepare_cached(
            "SELECT seq, host FROM jobs INDEXED BY jobs_runnable \
             WHERE state = 'queued' AND intent IS NULL AND due IS NULL AND priority = ?1 ORDER BY seq",
        )?;
        let mut rows = statement.query([super::rows::rank(level)])?;
        let mut taken = Vec::new();
        while taken.len() < free {
            let Some(row) = rows.next()? else { break };
            let host: String = row.get(1)?;
            let busy = hosts.get(&host).copied().unwrap_or(0);
            if level != Priority::Foreground && busy >= ask.per_host {
                continue;
            }
            hosts.insert(host, busy + 1);
            taken.push(row.get(0)?);
        }
        taken.into_iter().map(|seq| load_job_at(self.db, seq)).collect()
    }

    pub(super) fn claim_deliveries(&mut self, ask: &ClaimDeliveries) -> Done<Vec<Claim>> {
        let running: usize = ask.busy.values().sum();
        // A delivery during which the host keeps dying runs by itself, so that the next death names
        // it: nothing starts before it or beside it.
        if running > 0 && self.suspect_runs()? {
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
                for delivery in due {
                    claims.push(self.claim(delivery, ask.lease)?);
                }
            }
            if !wanted_more || claims.len() >= ask.limit {
                break;
            }
        }
        Ok(claims)
    }

    /// Up to `free` due deliveries of a plugin, oldest due first.
    fn due_of(
        &self,
        plugin: &PluginName,
        free: usize,
        per_pair: usize,
        busy: &mut BTreeMap<(OwnerName, PluginName), usize>,
    ) -> Done<Vec<StoredDelivery>> {
        let sql = format!(
            "SELECT {DELIVERY_COLUMNS} FROM deliveries d JOIN jobs j ON j.seq = d.job \
             WHERE d.plugin = ?1 AND d.state = 'pending' AND d.due <= ?2 AND NOT EXISTS \
             (SELECT 1 FROM deliveries e WHERE e.job = d.job AND e.plugin = d.plugin AND e.seq < d.seq \
              AND e.state IN ('pending', 'running') AND e.kind <> 'job-modification') \
             ORDER BY d.due, d.seq"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query(params![plugin.as_str(), self.now.as_millis()])?;
        let mut due = Vec::new();
        let mut skipped = 0;
        while due.len() < free && skipped < 1000 {
            let Some(row) = rows.next()? else { break };
            let delivery = delivery_of(row)?;
            let pair = (delivery.record.owner.clone(), plugin.clone());
            let calls = busy.entry(pair).or_insert(0);
            if *calls >= per_pair {
                skipped += 1;
                continue;
            }
            *calls += 1;
            due.push(delivery);
        }
        Ok(due)
    }

    fn suspect(&self, serving: &BTreeSet<PluginName>) -> Done<Option<StoredDelivery>> {
        // The literal lets SQLite use the partial index: there are hardly ever any.
        let sql = format!(
            "SELECT {DELIVERY_COLUMNS} FROM deliveries d INDEXED BY deliveries_suspect JOIN jobs j ON j.seq = d.job \
             WHERE d.state = 'pending' AND d.interrupted >= {INTERRUPTED_ALONE} AND d.due <= ?1 \
             AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.job = d.job AND e.plugin = d.plugin \
              AND e.seq < d.seq AND e.state IN ('pending', 'running') AND e.kind <> 'job-modification') \
             ORDER BY d.seq"
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
    fn claim(&self, mut delivery: StoredDelivery, lease: Duration) -> Done<Claim> {
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
        } = self.job_of_delivery(delivery.seq)?;
        let (revision, data) = load_event(self.db, delivery.event)?;
        let moved_on = match delivery.record.event {
            EventKind::JobError | EventKind::OnError => job.state != JobState::Error || revision < entered,
            EventKind::JobTransferred => job.state != JobState::Transferred || revision < entered,
            EventKind::JobModification | EventKind::FileTransferred | EventKind::OnEnded => false,
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
        })
    }

    pub(super) fn job_of_delivery(&self, delivery: i64) -> Done<StoredJob> {
        let seq: i64 = self
            .db
            .prepare_cached("SELECT job FROM deliveries WHERE seq = ?1")?
            .query_row([delivery], |row| row.get(0))?;
        load_job_at(self.db, seq)
    }

    /// Holding the state lock proves earlier starts dead: what they claimed is free at once. Running
    /// jobs go back to the queue through the law; running calls were interrupted, which charges nobody.
    pub(super) fn recover(&mut self) -> Done<()> {
        let jobs: Vec<i64> = {
            let mut statement = self
                .db
                .prepare_cached("SELECT seq FROM jobs WHERE state IN ('connecting', 'transferring')")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for seq in jobs {
            let mut stored = load_job_at(self.db, seq)?;
            self.apply(&mut stored, &Command::Yield)?;
        }
        self.clamp_due_times()?;
        let interrupted = self
            .db
            .prepare_cached(
                "UPDATE deliveries SET state = CASE WHEN interrupted >= ?1 THEN 'poison' ELSE 'pending' END, \
                 result = CASE WHEN interrupted >= ?1 THEN 'the host died again while only this ran' END, \
                 ended = CASE WHEN interrupted >= ?1 THEN ?2 END, \
                 interrupted = interrupted + 1, charged = max(charged - 1, 0), due = ?2, \
                 claimed_by = NULL, claim_expires = NULL WHERE state = 'running'",
            )?
            .execute(params![INTERRUPTED_ALONE, self.now.as_millis()])?;
        if interrupted > 0 {
            let class = FailureClass::Interrupted;
            tracing::warn!("{interrupted} calls were {class} when the host last ended; they are made again");
            self.changes.push(Change::Deliveries);
        }
        Ok(())
    }

    /// A wall clock that was moved back while no host ran must not stretch a wait: what remains is
    /// clamped to the original delay (design: laws). `modified` is when the delay began.
    fn clamp_due_times(&self) -> Done<()> {
        self.db.execute(
            "UPDATE jobs SET due = ?1 + (due - modified) WHERE due IS NOT NULL AND modified > ?1 AND due > modified",
            [self.now.as_millis()],
        )?;
        Ok(())
    }

    pub(super) fn next_delivery(
        &self,
        serving: &BTreeSet<PluginName>,
        after: Timestamp,
    ) -> Done<Option<Timestamp>> {
        let mut next: Option<Timestamp> = None;
        let mut statement = self.db.prepare_cached(
            "SELECT due FROM deliveries WHERE plugin = ?1 AND state = 'pending' AND due > ?2 \
             ORDER BY due LIMIT 1",
        )?;
        for plugin in serving {
            let due = statement
                .query_row(params![plugin.as_str(), after.as_millis()], |row| row.get(0))
                .optional()?
                .map(Timestamp::from_millis);
            next = match (next, due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(next)
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

fn background(runs: &[Run]) -> usize {
    runs.iter()
        .filter(|run| run.job.priority != Priority::Foreground)
        .count()
}
