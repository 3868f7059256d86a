//! Lanes: the order of an activity's calls. A lane is a name in the column by which slots are counted,
//! so a claim steps round lanes whose slots are in use as it does round remote hosts.
//!
//! In a strict lane only its first calls may run, as many as it is wide: those that wait for a retry or
//! are suspended keep their place, and hold up the others. What has run, well or not, is out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::job::{ActivityName, ActivitySpec, Code, Job, JobKind, JobSpec, JobState, LaneOrder};

use super::jobs::remote_host;
use super::rows::{int, optional_json, time, to_json, word};
use super::writer::{Done, Work};
use super::{ActivityRow, NewJob, StoreError};

/// What the lanes of a host are, by activity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lanes(pub BTreeMap<ActivityName, Arc<ActivitySpec>>);

/// The lane of an activity, as slots are counted by it.
#[must_use]
pub fn lane(activity: &ActivityName) -> String {
    format!("activity/{activity}")
}

/// What the slots of a job are counted by: its remote host, or its lane. None at all is empty.
#[must_use]
pub fn slot_group(kind: JobKind, spec: &JobSpec, first_remote: Option<&str>) -> String {
    match kind {
        JobKind::Download | JobKind::Upload | JobKind::UploadReply => {
            first_remote.map(remote_host).unwrap_or_default()
        }
        JobKind::Batch => activity(spec).map(lane).unwrap_or_default(),
        JobKind::Query => String::new(),
    }
}

fn activity(spec: &JobSpec) -> Option<&ActivityName> {
    spec.batch.as_ref()?.activity.as_ref()
}

/// Its call is in the queue of its lane.
fn waits(state: JobState) -> bool {
    matches!(
        state,
        JobState::Queued | JobState::TransientError | JobState::Suspended
    )
}

/// What a claim goes by.
pub(super) struct LaneRules<'a> {
    lanes: &'a Lanes,
    /// Lanes that take nothing now.
    closed: &'a BTreeSet<String>,
    /// The first calls of the strict lanes that were looked at.
    heads: BTreeMap<String, Rc<[i64]>>,
}

impl<'a> LaneRules<'a> {
    pub(super) fn new(lanes: &'a Lanes, closed: &'a BTreeSet<String>) -> Self {
        Self {
            lanes,
            closed,
            heads: BTreeMap::new(),
        }
    }

    fn spec(&self, lane: &str) -> (usize, LaneOrder) {
        let name = lane.split_once('/').and_then(|(_, name)| name.parse().ok());
        let spec = name.and_then(|name: ActivityName| self.lanes.0.get(&name));
        // A lane of which nothing is known keeps the promise that all have.
        spec.map_or((1, LaneOrder::Strict), |spec| {
            (
                usize::try_from(spec.concurrency).unwrap_or(usize::MAX),
                spec.order,
            )
        })
    }

    /// Calls that the lane may have at a time.
    pub(super) fn width(&self, lane: &str) -> usize {
        match lane {
            "" => usize::MAX,
            closed if self.closed.contains(closed) => 0,
            lane => self.spec(lane).0,
        }
    }

    /// Whether it is the call's turn.
    pub(super) fn admits(&mut self, work: &Work<'_>, lane: &str, seq: i64) -> Done<bool> {
        let (width, order) = self.spec(lane);
        if lane.is_empty() || order == LaneOrder::SkipAhead {
            return Ok(true);
        }
        if let Some(heads) = self.heads.get(lane) {
            return Ok(heads.contains(&seq));
        }
        let heads: Rc<[i64]> = work.heads(lane, width)?.into();
        let admits = heads.contains(&seq);
        self.heads.insert(lane.to_owned(), heads);
        Ok(admits)
    }
}

impl Work<'_> {
    /// The first calls of a lane that are not over.
    fn heads(&self, lane: &str, width: usize) -> Done<Vec<i64>> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq FROM jobs INDEXED BY jobs_in_lane WHERE pool = 1 AND host <> '' \
             AND state IN ('queued', 'connecting', 'transferring', 'transient-error', 'suspended') \
             AND host = ?1 ORDER BY seq LIMIT ?2",
        )?;
        let rows = statement.query_map(params![lane, int(width as u64)], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// C-05, C-06: a full lane takes nothing, and nothing of it is recorded.
    pub(super) fn check_lane(&mut self, new: &NewJob) -> Done<()> {
        let Some(activity) = activity(&new.spec) else {
            return Ok(());
        };
        let most = self.lanes.0.get(activity).map_or(0, |spec| spec.max_queued);
        if most == 0 {
            return Ok(());
        }
        let waiting = self.ledger.waiting_in_lane(self.db, &lane(activity))?;
        let waiting = u64::try_from(waiting).unwrap_or(0);
        if waiting < most {
            return Ok(());
        }
        Err(StoreError::Rejected {
            code: Code::ASYNC_WORK_REJECTED,
            activity: activity.clone(),
            queued: waiting,
        })
    }

    /// Keeps an activity that was made or paused while the host runs.
    pub(super) fn keep_activity(&mut self, activity: &ActivityRow) -> Done<()> {
        let spec = activity.spec.as_ref().map(to_json).transpose()?;
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO activities (name, spec, created, paused) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                activity.name.as_str(),
                spec,
                activity.created.as_millis(),
                activity.paused
            ])?;
        Ok(())
    }

    /// A job was accepted, or went from one state to another: the queue of its lane is as long as it is.
    pub(super) fn count_in_lane(&mut self, was: Option<JobState>, job: &Job) -> Done<()> {
        let Some(activity) = activity(&job.spec) else {
            return Ok(());
        };
        let by = i64::from(waits(job.state)) - i64::from(was.is_some_and(waits));
        if by == 0 {
            return Ok(());
        }
        self.ledger.count_in_lane(self.db, &lane(activity), by)
    }
}

/// The activities that are kept.
pub(super) fn activities(db: &Connection) -> Done<Vec<ActivityRow>> {
    let mut statement =
        db.prepare_cached("SELECT name, spec, created, paused FROM activities ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        Ok(ActivityRow {
            name: word(row, 0)?,
            spec: optional_json(row, 1)?,
            created: time(row, 2)?,
            paused: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
