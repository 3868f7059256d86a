//! The shape of the file: what serde reads, what `config show` writes, and what the JSON schema is
//! made from. Every field may be absent; the checks know the defaults.
//!
//! The comments on the fields are the schema's descriptions, so they speak to the operator.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::raw_activity::RawActivity;
use super::raw_batch::RawBatch;
use super::raw_query::RawQuery;
use super::raw_rules::{RawBandwidth, RawHold, RawNetwork};
use super::value::{At, Fraction, Size, Term, TermOrNever, Whole};
use crate::job::{ActivityName, EventKind, Family, PluginName, Profile, Then};

/// Configuration of the Sexton host.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(title = "sexton.toml", default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) host: RawHost,
    pub(super) fail_fast: RawFailFast,
    pub(super) transfer: RawTransfer,
    pub(super) batch: RawBatch,
    pub(super) query: RawQuery,
    pub(super) retention: RawRetention,
    pub(super) log: RawLog,
    /// One table for each component in the plugin folder that needs other than the defaults.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) plugin: BTreeMap<PluginName, RawPlugin>,
    /// One table for each lane of batch work.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) activity: BTreeMap<ActivityName, RawActivity>,
    /// Who is told of what. Without a subscription a component is never called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) subscribe: Vec<RawSubscribe>,
}

/// The top-level keys of the file, in the order in which they are explained.
pub(super) const SECTIONS: [&str; 10] = [
    "host",
    "fail_fast",
    "transfer",
    "batch",
    "query",
    "retention",
    "log",
    "plugin",
    "activity",
    "subscribe",
];

/// Where the host lives and how much it does at once. Relative paths start at the folder of this file.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Host")]
pub(super) struct RawHost {
    /// The folder of everything durable; one host per folder.
    #[schemars(extend("default" = "state"))]
    pub(super) state_dir: Option<At<String>>,
    /// The folder whose `*.wasm` files are loaded, swapped and unloaded live.
    #[schemars(extend("default" = "plugins"))]
    pub(super) plugin_dir: Option<At<String>>,
    /// The control socket. Its path may be at most 107 bytes long.
    #[schemars(extend("default" = "control.sock"))]
    pub(super) control: Option<At<String>>,
    /// How long SIGTERM waits for running work (0s to 1h).
    #[schemars(extend("default" = "30s"))]
    pub(super) drain: Option<At<Term>>,
    /// Calls into handlers at the same time, over all plugins (1 to 1000).
    #[schemars(extend("default" = 64))]
    pub(super) calls: Option<At<Whole>>,
    /// Calls into handlers at the same time for each owner and plugin (1 to `calls`).
    #[schemars(extend("default" = 4))]
    pub(super) calls_per_plugin: Option<At<Whole>>,
    /// The numbers by which jobs live that name no profile.
    #[schemars(extend("default" = "sexton"))]
    pub(super) profile: Option<At<Profile>>,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Mode")]
pub(super) enum RawMode {
    /// SIGABRT, and a core file where the system keeps them.
    Abort,
    /// Exit code 70.
    Exit,
}

/// What a FailFast does to the process.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "FailFast")]
pub(super) struct RawFailFast {
    /// How the process ends.
    #[schemars(extend("default" = "abort"))]
    pub(super) mode: Option<At<RawMode>>,
    /// The folder of the reports. Default: `reports` in the state directory.
    pub(super) report_dir: Option<At<String>>,
    /// After so many FailFasts one delivery is parked as poison, so that a supervisor's restart cannot loop (1 to 100).
    #[schemars(extend("default" = 2))]
    pub(super) crash_limit: Option<At<Whole>>,
}

/// Downloads and uploads.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Transfer")]
pub(super) struct RawTransfer {
    /// Background transfers at the same time (1 to 1000). Default: 8; 1 in the profiles `bits` and `delivery-optimization`.
    pub(super) slots: Option<At<Whole>>,
    /// Background transfers at the same time for each remote host (1 to 1000).
    #[schemars(extend("default" = 6))]
    pub(super) slots_per_host: Option<At<Whole>>,
    /// Longest wait for a connection (10ms to 1h).
    #[schemars(extend("default" = "30s"))]
    pub(super) connect_timeout: Option<At<Term>>,
    /// Longest wait for an answer, and longest silence in it (10ms to 1d). Fewer than 16 bytes a second for so long are silence too.
    #[schemars(extend("default" = "1min"))]
    pub(super) idle_timeout: Option<At<Term>>,
    /// The `User-Agent` header. Default: `sexton/` and the version.
    pub(super) user_agent: Option<At<String>>,
    /// PEM files of certificate authorities that are trusted beside the system's.
    #[schemars(extend("default" = []))]
    pub(super) ca: Option<Vec<At<String>>>,
    /// By which proxies servers are reached, where a job says nothing: `preconfig` (as `HTTP_PROXY` and its kin say), `none`, or proxies such as `http://proxy:3128 socks5h://other`, tried in this order.
    #[schemars(extend("default" = "preconfig"))]
    pub(super) proxy: Option<At<String>>,
    /// Hosts that the proxies of `proxy` are not asked for: `name`, `name:port`, `*.domain`, `<local>` for all names without a dot.
    pub(super) proxy_bypass: Option<At<String>>,
    /// How long a background transfer runs before others of its priority have their turn (1s to 1d). Applies live.
    #[schemars(extend("default" = "5min"))]
    pub(super) slice: Option<At<Term>>,
    /// How fast transfers may be, by priority and time of the week. Applies live, also to what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bandwidth: Option<RawBandwidth>,
    /// Whether there is a network. Applies live.
    #[schemars(extend("default" = "auto"))]
    pub(super) network: Option<At<RawNetwork>>,
    /// Holds background transfers until it is taken back, for a hook of yours to write. Applies live.
    #[schemars(extend("default" = "no"))]
    pub(super) hold: Option<At<RawHold>>,
    /// One table for each bucket that `s3://BUCKET/KEY` may name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) s3: BTreeMap<String, At<RawS3>>,
}

/// Where a bucket is and whose keys open it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["endpoint"]))]
#[schemars(rename = "S3")]
pub(super) struct RawS3 {
    /// The server of the bucket, such as `https://s3.eu-west-1.amazonaws.com`.
    pub(super) endpoint: Option<At<String>>,
    /// The region that requests are signed for.
    #[schemars(extend("default" = "us-east-1"))]
    pub(super) region: Option<String>,
    /// Whether the bucket is part of the path (`HOST/BUCKET/KEY`), not of the host name.
    #[schemars(extend("default" = false))]
    pub(super) path_style: Option<bool>,
    /// Where the id of the key is: `env:NAME`, `file:/PATH` or `credential:NAME`. Without keys requests are not signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_key: Option<At<String>>,
    /// Where its secret is, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret_key: Option<At<String>>,
    /// Where the token of a session is, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_token: Option<At<String>>,
}

/// How long ended jobs are kept. A job goes only when all its deliveries are settled or purged.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Retention")]
pub(super) struct RawRetention {
    /// Jobs that were acknowledged and succeeded.
    #[schemars(extend("default" = "24h"))]
    pub(super) finished: Option<At<TermOrNever>>,
    /// Jobs that were cancelled, succeeded in part, or failed.
    #[schemars(extend("default" = "90d"))]
    pub(super) failed: Option<At<TermOrNever>>,
    /// Dead letters.
    #[schemars(extend("default" = "never"))]
    pub(super) dead: Option<At<TermOrNever>>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Format")]
pub(super) enum RawFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Log")]
pub(super) struct RawLog {
    /// How log lines look.
    #[schemars(extend("default" = "human"))]
    pub(super) format: Option<At<RawFormat>>,
    /// Which lines are written: levels by module, such as `info,sexton::plugin=debug`.
    #[schemars(extend("default" = "info"))]
    pub(super) filter: Option<At<String>>,
}

/// One component: what follows when it fails, what it may use, what it may reach.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Plugin")]
pub(super) struct RawPlugin {
    /// What follows a failed call, for every class of failure. Default by interface: `bits` for `job-callback`
    /// and `job-end`, `com-plus` for `async-error-notify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_failure: Option<At<RawPolicy>>,
    /// What follows failures of single classes, where it differs from `on_failure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on: Option<RawOn>,
    /// What one call may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limits: Option<RawLimits>,
    /// What a call may reach; nothing unless it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grant: Option<RawGrant>,
    /// Settings that the component reads, as text. Tables inside become keys with dots.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "settings_schema")]
    pub(super) config: Option<BTreeMap<String, At<toml::Value>>>,
}

/// Policies by class of failure.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "On")]
pub(super) struct RawOn {
    /// The handler returned a failure that may pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_transient: Option<At<RawPolicy>>,
    /// The handler returned a failure that will not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_permanent: Option<At<RawPolicy>>,
    /// It trapped: a panic, a wild pointer, a stack overflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trap: Option<At<RawPolicy>>,
    /// It died of its memory limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<At<RawPolicy>>,
    /// It did not return within its deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<At<RawPolicy>>,
    /// It called exit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit: Option<At<RawPolicy>>,
}

/// What one call may use.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(super) struct RawLimits {
    /// Linear memory, all memories of the instance together (1MiB to 1GiB).
    #[schemars(extend("default" = "64MiB"))]
    pub(super) memory: Option<At<Size>>,
    /// Wall-clock time: loops, sleeps and HTTP waits alike (10ms to 1h).
    #[schemars(extend("default" = "5s"))]
    pub(super) deadline: Option<At<Term>>,
}

/// What a call may reach.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Grant")]
pub(super) struct RawGrant {
    /// Origins that the component may ask over HTTP, such as `https://hooks.example.com`.
    #[schemars(extend("default" = []))]
    pub(super) http: Option<Vec<At<String>>>,
    /// Names of environment variables of the host that are passed in.
    #[schemars(extend("default" = []))]
    pub(super) env: Option<Vec<At<String>>>,
    /// Folders: `"PATH"` to read, `"PATH:rw"` to read and write, or a table.
    #[schemars(extend("default" = []))]
    pub(super) dirs: Option<Vec<At<RawDir>>>,
    /// Whether the component may make requests about its job; only a decider's are applied.
    #[schemars(extend("default" = true))]
    pub(super) job_control: Option<bool>,
}

/// Who is told of what.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["plugin", "events"]))]
#[schemars(rename = "Subscribe")]
pub(super) struct RawSubscribe {
    /// The component: the stem of its file in the plugin folder.
    #[schemars(with = "PluginName")]
    pub(super) plugin: Option<At<String>>,
    /// WIT functions to call.
    pub(super) events: Option<At<Vec<At<EventKind>>>>,
    /// Which jobs; without it all that have the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<At<Family>>,
    /// Whether its requests about the job are applied. One decider for each event and kind.
    #[schemars(extend("default" = false))]
    pub(super) decide: Option<At<bool>>,
}

/// Names of the policies that are one word.
pub(super) const PRESETS: [&str; 5] = ["bits", "queued", "com-plus", "dead-letter", "fail-fast"];

/// A preset by name, or an own ladder.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum RawPolicy {
    Preset(&'static str),
    Own(RawLadder),
}

/// An own ladder of retries.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Ladder")]
pub(super) struct RawLadder {
    /// Calls in all, the first included (1 to 1000000). Without it only `age` ends the retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempts: Option<At<Whole>>,
    /// The first delay (1ms to 1d).
    #[schemars(extend("default" = "1s"))]
    pub(super) initial: Option<At<Term>>,
    /// What each further delay is multiplied by (1 to 100).
    #[schemars(extend("default" = 2.0))]
    pub(super) factor: Option<At<f64>>,
    /// The longest delay (`initial` to 7d).
    #[schemars(extend("default" = "5min"))]
    pub(super) max: Option<At<Term>>,
    /// Each delay is spread by this fraction up and down.
    #[schemars(extend("default" = 0.0))]
    pub(super) jitter: Option<At<Fraction>>,
    /// No retry when the event is older than this (`initial` to 365d).
    #[schemars(extend("default" = "14d"))]
    pub(super) age: Option<At<Term>>,
    /// What comes after the last.
    #[schemars(extend("default" = "dead-letter"))]
    pub(super) then: Option<Then>,
}

/// A granted folder.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum RawDir {
    Short(String),
    Table(RawDirTable),
}

/// A granted folder, in full.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["path"]))]
#[schemars(rename = "DirTable")]
pub(super) struct RawDirTable {
    /// The folder on this machine.
    pub(super) path: Option<At<String>>,
    /// What the component calls it, such as `/logs`. Default: the last part of the path.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub(super) guest: Option<At<String>>,
    /// Whether it may be written.
    #[schemars(extend("default" = false))]
    pub(super) write: Option<bool>,
}

/// Text, numbers, booleans and tables of these; no arrays.
fn settings_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": ["string", "number", "boolean", "object"] }
    })
}
