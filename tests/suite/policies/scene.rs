//! One delivery from its first call to its end: the real room, dispatcher and store, and a clock that is
//! moved by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use sexton::clock::Clock;
use sexton::config::{Config, Overrides};
use sexton::dispatch::{ConfigRouter, DispatchSettings, Dispatcher, Policies};
use sexton::fail_fast::{Children, Ending, FailFast};
use sexton::job::{
    Code, Command, DeliveryId, DeliveryState, ErrorContext, ErrorInfo, FileSpec, JobId, JobKind, JobSpec,
    Priority, Profile, Timestamp,
};
use sexton::plugin::{PluginRoom, RoomOptions};
use sexton::store::{ClaimJobs, DeliveryFilter, DeliveryRecord, NewJob, SqliteOptions, SqliteStore, Store};
use sexton_tests::guests;
use sexton_tests::poll::PATIENCE;
use tokio::task::JoinHandle;

use super::strained::Strained;
use super::table::{End, Row, Uncharged};

/// Between two looks at a delivery.
const LOOK: Duration = Duration::from_millis(3);
/// When every scene begins.
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// The plugins of all scenes: for each class one that fails so and has a final callback that takes it, and
/// one whose final callback fails too; one that acknowledges and one that decides.
fn plugins() -> String {
    let failing = [
        ("error-transient", "transient", ""),
        ("error-permanent", "permanent", ""),
        ("trap", "panic", ""),
        ("memory", "alloc", "memory = '4MiB'"),
        ("timeout", "loop", "deadline = '30ms'"),
        ("exit", "exit1", ""),
        ("calm", "ok", ""),
        ("decides", "resume", ""),
    ];
    let table = |name: &str, mood: &str, limits: &str, last: &str| {
        format!(
            "[plugin.{name}]\nlimits = {{ {limits} }}\n\
             config = {{ mood = '{mood}', 'mood.final-server-retry' = '{last}' }}\n"
        )
    };
    failing
        .iter()
        .flat_map(|(name, mood, limits)| {
            [
                table(name, mood, limits, "ok"),
                table(&format!("{name}-to-the-end"), mood, limits, "permanent"),
            ]
        })
        .collect()
}

fn config(text: &str) -> Config {
    let parsed = Config::parse(
        text,
        Path::new("x.toml"),
        Path::new("/srv"),
        &Overrides::default(),
    );
    parsed.unwrap_or_else(|errors| panic!("{errors}"))
}

/// The plugin that plays `class` in `row`.
fn player(row: &Row, class: &str) -> String {
    match row.end {
        End::FinalFails => format!("{class}-to-the-end"),
        _ => class.to_owned(),
    }
}

/// The state a delivery ends in, the calls after the waits, and words of the result.
pub(super) fn outcome_of(end: &End) -> (DeliveryState, usize, &'static str) {
    match *end {
        End::Dead(why) => (DeliveryState::Dead, 1, why),
        End::FinalTakes | End::CommandTakes => (DeliveryState::Settled, 2, "acknowledged"),
        End::FinalFails => (DeliveryState::Dead, 2, "the final callback failed too"),
        End::CommandFails => (DeliveryState::Dead, 2, "failed in 10 rounds"),
        End::FailFast => (DeliveryState::Pending, 1, "the process was to end"),
    }
}

/// The real plugin room, in a folder of its own.
pub(super) struct Room {
    dir: tempfile::TempDir,
    room: PluginRoom,
}

impl Room {
    /// With every plugin.
    pub(super) fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = config(&plugins())
            .plugins
            .keys()
            .map(ToString::to_string)
            .collect();
        Self::with(dir, &names)
    }

    /// With the plugins of one class, and with what another room has compiled.
    pub(super) fn beside(other: &Path, class: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let aot = dir.path().join("state/aot");
        std::fs::create_dir_all(&aot).unwrap();
        for entry in std::fs::read_dir(other.join("state/aot")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), aot.join(entry.file_name())).unwrap();
        }
        Self::with(dir, &[class.to_owned()])
    }

    fn with(dir: tempfile::TempDir, names: &[String]) -> Self {
        let plugin_dir = dir.path().join("plugins");
        std::fs::create_dir_all(&plugin_dir).unwrap();
        for name in names {
            std::fs::write(
                plugin_dir.join(format!("{name}.wasm")),
                guests::bytes(guests::MOODY),
            )
            .unwrap();
        }
        let room = PluginRoom::new(RoomOptions {
            plugin_dir,
            state_dir: dir.path().join("state"),
            compiler: PathBuf::from(env!("CARGO_BIN_EXE_sexton-under-test")),
            children: Default::default(),
            compile_timeout: Duration::from_secs(120),
            compile_memory: 2 << 30,
            calls: 8,
            workers: 2,
            clock: Clock::real(),
            plugins: config(&plugins()).plugins,
        });
        Self {
            dir,
            room: room.unwrap(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) async fn load(&self) {
        self.room.rescan().await;
        for plugin in self.room.list() {
            assert!(plugin.serving, "{plugin:?}");
        }
    }
}

/// One delivery.
pub(super) struct Scene {
    place: PathBuf,
    _dir: Option<tempfile::TempDir>,
    pub(super) clock: Clock,
    store: Option<Arc<dyn Store>>,
    policies: Policies,
    router: Arc<ConfigRouter>,
    handlers: Arc<Strained>,
    command: Vec<String>,
    delivery: Option<DeliveryId>,
    task: Option<JoinHandle<()>>,
    seen: u32,
}

impl Scene {
    /// For a row of the table; in `dir` if something is to be left there.
    pub(super) async fn new(room: &Room, dir: Option<&Path>, row: &Row, class: &str) -> Self {
        let handlers = Strained::not(room.room.clone());
        let command = row.command.iter().map(ToString::to_string).collect();
        Self::with(
            room,
            dir,
            &player(row, class),
            &row.written(class),
            handlers,
            command,
        )
        .await
    }

    /// For a failure that is not the handler's.
    pub(super) async fn strained(room: &Room, row: &'static Uncharged, policy: &str) -> Self {
        let player = if row.class == "conflict" {
            "decides"
        } else {
            "calm"
        };
        let handlers = Strained::new(room.room.clone(), row.class, row.times);
        Self::with(room, None, player, policy, handlers, Vec::new()).await
    }

    async fn with(
        room: &Room,
        dir: Option<&Path>,
        player: &str,
        policy: &str,
        handlers: Strained,
        command: Vec<String>,
    ) -> Self {
        let own = dir.is_none().then(|| tempfile::tempdir().unwrap());
        let place = dir.map_or_else(|| own.as_ref().unwrap().path().to_owned(), Path::to_owned);
        let written = config(&format!(
            "[plugin.{player}]\n{policy}\n\
             [[subscribe]]\nplugin = '{player}'\nevents = ['job-error']\ndecide = true\n"
        ));
        let exports = room.room.exports();
        let exports = exports
            .iter()
            .map(|(name, exports)| (name.clone(), exports.functions.clone()))
            .collect();
        let clock = Clock::simulated(START);
        Self {
            store: Some(Arc::new(open(&place, &clock).await.unwrap())),
            place,
            _dir: own,
            clock,
            policies: Policies::new(written.plugins, 2),
            router: Arc::new(ConfigRouter::new(written.subscriptions, exports)),
            handlers: Arc::new(handlers),
            command,
            delivery: None,
            task: None,
            seen: 0,
        }
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().unwrap()
    }

    /// A job fails for good, and its handler is called.
    pub(super) async fn start(&mut self) {
        let router = Arc::<ConfigRouter>::clone(&self.router);
        self.store().set_router(router, BTreeMap::new()).await.unwrap();
        let job = self.fail_a_job().await;
        let filter = DeliveryFilter {
            job: Some(job),
            ..DeliveryFilter::default()
        };
        self.delivery = Some(self.store().deliveries(filter).await.unwrap()[0].id);
        self.dispatch();
    }

    async fn fail_a_job(&self) -> JobId {
        let mut spec = JobSpec::new("x", Profile::Sexton);
        spec.notify_command.clone_from(&self.command);
        let new = NewJob {
            owner: "uid-0".parse().unwrap(),
            kind: JobKind::Download,
            priority: Priority::Normal,
            spec,
            files: vec![FileSpec::new("http://127.0.0.1:9/x", "/tmp/x")],
            key: None,
            suspended: false,
        };
        self.store().submit(new).await.unwrap();
        let ask = ClaimJobs {
            background: 1,
            foreground: 0,
            busy_hosts: BTreeMap::new(),
            per_host: 1,
            yielding: Vec::new(),
            holds: Vec::new(),
            batch: 0,
            queries: 0,
            lease: Duration::from_secs(30),
            ..ClaimJobs::default()
        };
        let run = self.store().claim_jobs(ask).await.unwrap().remove(0);
        let error = ErrorInfo {
            code: Code::http(403),
            context: ErrorContext::RemoteFile,
            description: "no".into(),
            file: None,
            protocol: None,
            leg: None,
            attempt: run.job.attempt,
            at: self.clock.now(),
            extended: None,
        };
        let told = self.store().report(run.id(), Command::FatalError { error });
        told.await.unwrap().id
    }

    fn dispatch(&mut self) {
        self.handlers.store(self.store());
        let dispatcher = Dispatcher::new(
            Arc::clone(self.store()),
            Arc::<Strained>::clone(&self.handlers),
            Arc::new(RwLock::new(self.policies.clone())),
            self.clock.clone(),
            DispatchSettings {
                calls: 8,
                calls_per_plugin: 4,
                drain: Duration::from_secs(20),
            },
            FailFast {
                ending: Ending::Exit,
                report_dir: self.place.join("reports"),
                children: Children::default(),
            },
        );
        self.task = Some(tokio::spawn(dispatcher.run(Default::default())));
    }

    /// Nothing more is called; the store is closed.
    pub(super) async fn end(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
        self.store().close().await;
    }

    /// The host dies while its handler is called, and starts again.
    pub(super) async fn interrupted(&mut self) {
        self.handlers.called().await;
        self.end().await;
        self.handlers.forget();
        let started = Instant::now();
        // The call that was cut off lets go of its store when its thread comes to it.
        self.store = None;
        self.store = loop {
            match open(&self.place, &self.clock).await {
                Ok(store) => break Some(Arc::new(store)),
                Err(why) => assert!(started.elapsed() < PATIENCE, "{why}"),
            }
            tokio::time::sleep(LOOK).await;
        };
        let router = Arc::<ConfigRouter>::clone(&self.router);
        self.store().set_router(router, BTreeMap::new()).await.unwrap();
        self.dispatch();
    }

    /// The delivery once its next attempt is over and the one after is due later.
    pub(super) async fn waits(&mut self, told: &str) -> DeliveryRecord {
        let seen = self.seen;
        let now = self.clock.now();
        let is_waiting = |delivery: &DeliveryRecord| {
            let later = delivery.due.is_some_and(|due| due > now);
            assert!(
                !delivery.state.is_over(),
                "{told}: over after {seen} failures: {delivery:?}"
            );
            delivery.state == DeliveryState::Pending && later && delivery.attempt > seen
        };
        let waiting = self.poll(told, is_waiting).await;
        self.seen = waiting.attempt;
        waiting
    }

    /// The delivery once nothing more happens by itself.
    pub(super) async fn over(&self, told: &str) -> DeliveryRecord {
        self.poll(told, |delivery| delivery.state.is_over()).await
    }

    async fn poll(&self, told: &str, so: impl Fn(&DeliveryRecord) -> bool) -> DeliveryRecord {
        let started = Instant::now();
        loop {
            let delivery = self.store().delivery(self.delivery.unwrap()).await.unwrap();
            if so(&delivery) {
                return delivery;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{told}: nothing follows {delivery:?}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Moves the clock to just before `due`, when nothing may happen, then to it.
    pub(super) async fn go_to(&self, due: Timestamp, waiting: &DeliveryRecord) {
        let moment = Duration::from_millis(1);
        self.clock
            .advance(due.since(self.clock.now()).saturating_sub(moment));
        // Whoever would be too early has a turn now.
        self.store().counts().await.unwrap();
        let early = self.store().delivery(waiting.id).await.unwrap();
        assert_eq!(
            early.attempt, waiting.attempt,
            "called before it was due: {early:?}"
        );
        self.clock.advance(moment);
    }

    /// Moves the clock until the event is so many seconds old.
    pub(super) fn jump_to_age(&self, waiting: &DeliveryRecord, seconds: u64) {
        let then = waiting.created.after(Duration::from_secs(seconds));
        self.clock.advance(then.since(self.clock.now()));
    }

    /// The one delivery that a process left in a folder.
    pub(super) async fn left_in(dir: &Path) -> DeliveryRecord {
        let store = open(dir, &Clock::simulated(START)).await.unwrap();
        let all = store.deliveries(DeliveryFilter::default()).await.unwrap();
        assert_eq!(all.len(), 1);
        store.delivery(all[0].id).await.unwrap()
    }
}

async fn open(dir: &Path, clock: &Clock) -> Result<SqliteStore, sexton::store::StoreError> {
    SqliteStore::open(SqliteOptions {
        state_dir: dir.join("state"),
        clock: clock.clone(),
        force: false,
    })
    .await
}
