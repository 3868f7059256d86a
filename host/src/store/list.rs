//! Lists: every page is a walk along indexes from where the last one ended, and costs what it shows,
//! however much is stored. Several states, plugins or owners are several walks, merged by age.

use std::collections::BTreeSet;

use rusqlite::{Connection, Params, params};

use crate::job::{DeliveryState, Job, JobState, OwnerName, PluginName};

use super::read::job_seq;
use super::rows::{
    DELIVERY_COLUMNS, JOB_COLUMNS, StoredJob, delivery_of, int, job_of, load_delivery, load_delivery_at,
    load_job_at,
};
use super::writer::Done;
use super::{DeliveryFilter, DeliveryRecord, JobFilter, JobMatch, JobPage, tally};

/// Rows a list has when its caller names no limit.
const LIST_ROWS: usize = 100;

/// Rows a list has at most, whatever its caller names.
const LIST_ROWS_MAX: usize = 100_000;

/// Jobs looked through for one page: some tens of milliseconds of a reader.
const LOOKED_AT: usize = 20_000;

/// Jobs read at once where most of them may not fit.
const PIECE: usize = 500;

/// States in which a person has to decide.
pub(super) const BURIED: [DeliveryState; 2] = [DeliveryState::Dead, DeliveryState::Poison];

/// Which way a list goes, and from which row.
#[derive(Clone, Copy, Debug)]
enum From {
    /// Newest first, older than this.
    Before(i64),
    /// Oldest first, newer than this.
    After(i64),
}

impl From {
    fn row(self) -> i64 {
        match self {
            Self::Before(row) | Self::After(row) => row,
        }
    }

    /// The walk in SQL: a condition on `seq` with the row as `?1` and the limit as `?2`.
    fn walk(self, table: &str, condition: &str) -> String {
        let (compare, order) = match self {
            Self::Before(_) => ("<", "DESC"),
            Self::After(_) => (">", "ASC"),
        };
        format!(
            "SELECT seq FROM {table} WHERE {condition} AND seq {compare} ?1 ORDER BY seq {order} LIMIT ?2"
        )
    }

    /// Merges walks.
    fn merge(self, mut seqs: Vec<i64>, most: usize) -> Vec<i64> {
        seqs.sort_unstable();
        if matches!(self, Self::Before(_)) {
            seqs.reverse();
        }
        seqs.truncate(most);
        seqs
    }
}

fn capped(limit: usize) -> usize {
    if limit == 0 {
        LIST_ROWS
    } else {
        limit.min(LIST_ROWS_MAX)
    }
}

fn seqs(db: &Connection, sql: &str, values: impl Params, into: &mut Vec<i64>) -> Done<()> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(values, |row| row.get(0))?;
    for seq in rows {
        into.push(seq?);
    }
    Ok(())
}

/// Jobs, newest first.
pub(super) fn jobs(db: &Connection, filter: &JobFilter) -> Done<Vec<Job>> {
    // One snapshot: what a walk has found cannot be gone when it is read.
    let _snapshot = db.unchecked_transaction()?;
    let before = match filter.before {
        Some(id) => job_seq(db, id)?,
        None => i64::MAX,
    };
    let found = jobs_before(db, filter, before, capped(filter.limit))?;
    Ok(found.into_iter().map(|stored| stored.job).collect())
}

/// Jobs of a filter that fit, newest first. What no index leads to is looked through, so many jobs at
/// most; the page says where to go on.
pub(super) fn jobs_matching(db: &Connection, filter: &JobFilter, wanted: &JobMatch) -> Done<JobPage> {
    let _snapshot = db.unchecked_transaction()?;
    let mut before = match filter.before {
        Some(id) => job_seq(db, id)?,
        None => i64::MAX,
    };
    let most = capped(filter.limit);
    let mut page = JobPage::default();
    let mut looked = 0;
    while looked < LOOKED_AT {
        let piece = if wanted.is_any() {
            most - page.jobs.len()
        } else {
            PIECE
        };
        let found = jobs_before(db, filter, before, piece)?;
        let last = found.len() < piece;
        for stored in found {
            (looked, before, page.next) = (looked + 1, stored.seq, Some(stored.job.id));
            if wanted.fits_stored(db, &stored)? {
                page.jobs.push(stored.job);
            }
            if page.jobs.len() >= most {
                return Ok(page);
            }
        }
        if last {
            page.next = None;
            break;
        }
    }
    Ok(page)
}

fn jobs_before(db: &Connection, filter: &JobFilter, before: i64, most: usize) -> Done<Vec<StoredJob>> {
    if filter.states.is_empty() && filter.owner.is_none() {
        let sql = format!(
            "SELECT {JOB_COLUMNS} FROM jobs j JOIN job_data d ON d.job = j.seq \
             WHERE j.seq < ?1 ORDER BY j.seq DESC LIMIT ?2"
        );
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map(params![before, int(most as u64)], job_of)?;
        return Ok(rows.collect::<rusqlite::Result<_>>()?);
    }
    let states: BTreeSet<JobState> = match filter.states.as_slice() {
        [] => JobState::ALL.iter().copied().collect(),
        some => some.iter().copied().collect(),
    };
    let from = From::Before(before);
    let mut found = Vec::new();
    for state in states {
        jobs_in(db, state, filter.owner.as_ref(), from, most, &mut found)?;
    }
    let found = from.merge(found, most).into_iter();
    found.map(|seq| load_job_at(db, seq)).collect()
}

/// One walk over jobs. Running ones are not kept by owner: they are few and change often.
fn jobs_in(
    db: &Connection,
    state: JobState,
    owner: Option<&OwnerName>,
    from: From,
    most: usize,
    into: &mut Vec<i64>,
) -> Done<()> {
    let (row, most) = (from.row(), int(most as u64));
    let by_state = "jobs INDEXED BY jobs_by_state";
    match owner {
        None => seqs(
            db,
            &from.walk(by_state, "state = ?3"),
            params![row, most, state.as_str()],
            into,
        ),
        Some(owner) if state.is_running() => seqs(
            db,
            &from.walk(by_state, "state = ?3 AND owner = ?4"),
            params![row, most, state.as_str(), owner.as_str()],
            into,
        ),
        Some(owner) => seqs(
            db,
            &from.walk(
                "jobs INDEXED BY jobs_by_owner",
                "state = ?3 AND owner = ?4 AND state NOT IN ('connecting', 'transferring')",
            ),
            params![row, most, state.as_str(), owner.as_str()],
            into,
        ),
    }
}

/// Deliveries, newest first.
pub(super) fn deliveries(db: &Connection, filter: &DeliveryFilter) -> Done<Vec<DeliveryRecord>> {
    let _snapshot = db.unchecked_transaction()?;
    let most = capped(filter.limit);
    let before = match filter.before {
        Some(id) => load_delivery(db, id)?.seq,
        None => i64::MAX,
    };
    let unfiltered =
        filter.id.is_none() && filter.job.is_none() && filter.plugin.is_none() && filter.states.is_empty();
    if unfiltered {
        let sql = format!(
            "SELECT {DELIVERY_COLUMNS} FROM deliveries d JOIN jobs j ON j.seq = d.job \
             WHERE d.seq < ?1 ORDER BY d.seq DESC LIMIT ?2"
        );
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map([before, int(most as u64)], |row| {
            delivery_of(row).map(|d| d.record)
        })?;
        return Ok(rows.collect::<rusqlite::Result<_>>()?);
    }
    let found = delivery_seqs(db, filter, From::Before(before), most)?.into_iter();
    found
        .map(|seq| load_delivery_at(db, seq).map(|stored| stored.record))
        .collect()
}

/// Rows of a filter after row `after`, oldest first.
pub(super) fn delivery_seqs_after(
    db: &Connection,
    filter: &DeliveryFilter,
    after: i64,
    most: usize,
) -> Done<Vec<i64>> {
    delivery_seqs(db, filter, From::After(after), most)
}

fn delivery_seqs(db: &Connection, filter: &DeliveryFilter, from: From, most: usize) -> Done<Vec<i64>> {
    let states: BTreeSet<DeliveryState> = match filter.states.as_slice() {
        [] => DeliveryState::ALL.iter().copied().collect(),
        some => some.iter().copied().collect(),
    };
    if filter.id.is_some() || filter.job.is_some() {
        return narrow(db, filter, &states, from, most);
    }
    let plugins = match &filter.plugin {
        Some(plugin) => vec![plugin.clone()],
        None => tally::plugins_with(db, &states)?,
    };
    let mut found = Vec::new();
    for plugin in &plugins {
        for state in &states {
            deliveries_in(db, plugin, *state, from, most, &mut found)?;
        }
    }
    Ok(from.merge(found, most))
}

fn deliveries_in(
    db: &Connection,
    plugin: &PluginName,
    state: DeliveryState,
    from: From,
    most: usize,
    into: &mut Vec<i64>,
) -> Done<()> {
    let walk = from.walk(
        "deliveries INDEXED BY deliveries_by_plugin",
        "plugin = ?3 AND state = ?4",
    );
    let most = int(most as u64);
    seqs(
        db,
        &walk,
        params![from.row(), most, plugin.as_str(), state.as_str()],
        into,
    )
}

/// One delivery or those of one job: looked through, there are only so many.
fn narrow(
    db: &Connection,
    filter: &DeliveryFilter,
    states: &BTreeSet<DeliveryState>,
    from: From,
    most: usize,
) -> Done<Vec<i64>> {
    let mut found = Vec::new();
    if let Some(id) = filter.id {
        match load_delivery(db, id) {
            Ok(stored) => found.push(stored.seq),
            Err(super::StoreError::NotFound { .. }) => {}
            Err(why) => return Err(why),
        }
    } else if let Some(job) = filter.job {
        let walk = from.walk("deliveries INDEXED BY deliveries_by_job", "job = ?3");
        match job_seq(db, job) {
            Ok(job) => seqs(db, &walk, params![from.row(), i64::MAX, job], &mut found)?,
            Err(super::StoreError::NotFound { .. }) => {}
            Err(why) => return Err(why),
        }
    }
    let mut wanted = Vec::new();
    for seq in found {
        if wanted.len() >= most {
            break;
        }
        let stored = load_delivery_at(db, seq)?;
        let record = &stored.record;
        let beyond = match from {
            From::Before(row) => seq >= row,
            From::After(row) => seq <= row,
        };
        if !beyond
            && states.contains(&record.state)
            && filter
                .plugin
                .as_ref()
                .is_none_or(|plugin| *plugin == record.plugin)
            && filter.job.is_none_or(|job| job == record.job)
        {
            wanted.push(seq);
        }
    }
    Ok(wanted)
}
