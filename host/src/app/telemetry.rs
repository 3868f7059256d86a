//! The log: `tracing` to stderr, for people or as JSON; and what a panic of the host does.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use crate::clock::Clock;
use crate::config::{LogConfig, LogFormat};
use crate::fail_fast::{FailFast, Report};

/// Starts the log. A second start in one process (tests) changes nothing.
pub(super) fn start(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that nobody reads any more must not end the host: the default answer to a failed
        // write is a panic on stderr.
        .log_internal_errors(false);
    let started = match config.format {
        LogFormat::Human => {
            use std::io::IsTerminal;
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colours).with_target(false).try_init()
        }
        LogFormat::Json => builder
            .json()
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

/// A panic of the host is a broken invariant: a report, no store write, and the end (C-34). Guests do
/// not panic the host; theirs are traps.
pub(super) fn fail_fast_on_panic(fail_fast: FailFast, clock: Clock) {
    std::panic::set_hook(Box::new(move |info| {
        // First: a log that blocks must not keep a broken host alive.
        fail_fast.arm_watchdog();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let words = info.payload_as_str().unwrap_or("no message");
        let trace = std::backtrace::Backtrace::force_capture();
        tracing::error!("host panic at {place}: {words}\n{trace}");
        fail_fast.terminate(&Report {
            at: clock.now(),
            reason: format!("host panic at {place}: {words}"),
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            delivery: None,
            job: None,
            plugin: None,
            failure: None,
        });
    }));
}

/// The newest FailFast report of a directory.
pub(super) fn newest_report(dir: &std::path::Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?;
    let reports = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("fail-fast-"))
        });
    reports.max()
}
