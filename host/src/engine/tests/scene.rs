//! The scene of these tests: a store in a temporary directory, a clock that is moved by hand, and a
//! runner that works by script and remembers what it was asked.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::{Engine, EngineSettings, IntentControl, RunControl, RunEnd, Runner, Runners};
pub(super) use crate::clock::until;
use crate::clock::{Clock, POLL, POLLS};
use crate::config::TransferRules;
use crate::job::{
    Activities, Code, Command, ErrorContext, ErrorInfo, EventKind, FileSpec, FileStatus, Job, JobId, JobKind,
    JobSpec, JobState, Outcome, Priority, Profile, Role, Route, Router, Timestamp,
};
use crate::store::{
    DeliveryFilter, FaultStore, NewJob, RetentionRule, Run, SqliteOptions, SqliteStore, Store,
};

/// What a run does.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Ends well.
    Finish,
    /// Ends with an error that may pass.
    Transient(Option<Duration>),
    /// Ends with an error that will not.
    Fatal,
    /// Runs until it is asked to stop, and does.
    UntilStopped,
    /// Waits for the gate, then does this; stops when it is asked to.
    Held(Box<Work>),
    /// Waits for the gate whatever it is asked, then does this.
    Stubborn(Box<Work>),
    /// Says that a later run could not go on with it, then does this.
    Whole(Box<Work>),
    /// Waits to be asked to stop, and says this all the same.
    Deaf(Box<Work>),
}

/// One run as the runner saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Began {
    pub(super) job: JobId,
    pub(super) attempt: u32,
    pub(super) at: Timestamp,
}

/// A runner by script, per job name; without one a run ends well.
pub(super) struct Scripted {
    scripts: Mutex<HashMap<String, VecDeque<Work>>>,
    began: Mutex<Vec<Began>>,
    running: Mutex<HashMap<JobId, usize>>,
    /// Most runs at once: of one job, and of all.
    most: Mutex<(usize, usize)>,
    /// How often the file work of an intent fails from now on.
    pub(super) file_faults: Mutex<u32>,
    /// See [`Runner::cancel_patience`].
    pub(super) patience: Mutex<Option<Duration>>,
    /// Times at which file work was tried, and whether the job was running then.
    file_work: Mutex<Vec<(Timestamp, bool)>>,
    gate: watch::Sender<bool>,
}

impl Scripted {
    pub(super) fn new() -> Self {
        Self {
            scripts: Mutex::default(),
            began: Mutex::default(),
            running: Mutex::default(),
            most: Mutex::default(),
            file_faults: Mutex::new(0),
            patience: Mutex::new(None),
            file_work: Mutex::default(),
            gate: watch::channel(false).0,
        }
    }

    /// Jobs named `name` do this, run by run; the last is done again.
    pub(super) fn script(&self, name: &str, works: Vec<Work>) {
        self.scripts.lock().unwrap().insert(name.to_owned(), works.into());
    }

    /// Lets stubborn runs go on.
    pub(super) fn open(&self) {
        self.gate.send_replace(true);
    }

    pub(super) fn began(&self) -> Vec<Began> {
        self.began.lock().unwrap().clone()
    }

    pub(super) fn runs_of(&self, job: JobId) -> usize {
        self.began().iter().filter(|run| run.job == job).count()
    }

    /// Runs under way.
    pub(super) fn running(&self) -> usize {
        self.running.lock().unwrap().values().sum()
    }

    /// Most runs of one job at once.
    pub(super) fn most_of_one(&self) -> usize {
        self.most.lock().unwrap().0
    }

    /// Most runs at once.
    pub(super) fn most_of_all(&self) -> usize {
        self.most.lock().unwrap().1
    }

    pub(super) fn file_work(&self) -> Vec<(Timestamp, bool)> {
        self.file_work.lock().unwrap().clone()
    }

    fn next(&self, name: &str) -> Work {
        let mut scripts = self.scripts.lock().unwrap();
        let Some(script) = scripts.get_mut(name) else {
            return Work::Finish;
        };
        let work = script.pop_front().unwrap_or(Work::Finish);
        if script.is_empty() {
            script.push_back(work.clone());
        }
        work
    }

    fn count(&self, job: JobId, by: isize) {
        let mut running = self.running.lock().unwrap();
        let one = running.entry(job).or_insert(0);
        *one = one.checked_add_signed(by).unwrap();
        let (one, all) = (*one, running.values().sum());
        let mut most = self.most.lock().unwrap();
        *most = (most.0.max(one), most.1.max(all));
    }

    async fn work(&self, work: Work, attempt: u32, control: &RunControl) -> RunEnd {
        let at = control.clock.now();
        match work {
            Work::Finish => RunEnd::Finished,
            Work::Transient(retry_after) => RunEnd::Transient {
                error: error(attempt, at),
                retry_after,
            },
            Work::Fatal => RunEnd::Fatal {
                error: error(attempt, at),
            },
            Work::UntilStopped => {
                control.stop.cancelled().await;
                RunEnd::Stopped
            }
            Work::Held(then) => {
                let mut gate = self.gate.subscribe();
                let opened = async { gate.wait_for(|open| *open).await.is_ok() };
                if control.stop.run_until_cancelled(opened).await.is_none() {
                    return RunEnd::Stopped;
                }
                Box::pin(self.work(*then, attempt, control)).await
            }
            Work::Stubborn(then) => {
                let mut gate = self.gate.subscribe();
                gate.wait_for(|open| *open).await.unwrap();
                Box::pin(self.work(*then, attempt, control)).await
            }
            Work::Whole(then) => {
                control.set_resumable(false);
                Box::pin(self.work(*then, attempt, control)).await
            }
            Work::Deaf(then) => {
                control.stop.cancelled().await;
                Box::pin(self.work(*then, attempt, control)).await
            }
        }
    }

    fn files(&self, job: &Job, control: &IntentControl) -> Option<ErrorInfo> {
        let now = control.clock.now();
        let running = self.running.lock().unwrap().get(&job.id).copied().unwrap_or(0);
        self.file_work.lock().unwrap().push((now, running > 0));
        let mut faults = self.file_faults.lock().unwrap();
        *faults = faults.checked_sub(1)?;
        Some(ErrorInfo {
            context: ErrorContext::LocalFile,
            ..error(job.attempt, now)
        })
    }
}

#[async_trait]
impl Runner for Scripted {
    async fn run(&self, run: Run, control: RunControl) -> RunEnd {
        let (job, attempt) = (run.job.id, run.job.attempt);
        self.count(job, 1);
        let at = control.clock.now();
        self.began.lock().unwrap().push(Began { job, attempt, at });
        let work = self.next(&run.job.spec.name);
        let end = self.work(work, attempt, &control).await;
        self.count(job, -1);
        end
    }

    async fn complete(
        &self,
        job: &Job,
        _: &[FileStatus],
        control: &IntentControl,
    ) -> Result<Outcome, ErrorInfo> {
        self.files(job, control).map_or(Ok(Outcome::Succeeded), Err)
    }

    async fn cancel(&self, job: &Job, _: &[FileStatus], control: &IntentControl) -> Result<(), ErrorInfo> {
        self.files(job, control).map_or(Ok(()), Err)
    }

    fn cancel_patience(&self, _: &Job) -> Option<Duration> {
        *self.patience.lock().unwrap()
    }
}

fn error(attempt: u32, at: Timestamp) -> ErrorInfo {
    ErrorInfo {
        code: Code::http(503),
        context: ErrorContext::RemoteFile,
        description: "no".into(),
        file: None,
        protocol: None,
        leg: None,
        attempt,
        at,
        extended: None,
    }
}

/// `a` hears of errors and ends.
struct Ends;

impl Router for Ends {
    fn routes(&self, _: &Job, event: EventKind) -> Vec<Route> {
        match event {
            EventKind::JobError | EventKind::OnEnded => vec![Route {
                plugin: "a".parse().unwrap(),
                role: Role::Decider,
            }],
            _ => Vec::new(),
        }
    }
}

pub(super) struct Scene {
    _dir: tempfile::TempDir,
    pub(super) clock: Clock,
    pub(super) store: Arc<FaultStore>,
    pub(super) runner: Arc<Scripted>,
    pub(super) settings: EngineSettings,
    pub(super) rules: watch::Sender<Arc<TransferRules>>,
    pub(super) network: watch::Sender<bool>,
    pub(super) activities: watch::Sender<Arc<Activities>>,
    /// The part of the memory that is free.
    pub(super) memory: Arc<Mutex<f64>>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
    /// Held so that the engine hears no end of it.
    _retention: watch::Sender<RetentionRule>,
    retention: watch::Receiver<RetentionRule>,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Timestamp::from_millis(1_700_000_000_000));
        let options = SqliteOptions {
            state_dir: dir.path().join("state"),
            clock: clock.clone(),
            force: false,
        };
        let store = SqliteStore::open(options).await.unwrap();
        store.set_router(Arc::new(Ends), BTreeMap::new()).await.unwrap();
        let (sender, retention) = watch::channel(RetentionRule {
            finished: None,
            failed: None,
            dead: None,
        });
        Self {
            _dir: dir,
            clock,
            store: Arc::new(FaultStore::new(Arc::new(store))),
            runner: Arc::new(Scripted::new()),
            settings: EngineSettings {
                slots: 8,
                slots_per_host: 6,
                batch_slots: 4,
                query_slots: 4,
                drain: Duration::from_secs(20),
            },
            rules: watch::Sender::default(),
            network: watch::Sender::new(true),
            activities: watch::Sender::default(),
            memory: Arc::new(Mutex::new(1.0)),
            stop: CancellationToken::new(),
            task: None,
            _retention: sender,
            retention,
        }
    }

    pub(super) fn start(&mut self) {
        let runner = Arc::clone(&self.runner) as Arc<dyn Runner>;
        let kinds = [JobKind::Download, JobKind::Batch];
        let runners: Runners = kinds.map(|kind| (kind, Arc::clone(&runner))).into();
        let memory = Arc::clone(&self.memory);
        let probe = Box::new(move || memory.lock().map(|free| *free).ok());
        let engine = Engine::new(
            Arc::clone(&self.store) as Arc<dyn Store>,
            self.clock.clone(),
            self.settings,
            self.retention.clone(),
            runners,
        )
        .governed(self.rules.subscribe(), self.network.subscribe())
        .with_activities(self.activities.subscribe(), probe);
        self.task = Some(tokio::spawn(engine.run(self.stop.clone())));
    }

    /// Asks the engine to end and waits for it.
    pub(super) async fn drain(&mut self) {
        std::mem::take(&mut self.stop).cancel();
        self.task.take().unwrap().await.unwrap();
    }

    pub(super) async fn submit(&self, name: &str) -> Job {
        self.store.submit(new_job(name)).await.unwrap().job
    }

    pub(super) async fn command(&self, job: JobId, command: Command) -> Job {
        self.store.command(job, command).await.unwrap()
    }

    /// The job, once it is so.
    pub(super) async fn job(&self, id: JobId, what: &str, so: impl Fn(&Job) -> bool) -> Job {
        for _ in 0..POLLS {
            let job = self.store.job(id).await.unwrap();
            if so(&job) {
                return job;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("never {what}: {:?}", self.store.job(id).await)
    }

    pub(super) async fn is(&self, id: JobId, state: JobState) -> Job {
        self.job(id, state.as_str(), |job| job.state == state).await
    }

    /// The job in this state, while simulated time goes by.
    pub(super) async fn becomes(&self, id: JobId, state: JobState) -> Job {
        for _ in 0..POLLS {
            let job = self.store.job(id).await.unwrap();
            if job.state == state {
                return job;
            }
            self.clock.advance(Duration::from_millis(100));
            tokio::time::sleep(POLL).await;
        }
        panic!("never {state}: {:?}", self.store.job(id).await)
    }

    pub(super) async fn runs(&self, job: JobId, count: usize) {
        until("run", || self.runner.runs_of(job) >= count).await;
    }

    /// Moves the clock to just before `due`, then to it.
    pub(super) async fn go_to(&self, due: Timestamp) {
        let left = due.since(self.clock.now());
        let moment = Duration::from_millis(1);
        self.clock.advance(left.saturating_sub(moment));
        // Whoever would be too early has a turn now.
        self.store.counts().await.unwrap();
        self.clock.advance(left.min(moment));
    }

    /// Events that handlers of `job` are to be told of, oldest first.
    pub(super) async fn events(&self, job: JobId) -> Vec<EventKind> {
        let filter = DeliveryFilter {
            job: Some(job),
            ..DeliveryFilter::default()
        };
        let found = self.store.deliveries(filter).await.unwrap();
        found.iter().rev().map(|delivery| delivery.event).collect()
    }
}

pub(super) fn new_job(name: &str) -> NewJob {
    NewJob {
        owner: "uid-0".parse().unwrap(),
        kind: JobKind::Download,
        priority: Priority::Normal,
        spec: JobSpec::new(name, Profile::Sexton),
        files: vec![FileSpec::new(format!("http://{name}:1/x"), "/tmp/x")],
        key: None,
        suspended: false,
    }
}

pub(super) fn resume() -> Command {
    Command::Resume {
        after: Duration::ZERO,
        at: Timestamp::default(),
    }
}
