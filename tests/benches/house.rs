//! The host in this process: store, engine, dispatch and plugin room wired as the program wires
//! them, with a runner of the bench's own and without the control API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sexton::clock::Clock;
use sexton::config::Subscription;
use sexton::dispatch::{ConfigRouter, DispatchSettings, Dispatcher, Policies};
use sexton::engine::{Engine, EngineSettings, IntentControl, RunControl, RunEnd, Runner};
use sexton::fail_fast::{Children, Ending, FailFast};
use sexton::job::{
    ErrorInfo, EventKind, FileStatus, Job, JobKind, JobSpec, JobState, Outcome, Priority, Profile,
};
use sexton::plugin::PluginRoom;
use sexton::store::{NewJob, RetentionRule, Run, SqliteOptions, SqliteStore, Store};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bench::Bench;
use crate::room;

/// What its jobs come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing to do, well done.
    Succeeds,
    /// Nothing done: a decider hears of it and cancels the job.
    Fails,
}

/// Jobs at work at the same time, and calls: many more than producers, so that neither waits for a
/// commit of the other. A host has 8 and 64 when nothing is said, `host.calls` goes up to 1,000.
const SLOTS: usize = 1_024;
const CALLS: usize = 1_000;

/// A host that runs jobs of nothing.
pub struct House {
    /// Its store.
    pub store: Arc<dyn Store>,
    /// Its plugin room, where it has one.
    pub room: Option<Arc<PluginRoom>>,
    failed_at: FailedAt,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    dir: TempDir,
}

/// Does nothing.
struct Nothing {
    work: Work,
    failed_at: FailedAt,
}

/// When a runner last said that its job failed.
type FailedAt = Arc<Mutex<Instant>>;

#[async_trait]
impl Runner for Nothing {
    async fn run(&self, run: Run, control: RunControl) -> RunEnd {
        if self.work == Work::Succeeds {
            return RunEnd::Finished;
        }
        let error = ErrorInfo {
            attempt: run.job.attempt,
            ..room::error(control.clock.now())
        };
        *self.failed_at.lock().expect("nobody panics") = Instant::now();
        RunEnd::Fatal { error }
    }

    async fn complete(&self, _: &Job, _: &[FileStatus], _: &IntentControl) -> Result<Outcome, ErrorInfo> {
        Ok(Outcome::Succeeded)
    }

    async fn cancel(&self, _: &Job, _: &[FileStatus], _: &IntentControl) -> Result<(), ErrorInfo> {
        Ok(())
    }
}

impl House {
    /// Opens a house on the bench's disk; with failing work a decider serves in it.
    pub async fn open(bench: &Bench, work: Work) -> Self {
        Self::open_beside(bench, work, None).await
    }

    /// The same with a neighbour in its plugin room that behaves as `mood` says once it is called.
    pub async fn open_beside(bench: &Bench, work: Work, mood: Option<&str>) -> Self {
        let dir = bench.folder();
        let clock = Clock::real();
        let options = SqliteOptions {
            state_dir: dir.path().join("state"),
            clock: clock.clone(),
            force: false,
        };
        let store = SqliteStore::open(options).await.expect("a store can be opened");
        let mut house = Self {
            store: Arc::new(store),
            room: None,
            failed_at: Arc::new(Mutex::new(Instant::now())),
            stop: CancellationToken::new(),
            tasks: Vec::new(),
            dir,
        };
        if work == Work::Fails {
            house.dispatch(&clock, mood).await;
        }
        house.run_engine(work, clock);
        house
    }

    fn run_engine(&mut self, work: Work, clock: Clock) {
        let (_, retention) = watch::channel(RetentionRule {
            finished: None,
            failed: None,
            dead: None,
        });
        let settings = EngineSettings {
            slots: SLOTS,
            slots_per_host: SLOTS,
            batch_slots: SLOTS,
            query_slots: 8,
            drain: Duration::from_secs(5),
        };
        let runner: Arc<dyn Runner> = Arc::new(Nothing {
            work,
            failed_at: Arc::clone(&self.failed_at),
        });
        let runners = BTreeMap::from([(JobKind::Batch, runner)]);
        let engine = Engine::new(Arc::clone(&self.store), clock, settings, retention, runners);
        self.tasks.push(tokio::spawn(engine.run(self.stop.clone())));
    }

    async fn dispatch(&mut self, clock: &Clock, mood: Option<&str>) {
        let names = room::names(1);
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let room = room::open_beside(self.dir.path(), &names, workers, CALLS, mood).await;
        let room = Arc::new(room);
        self.room = Some(Arc::clone(&room));
        let subscription = Subscription {
            plugin: names[0].clone(),
            events: vec![EventKind::OnError],
            family: None,
            decide: true,
        };
        let exports = room.exports();
        let exports = exports
            .iter()
            .map(|(name, known)| (name.clone(), known.functions.clone()))
            .collect();
        let router = ConfigRouter::new(vec![subscription], exports);
        self.store
            .set_router(Arc::new(router), BTreeMap::new())
            .await
            .expect("routes can be set");
        let dispatcher = Dispatcher::new(
            Arc::clone(&self.store),
            room,
            Arc::new(RwLock::new(Policies::new(BTreeMap::new(), 2))),
            clock.clone(),
            DispatchSettings {
                calls: CALLS,
                calls_per_plugin: CALLS,
                drain: Duration::from_secs(5),
            },
            FailFast {
                ending: Ending::Abort,
                report_dir: self.dir.path().join("reports"),
                children: Children::default(),
            },
        );
        self.tasks.push(tokio::spawn(dispatcher.run(self.stop.clone())));
    }

    /// Returns once `count` jobs have ended.
    pub async fn ended(&self, count: u64) {
        loop {
            let counts = self.store.counts().await.expect("the store can be read");
            let so_far: u64 = counts
                .jobs
                .iter()
                .filter(|(state, _)| state.is_final())
                .map(|(_, count)| count)
                .sum();
            if so_far >= count {
                return;
            }
            let open = counts.jobs.get(&JobState::Queued).copied().unwrap_or(0);
            // A count reads an index from end to end: seldom while there is much to do.
            let pause = if open > 0 { 50 } else { 2 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// When a job last failed.
    pub fn failed_at(&self) -> Instant {
        *self.failed_at.lock().expect("nobody panics")
    }

    /// Ends everything.
    pub async fn close(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.expect("a room does not panic");
        }
        self.store.close().await;
    }
}

/// A job of nothing.
pub fn job() -> NewJob {
    NewJob {
        owner: "uid-0".parse().expect("a legal name"),
        kind: JobKind::Batch,
        priority: Priority::Normal,
        spec: JobSpec::new("nothing", Profile::Sexton),
        files: Vec::new(),
        key: None,
        suspended: false,
    }
}
