//! Numbers kept instead of counted: jobs and deliveries by state, open jobs by owner, and the time of
//! the last commit. Verbs add to a ledger in memory; it is written once per transaction, so that a
//! batch of a thousand verbs costs a handful of rows.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use crate::job::{DeliveryState, JobState, OwnerName, PluginName, Timestamp};

use super::Counts;
use super::rows::word;
use super::writer::Done;

const JOBS: &str = "jobs";
const DELIVERIES: &str = "deliveries";
const OPEN: &str = "open";
const LANES: &str = "lanes";
const CLOCK: &str = "clock";

/// What a transaction has moved so far. It dies with a transaction that is rolled back.
#[derive(Default)]
pub(super) struct Ledger {
    jobs: BTreeMap<JobState, i64>,
    deliveries: BTreeMap<PluginName, BTreeMap<DeliveryState, i64>>,
    /// Open jobs by owner, calls that wait by lane: how many there are now, and how many there were.
    numbers: BTreeMap<(&'static str, String), (i64, i64)>,
}

impl Ledger {
    /// A job went from one state to another; `None` is outside of the store.
    pub(super) fn job(&mut self, from: Option<JobState>, to: Option<JobState>) {
        if from != to {
            for (state, by) in [(from, -1), (to, 1)] {
                if let Some(state) = state {
                    *self.jobs.entry(state).or_insert(0) += by;
                }
            }
        }
    }

    /// A delivery of `plugin` went from one state to another.
    pub(super) fn delivery(
        &mut self,
        plugin: &PluginName,
        from: Option<DeliveryState>,
        to: Option<DeliveryState>,
    ) {
        if from == to {
            return;
        }
        if !self.deliveries.contains_key(plugin) {
            self.deliveries.insert(plugin.clone(), BTreeMap::new());
        }
        if let Some(states) = self.deliveries.get_mut(plugin) {
            for (state, by) in [(from, -1), (to, 1)] {
                if let Some(state) = state {
                    *states.entry(state).or_insert(0) += by;
                }
            }
        }
    }

    /// How many open jobs an owner has, with those of this transaction (B-16).
    pub(super) fn open_jobs(&mut self, db: &Connection, owner: &OwnerName) -> Done<i64> {
        self.number(db, OPEN, owner.as_str())
    }

    /// An owner has one open job more or fewer.
    pub(super) fn count_open(&mut self, db: &Connection, owner: &OwnerName, by: i64) -> Done<()> {
        self.add(db, OPEN, owner.as_str(), by)
    }

    /// How many calls wait in a lane, with those of this transaction (C-59).
    pub(super) fn waiting_in_lane(&mut self, db: &Connection, lane: &str) -> Done<i64> {
        self.number(db, LANES, lane)
    }

    /// One call more or fewer waits in a lane.
    pub(super) fn count_in_lane(&mut self, db: &Connection, lane: &str, by: i64) -> Done<()> {
        self.add(db, LANES, lane, by)
    }

    fn number(&mut self, db: &Connection, name: &'static str, whose: &str) -> Done<i64> {
        let at = (name, whose.to_owned());
        if let Some((now, _)) = self.numbers.get(&at) {
            return Ok(*now);
        }
        let kept = db
            .prepare_cached("SELECT n FROM tally WHERE name = ?1 AND whose = ?2 AND state = ''")?
            .query_row([name, whose], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        self.numbers.insert(at, (kept, kept));
        Ok(kept)
    }

    fn add(&mut self, db: &Connection, name: &'static str, whose: &str, by: i64) -> Done<()> {
        self.number(db, name, whose)?;
        if let Some((now, _)) = self.numbers.get_mut(&(name, whose.to_owned())) {
            *now += by;
        }
        Ok(())
    }

    /// Writes what was moved, and the time of this commit.
    pub(super) fn write(&self, db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        let mut add = db.prepare_cached(
            "INSERT INTO tally (name, whose, state, n) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (name, whose, state) DO UPDATE SET n = n + excluded.n",
        )?;
        let mut add = |name: &str, whose: &str, state: &str, by: i64| match by {
            0 => Ok(0),
            by => add.execute(params![name, whose, state, by]),
        };
        for (state, by) in &self.jobs {
            add(JOBS, "", state.as_str(), *by)?;
        }
        for (plugin, states) in &self.deliveries {
            for (state, by) in states {
                add(DELIVERIES, plugin.as_str(), state.as_str(), *by)?;
            }
        }
        for ((name, whose), (now, kept)) in &self.numbers {
            add(name, whose, "", now - kept)?;
        }
        db.prepare_cached("INSERT OR REPLACE INTO tally (name, whose, state, n) VALUES (?1, '', '', ?2)")?
            .execute(params![CLOCK, now.as_millis()])?;
        Ok(())
    }
}

/// The time of the last commit. Where it lies in the future the wall clock was moved back while no
/// host ran.
pub(super) fn last_commit(db: &Connection) -> Done<Option<Timestamp>> {
    let found = db
        .prepare_cached("SELECT n FROM tally WHERE name = ?1 AND whose = '' AND state = ''")?
        .query_row([CLOCK], |row| row.get(0))
        .optional()?;
    Ok(found.map(Timestamp::from_millis))
}

/// Jobs and deliveries by state.
pub(super) fn counts(db: &Connection) -> Done<Counts> {
    let mut counts = Counts::default();
    let mut statement = db.prepare_cached("SELECT state, n FROM tally WHERE name = ?1 AND n > 0")?;
    let mut rows = statement.query([JOBS])?;
    while let Some(row) = rows.next()? {
        counts.jobs.insert(word(row, 0)?, row.get(1)?);
    }
    drop(rows);
    let mut rows = statement.query([DELIVERIES])?;
    while let Some(row) = rows.next()? {
        let n: u64 = row.get(1)?;
        *counts.deliveries.entry(word(row, 0)?).or_insert(0) += n;
    }
    Ok(counts)
}

/// Pending deliveries by plugin.
pub(super) fn waiting(db: &Connection) -> Done<BTreeMap<PluginName, u64>> {
    let mut statement =
        db.prepare_cached("SELECT whose, n FROM tally WHERE name = ?1 AND state = 'pending' AND n > 0")?;
    let rows = statement.query_map([DELIVERIES], |row| Ok((word(row, 0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Calls that wait, by lane.
pub(super) fn waiting_in_lanes(db: &Connection) -> Done<BTreeMap<String, u64>> {
    let mut statement = db.prepare_cached("SELECT whose, n FROM tally WHERE name = ?1 AND n > 0")?;
    let rows = statement.query_map([LANES], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Plugins that have deliveries in any of `states`.
pub(super) fn plugins_with(db: &Connection, states: &BTreeSet<DeliveryState>) -> Done<Vec<PluginName>> {
    let mut statement =
        db.prepare_cached("SELECT whose, state FROM tally WHERE name = ?1 AND n > 0 ORDER BY whose")?;
    let rows = statement.query_map([DELIVERIES], |row| Ok((word(row, 0)?, word(row, 1)?)))?;
    let mut plugins: Vec<PluginName> = Vec::new();
    for row in rows {
        let (plugin, state): (PluginName, DeliveryState) = row?;
        if states.contains(&state) && plugins.last() != Some(&plugin) {
            plugins.push(plugin);
        }
    }
    Ok(plugins)
}
