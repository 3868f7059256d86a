//! [`TestHost`]: the real program in a folder of its own.

mod ask;

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::output::{Output, run};
use crate::poll::until;

/// A folder with a configuration, and the host that runs on it, if one does.
///
/// The host is killed by its process id when the value is dropped; if the test is failing then, what
/// the host logged is shown.
#[derive(Debug)]
pub struct TestHost {
    program: PathBuf,
    dir: TempDir,
    child: Option<Child>,
    log: Arc<Mutex<String>>,
    variables: Vec<(String, String)>,
}

/// How a host ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        Self {
            code: status.code(),
            signal: status.signal(),
        }
    }
}

impl TestHost {
    /// A folder with an empty plugin folder and `config` as its `sexton.toml`; nothing runs yet.
    ///
    /// # Panics
    /// When there is no temporary folder to be had.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, config: &str) -> Self {
        let host = Self {
            program: program.into(),
            dir: tempfile::tempdir().expect("a temporary folder can be made"),
            child: None,
            log: Arc::default(),
            variables: Vec::new(),
        };
        std::fs::create_dir(host.path("plugins")).expect("a folder can be made");
        host.configure(config);
        host
    }

    /// Sets a variable in the environment of every program that is started from now on.
    pub fn variable(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    /// A path below the folder.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replaces the configuration file; a running host sees it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, config: &str) {
        let head = "[host]\nstate_dir = \"state\"\nplugin_dir = \"plugins\"\ncontrol = \"control.sock\"\n\n";
        self.put("sexton.toml", format!("{head}{config}"));
    }

    /// Puts a component into the plugin folder, whole or not at all.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn plugin(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.put(format!("plugins/{name}.wasm"), bytes);
    }

    /// Takes a component out of the plugin folder.
    ///
    /// # Panics
    /// When it is not there.
    pub fn unplug(&self, name: &str) {
        std::fs::remove_file(self.path(format!("plugins/{name}.wasm"))).expect("it was there");
    }

    /// Writes beside the place and renames, as editors and `install` do.
    fn put(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let (place, beside) = (self.path(name), self.path("beside.tmp"));
        std::fs::write(&beside, bytes).expect("a file can be written");
        std::fs::rename(beside, place).expect("a file can be renamed");
    }

    /// Starts the host and waits for its ready line.
    ///
    /// # Panics
    /// When it ends or is silent instead; the log is shown.
    pub fn start(&mut self) -> &mut Self {
        self.start_with(&[])
    }

    /// The same with more arguments of `run`.
    ///
    /// # Panics
    /// As [`TestHost::start`].
    pub fn start_with(&mut self, args: &[&str]) -> &mut Self {
        let from = self.log().len();
        self.spawn(args);
        until("the ready line", || {
            if self
                .log()
                .get(from..)
                .is_some_and(|log| log.contains(" ready: control "))
            {
                return Some(());
            }
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            assert!(
                ended.is_none(),
                "the host ended before it was ready: {ended:?}\n{}",
                self.log()
            );
            None
        });
        self
    }

    /// Starts the host without waiting for anything: one that is to end by itself.
    ///
    /// # Panics
    /// When one runs already, or the program cannot be started.
    pub fn spawn(&mut self, args: &[&str]) {
        assert!(self.child.is_none(), "one runs already");
        let mut child = self
            .command()
            .arg("run")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        self.child = Some(child);
    }

    /// Everything the hosts of this folder wrote to stderr, the log among it.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The host's process id.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("a host runs"))
    }

    /// Bytes of memory that the host has resident.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_nonzero()))
            .expect("the host runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("it has resident memory") << 10
    }

    /// Sends the host a signal.
    ///
    /// # Panics
    /// When none runs.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it can be signalled");
    }

    /// Waits for the host to end.
    ///
    /// # Panics
    /// When it does not.
    pub fn ended(&mut self) -> Ending {
        let mut child = self.child.take().expect("a host runs");
        let mut look = || child.try_wait().expect("it can be waited for").map(Ending::from);
        let ending = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("the end of the host", &mut look)
        }));
        ending.unwrap_or_else(|panic| {
            self.child = Some(child);
            std::panic::resume_unwind(panic)
        })
    }

    /// SIGKILL: the host has no last words.
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        self.ended();
    }

    /// SIGTERM: the host drains.
    pub fn term(&mut self) -> Ending {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// SIGTERM, then a new host on the same folder.
    ///
    /// # Panics
    /// When the drain does not end with code 0.
    pub fn restart(&mut self) {
        let ending = self.term();
        assert_eq!(ending.code, Some(0), "the drain");
        self.start();
    }

    /// Runs a command of the program against this folder and its host.
    #[track_caller]
    #[must_use]
    pub fn cli(&self, args: &[&str]) -> Output {
        run(self.command().args(args))
    }

    /// The program, told where the folder is and nothing else.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.dir.path())
            .env("SEXTON_CONFIG", self.path("sexton.toml"))
            .env("NO_COLOR", "1")
            .env_remove("SEXTON_SOCKET")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("RUST_LOG");
        // Whoever runs the tests may reach the world by a proxy; the loopback is reached without.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_ascii_lowercase());
        }
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.envs(variables);
        command
    }
}

/// How long a host that was killed may take to be gone.
const GONE: Duration = Duration::from_secs(10);

impl Drop for TestHost {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let started = std::time::Instant::now();
            while matches!(child.try_wait(), Ok(None)) && started.elapsed() < GONE {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        if std::thread::panicking() {
            eprintln!("--- what the host said ---\n{}---", self.log());
        }
    }
}
