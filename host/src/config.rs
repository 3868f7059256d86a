//! File, environment and flags become one checked, immutable [`Config`], or errors that point at
//! line and column.
//!
//! Text is read into raw shapes (`read`, `raw`, `value`), each section by itself, so that all faults
//! are found at once; the checks (`check*`) turn these into the types below. `show` and `schema`
//! go the other way from the same raw shapes, so that what is read, shown and documented agree.

mod bandwidth;
mod check;
mod check_activity;
mod check_batch;
mod check_grant;
mod check_plugin;
mod check_query;
mod check_rules;
mod check_s3;
mod check_subscribe;
mod error;
mod explain;
mod live;
mod load;
mod raw;
mod raw_activity;
mod raw_batch;
mod raw_either;
mod raw_query;
mod raw_rules;
mod read;
mod schema;
mod show;
mod shown;
mod value;
mod value_rules;

#[cfg(test)]
mod tests;

pub use bandwidth::{BandwidthConfig, Rates, Window};
pub use check_batch::{BatchConfig, Unrecoverable};
pub use error::{ConfigError, ConfigErrors};
pub use load::client_socket;
pub use schema::schema;
pub use shown::is_deceptive;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::job::{
    ActivityName, ActivitySpec, EventKind, FailureClass, Family, HoldReason, PluginName, Policy, Profile,
    ProxySpec, SecretRef,
};

/// `config/sexton.toml`: every key with its meaning and default.
///
/// Lines that begin with `#` and no blank after it are keys: without the `#` they parse.
pub const TEMPLATE: &str = include_str!("../../config/sexton.toml");

/// What `sexton init` writes: a file for the current user, with all folders beside it.
#[must_use]
pub const fn init_text() -> &'static str {
    include_str!("../../config/examples/minimal.toml")
}

/// What flags, and below them the environment, say over the file. Paths here start at the current
/// folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--state-dir`, `SEXTON_STATE_DIR`
    pub state_dir: Option<PathBuf>,
    /// `--plugin-dir`, `SEXTON_PLUGIN_DIR`
    pub plugin_dir: Option<PathBuf>,
    /// `--control`, `SEXTON_CONTROL`
    pub control: Option<PathBuf>,
    /// `--log`, `SEXTON_LOG`
    pub log: Option<String>,
}

/// Everything the host is told, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it came from.
    pub source: Option<PathBuf>,
    /// `[host]`
    pub host: HostConfig,
    /// `[fail_fast]`
    pub fail_fast: FailFastConfig,
    /// `[transfer]`
    pub transfer: TransferConfig,
    /// `[batch]`
    pub batch: BatchConfig,
    /// `[query]`
    pub query: QueryConfig,
    /// `[retention]`
    pub retention: RetentionConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[plugin.NAME]`; a plugin without a table has [`PluginConfig::default`].
    pub plugins: BTreeMap<PluginName, PluginConfig>,
    /// `[activity.NAME]`, with what each inherits.
    pub activities: BTreeMap<ActivityName, ActivitySpec>,
    /// `[[subscribe]]`, in file order.
    pub subscriptions: Vec<Subscription>,
}

/// `[host]`. Relative paths are relative to the file.
#[derive(Clone, Debug, PartialEq)]
pub struct HostConfig {
    /// Where everything durable lives.
    pub state_dir: PathBuf,
    /// Where components are dropped.
    pub plugin_dir: PathBuf,
    /// The control socket.
    pub control: PathBuf,
    /// How long a SIGTERM waits for running work (default 30 s).
    pub drain: Duration,
    /// Calls into handlers at the same time, over all plugins (default 64).
    pub calls: usize,
    /// Calls into handlers at the same time per owner and plugin (default 4, B-105).
    pub calls_per_plugin: usize,
    /// The profile of jobs that name none.
    pub profile: Profile,
}

/// What FailFast does to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailFastMode {
    /// `abort()`: SIGABRT, a core if the system keeps them.
    Abort,
    /// `_exit(70)`.
    Exit,
}

/// `[fail_fast]`
#[derive(Clone, Debug, PartialEq)]
pub struct FailFastConfig {
    /// How the process ends.
    pub mode: FailFastMode,
    /// Where reports are written (default `reports` in the state directory).
    pub report_dir: PathBuf,
    /// After how many FailFasts of one delivery it is parked as poison (default 2).
    pub crash_limit: u32,
}

/// `[transfer]`
#[derive(Clone, Debug, PartialEq)]
pub struct TransferConfig {
    /// Background transfers at the same time (default 8; profile `bits`: 1).
    pub slots: usize,
    /// Background transfers at the same time per remote host (default 6).
    pub slots_per_host: usize,
    /// Longest wait for a connection (default 30 s).
    pub connect_timeout: Duration,
    /// Longest wait for an answer and silence in it (default 60 s).
    pub idle_timeout: Duration,
    /// `User-Agent`.
    pub user_agent: String,
    /// PEM files of certificates that are trusted beside the system's (default none).
    pub ca: Vec<PathBuf>,
    /// By which proxies servers are reached, where a job says nothing (default: as the environment
    /// says).
    pub proxy: ProxySpec,
    /// What applies live.
    pub rules: TransferRules,
    /// The buckets that `s3://BUCKET/KEY` may name.
    pub s3: BTreeMap<String, S3Config>,
}

/// When and how fast transfers run: the keys of `[transfer]` that apply live.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferRules {
    /// How long a background transfer runs before others of its level have their turn (default 5 min,
    /// B-69).
    pub slice: Duration,
    /// How fast (default: as fast as it goes).
    pub bandwidth: BandwidthConfig,
    /// Whether there is a network (default: as the routing tables say).
    pub network: NetworkMode,
    /// Why background transfers are held by the operator (default: they are not).
    pub hold: Option<HoldReason>,
}

impl Default for TransferRules {
    fn default() -> Self {
        Self {
            slice: Duration::from_secs(300),
            bandwidth: BandwidthConfig::default(),
            network: NetworkMode::Auto,
            hold: None,
        }
    }
}

/// `[transfer] network`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkMode {
    /// As the routing tables say.
    #[default]
    Auto,
    /// There is one, whatever they say.
    Up,
    /// There is none.
    Down,
}

/// `[transfer.s3.BUCKET]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Config {
    /// Its server.
    pub endpoint: url::Url,
    /// The region that requests are signed for (default us-east-1).
    pub region: String,
    /// The bucket is part of the path, not of the host name.
    pub path_style: bool,
    /// Without keys requests are not signed.
    pub keys: Option<S3Keys>,
}

/// Where the keys of a bucket are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Keys {
    /// The id of the key.
    pub access_key: SecretRef,
    /// Its secret.
    pub secret_key: SecretRef,
    /// The token of a session.
    pub session_token: Option<SecretRef>,
}

/// `[query]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryConfig {
    /// How long one run may take, where the job says nothing (default 5 min, W-21).
    pub deadline: Duration,
    /// How long a provider waits for a handler that has too much before it (default 30 s, W-81).
    pub drop_after: Duration,
    /// Bytes of objects that are kept of one job (default 64 MiB).
    pub keep: u64,
    /// Objects that a watch remembers (default 10,000).
    pub watch_rows: usize,
    /// Databases by name.
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// `[query.provider.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Where it is; without a password.
    pub url: String,
    /// Where the password is.
    pub password: Option<SecretRef>,
}

/// `[retention]`; `None` is never.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionConfig {
    /// Acknowledged and succeeded (default 24 h).
    pub finished: Option<Duration>,
    /// Cancelled, partial or failed (default 90 d).
    pub failed: Option<Duration>,
    /// Dead letters (default never).
    pub dead: Option<Duration>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// How.
    pub format: LogFormat,
    /// What: a `tracing` filter such as `info,sexton::plugin=debug`.
    pub filter: String,
}

/// `[plugin.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConfig {
    /// The policy of all classes; `None` is the interface's default.
    pub on_failure: Option<Policy>,
    /// Policies of single classes.
    pub on: BTreeMap<FailureClass, Policy>,
    /// What a call may use.
    pub limits: Limits,
    /// What a call may reach.
    pub grant: Grant,
    /// Text key/values that the component reads.
    pub config: BTreeMap<String, String>,
}

/// `[plugin.NAME] limits`
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Linear memory, all memories of the instance together, in bytes (default 64 MiB).
    pub memory: u64,
    /// Wall-clock time of one call: loops, sleeps and HTTP waits alike (default 5 s).
    pub deadline: Duration,
}

/// `[plugin.NAME] grant`: nothing unless it is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// Origins (scheme, host, port) that `wasi:http` may ask.
    pub http: Vec<Origin>,
    /// Names of environment variables that are passed in.
    pub env: Vec<String>,
    /// Directories.
    pub dirs: Vec<DirGrant>,
    /// Whether `job-control` is linked (default yes; only a decider's requests are applied).
    pub job_control: bool,
}

/// An origin of `grant.http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: String,
    /// Lower-case host name or address.
    pub host: String,
    /// The port, the scheme's own when none was written.
    pub port: u16,
}

/// A directory of `grant.dirs`: `"logs"` is read-only, `"logs:rw"` read-write; the guest sees it
/// under its last path component, or under NAME for `{ path, as = NAME, write = true }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirGrant {
    /// Where it is.
    pub path: PathBuf,
    /// What the guest calls it, such as `/logs`.
    pub guest: String,
    /// Whether it may be written.
    pub write: bool,
}

/// `[[subscribe]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Who is told.
    pub plugin: PluginName,
    /// Of what.
    pub events: Vec<EventKind>,
    /// About which jobs; `None` is every family that has the event.
    pub family: Option<Family>,
    /// Whether it decides: at most one for each (family, event).
    pub decide: bool,
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self {
            on_failure: None,
            on: BTreeMap::new(),
            limits: Limits {
                memory: 64 << 20,
                deadline: Duration::from_secs(5),
            },
            grant: Grant {
                job_control: true,
                ..Grant::default()
            },
            config: BTreeMap::new(),
        }
    }
}
