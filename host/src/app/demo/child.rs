//! A host as a child process of the demo. It never outlives the demo: its process group is killed
//! when the guard is dropped.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, setrlimit,
};
use tokio::process::{Child, Command};

use crate::api::client::Client;
use crate::cli::{CliError, Complaint};

/// Longest start: on a slow machine the components are compiled first.
const START_MAX: Duration = Duration::from_secs(20);
/// Longest drain that is waited for.
const STOP_MAX: Duration = Duration::from_secs(10);
/// How often the log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A killed process is waited for, so that its directory can be removed: a second at most.
const REAP_LOOKS: u32 = 100;

/// A running host.
pub(super) struct Host {
    child: Child,
    log: PathBuf,
    /// Where this host's own lines begin in the log.
    log_from: u64,
    /// Speaks to it.
    pub(super) client: Client,
}

impl Host {
    /// Starts `sexton run` on the configuration in `dir`; its log goes on in `dir/host.log`.
    pub(super) fn spawn(program: &Path, dir: &Path) -> Result<Self, CliError> {
        let log = dir.join("host.log");
        let failed = |why: std::io::Error| {
            CliError::Failed(
                Complaint::new(format!("a host cannot be started in {}", dir.display())).cause(why),
            )
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(failed)?;
        let log_from = file.metadata().map_err(failed)?.len();
        let child = command(program, dir, &file).and_then(|mut command| command.spawn());
        Ok(Self {
            child: child.map_err(failed)?,
            log,
            log_from,
            client: Client::new(dir.join("control.sock")),
        })
    }

    /// Its process id; 0 once it has ended.
    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Waits for its ready line.
    pub(super) async fn ready(&mut self) -> Result<(), CliError> {
        let looking = async {
            loop {
                if self.lines().contains(" ready: control ") {
                    return Ok(());
                }
                if let Some(status) = self.child.try_wait()? {
                    return Err(self.failed(format!("the host ended at its start ({status})")));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(START_MAX, looking).await {
            Ok(ready) => ready,
            Err(_) => Err(self.failed(format!("the host was not ready within {} s", START_MAX.as_secs()))),
        }
    }

    /// Waits until it ends by itself; `None` if it does not.
    pub(super) async fn ended(&mut self, limit: Duration) -> Result<Option<ExitStatus>, CliError> {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(Some(status?)),
            Err(_) => Ok(None),
        }
    }

    /// Asks it to end, and waits for it.
    pub(super) async fn stop(mut self) -> Result<(), CliError> {
        if let Some(pid) = self.raw_pid() {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        match self.ended(STOP_MAX).await? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                Err(self.failed(format!("the host ended with {status} when it was asked to end")))
            }
            None => Err(self.failed(format!("the host did not end within {} s", STOP_MAX.as_secs()))),
        }
    }

    /// What it has logged.
    fn lines(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.log_from).unwrap_or(usize::MAX);
        String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned()
    }

    fn failed(&self, what: String) -> CliError {
        let lines = self.lines();
        let last = lines.lines().rev().find(|line| !line.trim().is_empty());
        let complaint = Complaint::new(what).hint(format!("its log is {}", self.log.display()));
        CliError::Failed(match last {
            Some(last) => complaint.cause(last),
            None => complaint,
        })
    }

    fn raw_pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()?).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Once it was waited for there is no id, and none that is another's by now is killed.
        if let Some(pid) = self.raw_pid() {
            let _ = kill_process_group(pid, Signal::KILL);
            let mut looks = 0;
            while looks < REAP_LOOKS && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(LOOK_EVERY);
                looks += 1;
            }
        }
    }
}

/// A process group of its own: Ctrl-C is for the demo, which ends its hosts itself, and what a host
/// started ends with it. What the caller's environment says about hosts and proxies is not for it.
fn command(program: &Path, dir: &Path, log: &File) -> std::io::Result<Command> {
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg("--config")
        .arg(dir.join("sexton.toml"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .process_group(0)
        .kill_on_drop(true);
    for name in OTHER_HOSTS {
        command.env_remove(name);
    }
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    Ok(command)
}

/// What would point the demo's hosts elsewhere.
const OTHER_HOSTS: [&str; 7] = [
    "SEXTON_CONFIG",
    "SEXTON_SOCKET",
    "SEXTON_CONTROL",
    "SEXTON_STATE_DIR",
    "SEXTON_PLUGIN_DIR",
    "SEXTON_LOG",
    "NOTIFY_SOCKET",
];

/// A host that aborts on purpose should leave no core file behind; children inherit the limit.
pub(super) fn no_core_files() {
    let limit = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    // Lowering a limit is always allowed; a core file would do no harm.
    let _ = setrlimit(Resource::Core, limit);
}
