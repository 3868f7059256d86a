//! The host itself and its plugins, as operators see them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Counts, EventKind, Family, Interface, PluginName, Role, Timestamp};

/// A plugin as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginView {
    /// The stem of its file.
    pub name: PluginName,
    /// SHA-256 of what serves, hex; empty when nothing does.
    pub digest: String,
    /// Size of what serves, in bytes.
    pub size: u64,
    /// The handler interfaces it exports.
    pub interfaces: BTreeSet<Interface>,
    /// Whether a component serves.
    pub serving: bool,
    /// What is wrong with the file in the folder, with what to do.
    pub problem: Option<String>,
    /// SHA-256 of the refused file, when a last good one serves instead.
    pub refused_digest: Option<String>,
    /// What is routed to it.
    pub subscriptions: Vec<SubscriptionView>,
    /// For one that nothing is routed to: the configuration line to add.
    pub hint: Option<String>,
}

/// One event that is routed to a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionView {
    /// The event.
    pub event: EventKind,
    /// Of which jobs; `None` is of all that have it.
    pub kind: Option<Family>,
    /// Decides or observes.
    pub role: Role,
}

/// All plugins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginsView {
    /// The plugins.
    pub plugins: Vec<PluginView>,
}

/// What the host is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// Work is taken.
    Running,
    /// A SIGTERM came: running work ends, nothing new is taken.
    Draining,
}

/// How FailFast is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailFastView {
    /// `abort` or `exit`.
    pub mode: String,
    /// The host was started with `--ignore-handler-failures`.
    pub ignored: bool,
    /// After how many FailFasts a delivery is parked.
    pub crash_limit: u32,
    /// Where reports are written.
    pub report_dir: String,
    /// The newest report, if there is one.
    pub last_report: Option<String>,
}

/// How the host is, by its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus {
    /// The program's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// What it is doing.
    pub state: HostState,
    /// What does not work as configured, one sentence each.
    pub degraded: Vec<String>,
    /// The configuration file in force.
    pub config_file: Option<String>,
    /// Why the file as it is now was refused; the old configuration is in force.
    pub config_problem: Option<String>,
    /// FailFast.
    pub fail_fast: FailFastView,
}

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The program's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// How long ago that is, in milliseconds.
    pub uptime_ms: u64,
    /// What it is doing.
    pub state: HostState,
    /// Jobs and deliveries by state.
    pub counts: Counts,
    /// Pending deliveries by plugin.
    pub waiting: Vec<WaitingView>,
    /// What does not work as configured.
    pub degraded: Vec<String>,
    /// The configuration file in force.
    pub config_file: Option<String>,
    /// Why the file as it is now was refused.
    pub config_problem: Option<String>,
    /// FailFast.
    pub fail_fast: FailFastView,
}

/// Deliveries that wait for one plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingView {
    /// The plugin.
    pub plugin: PluginName,
    /// How many.
    pub deliveries: u64,
    /// Why they cannot be made now, such as that the plugin is absent.
    pub reason: Option<String>,
}
