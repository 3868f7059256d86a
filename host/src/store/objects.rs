//! What a query finds: handed on as deliveries, kept for who asks, and counted (W-10…W-17, W-81…W-84).

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use crate::job::{
    Code, Completion, DeliveryState, EventKind, JobState, ObjectBatch, PluginName, Route, SinkEvent,
    SinkStatus, Value,
};

use super::read::job_seq;
use super::rows::{EventData, StoredJob, int, to_json, word};
use super::writer::{Done, Work};
use super::{Change, RunId, StoreError};

/// Batches of one job that one handler may have before it. The provider waits while it has them.
const OUTSTANDING_MAX: u32 = 4;

/// What a runner tells of a query.
#[derive(Clone, Debug)]
pub struct SinkReport {
    /// What there is to tell; how the query ended is never told so, but follows from its end.
    pub event: SinkEvent,
    /// Handlers that were too slow for too long: they miss it while they have too much before them, and
    /// that is counted.
    pub too_slow: BTreeSet<PluginName>,
    /// There was more than is told.
    pub partial: bool,
    /// Bytes of objects that are kept of one job, where it asks for that.
    pub keep_most: u64,
    /// What of the watch's memory changes with it.
    pub watch: Option<WatchChange>,
}

/// What a watch remembers from here on, together with the batch that tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchChange {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows by key.
    pub rows: Vec<(String, String)>,
    /// Keys of rows that are gone.
    pub gone: Vec<String>,
}

/// What a watch found last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows by key.
    pub rows: BTreeMap<String, String>,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandedOver {
    /// It is durable; these handlers miss it.
    Taken(Vec<PluginName>),
    /// These handlers have as much before them as they may have; nothing was written.
    Full(Vec<PluginName>),
}

/// A piece of the objects that are kept of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectsPage {
    /// How many are kept in all.
    pub total: u64,
    /// Batches in order, those at the ends cut to what was asked for.
    pub batches: Vec<ObjectBatch>,
}

/// The counts of one job.
#[derive(Clone, Debug, Default)]
struct Tally {
    run: u32,
    delivered: u64,
    dropped: u64,
    kept: u64,
    kept_bytes: u64,
    partial: bool,
    columns: String,
}

impl Work<'_> {
    pub(super) fn tell_sink(&mut self, run: RunId, report: &SinkReport) -> Done<HandedOver> {
        let stored = self.fenced(run)?;
        match &report.event {
            SinkEvent::Objects(batch) => self.tell_objects(&stored, batch, report),
            SinkEvent::Progress(_) => {
                let wanted = stored.job.spec.query.as_ref().is_some_and(|query| query.progress);
                if wanted {
                    self.raise_latest(&stored, EventKind::OnProgress, &data(&report.event))?;
                }
                Ok(HandedOver::Taken(Vec::new()))
            }
            SinkEvent::Put(_) => {
                self.raise(&stored, EventKind::OnObjectPut, &data(&report.event))?;
                Ok(HandedOver::Taken(Vec::new()))
            }
            // Only the end of the job says that.
            SinkEvent::Completed(_) => Err(StoreError::Fenced),
        }
    }

    fn tell_objects(
        &mut self,
        stored: &StoredJob,
        batch: &ObjectBatch,
        report: &SinkReport,
    ) -> Done<HandedOver> {
        let (mut free, mut full) = (Vec::new(), Vec::new());
        for route in self.router.routes(&stored.job, EventKind::OnObjectReady) {
            if self.outstanding(stored.seq, &route.plugin)? >= OUTSTANDING_MAX {
                full.push(route.plugin);
            } else {
                free.push(route);
            }
        }
        if !batch.rows.is_empty() && full.iter().any(|plugin| !report.too_slow.contains(plugin)) {
            return Ok(HandedOver::Full(full));
        }
        let told = !free.is_empty() && !batch.rows.is_empty();
        if told {
            self.deliver(stored, &report.event, free)?;
        }
        let mut tally = self.tally_of(stored)?;
        let objects = batch.rows.len() as u64;
        match full.is_empty() {
            true if told => tally.delivered += objects,
            true => {}
            false => tally.dropped += objects,
        }
        tally.partial |= report.partial;
        self.keep(stored, batch, report.keep_most, &mut tally)?;
        if let Some(watch) = &report.watch {
            tally.columns = to_json(&watch.columns)?;
            self.remember(stored.seq, watch)?;
        }
        self.write_tally(stored.seq, &tally)?;
        self.changed(stored);
        Ok(HandedOver::Taken(full))
    }

    fn deliver(&mut self, stored: &StoredJob, event: &SinkEvent, to: Vec<Route>) -> Done<()> {
        let kind = EventKind::OnObjectReady;
        let seq = self.insert_event(stored, kind, &data(event))?;
        for route in to {
            self.insert_delivery(stored, seq, kind, &route)?;
        }
        self.changes.push(Change::Deliveries);
        Ok(())
    }

    fn outstanding(&self, job: i64, plugin: &PluginName) -> Done<u32> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT count(*) FROM deliveries INDEXED BY deliveries_open WHERE job = ?1 AND plugin = ?2 \
                 AND state IN ('pending', 'running') AND kind = 'on-object-ready'",
            )?
            .query_row(params![job, plugin.as_str()], |row| row.get(0))?)
    }

    /// The counts so far. A query that is run again begins anew, a watch goes on.
    fn tally_of(&self, stored: &StoredJob) -> Done<Tally> {
        let known = load_tally(self.db, stored.seq)?;
        let watch = stored
            .job
            .spec
            .query
            .as_ref()
            .is_some_and(|query| query.every.is_some());
        let run = stored.job.attempt;
        match known {
            Some(tally) if watch || tally.run == run => Ok(Tally { run, ..tally }),
            _ => {
                self.db
                    .prepare_cached("DELETE FROM objects WHERE job = ?1")?
                    .execute([stored.seq])?;
                Ok(Tally {
                    run,
                    columns: "[]".to_owned(),
                    ..Tally::default()
                })
            }
        }
    }

    fn write_tally(&self, job: i64, tally: &Tally) -> Done<()> {
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO query_tally (job, run, delivered, dropped, kept, kept_bytes, partial, columns) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                job,
                tally.run,
                int(tally.delivered),
                int(tally.dropped),
                int(tally.kept),
                int(tally.kept_bytes),
                tally.partial,
                tally.columns,
            ])?;
        Ok(())
    }

    /// Keeps a batch where the query asks for that, up to a limit: what goes beyond makes it partial.
    fn keep(&self, stored: &StoredJob, batch: &ObjectBatch, most: u64, tally: &mut Tally) -> Done<()> {
        let keeps = stored.job.spec.query.as_ref().is_some_and(|query| query.keep);
        if !keeps {
            return Ok(());
        }
        let json = to_json(batch)?;
        if tally.kept_bytes.saturating_add(json.len() as u64) > most {
            tally.partial = true;
            return Ok(());
        }
        self.db
            .prepare_cached("INSERT INTO objects (job, first, count, batch) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                stored.seq,
                int(tally.kept),
                int(batch.rows.len() as u64),
                json
            ])?;
        tally.kept += batch.rows.len() as u64;
        tally.kept_bytes += json.len() as u64;
        Ok(())
    }

    fn remember(&self, job: i64, watch: &WatchChange) -> Done<()> {
        let mut insert = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO watch_rows (job, key, row) VALUES (?1, ?2, ?3)")?;
        for (key, row) in &watch.rows {
            insert.execute(params![job, key, row])?;
        }
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM watch_rows WHERE job = ?1 AND key = ?2")?;
        for key in &watch.gone {
            delete.execute(params![job, key])?;
        }
        Ok(())
    }

    /// How a query ended, as its sink is told: after it nothing more comes (W-11). What a cancelled one
    /// has found and not handed over yet is withdrawn (W-50).
    pub(super) fn completion(&mut self, stored: &StoredJob) -> Done<Completion> {
        let mut tally = load_tally(self.db, stored.seq)?.unwrap_or_default();
        self.take_back(stored.seq, EventKind::OnProgress)?;
        let job = &stored.job;
        if job.state == JobState::Cancelled {
            let withdrawn = self.take_back(stored.seq, EventKind::OnObjectReady)?;
            tally.delivered = tally.delivered.saturating_sub(withdrawn);
            tally.dropped += withdrawn;
            self.write_tally(stored.seq, &tally)?;
        }
        let succeeded = job.error.is_none();
        let (code, class) = match &job.error {
            Some(error) => (error.code, SinkStatus::Failed),
            None if tally.dropped > 0 || tally.partial => (Code::WBEM_PARTIAL_RESULTS, SinkStatus::Warning),
            None => (Code::OK, SinkStatus::Ok),
        };
        Ok(Completion {
            code,
            class,
            delivered: tally.delivered,
            dropped: tally.dropped,
            error: job.error.clone().filter(|_| !succeeded),
        })
    }

    /// Takes back deliveries that no handler has been called for; returns how many objects they had.
    fn take_back(&mut self, job: i64, kind: EventKind) -> Done<u64> {
        let found: Vec<(i64, i64, PluginName, u64)> = {
            let mut statement = self.db.prepare_cached(
                "SELECT d.seq, d.event, d.plugin, coalesce(json_array_length(e.data, '$.sink.objects.rows'), 0) \
                 FROM deliveries d INDEXED BY deliveries_by_job JOIN events e ON e.seq = d.event \
                 WHERE d.job = ?1 AND d.kind = ?2 AND d.state = 'pending'",
            )?;
            let rows = statement.query_map(params![job, kind.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?, word(row, 2)?, row.get(3)?))
            })?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        let (mut events, mut plugins) = (BTreeMap::new(), BTreeSet::new());
        for (seq, event, plugin, objects) in found {
            self.db
                .prepare_cached(
                    "UPDATE deliveries SET state = 'settled', result = 'withdrawn', ended = ?2, due = NULL \
                     WHERE seq = ?1",
                )?
                .execute([seq, self.now.as_millis()])?;
            let (was, is) = (DeliveryState::Pending, DeliveryState::Settled);
            self.ledger.delivery(&plugin, Some(was), Some(is));
            events.insert(event, objects);
            plugins.insert(plugin);
        }
        // What waited behind them is next.
        for plugin in plugins {
            self.unblock(job, &plugin)?;
        }
        Ok(events.into_values().sum())
    }
}

fn data(event: &SinkEvent) -> EventData {
    EventData {
        sink: Some(event.clone()),
        ..EventData::default()
    }
}

fn load_tally(db: &Connection, job: i64) -> Done<Option<Tally>> {
    let mut statement = db.prepare_cached(
        "SELECT run, delivered, dropped, kept, kept_bytes, partial, columns FROM query_tally WHERE job = ?1",
    )?;
    let found = statement.query_row([job], |row| {
        Ok(Tally {
            run: row.get(0)?,
            delivered: row.get(1)?,
            dropped: row.get(2)?,
            kept: row.get(3)?,
            kept_bytes: row.get(4)?,
            partial: row.get(5)?,
            columns: row.get(6)?,
        })
    });
    Ok(found.optional()?)
}

/// What a watch found last.
pub(super) fn watched(db: &Connection, run: RunId) -> Done<Watched> {
    let job = job_seq(db, run.job)?;
    let columns = load_tally(db, job)?
        .map(|tally| tally.columns)
        .unwrap_or_default();
    let mut statement = db.prepare_cached("SELECT key, row FROM watch_rows WHERE job = ?1")?;
    let rows = statement.query_map([job], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Watched {
        // Nothing was found yet, so nothing is known of its columns.
        columns: serde_json::from_str(&columns).unwrap_or_default(),
        rows: rows.collect::<rusqlite::Result<_>>()?,
    })
}

/// Kept objects from `offset`, at most `limit`.
pub(super) fn page(db: &Connection, id: crate::job::JobId, offset: u64, limit: u64) -> Done<ObjectsPage> {
    let job = job_seq(db, id)?;
    let total = load_tally(db, job)?.map_or(0, |tally| tally.kept);
    let mut statement = db.prepare_cached(
        "SELECT first, batch FROM objects WHERE job = ?1 AND first < ?3 AND (first + count > ?2 OR count = 0) ORDER BY first",
    )?;
    let end = offset.saturating_add(limit);
    let rows = statement.query_map(params![job, int(offset), int(end)], |row| {
        Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut batches = Vec::new();
    for row in rows {
        let (first, json) = row?;
        let mut batch: ObjectBatch =
            serde_json::from_str(&json).map_err(|why| StoreError::Backend(why.to_string()))?;
        let skip = usize::try_from(offset.saturating_sub(first)).unwrap_or(usize::MAX);
        let take = usize::try_from(end.saturating_sub(first.max(offset))).unwrap_or(usize::MAX);
        batch.rows = batch
            .rows
            .into_iter()
            .skip(skip)
            .take(take)
            .collect::<Vec<Vec<Value>>>();
        batches.push(batch);
    }
    Ok(ObjectsPage { total, batches })
}
