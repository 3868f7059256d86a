//! What of a changed file applies to a running host, and what waits for the next start.

use super::{Config, TransferConfig, TransferRules};

impl Config {
    /// Keys that differ in `new` and take effect only at the next start. `[plugin.NAME]`,
    /// `[[subscribe]]`, `[retention]` and the rules of transfers apply live and are never among them.
    #[must_use]
    pub fn live_differences(&self, new: &Self) -> Vec<&'static str> {
        let (host, fail_fast, transfer, log) = (&self.host, &self.fail_fast, &self.transfer, &self.log);
        let differences = [
            ("host.state_dir", host.state_dir != new.host.state_dir),
            ("host.plugin_dir", host.plugin_dir != new.host.plugin_dir),
            ("host.control", host.control != new.host.control),
            ("host.drain", host.drain != new.host.drain),
            ("host.calls", host.calls != new.host.calls),
            (
                "host.calls_per_plugin",
                host.calls_per_plugin != new.host.calls_per_plugin,
            ),
            ("host.profile", host.profile != new.host.profile),
            ("fail_fast", *fail_fast != new.fail_fast),
            ("transfer", at_start(transfer) != at_start(&new.transfer)),
            ("batch", self.batch != new.batch),
            ("activity", self.activities != new.activities),
            ("query", self.query != new.query),
            ("log", *log != new.log),
        ];
        differences
            .into_iter()
            .filter_map(|(key, differs)| differs.then_some(key))
            .collect()
    }
}

/// What of `[transfer]` a host reads once.
fn at_start(transfer: &TransferConfig) -> TransferConfig {
    TransferConfig {
        rules: TransferRules::default(),
        ..transfer.clone()
    }
}
