//! Ending the process on purpose: the literal COM+ reading of an unrecoverable error (C-32, C-34).
//!
//! What must be durable is committed by the caller before it comes here. A watchdog ends the process
//! even when writing the report hangs.

mod children;
mod reaper;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::job::{DeliveryId, FailureRecord, JobId, PluginName, Timestamp};

pub use children::{Children, Group, Registered};
pub use reaper::reap;

/// The process ends after this long whatever hangs.
const WATCHDOG: Duration = Duration::from_secs(5);

/// The exit status of the `exit` mode: `EX_SOFTWARE`.
pub const EXIT_STATUS: i32 = 70;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGABRT.
    Abort,
    /// `_exit(70)`: no destructors, no buffers, nothing that could still write.
    Exit,
    /// Not at all: a test takes the durable record for the end and drops what is left of the host.
    Held,
}

/// The last words of the host.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// One sentence.
    pub reason: String,
    /// The host's version.
    pub version: &'static str,
    /// The host's process id.
    pub pid: u32,
    /// The delivery whose failure this is; absent for a fault of the host itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryId>,
    /// Its job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Its handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginName>,
    /// Class, code, words, frames, limit, digest and attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureRecord>,
}

/// Ends the process as configured.
#[derive(Clone, Debug)]
pub struct FailFast {
    /// How.
    pub ending: Ending,
    /// Where the report goes.
    pub report_dir: PathBuf,
    /// Children that must not outlive the host.
    pub children: Children,
}

impl FailFast {
    /// From here the process ends within five seconds, whatever hangs.
    pub fn arm_watchdog(&self) {
        let ending = self.ending;
        if ending == Ending::Held {
            return;
        }
        let spawned = std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                std::thread::sleep(WATCHDOG);
                end(ending);
            });
        if spawned.is_err() {
            end(ending);
        }
    }

    /// Kills the children, writes the report to its directory and to the log, and ends the process.
    pub fn terminate(&self, report: &Report) -> ! {
        self.arm_watchdog();
        self.children.kill_all();
        let text = serde_json::to_string_pretty(report)
            .unwrap_or_else(|why| format!("{{\"unwritable\": \"{why}\"}}"));
        let place = match write_report(&self.report_dir, report, &text) {
            Ok(path) => format!("report: {}", path.display()),
            Err(why) => format!(
                "the report could not be written to {}: {why}",
                self.report_dir.display()
            ),
        };
        tracing::error!(reason = %report.reason, "FailFast; {place}");
        // The log may be filtered or unread; the operator's terminal and journal see this.
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(stderr, "sexton: FailFast: {}\n{place}\n{text}", report.reason);
        let _ = stderr.flush();
        end(self.ending)
    }
}

fn write_report(dir: &Path, report: &Report, text: &str) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    let what = report
        .delivery
        .map_or_else(|| "host".to_owned(), |delivery| delivery.to_string());
    let path = dir.join(format!("fail-fast-{}-{what}.json", report.at.as_millis()));
    // What a guest said last may be a secret that it was granted.
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(path)
}

fn end(ending: Ending) -> ! {
    match ending {
        Ending::Abort => std::process::abort(),
        Ending::Exit => signal_hook::low_level::exit(EXIT_STATUS),
        Ending::Held => loop {
            std::thread::park();
        },
    }
}
