//! The running host as its control API and its watchers see it: plugins, status, reload, routing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::view::{ActivityView, FailFastView, HostState, HostStatus, PluginView};
use crate::api::{ActivityRefusal, Checker, HostHandle};
use crate::clock::Clock;
use crate::config::{Config, FailFastMode, Overrides, TransferRules};
use crate::dispatch::{ConfigRouter, Policies};
use crate::engine::batch::{BatchRules, Outputs};
use crate::engine::transfer;
use crate::job::{
    ActivityDraft, ActivityName, ActivitySpec, BadActivity, Code, FileSpec, FileStatus, Job, JobId,
    OutputAsk, OutputPage, PluginName, Profile, Timestamp,
};
use crate::plugin::{PluginInfo, PluginRoom};
use crate::store::{NewJob, RetentionRule, Store, StoreError};

use super::activities::ActivityBook;
use super::{admit, environment, listing, telemetry};

/// Wait before a routing that the store would not take is handed over again.
const ROUTE_AGAIN: Duration = Duration::from_secs(1);

/// What a [`HostShared`] is made of.
pub(super) struct HostParts {
    pub(super) config: Config,
    pub(super) store: Arc<dyn Store>,
    pub(super) room: PluginRoom,
    pub(super) policies: Arc<RwLock<Policies>>,
    pub(super) retention: watch::Sender<RetentionRule>,
    pub(super) rules: watch::Sender<Arc<TransferRules>>,
    pub(super) activities: ActivityBook,
    pub(super) ignore_handler_failures: bool,
    pub(super) clock: Clock,
    pub(super) outputs: Outputs,
}

/// Shared by the control API, the plugin watcher and the configuration watcher.
pub(super) struct HostShared {
    parts: HostParts,
    started: Timestamp,
    live: Mutex<Live>,
    draining: AtomicBool,
    /// Routing is replaced by one at a time, so that an older snapshot never overtakes a newer one.
    routing: tokio::sync::Mutex<()>,
    /// The routing of a reload failed; whoever follows the plugins tries again.
    reroute: tokio::sync::Notify,
    /// One reload at a time, so that an older file is never applied last.
    reloading: tokio::sync::Mutex<()>,
}

/// What a reload changes.
struct Live {
    config: Arc<Config>,
    problem: Option<ConfigProblem>,
}

/// What is to be said about the configuration file as it is now.
#[derive(Clone, Debug)]
enum ConfigProblem {
    /// It was refused; the one before it is in force.
    Refused(String),
    /// It is in force but for keys that wait for the next start.
    Waits(String),
}

impl ConfigProblem {
    fn words(&self) -> &str {
        match self {
            Self::Refused(words) | Self::Waits(words) => words,
        }
    }
}

/// How long ended things are kept.
pub(super) fn retention(config: &Config) -> RetentionRule {
    RetentionRule {
        finished: config.retention.finished,
        failed: config.retention.failed,
        dead: config.retention.dead,
    }
}

impl HostShared {
    pub(super) fn new(parts: HostParts) -> Self {
        let live = Live {
            config: Arc::new(parts.config.clone()),
            problem: None,
        };
        Self {
            started: parts.clock.now(),
            live: Mutex::new(live),
            draining: AtomicBool::new(false),
            routing: tokio::sync::Mutex::new(()),
            reroute: tokio::sync::Notify::new(),
            reloading: tokio::sync::Mutex::new(()),
            parts,
        }
    }

    pub(super) fn room(&self) -> &PluginRoom {
        &self.parts.room
    }

    /// The configuration in force.
    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.live().config)
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the operator wrote last is not what is in force.
    fn file_is_refused(&self) -> bool {
        matches!(self.live().problem, Some(ConfigProblem::Refused(_)))
    }

    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
        // A supervisor that is not there need not hear it.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    }

    /// The ready line on stderr, and `READY=1` for systemd.
    pub(super) fn say_ready(&self) {
        use std::io::Write;
        let config = self.config();
        let serving = self.parts.room.exports().len();
        let source = config
            .source
            .as_ref()
            .map_or("defaults".to_owned(), |path| path.display().to_string());
        // The line is for people and scripts; the log may be filtered.
        let _ = writeln!(
            std::io::stderr(),
            "sexton {} ready: control {}, state {}, {serving} plugins, configuration {source}",
            env!("CARGO_PKG_VERSION"),
            config.host.control.display(),
            config.host.state_dir.display(),
        );
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }

    /// Hands the store a new snapshot of subscriptions and exports. Waiting deliveries that were last
    /// tried with another component, and all of plugins whose configuration `changed`, become due now.
    pub(super) async fn route(&self, changed: BTreeSet<PluginName>) -> Result<(), StoreError> {
        let _one = self.routing.lock().await;
        let exports = self.parts.room.exports();
        let mut renewed: BTreeMap<PluginName, Option<String>> = exports
            .iter()
            .map(|(plugin, export)| (plugin.clone(), Some(export.digest.clone())))
            .collect();
        renewed.extend(changed.into_iter().map(|plugin| (plugin, None)));
        let config = self.config();
        let functions = exports
            .iter()
            .map(|(plugin, export)| (plugin.clone(), export.functions.clone()));
        let router = ConfigRouter::new(config.subscriptions.clone(), functions.collect())
            .with_activities(self.parts.activities.handlers());
        self.parts.store.set_router(Arc::new(router), renewed).await
    }

    /// Routes anew whenever what serves has changed.
    pub(super) async fn follow_plugins(self: Arc<Self>, stop: CancellationToken) {
        let mut changes = self.parts.room.changes();
        loop {
            let routed = self.route(BTreeSet::new()).await;
            if let Err(why) = &routed {
                tracing::error!("the routing could not be replaced: {why}; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                () = self.reroute.notified() => {}
                () = tokio::time::sleep(ROUTE_AGAIN), if routed.is_err() => {}
            }
        }
    }

    /// Reads the configuration again. A good one is applied live; a bad one is refused whole.
    pub(super) async fn reload(&self) -> Result<(), String> {
        let _one = self.reloading.lock().await;
        let current = self.config();
        let Some(source) = current.source.clone() else {
            return Err("the host runs on defaults, without a configuration file".to_owned());
        };
        // The file may lie where reading it hangs.
        let loading = tokio::task::spawn_blocking(move || {
            // Whoever saves a file in place empties it first; taken at its word it would take every handler off.
            if std::fs::metadata(&source).is_ok_and(|file| file.len() == 0) {
                return Err(format!(
                    "error: {}: it is empty; is it being written?",
                    source.display()
                ));
            }
            let loaded = Config::load(Some(&source), &environment, &Overrides::default());
            loaded.map_err(|errors| errors.to_string())
        });
        let Ok(loaded) = loading.await else {
            return Err("the host is ending".to_owned());
        };
        match loaded {
            Err(why) => {
                tracing::error!("the configuration was refused, the old one stays:\n{why}");
                self.live().problem = Some(ConfigProblem::Refused(why.clone()));
                Err(why)
            }
            Ok(new) if new == *current => {
                self.live().problem = None;
                Ok(())
            }
            Ok(new) => self.apply(&current, new).await,
        }
    }

    /// Whether a plugin has a file, a table or a subscription. Asked for every job of a list.
    fn knows(&self, plugin: &PluginName) -> bool {
        let config = self.config();
        config.plugins.contains_key(plugin)
            || config.subscriptions.iter().any(|one| one.plugin == *plugin)
            || config
                .activities
                .values()
                .any(|one| one.handler.as_ref() == Some(plugin))
            || self.parts.room.knows(plugin)
    }

    fn unknown_handler(&self, key: &'static str, handler: &PluginName) -> BadActivity {
        let known = self.plugins();
        let known = known.iter().map(|plugin| &plugin.name);
        let (code, why) = admit::unknown_handler(handler, known, self.file_is_refused());
        BadActivity { key, code, why }
    }

    async fn apply(&self, current: &Config, new: Config) -> Result<(), String> {
        let waiting = self.parts.config.live_differences(&new);
        let problem = (!waiting.is_empty()).then(|| {
            ConfigProblem::Waits(format!(
                "applied, but {} take effect at the next start",
                waiting.join(", ")
            ))
        });
        let changed: BTreeSet<PluginName> = new
            .plugins
            .iter()
            .filter(|(name, config)| current.plugins.get(*name) != Some(*config))
            .map(|(name, _)| name.clone())
            .collect();
        self.parts.room.configure(new.plugins.clone());
        {
            let mut policies = self
                .parts
                .policies
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let mut fresh = Policies::new(new.plugins.clone(), policies.crash_limit);
            fresh.ignore_handler_failures = policies.ignore_handler_failures;
            *policies = fresh;
        }
        self.parts.retention.send_replace(retention(&new));
        if current.transfer.rules != new.transfer.rules {
            self.parts
                .rules
                .send_replace(Arc::new(new.transfer.rules.clone()));
        }
        {
            let mut live = self.live();
            live.config = Arc::new(new);
            live.problem.clone_from(&problem);
        }
        tracing::info!(
            "the configuration was applied{}",
            problem.map(|p| format!(": {}", p.words())).unwrap_or_default()
        );
        self.route(changed).await.map_err(|why| {
            self.reroute.notify_one();
            why.to_string()
        })
    }
}

#[async_trait]
impl HostHandle for HostShared {
    fn plugins(&self) -> Vec<PluginView> {
        let config = self.config();
        let mut infos: BTreeMap<PluginName, PluginInfo> = self
            .parts
            .room
            .list()
            .into_iter()
            .map(|info| (info.name.clone(), info))
            .collect();
        let named = config
            .subscriptions
            .iter()
            .map(|subscription| &subscription.plugin);
        for name in config.plugins.keys().chain(named) {
            infos.entry(name.clone()).or_insert_with(|| PluginInfo {
                name: name.clone(),
                digest: String::new(),
                size: 0,
                interfaces: BTreeSet::new(),
                serving: false,
                problem: Some(format!(
                    "absent: there is no {name}.wasm in {}",
                    config.host.plugin_dir.display()
                )),
                refused_digest: None,
            });
        }
        let exports = self.parts.room.exports();
        let refused = self.file_is_refused();
        infos
            .into_values()
            .map(|info| listing::plugin(info, &config, &exports, refused))
            .collect()
    }

    async fn rescan_plugins(&self) {
        self.parts.room.rescan().await;
    }

    async fn reload_config(&self) -> Result<(), String> {
        self.reload().await
    }

    async fn status(&self) -> HostStatus {
        let config = self.config();
        let plugins = self.plugins();
        let degraded = plugins.iter().filter_map(|plugin| {
            let problem = plugin.problem.as_ref()?;
            Some(format!("plugin {}: {problem}", plugin.name))
        });
        let reports = config.fail_fast.report_dir.clone();
        let newest = tokio::task::spawn_blocking(move || telemetry::newest_report(&reports)).await;
        HostStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            state: if self.is_draining() {
                HostState::Draining
            } else {
                HostState::Running
            },
            degraded: self.parts.room.trouble().into_iter().chain(degraded).collect(),
            config_file: config.source.as_ref().map(|path| path.display().to_string()),
            config_problem: self
                .live()
                .problem
                .as_ref()
                .map(|problem| problem.words().to_owned()),
            fail_fast: FailFastView {
                mode: match config.fail_fast.mode {
                    FailFastMode::Abort => "abort".to_owned(),
                    FailFastMode::Exit => "exit".to_owned(),
                },
                ignored: self.parts.ignore_handler_failures,
                crash_limit: config.fail_fast.crash_limit,
                report_dir: config.fail_fast.report_dir.display().to_string(),
                last_report: newest.ok().flatten().map(|path| path.display().to_string()),
            },
        }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn complete_submit(&self, new: &mut NewJob) {
        if let Some(spec) = new.spec.batch.as_deref_mut() {
            *spec = BatchRules::new(&self.config().batch).of(spec);
        }
    }

    fn output(&self, job: JobId, ask: &OutputAsk) -> Result<OutputPage, (Code, String)> {
        self.parts.outputs.read(job, ask)
    }

    fn checker(&self) -> Checker<'_> {
        let config = self.config();
        let own = admit::Own::of(&config);
        Box::new(move |new| {
            if self.is_draining() {
                let why = "the host is draining; try again once it has started";
                return Err((Code::SX_OVERLOAD, why.to_owned()));
            }
            admit::files(&config, &own, new)?;
            match &new.spec.handler {
                Some(handler) if !self.knows(handler) => {
                    let bad = self.unknown_handler("handler", handler);
                    Err((bad.code, bad.why))
                }
                _ => Ok(()),
            }
        })
    }

    fn check_remotes(&self, file: &FileSpec) -> Result<(), (Code, String)> {
        transfer::check_remotes(file, &self.config().transfer)
    }

    fn check_reply(&self, local: &str) -> Result<(), (Code, String)> {
        admit::reply(&admit::Own::of(&self.config()), local)
    }

    async fn reply_data(&self, job: &Job, file: Option<&FileStatus>) -> Result<Vec<u8>, (Code, String)> {
        transfer::reply_data(job, file).await
    }

    async fn forget_plugin(&self, plugin: &PluginName) -> Result<bool, String> {
        let forgotten = self.parts.room.forget(plugin).await;
        forgotten.map_err(|why| format!("the last good {plugin} cannot be forgotten: {why}"))
    }

    async fn purge_plugin(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        self.parts.store.purge_plugin_state(plugin).await
    }

    fn activity(&self, name: &ActivityName) -> Option<Arc<ActivitySpec>> {
        self.parts.activities.get(name)
    }

    async fn activities(&self) -> Result<Vec<ActivityView>, StoreError> {
        self.parts.activities.list().await
    }

    async fn create_activity(
        &self,
        name: ActivityName,
        draft: &ActivityDraft,
    ) -> Result<ActivityView, ActivityRefusal> {
        if let Some(handler) = draft.handler.as_ref().filter(|handler| !self.knows(handler)) {
            return Err(ActivityRefusal::Bad(self.unknown_handler("handler", handler)));
        }
        let now = self.parts.clock.now();
        let view = self.parts.activities.create(name, draft, now).await?;
        if view.spec.handler.is_some() {
            // It is made; a routing that fails is handed over again.
            self.reroute.notify_one();
        }
        Ok(view)
    }

    async fn pause_activity(
        &self,
        name: &ActivityName,
        paused: bool,
    ) -> Result<Option<ActivityView>, StoreError> {
        let now = self.parts.clock.now();
        self.parts.activities.pause(name, paused, now).await
    }

    fn default_profile(&self) -> Profile {
        self.config().host.profile
    }
}
