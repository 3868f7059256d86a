//! Rows to nouns and back.

use std::str::FromStr;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::job::{
    DeliveryId, ErrorInfo, EventKind, FailureRecord, Family, FileStatus, Job, JobId, JobSpec, Outcome,
    Priority, Progress, ReplyProgress, SinkEvent, Timestamp,
};

use super::writer::Done;
use super::{DeliveryRecord, Stage, StoreError};

/// The columns [`job_of`] reads.
pub(super) const JOB_COLUMNS: &str = "j.seq, j.id, j.owner, j.kind, j.state, j.intent, j.outcome, j.priority, \
     j.revision, j.attempt, j.error_count, j.retries, j.no_progress_since, j.due, j.created, j.modified, \
     j.transferred, j.bytes_known, j.bytes_transferred, j.sizes_unknown, j.files_total, \
     j.files_transferred, j.entered, d.spec, d.error, j.claimed_by, j.claim_expires, \
     j.active_ms, j.active_since, j.reply_total, j.reply_transferred, j.call";

/// A job with what only the store knows of it.
pub(super) struct StoredJob {
    pub(super) seq: i64,
    /// The revision at which its state was entered.
    pub(super) entered: u64,
    /// Who runs it, and until when that holds without renewal; a job that does not run has neither.
    pub(super) claim: Option<JobClaim>,
    pub(super) active: Active,
    pub(super) job: Job,
}

/// How long a job has been running (B-61).
#[derive(Clone, Copy, Default)]
pub(super) struct Active {
    /// In runs that ended.
    pub(super) ended: Duration,
    /// When the run under way began.
    pub(super) since: Option<Timestamp>,
}

/// The claim of one start of one host.
#[derive(Clone, Copy)]
pub(super) struct JobClaim {
    pub(super) incarnation: i64,
    pub(super) expires: i64,
}

/// A column that holds one of an enumeration's words.
pub(super) fn word<T: FromStr>(row: &Row<'_>, index: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(index)?.as_str()?;
    text.parse().map_err(|why| damaged(index, why))
}

pub(super) fn optional_word<T: FromStr>(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match row.get_ref(index)?.as_str_or_null()? {
        Some(text) => text.parse().map(Some).map_err(|why| damaged(index, why)),
        None => Ok(None),
    }
}

fn damaged(index: usize, why: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(why))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(index)?.as_str()?).map_err(|why| damaged(index, why))
}

pub(super) fn optional_json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<T>> {
    match row.get_ref(index)?.as_str_or_null()? {
        Some(text) => serde_json::from_str(text)
            .map(Some)
            .map_err(|why| damaged(index, why)),
        None => Ok(None),
    }
}

pub(super) fn time(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_millis(row.get(index)?))
}

pub(super) fn optional_time(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(index)?.map(Timestamp::from_millis))
}

/// Plain data as a JSON column.
pub(super) fn to_json<T: Serialize>(value: &T) -> Done<String> {
    serde_json::to_string(value).map_err(|why| StoreError::Backend(why.to_string()))
}

/// Counts are kept as SQLite's signed integers.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Delays are kept in milliseconds.
pub(super) fn millis(delay: Duration) -> i64 {
    i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)
}

/// Reads the columns of [`JOB_COLUMNS`].
pub(super) fn job_of(row: &Row<'_>) -> rusqlite::Result<StoredJob> {
    let spec: JobSpec = json(row, 23)?;
    let error: Option<ErrorInfo> = optional_json(row, 24)?;
    let unknown: u32 = row.get(19)?;
    let files_total: u32 = row.get(20)?;
    let progress = Progress {
        bytes_total: if unknown == 0 { Some(row.get(17)?) } else { None },
        bytes_transferred: row.get(18)?,
        files_total,
        files_transferred: row.get(21)?,
    };
    let job = Job {
        id: JobId::from_bytes(row.get(1)?),
        owner: word(row, 2)?,
        kind: word(row, 3)?,
        state: word(row, 4)?,
        intent: optional_word(row, 5)?,
        outcome: optional_word(row, 6)?,
        priority: priority_of(row.get(7)?),
        revision: row.get(8)?,
        attempt: row.get(9)?,
        error_count: row.get(10)?,
        retries: row.get(11)?,
        no_progress_since: optional_time(row, 12)?,
        due: optional_time(row, 13)?,
        created: time(row, 14)?,
        modified: time(row, 15)?,
        transferred: optional_time(row, 16)?,
        progress,
        reply: reply_of(row)?,
        error,
        call: optional_json(row, 31)?.unwrap_or_default(),
        spec,
    };
    let claimed_by: Option<i64> = row.get(25)?;
    let expires: Option<i64> = row.get(26)?;
    Ok(StoredJob {
        seq: row.get(0)?,
        entered: row.get(22)?,
        claim: claimed_by
            .zip(expires)
            .map(|(incarnation, expires)| JobClaim { incarnation, expires }),
        active: Active {
            ended: Duration::from_millis(row.get(27)?),
            since: optional_time(row, 28)?,
        },
        job,
    })
}

fn reply_of(row: &Row<'_>) -> rusqlite::Result<Option<ReplyProgress>> {
    let bytes_total = row.get(29)?;
    let transferred: Option<u64> = row.get(30)?;
    Ok(transferred.map(|bytes_transferred| ReplyProgress {
        bytes_total,
        bytes_transferred,
    }))
}

/// Whose slots a job runs in, as the store sorts it.
pub(super) const fn pool(family: Family) -> i64 {
    match family {
        Family::Transfer => 0,
        Family::Batch => 1,
        Family::Query => 2,
    }
}

/// Priorities are kept as their rank, so that an index orders them.
pub(super) fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::Foreground => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    }
}

fn priority_of(rank: i64) -> Priority {
    match rank {
        0 => Priority::Foreground,
        1 => Priority::High,
        2 => Priority::Normal,
        _ => Priority::Low,
    }
}

/// One job by its id.
pub(super) fn load_job(db: &Connection, id: JobId) -> Done<StoredJob> {
    let sql = format!("SELECT {JOB_COLUMNS} FROM jobs j JOIN job_data d ON d.job = j.seq WHERE j.id = ?1");
    let found = db
        .prepare_cached(&sql)?
        .query_row([id.as_bytes()], job_of)
        .optional()?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "job",
        id: id.to_string(),
    })
}

/// One job by its row.
pub(super) fn load_job_at(db: &Connection, seq: i64) -> Done<StoredJob> {
    let sql = format!("SELECT {JOB_COLUMNS} FROM jobs j JOIN job_data d ON d.job = j.seq WHERE j.seq = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([seq], job_of)?)
}

/// A job's files in order.
pub(super) fn load_files(db: &Connection, job: i64, offset: u32, limit: u32) -> Done<Vec<FileStatus>> {
    let mut statement = db.prepare_cached(
        "SELECT idx, remote, local, temporary, bytes_total, bytes_transferred, validator, last_modified, \
         transferred, completed, plan, session FROM files WHERE job = ?1 AND idx >= ?2 ORDER BY idx LIMIT ?3",
    )?;
    let rows = statement.query_map(params![job, offset, limit], file_of)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn file_of(row: &Row<'_>) -> rusqlite::Result<FileStatus> {
    Ok(FileStatus {
        index: row.get(0)?,
        remote: row.get(1)?,
        local: row.get(2)?,
        temporary: row.get(3)?,
        bytes_total: row.get(4)?,
        bytes_transferred: row.get(5)?,
        validator: row.get(6)?,
        last_modified: row.get(7)?,
        transferred: row.get(8)?,
        completed: row.get(9)?,
        plan: optional_json(row, 10)?.unwrap_or_default(),
        session: row.get(11)?,
    })
}

/// What an event keeps beside its kind.
#[derive(Clone, Debug, Default, Serialize, serde::Deserialize)]
pub(super) struct EventData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<ErrorInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Outcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sink: Option<SinkEvent>,
}

/// The columns [`delivery_of`] reads.
pub(super) const DELIVERY_COLUMNS: &str = "d.seq, d.id, d.event, d.kind, j.id, d.owner, d.plugin, d.role, \
     d.state, d.stage, d.attempt, d.charged, d.host_faults, d.rounds, d.due, d.created, d.ended, d.result, \
     d.digest, d.last_failure, d.job";

/// A delivery with what only the store knows of it.
pub(super) struct StoredDelivery {
    pub(super) seq: i64,
    pub(super) event: i64,
    pub(super) job: i64,
    pub(super) record: DeliveryRecord,
}

/// Reads the columns of [`DELIVERY_COLUMNS`].
pub(super) fn delivery_of(row: &Row<'_>) -> rusqlite::Result<StoredDelivery> {
    let event: i64 = row.get(2)?;
    let kind: EventKind = word(row, 3)?;
    let last_failure: Option<FailureRecord> = optional_json(row, 19)?;
    let record = DeliveryRecord {
        id: DeliveryId::from_bytes(row.get(1)?),
        event_id: format!("ev-{event}"),
        seq: u64::try_from(event).unwrap_or(0),
        event: kind,
        job: JobId::from_bytes(row.get(4)?),
        owner: word(row, 5)?,
        plugin: word(row, 6)?,
        role: word(row, 7)?,
        state: word(row, 8)?,
        stage: stage_of(row.get_ref(9)?.as_str()?),
        attempt: row.get(10)?,
        charged: row.get(11)?,
        host_faults: row.get(12)?,
        rounds: row.get(13)?,
        due: optional_time(row, 14)?,
        created: time(row, 15)?,
        ended: optional_time(row, 16)?,
        result: row.get(17)?,
        digest: row.get(18)?,
        last_failure,
        attempts: Vec::new(),
    };
    Ok(StoredDelivery {
        seq: row.get(0)?,
        event,
        job: row.get(20)?,
        record,
    })
}

/// How a stage is kept.
pub(super) const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Handler => "handler",
        Stage::Final => "final",
        Stage::Command => "command",
    }
}

fn stage_of(word: &str) -> Stage {
    match word {
        "final" => Stage::Final,
        "command" => Stage::Command,
        _ => Stage::Handler,
    }
}

/// One delivery by its id.
pub(super) fn load_delivery(db: &Connection, id: DeliveryId) -> Done<StoredDelivery> {
    let sql =
        format!("SELECT {DELIVERY_COLUMNS} FROM deliveries d JOIN jobs j ON j.seq = d.job WHERE d.id = ?1");
    let found = db
        .prepare_cached(&sql)?
        .query_row([id.as_bytes()], delivery_of)
        .optional()?;
    found.ok_or_else(|| StoreError::NotFound {
        what: "delivery",
        id: id.to_string(),
    })
}

/// One delivery by its row.
pub(super) fn load_delivery_at(db: &Connection, seq: i64) -> Done<StoredDelivery> {
    let sql =
        format!("SELECT {DELIVERY_COLUMNS} FROM deliveries d JOIN jobs j ON j.seq = d.job WHERE d.seq = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([seq], delivery_of)?)
}

/// What an event keeps.
pub(super) fn load_event(db: &Connection, seq: i64) -> Done<(u64, EventData)> {
    let mut statement = db.prepare_cached("SELECT revision, data FROM events WHERE seq = ?1")?;
    Ok(statement.query_row([seq], |row| Ok((row.get(0)?, json(row, 1)?)))?)
}
