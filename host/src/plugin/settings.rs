//! A plugin's configuration in the shape that a call needs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{DirGrant, Origin, PluginConfig};

/// What one plugin may use and reach, prepared once and shared by its calls.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Bytes of linear memory.
    pub(super) memory: u64,
    /// Wall-clock time of one call.
    pub(super) deadline: Duration,
    /// Granted environment values.
    pub(super) env: Vec<(String, String)>,
    /// Granted directories.
    pub(super) dirs: Vec<DirGrant>,
    /// Granted origins.
    pub(super) http: Arc<[Origin]>,
    /// Whether `job-control` is granted.
    pub(super) job_control: bool,
    /// The operator's key/values.
    pub(super) config: Arc<BTreeMap<String, String>>,
}

impl Settings {
    /// From the plugin's table. `memory_max` is what the pool was made for: a larger limit needs
    /// a restart. Granted variables that are not set, or not text, are left out.
    pub(super) fn new(config: &PluginConfig, memory_max: u64) -> Self {
        let env = config
            .grant
            .env
            .iter()
            .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)))
            .collect();
        Self {
            memory: config.limits.memory.min(memory_max),
            deadline: config.limits.deadline,
            env,
            dirs: config.grant.dirs.clone(),
            http: config.grant.http.clone().into(),
            job_control: config.grant.job_control,
            config: Arc::new(config.config.clone()),
        }
    }
}
