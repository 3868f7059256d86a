//! Reading beside the writer: lists, single records, counts.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::job::{DeliveryId, Job, JobId, PluginName};

use super::rows::{DELIVERY_COLUMNS, JOB_COLUMNS, delivery_of, job_of, load_delivery, word};
use super::writer::Done;
use super::{Counts, DeliveryFilter, DeliveryRecord, JobFilter, StoreError};

/// Rows a list has when its caller names no limit.
const LIST_ROWS: usize = 100;

/// Rows a list has at most, whatever its caller names.
const LIST_ROWS_MAX: usize = 100_000;

/// A `WHERE` clause under construction.
struct Where {
    terms: Vec<String>,
    values: Vec<Value>,
}

impl Where {
    fn new() -> Self {
        Self {
            terms: Vec::new(),
            values: Vec::new(),
        }
    }

    fn and(&mut self, term: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.terms
            .push(term.replace('?', &format!("?{}", self.values.len())));
    }

    fn one_of(&mut self, column: &str, words: impl Iterator<Item = &'static str>) {
        let list: Vec<String> = words
            .map(|word| {
                self.values.push(Value::from(word.to_owned()));
                format!("?{}", self.values.len())
            })
            .collect();
        if !list.is_empty() {
            self.terms.push(format!("{column} IN ({})", list.join(", ")));
        }
    }

    fn sql(&self) -> String {
        if self.terms.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", self.terms.join(" AND "))
        }
    }
}

fn capped(limit: usize) -> usize {
    if limit == 0 {
        LIST_ROWS
    } else {
        limit.min(LIST_ROWS_MAX)
    }
}

pub(super) fn jobs(db: &Connection, filter: &JobFilter) -> Done<Vec<Job>> {
    let mut clause = Where::new();
    clause.one_of("j.state", filter.states.iter().map(|state| state.as_str()));
    if let Some(owner) = &filter.owner {
        clause.and("j.owner = ?", owner.as_str().to_owned());
    }
    if let Some(before) = filter.before {
        clause.and(
            "j.seq < (SELECT seq FROM jobs WHERE id = ?)",
            before.as_bytes().to_vec(),
        );
    }
    let sql = format!(
        "SELECT {JOB_COLUMNS} FROM jobs j JOIN job_data d ON d.job = j.seq {} ORDER BY j.seq DESC LIMIT {}",
        clause.sql(),
        capped(filter.limit)
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(clause.values), |row| {
        job_of(row).map(|stored| stored.job)
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The clause of a filter over `deliveries d JOIN jobs j`.
pub(super) fn delivery_clause(filter: &DeliveryFilter) -> (String, Vec<Value>) {
    let mut clause = Where::new();
    clause.one_of("d.state", filter.states.iter().map(|state| state.as_str()));
    if let Some(id) = filter.id {
        clause.and("d.id = ?", id.as_bytes().to_vec());
    }
    if let Some(plugin) = &filter.plugin {
        clause.and("d.plugin = ?", plugin.as_str().to_owned());
    }
    if let Some(job) = filter.job {
        clause.and("j.id = ?", job.as_bytes().to_vec());
    }
    (clause.sql(), clause.values)
}

pub(super) fn deliveries(db: &Connection, filter: &DeliveryFilter) -> Done<Vec<DeliveryRecord>> {
    let (clause, values) = delivery_clause(filter);
    let sql = format!(
        "SELECT {DELIVERY_COLUMNS} FROM deliveries d JOIN jobs j ON j.seq = d.job {clause} \
         ORDER BY d.seq DESC LIMIT {}",
        capped(filter.limit)
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| delivery_of(row).map(|d| d.record))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn delivery(db: &Connection, id: DeliveryId) -> Done<DeliveryRecord> {
    let stored = load_delivery(db, id)?;
    let mut record = stored.record;
    let mut statement =
        db.prepare_cached("SELECT record FROM attempts WHERE delivery = ?1 ORDER BY attempt")?;
    let rows = statement.query_map([stored.seq], |row| row.get::<_, String>(0))?;
    for json in rows {
        let failure = serde_json::from_str(&json?).map_err(|why| StoreError::Backend(why.to_string()))?;
        record.attempts.push(failure);
    }
    Ok(record)
}

pub(super) fn counts(db: &Connection) -> Done<Counts> {
    let mut counts = Counts::default();
    let mut statement = db.prepare_cached("SELECT state, count(*) FROM jobs GROUP BY state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        counts.jobs.insert(word(row, 0)?, row.get(1)?);
    }
    let mut statement = db.prepare_cached("SELECT state, count(*) FROM deliveries GROUP BY state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        counts.deliveries.insert(word(row, 0)?, row.get(1)?);
    }
    Ok(counts)
}

pub(super) fn waiting(db: &Connection) -> Done<BTreeMap<PluginName, u64>> {
    let mut statement =
        db.prepare_cached("SELECT plugin, count(*) FROM deliveries WHERE state = 'pending' GROUP BY plugin")?;
    let rows = statement.query_map([], |row| Ok((word(row, 0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn plugin_state(db: &Connection, plugin: &PluginName, key: &str) -> Done<Option<Vec<u8>>> {
    let mut statement = db.prepare_cached("SELECT value FROM plugin_state WHERE plugin = ?1 AND key = ?2")?;
    Ok(statement
        .query_row([plugin.as_str(), key], |row| row.get(0))
        .optional()?)
}

pub(super) fn plugin_state_bytes(db: &Connection, plugin: &PluginName) -> Done<u64> {
    let mut statement = db.prepare_cached(
        "SELECT coalesce(sum(length(key) + length(value)), 0) FROM plugin_state WHERE plugin = ?1",
    )?;
    Ok(statement.query_row([plugin.as_str()], |row| row.get(0))?)
}

/// The row of a job, for reads that hang on it.
pub(super) fn job_seq(db: &Connection, id: JobId) -> Done<i64> {
    let found = db
        .prepare_cached("SELECT seq FROM jobs WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "job",
        id: id.to_string(),
    })
}

/// Jobs with file work to do, oldest first.
pub(super) fn intents(db: &Connection, limit: usize) -> Done<Vec<Job>> {
    let sql = format!(
        "SELECT {JOB_COLUMNS} FROM jobs j JOIN job_data d ON d.job = j.seq \
         WHERE j.intent IS NOT NULL ORDER BY j.seq LIMIT {limit}"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| job_of(row).map(|stored| stored.job))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
