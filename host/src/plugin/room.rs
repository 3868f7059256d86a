//! The room's door: what the rest of the host sees of plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Notify, Semaphore, watch};
use tracing::Instrument as _;

use super::call::{self, Core};
use super::compile::Compiler;
use super::engine::{WORK_SLOTS, host_engine, reservation};
use super::entry::Entry;
use super::failure::Finding;
use super::keep::Keep;
use super::load::{Loader, Served};
use super::scan::Scanner;
use super::settings::Settings;
use super::ticker::Ticker;
use super::{Call, Function, PluginInfo, SharedView};
use crate::clock::Clock;
use crate::config::PluginConfig;
use crate::fail_fast::Children;
use crate::job::{EventKind, Interface, PluginName, Reply};

/// Plugins that are read or loaded at the same time. Each holds its bytes, and all but those that
/// wait for a compiler are done in milliseconds.
const LOADS: usize = 8;

/// What the room is made of.
#[derive(Clone, Debug)]
pub struct RoomOptions {
    /// Where components are dropped.
    pub plugin_dir: PathBuf,
    /// Where compiled code (`aot/`) and last good components (`plugins/`) are kept.
    pub state_dir: PathBuf,
    /// Program run as `<compiler> compile-component IN OUT`: this one.
    pub compiler: PathBuf,
    /// How long compiling one component may take.
    pub compile_timeout: Duration,
    /// Address space of the compiler, in bytes.
    pub compile_memory: u64,
    /// Where compilers are registered, so that they do not outlive the host.
    pub children: Children,
    /// Calls at the same time, over all plugins; also the size of the instance pool.
    pub calls: usize,
    /// Threads that run guests.
    pub workers: usize,
    /// What time it is.
    pub clock: Clock,
    /// `[plugin.NAME]`; a plugin without a table has the default one.
    pub plugins: BTreeMap<PluginName, PluginConfig>,
}

/// Why there is no room.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// A folder of the state directory cannot be made.
    #[error("cannot make {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine or its pool.
    #[error("{0}")]
    Engine(String),
    /// The threads.
    #[error("cannot start the guest threads")]
    Threads(#[source] std::io::Error),
}

/// What a serving component can be called for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exports {
    /// SHA-256 of the component, hex.
    pub digest: String,
    /// The events it has a function for.
    pub functions: BTreeSet<EventKind>,
    /// Whether it can be asked last (`final-server-retry`).
    pub final_retry: bool,
    /// What work of jobs it does: `service-call`, `provider`.
    pub work: BTreeSet<Interface>,
}

/// The plugin room; clones are handles to the same one.
#[derive(Clone)]
pub struct PluginRoom(pub(super) Arc<Inner>);

/// Everything behind the door.
pub(super) struct Inner {
    /// Shared by all calls.
    core: Arc<Core>,
    /// What is called, by name.
    serving: ArcSwap<BTreeMap<PluginName, Arc<Served>>>,
    exports: ArcSwap<BTreeMap<PluginName, Exports>>,
    /// What is known of every file; the truth behind `serving`.
    entries: Mutex<BTreeMap<PluginName, Entry>>,
    plugins: Mutex<Arc<BTreeMap<PluginName, PluginConfig>>>,
    /// What the pool's memories were made for.
    reservation: u64,
    changes: watch::Sender<u64>,
    /// A configuration may have made a refused file welcome; the folder may be another one.
    pub(super) look_again: Notify,
    /// A file was in the middle of being written.
    pub(super) look_soon: Notify,
    pub(super) scanner: Mutex<Scanner>,
    /// Of the folder itself; beside the scanner, which is busy at times.
    pub(super) trouble: Mutex<Option<String>>,
    loader: Loader,
    keep: Mutex<Keep>,
    pub(super) loads: Arc<Semaphore>,
    /// Grows whenever a turn has ended.
    pub(super) turns_ended: watch::Sender<u64>,
    /// The guests' own threads. Given up in the background: dropping it outright would block, and
    /// panic in an async context.
    runtime: Option<Runtime>,
    pub(super) handle: Handle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl PluginRoom {
    /// Makes the engine, its pool and its threads. Nothing is loaded before the first
    /// [`PluginRoom::rescan`].
    ///
    /// # Errors
    /// [`RoomError`] when folders, address space or threads cannot be had.
    pub fn new(options: RoomOptions) -> Result<Self, RoomError> {
        let reservation = reservation(&options.plugins);
        let calls = options.calls.max(1);
        let engine = host_engine(reservation, calls).map_err(RoomError::Engine)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.workers.max(1))
            .thread_name("guest")
            .enable_all()
            .build()
            .map_err(RoomError::Threads)?;
        let aot = options.state_dir.join("aot");
        let compiler = Compiler::new(
            aot.clone(),
            options.compiler,
            options.compile_timeout,
            options.compile_memory,
            options.children,
            reservation,
            &engine,
        )
        .map_err(|source| RoomError::Folder { path: aot, source })?;
        let kept = kept_dir(&options.state_dir);
        let keep = Keep::open(kept.clone()).map_err(|source| RoomError::Folder { path: kept, source })?;
        let core = Arc::new(Core {
            ticker: Ticker::start(&engine).map_err(RoomError::Threads)?,
            engine,
            clock: options.clock,
            slots: Arc::new(Semaphore::new(calls)),
            work_slots: Arc::new(Semaphore::new(WORK_SLOTS)),
        });
        let loader = Loader::new(Arc::clone(&core), compiler);
        let scanner = Scanner::new(options.plugin_dir);
        Ok(Self(Arc::new(Inner {
            core,
            serving: ArcSwap::default(),
            exports: ArcSwap::default(),
            entries: Mutex::default(),
            plugins: Mutex::new(Arc::new(options.plugins)),
            reservation,
            changes: watch::Sender::new(0),
            look_again: Notify::new(),
            look_soon: Notify::new(),
            scanner: Mutex::new(scanner),
            trouble: Mutex::default(),
            loader,
            keep: Mutex::new(keep),
            loads: Arc::new(Semaphore::new(LOADS)),
            turns_ended: watch::Sender::new(0),
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })))
    }

    /// Makes another configuration count, for calls that start from now on. A plugin that uses
    /// what is no longer granted stops serving; one that was refused is looked at again.
    pub fn configure(&self, plugins: BTreeMap<PluginName, PluginConfig>) {
        let inner = &self.0;
        *lock(&inner.plugins) = Arc::new(plugins);
        for (name, entry) in lock(&inner.entries).iter_mut() {
            entry.configure(&inner.settings(name));
        }
        inner.publish();
        inner.look_again.notify_one();
    }

    /// Every plugin that serves or whose file was refused, by name.
    #[must_use]
    pub fn list(&self) -> Vec<PluginInfo> {
        let entries = lock(&self.0.entries);
        entries.iter().map(|(name, entry)| entry.info(name)).collect()
    }

    /// Whether there is a file of that name, good or refused.
    #[must_use]
    pub fn knows(&self, plugin: &PluginName) -> bool {
        lock(&self.0.entries).contains_key(plugin)
    }

    /// What the serving components can be called for.
    #[must_use]
    pub fn exports(&self) -> Arc<BTreeMap<PluginName, Exports>> {
        self.0.exports.load_full()
    }

    /// A number that grows whenever what serves has changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Whether `plugin` can be called.
    #[must_use]
    pub fn is_serving(&self, plugin: &PluginName) -> bool {
        self.0.serving.load().contains_key(plugin)
    }

    /// The guests' own threads. A task that makes many calls may live here and save the way there
    /// and back.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.0.handle.clone()
    }

    /// Calls `plugin` in a fresh instance on the guests' threads. There is always a reply; when
    /// this is dropped before, the guest is stopped.
    pub async fn call(&self, plugin: &PluginName, call: Call, view: SharedView) -> Reply {
        let core = &self.0.core;
        let Some(served) = self.0.serving.load().get(plugin).cloned() else {
            let finding = Finding::host_fault(format!("plugin {plugin} is not loaded"));
            return call::failed(&core.clock, &call, "", finding);
        };
        let span = tracing::info_span!("call", plugin = %plugin, delivery = %call.delivery,
            function = call.function.name());
        let call = Arc::new(call);
        let running =
            call::run(Arc::clone(core), Arc::clone(&served), Arc::clone(&call), view).instrument(span);
        if Handle::try_current().is_ok_and(|here| here.id() == self.0.handle.id()) {
            return running.await.reply;
        }
        let (send, reply) = tokio::sync::oneshot::channel();
        let task = self.0.handle.spawn(async move {
            let done = running.await;
            // The caller goes on while the instance is given back.
            let call::Done { reply, rest } = done;
            let _ = send.send(reply);
            drop(rest);
        });
        let _stop = StopOnDrop(task.abort_handle());
        reply.await.unwrap_or_else(|_| {
            let finding = Finding::host_fault("the host is shutting down its guests");
            call::failed(&core.clock, &call, &served.digest, finding)
        })
    }
}

/// Ends the guest whose caller has gone.
struct StopOnDrop(tokio::task::AbortHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Inner {
    /// The settings of `name` under the configuration of now.
    pub(super) fn settings(&self, name: &PluginName) -> Arc<Settings> {
        let plugins = Arc::clone(&lock(&self.plugins));
        let default = PluginConfig::default();
        let config = plugins.get(name).unwrap_or(&default);
        if config.limits.memory > self.reservation {
            tracing::warn!(plugin = %name, "its memory limit is above what the pool was made for and counts after a restart");
        }
        Arc::new(Settings::new(config, self.reservation))
    }

    /// What makes plugins out of bytes.
    pub(super) fn loader(&self) -> &Loader {
        &self.loader
    }

    /// The last good components.
    pub(super) fn keep(&self) -> MutexGuard<'_, Keep> {
        lock(&self.keep)
    }

    /// What is known of every file.
    pub(super) fn entries(&self) -> MutexGuard<'_, BTreeMap<PluginName, Entry>> {
        lock(&self.entries)
    }

    /// Lets calls see what the entries say now; tells the others if that is something new.
    pub(super) fn publish(&self) {
        let entries = lock(&self.entries);
        let serving: BTreeMap<_, _> = entries
            .iter()
            .filter_map(|(name, entry)| Some((name.clone(), Arc::clone(entry.served()?))))
            .collect();
        let exports: BTreeMap<_, _> = serving
            .iter()
            .map(|(name, served)| {
                let exports = Exports {
                    digest: served.digest.clone(),
                    functions: served.surface.events(),
                    final_retry: served.surface.has(Function::Event(EventKind::FinalServerRetry)),
                    work: served.surface.work(),
                };
                (name.clone(), exports)
            })
            .collect();
        self.serving.store(Arc::new(serving));
        let changed = **self.exports.load() != exports;
        if changed {
            self.exports.store(Arc::new(exports));
        }
        drop(entries);
        if changed {
            self.changes.send_modify(|version| *version += 1);
        }
    }
}

/// Where the last good components are.
pub(super) fn kept_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("plugins")
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
