//! Reading beside the writer: single records and what hangs on them.

use rusqlite::{Connection, OptionalExtension};

use crate::job::{DeliveryId, Job, JobId, PluginName};

use super::rows::{JOB_COLUMNS, int, job_of, load_delivery};
use super::writer::Done;
use super::{DeliveryRecord, StoreError};

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
         WHERE j.intent IS NOT NULL ORDER BY j.seq LIMIT ?1"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([int(limit as u64)], |row| job_of(row).map(|stored| stored.job))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
