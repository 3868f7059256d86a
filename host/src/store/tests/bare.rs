//! A connection of the test's own with the same verbs: what they run, what it costs, and whether the
//! store's own numbers are true.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use crate::store::claims::Turns;
use crate::store::tally::Ledger;
use crate::store::writer::{Done, Work, configure};

use super::*;

/// Steps of SQLite's machine by statement.
pub(super) type Steps = BTreeMap<String, i64>;

/// A writer without a thread: one transaction per verb.
pub(super) struct Bare {
    db: Connection,
    router: Arc<dyn Router>,
    clock: Clock,
    turns: Turns,
    pub(super) lanes: Arc<Lanes>,
    steps: Arc<Mutex<Steps>>,
}

impl Bare {
    /// Beside the store in `bench`, which must rest.
    pub(super) fn beside(bench: &super::Bench, routes: &[(EventKind, &'static str, Role)]) -> Self {
        let mut db = Connection::open(bench.dir.path().join("state/sexton.db")).unwrap();
        configure(&db).unwrap();
        let steps: Arc<Mutex<Steps>> = Arc::default();
        let seen = Arc::clone(&steps);
        let note = move |event: TraceEvent<'_>| {
            if let TraceEvent::Profile(statement, _) = event {
                let so_far = statement.get_status(rusqlite::StatementStatus::VmStep);
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.insert(statement.sql().into_owned(), i64::from(so_far));
            }
        };
        db.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note))
            .unwrap();
        Self {
            db,
            router: Arc::new(Fixed(routes.to_vec())),
            clock: bench.clock.clone(),
            turns: Turns::default(),
            lanes: Arc::default(),
            steps,
        }
    }

    /// Runs a verb and commits it.
    pub(super) fn write<T>(&mut self, verb: impl FnOnce(&mut Work<'_>) -> Done<T>) -> T {
        let transaction = self.db.transaction().unwrap();
        let mut work = Work {
            db: &transaction,
            router: &mut self.router,
            now: self.clock.now(),
            incarnation: 1,
            changes: Vec::new(),
            notes: Vec::new(),
            ledger: Ledger::default(),
            turns: &mut self.turns,
            lanes: &mut self.lanes,
        };
        let said = verb(&mut work).unwrap();
        let Work { ledger, now, .. } = work;
        ledger.write(&transaction, now).unwrap();
        transaction.commit().unwrap();
        said
    }

    /// Reads beside the writer.
    pub(super) fn read<T>(&self, query: impl FnOnce(&Connection) -> Done<T>) -> T {
        query(&self.db).unwrap()
    }

    /// What has been run so far, with the steps of each statement.
    pub(super) fn steps(&self) -> Steps {
        self.steps.lock().unwrap().clone()
    }

    /// How SQLite goes about a statement.
    pub(super) fn plan(&self, sql: &str) -> Vec<String> {
        let mut statement = self.db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let columns = 0..statement.parameter_count();
        let nulls: Vec<Option<i64>> = columns.map(|_| None).collect();
        let rows = statement
            .query_map(rusqlite::params_from_iter(nulls), |row| row.get(3))
            .unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    }
}

/// What the store says of itself holds: its numbers are what counting finds, and exactly those
/// deliveries wait without a due time that have an earlier open one of their pair.
pub(super) fn assert_sound(db: &Path) {
    let db = Connection::open(db).unwrap();
    let pairs = |sql: &str| -> Vec<(String, String, i64)> {
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
    };
    for (name, counted) in [
        (
            "jobs",
            "SELECT '', state, count(*) FROM jobs GROUP BY state ORDER BY 1, 2",
        ),
        (
            "deliveries",
            "SELECT plugin, state, count(*) FROM deliveries GROUP BY plugin, state ORDER BY 1, 2",
        ),
        (
            "open",
            "SELECT owner, '', count(*) FROM jobs WHERE outcome IS NULL GROUP BY owner ORDER BY 1, 2",
        ),
        (
            "lanes",
            "SELECT host, '', count(*) FROM jobs WHERE pool = 1 AND host <> '' \
             AND state IN ('queued', 'transient-error', 'suspended') GROUP BY host ORDER BY 1, 2",
        ),
    ] {
        let kept =
            format!("SELECT whose, state, n FROM tally WHERE name = '{name}' AND n <> 0 ORDER BY 1, 2");
        assert_eq!(pairs(&kept), pairs(counted), "{name}");
    }
    let astray = pairs(
        "SELECT plugin, kind, seq FROM deliveries d WHERE state = 'pending' AND (due IS NULL) <> EXISTS \
         (SELECT 1 FROM deliveries e WHERE e.job = d.job AND e.plugin = d.plugin AND e.seq < d.seq \
          AND e.state IN ('pending', 'running') AND e.kind <> 'job-modification')",
    );
    assert!(astray.is_empty(), "out of order: {astray:?}");
}
