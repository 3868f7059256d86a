//! The host: every room started in order, and drained in the opposite one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api, HostHandle};
use crate::cli::{CliError, Complaint, ExitStatus};
use crate::clock::Clock;
use crate::config::{Config, FailFastMode};
use crate::dispatch::{DispatchSettings, Dispatcher, Policies};
use crate::engine::batch::{BatchParts, BatchRunner, Outputs};
use crate::engine::query::QueryRunner;
use crate::engine::transfer::{self, TransferRunner};
use crate::engine::{Engine, EngineSettings, Runners, memory, network};
use crate::fail_fast::{Children, Ending, FailFast};
use crate::job::JobKind;
use crate::plugin::{PluginRoom, RoomOptions};
use crate::store::{SqliteOptions, SqliteStore, Store, StoreError};

use super::activities::ActivityBook;
use super::components::Components;
use super::handle::{HostParts, HostShared, retention};
use super::signals::{Asked, Signals};
use super::{listing, load_config, telemetry, this_program, watch as config_watch};

/// Longest a start waits for plugins: cached ones are there in milliseconds, and one that must be
/// compiled first is loaded while the host already works.
const PLUGINS_AT_START: Duration = Duration::from_secs(2);

/// Wall-clock and address space of compiling one component: the largest known (Python, 18 MB) takes
/// 8 s and 0.5 GiB here.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(120);
const COMPILE_MEMORY: u64 = 4 << 30;

/// How long a command that is asked to end may take before it is killed; less where the whole drain is
/// short, so that its end can still be recorded.
const TERM_GRACE: Duration = Duration::from_secs(5);

/// What a host is started with.
pub struct HostOptions {
    /// The checked configuration.
    pub config: Config,
    /// FailFast acts as dead letter for this start (C-36).
    pub ignore_handler_failures: bool,
    /// The program that compiles components: this one.
    pub compiler: PathBuf,
    /// Where the time comes from.
    pub clock: Clock,
    /// Cancelled when the host is to end before it has started: it then waits for no plugin.
    pub hurry: CancellationToken,
}

/// A started host.
pub struct Started {
    shared: Arc<HostShared>,
    store: Arc<dyn Store>,
    drain: Duration,
    engine: (CancellationToken, JoinHandle<()>),
    dispatch: (CancellationToken, JoinHandle<()>),
    rest: (CancellationToken, Vec<JoinHandle<()>>),
}

/// `sexton run`: until a signal ends it.
pub(super) fn run(config: Option<&Path>, ignore_handler_failures: bool) -> Result<ExitStatus, CliError> {
    let config = load_config(config)?;
    telemetry::start(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|why| CliError::Failed(Complaint::new("the host's threads cannot be started").cause(why)))?;
    let compiler = this_program()?;
    let clock = Clock::real();
    let options = HostOptions {
        config,
        ignore_handler_failures,
        compiler,
        clock,
        hurry: CancellationToken::new(),
    };
    let result = runtime.block_on(live(options));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Starts, serves and drains. A signal that comes during the start ends the host in order too.
async fn live(options: HostOptions) -> Result<ExitStatus, CliError> {
    let mut signals = Signals::listen()?;
    let hurry = options.hurry.clone();
    let starting = start(options);
    tokio::pin!(starting);
    let host = tokio::select! {
        host = &mut starting => host?,
        () = signals.end() => {
            hurry.cancel();
            let host = tokio::select! {
                host = &mut starting => host?,
                () = signals.end() => return Err(cut_short()),
            };
            return host.end(signals).await;
        }
    };
    host.until_signal(signals).await
}

/// A drain that was not waited for is no success: the store was not closed in order.
fn cut_short() -> CliError {
    CliError::Failed(
        Complaint::new("the drain was cut short by a second signal").hint(
            "nothing that was committed is lost; the next start checks the store and goes on from there",
        ),
    )
}

/// Starts every room: store, plugins, routing, engine, dispatch, control API, watchers.
///
/// # Errors
/// What stands in the way, with its exit code: the store, the control socket, the engine's pool.
pub async fn start(options: HostOptions) -> Result<Started, CliError> {
    let fail_fast = fail_fast(&options)?;
    telemetry::fail_fast_on_panic(fail_fast.clone(), options.clock.clone());
    let store = open_store(&options.config, &options.clock).await?;
    start_rooms(store, fail_fast, options).await
}

/// The same over a store that is the caller's: one that fails on purpose. A panic stays a panic.
///
/// # Errors
/// As [`start`].
pub async fn start_over(store: Arc<dyn Store>, options: HostOptions) -> Result<Started, CliError> {
    let fail_fast = fail_fast(&options)?;
    start_rooms(store, fail_fast, options).await
}

async fn start_rooms(
    store: Arc<dyn Store>,
    fail_fast: FailFast,
    options: HostOptions,
) -> Result<Started, CliError> {
    let HostOptions {
        config,
        ignore_handler_failures,
        compiler,
        clock,
        hurry,
    } = options;
    let listener = listen(&config)?;
    let outputs = Outputs::new(&config.host.state_dir, config.batch.output);
    let components = Arc::new(Components {
        room: open_room(&config, compiler.clone(), fail_fast.children.clone(), &clock)?,
        store: Arc::clone(&store),
        clock: clock.clone(),
    });
    let room = components.room.clone();
    let batch = BatchRunner::new(batch_parts(&config, compiler, &outputs, &fail_fast, &components));
    load_plugins(&room, hurry).await;
    let policies = Arc::new(RwLock::new(policies(&config, ignore_handler_failures)));
    let (retention_sender, retention_receiver) = watch::channel(retention(&config));
    let drain = config.host.drain;
    let dispatcher = Dispatcher::new(
        Arc::clone(&store),
        Arc::new(room.clone()),
        Arc::clone(&policies),
        clock.clone(),
        dispatch_settings(&config),
        fail_fast,
    );
    let engine = Engine::new(
        Arc::clone(&store),
        clock.clone(),
        engine_settings(&config),
        retention_receiver,
        runners(&config, &clock, batch, components)?,
    );
    let rules = watch::Sender::new(Arc::new(config.transfer.rules.clone()));
    let rest_stop = CancellationToken::new();
    let activities = ActivityBook::open(Arc::clone(&store), &config.activities, config.batch.slots);
    let activities = activities.await.map_err(store_error)?;
    let engine = engine
        .governed(rules.subscribe(), network::follow(rest_stop.clone()))
        .with_activities(activities.follow(), memory::probe());
    let shared = Arc::new(HostShared::new(HostParts {
        config,
        store: Arc::clone(&store),
        room,
        policies,
        retention: retention_sender,
        rules,
        activities,
        ignore_handler_failures,
        clock: clock.clone(),
        outputs: outputs.clone(),
    }));
    shared.route(BTreeSet::new()).await.map_err(store_error)?;
    let of_remotes = Arc::clone(&shared);
    let dispatcher = dispatcher.checking(Arc::new(move |file| of_remotes.check_remotes(file)));
    let (engine_stop, dispatch_stop) = (CancellationToken::new(), CancellationToken::new());
    Ok(Started {
        engine: (engine_stop.clone(), tokio::spawn(engine.run(engine_stop))),
        dispatch: (dispatch_stop.clone(), tokio::spawn(dispatcher.run(dispatch_stop))),
        rest: start_rest(&shared, &store, listener, clock, outputs, rest_stop),
        shared,
        store,
        drain,
    })
}

fn policies(config: &Config, ignore_handler_failures: bool) -> Policies {
    let mut policies = Policies::new(config.plugins.clone(), config.fail_fast.crash_limit);
    policies.ignore_handler_failures = ignore_handler_failures;
    policies
}

fn dispatch_settings(config: &Config) -> DispatchSettings {
    DispatchSettings {
        calls: config.host.calls,
        calls_per_plugin: config.host.calls_per_plugin,
        drain: config.host.drain,
    }
}

fn batch_parts(
    config: &Config,
    program: PathBuf,
    outputs: &Outputs,
    fail_fast: &FailFast,
    components: &Arc<Components>,
) -> BatchParts {
    BatchParts {
        config: config.batch.clone(),
        program,
        outputs: outputs.clone(),
        children: fail_fast.children.clone(),
        grace: TERM_GRACE.min(config.host.drain / 4),
        fail_fast: fail_fast.clone(),
        store: Arc::clone(&components.store),
        components: Some(Arc::<Components>::clone(components)),
    }
}

/// Control API, folder watch, routing, configuration watch.
fn start_rest(
    shared: &Arc<HostShared>,
    store: &Arc<dyn Store>,
    listener: UnixListener,
    clock: Clock,
    outputs: Outputs,
    stop: CancellationToken,
) -> (CancellationToken, Vec<JoinHandle<()>>) {
    let forgetting = stop.clone();
    let forgotten = Arc::clone(store);
    let host: Arc<dyn api::HostHandle> = Arc::<HostShared>::clone(shared);
    let api = Api {
        store: Arc::clone(store),
        host,
        clock,
    };
    let tasks = vec![
        tokio::spawn(api::serve(listener, api, stop.clone())),
        tokio::spawn(shared.room().clone().run(stop.clone())),
        tokio::spawn(Arc::clone(shared).follow_plugins(stop.clone())),
        tokio::spawn(config_watch::follow(Arc::clone(shared), stop.clone())),
        tokio::spawn(async move {
            tokio::select! {
                () = outputs.follow(forgotten) => {}
                () = forgetting.cancelled() => {}
            }
        }),
    ];
    (stop, tasks)
}

impl Started {
    /// Serves until SIGTERM or SIGINT, then drains. SIGHUP reloads.
    async fn until_signal(self, mut signals: Signals) -> Result<ExitStatus, CliError> {
        self.shared.say_ready();
        while signals.next().await == Asked::Reload {
            // Its outcome is in the log and in `status`.
            let _ = self.shared.reload().await;
        }
        self.end(signals).await
    }

    /// Drains; another signal ends the host at once.
    async fn end(self, mut signals: Signals) -> Result<ExitStatus, CliError> {
        tracing::info!("draining; a second signal ends at once");
        tokio::select! {
            () = self.drain() => Ok(ExitStatus::Done),
            () = signals.end() => Err(cut_short()),
        }
    }

    /// Stops claiming, lets calls end, makes transfers durable, closes the store.
    pub async fn drain(self) {
        self.shared.set_draining();
        // Both stop claiming at once; then calls and transfers end beside each other.
        self.engine.0.cancel();
        self.dispatch.0.cancel();
        let ended = async { (self.engine.1.await, self.dispatch.1.await) };
        if tokio::time::timeout(self.drain + Duration::from_secs(1), ended)
            .await
            .is_err()
        {
            tracing::warn!("the drain was cut short");
        }
        self.rest.0.cancel();
        for task in self.rest.1 {
            // Watchers and connections; what they had to say is committed.
            let _ = tokio::time::timeout(Duration::from_secs(6), task).await;
        }
        self.store.close().await;
        tracing::info!("ended");
    }
}

fn fail_fast(options: &HostOptions) -> Result<FailFast, CliError> {
    let config = &options.config.fail_fast;
    let children = Children::with_reaper(&options.compiler).map_err(|why| {
        CliError::Failed(Complaint::new("what ends commands when the host dies cannot be started").cause(why))
    })?;
    Ok(FailFast {
        ending: match config.mode {
            FailFastMode::Abort => Ending::Abort,
            FailFastMode::Exit => Ending::Exit,
        },
        report_dir: config.report_dir.clone(),
        children,
    })
}

fn engine_settings(config: &Config) -> EngineSettings {
    EngineSettings {
        slots: config.transfer.slots,
        slots_per_host: config.transfer.slots_per_host,
        batch_slots: config.batch.slots,
        query_slots: config.batch.slots,
        drain: config.host.drain,
    }
}

async fn open_store(config: &Config, clock: &Clock) -> Result<Arc<dyn Store>, CliError> {
    let options = SqliteOptions {
        state_dir: config.host.state_dir.clone(),
        clock: clock.clone(),
        force: false,
    };
    let store = Arc::new(SqliteStore::open(options).await.map_err(store_error)?);
    if store.was_unclean() {
        let (checked, started) = (Arc::clone(&store), clock.now());
        tokio::spawn(async move {
            match checked.check(false).await {
                Ok(()) => {
                    tracing::info!("the store was not closed in order; it is sound");
                    transfer::sweep(&*checked, started).await;
                }
                Err(why) => {
                    tracing::error!("the store was not closed in order: {why}; run `sexton db check`")
                }
            }
        });
    }
    Ok(store)
}

fn listen(config: &Config) -> Result<UnixListener, CliError> {
    api::listen(&config.host.control).map_err(|why| {
        let complaint = Complaint::new(why.to_string()).hint(why.hint());
        let complaint = match std::error::Error::source(&why) {
            Some(cause) => complaint.cause(cause),
            None => complaint,
        };
        CliError::Failed(complaint)
    })
}

fn open_room(
    config: &Config,
    compiler: PathBuf,
    children: Children,
    clock: &Clock,
) -> Result<PluginRoom, CliError> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let options = RoomOptions {
        plugin_dir: config.host.plugin_dir.clone(),
        state_dir: config.host.state_dir.clone(),
        compiler,
        compile_timeout: COMPILE_TIMEOUT,
        compile_memory: COMPILE_MEMORY,
        children,
        calls: config.host.calls,
        workers,
        clock: clock.clone(),
        plugins: config.plugins.clone(),
    };
    PluginRoom::new(options).map_err(|why| {
        let complaint = Complaint::new(format!("the plugin room cannot be opened: {why}"));
        CliError::Failed(
            complaint.hint("lower `[host] calls` or raise the limit of address space (ulimit -v)"),
        )
    })
}

async fn load_plugins(room: &PluginRoom, hurry: CancellationToken) {
    let scanning = room.clone();
    let scan = tokio::spawn(async move { scanning.rescan().await });
    tokio::select! {
        scanned = tokio::time::timeout(PLUGINS_AT_START, scan) => if scanned.is_err() {
            tracing::info!("plugins are still being compiled; their deliveries wait");
        },
        () = hurry.cancelled() => {}
    }
}

fn runners(
    config: &Config,
    clock: &Clock,
    batch: BatchRunner,
    components: Arc<Components>,
) -> Result<Runners, CliError> {
    let transfer = TransferRunner::new(&config.transfer, clock.clone()).map_err(|why| {
        // The one says which key, the other what is wrong with it.
        let cause = match std::error::Error::source(&why) {
            Some(source) => format!("{why}: {source}"),
            None => why.to_string(),
        };
        CliError::Failed(Complaint::new("transfers cannot be made").cause(cause))
    })?;
    let transfer: Arc<dyn crate::engine::Runner> = Arc::new(transfer);
    let kinds = [JobKind::Download, JobKind::Upload, JobKind::UploadReply];
    let mut runners = Runners::from(kinds.map(|kind| (kind, Arc::clone(&transfer))));
    let shown = components.room.clone();
    let inventory = Arc::new(move || shown.list().iter().map(listing::shown).collect());
    let query = QueryRunner::new(config.query.clone(), config.host.state_dir.clone(), inventory);
    runners.insert(JobKind::Query, Arc::new(query.with_components(components)));
    runners.insert(JobKind::Batch, Arc::new(batch));
    Ok(runners)
}

/// A failure of the store as the command line tells it.
pub(super) fn store_error(why: StoreError) -> CliError {
    let complaint = Complaint::new(why.to_string());
    CliError::Store(match why {
        StoreError::Locked { .. } => {
            complaint.hint("stop the other host, or give this one its own state_dir")
        }
        _ => complaint,
    })
}
