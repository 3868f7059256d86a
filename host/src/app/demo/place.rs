//! The demo's directory: two hosts' configurations, the plugin folders, and where downloads go.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cli::{CliError, Complaint};
use crate::shipped;

/// The handler that panics in every call. The wire between file, configuration and checks.
pub(super) const FAULTY: &str = "always-traps";
/// The handler that decides.
pub(super) const DECIDER: &str = "retry-advisor";
/// The handler that comes while the host runs.
pub(super) const LATE: &str = "journal";

/// What the first host runs with.
const TOUR: &str = r#"# The host of `sexton demo`.
[host]
state_dir = "state"
plugin_dir = "plugins"
control = "control.sock"

[transfer]
slots_per_host = 8

[plugin.retry-advisor]              # decides about downloads that failed for good
on_failure = "bits"

[plugin.retry-advisor.config]
delay = "1s"
cancel_on = "403"                   # forbidden: give up
complete_on = "404"                 # a file is gone: keep the others
resume_on = "401"                   # somebody will unlock it: try again

[[subscribe]]
plugin = "retry-advisor"
events = ["job-error"]
kind = "transfer"
decide = true

[plugin.always-traps]               # panics in every call: contained, twice, then a dead letter
on_failure = { attempts = 2, initial = "500ms", factor = 1, jitter = "0%", then = "dead-letter" }

[[subscribe]]
plugin = "always-traps"
events = ["job-error"]
kind = "transfer"

[plugin.journal]                    # not there yet when the host starts
grant = { dirs = ["journal:rw"] }

[plugin.journal.config]
dir = "/journal"

[[subscribe]]
plugin = "journal"
events = ["on-ended"]
"#;

/// What the second host runs with.
const FAIL_FAST: &str = r#"# The host of `sexton demo` that takes a failing handler literally.
[host]
state_dir = "state"
plugin_dir = "plugins"
control = "control.sock"

[fail_fast]
mode = "abort"
report_dir = "reports"
crash_limit = 2

[plugin.always-traps]
on_failure = "fail-fast"

[[subscribe]]
plugin = "always-traps"
events = ["job-error"]
kind = "transfer"
"#;

/// Paths of sockets are at most 107 bytes long; ours are 40 below this directory.
const BASE_BYTES_MAX: usize = 60;

/// The directory, removed at the end unless it is kept.
pub(super) struct Place {
    dir: TempDir,
}

impl Place {
    /// Writes everything that two hosts need.
    pub(super) fn make() -> Result<Self, CliError> {
        let made = try_make();
        made.map_err(|why| {
            let complaint = Complaint::new("the demo's directory cannot be made").cause(why);
            CliError::Failed(complaint.hint("point TMPDIR at a directory that can be written"))
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory of the host that is toured.
    pub(super) fn tour(&self) -> PathBuf {
        self.path().join("host")
    }

    /// The directory of the host that fails fast.
    pub(super) fn fail_fast(&self) -> PathBuf {
        self.path().join("fail-fast")
    }

    /// Where a download goes.
    pub(super) fn download(&self, file: &str) -> PathBuf {
        self.path().join("downloads").join(file)
    }

    /// Drops the late handler into the plugin folder, whole: written beside, then renamed.
    pub(super) fn drop_late(&self) -> std::io::Result<()> {
        let wasm = shipped::find(LATE)
            .map(|shipped| shipped.wasm)
            .unwrap_or_default();
        write_plugin(&self.tour().join("plugins"), LATE, wasm)
    }

    /// Lines of the journal that the late handler wrote.
    pub(super) fn journal(&self) -> String {
        std::fs::read_to_string(self.tour().join("journal/journal.jsonl")).unwrap_or_default()
    }

    /// Leaves the directory for people to look at.
    pub(super) fn keep(self) -> PathBuf {
        self.dir.keep()
    }
}

fn try_make() -> std::io::Result<Place> {
    let base = std::env::temp_dir();
    let base = if base.as_os_str().len() > BASE_BYTES_MAX {
        PathBuf::from("/tmp")
    } else {
        base
    };
    let dir = tempfile::Builder::new().prefix("sexton-demo-").tempdir_in(base)?;
    let place = Place { dir };
    std::fs::create_dir(place.path().join("downloads"))?;
    let decider = shipped::find(DECIDER)
        .map(|shipped| shipped.wasm)
        .unwrap_or_default();
    let tour = place.tour();
    write_host(&tour, TOUR, &[(DECIDER, decider), (FAULTY, shipped::DEMO_FAULT)])?;
    std::fs::create_dir(tour.join("journal"))?;
    write_host(&place.fail_fast(), FAIL_FAST, &[(FAULTY, shipped::DEMO_FAULT)])?;
    Ok(place)
}

fn write_host(dir: &Path, config: &str, plugins: &[(&str, &[u8])]) -> std::io::Result<()> {
    std::fs::create_dir_all(dir.join("plugins"))?;
    std::fs::write(dir.join("sexton.toml"), config)?;
    plugins
        .iter()
        .try_for_each(|(name, wasm)| write_plugin(&dir.join("plugins"), name, wasm))
}

fn write_plugin(dir: &Path, name: &str, wasm: &[u8]) -> std::io::Result<()> {
    let beside = dir.join(format!(".{name}.tmp"));
    std::fs::write(&beside, wasm)?;
    std::fs::rename(beside, dir.join(format!("{name}.wasm")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};

    #[test]
    fn both_configurations_are_good() {
        let place = try_make().unwrap();
        for dir in [place.tour(), place.fail_fast()] {
            let path = dir.join("sexton.toml");
            let config = Config::load(Some(&path), &|_| None, &Overrides::default());
            assert!(config.is_ok(), "{}", config.unwrap_err());
        }
    }
}
