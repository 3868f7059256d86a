//! Running a command of the program and keeping everything it said.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longest a command may take, `--wait` included.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// What a command said and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code; `-1` when a signal ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Output {
    /// The same, having checked the exit code.
    ///
    /// # Panics
    /// When it is another one.
    #[track_caller]
    pub fn code(self, wanted: i32) -> Self {
        assert_eq!(self.code, wanted, "exit code\n{self:#?}");
        self
    }

    /// Standard output as one JSON object on one line.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    #[must_use]
    pub fn object(&self) -> Value {
        let mut all = self.lines();
        assert_eq!(all.len(), 1, "one object was expected\n{self:#?}");
        all.remove(0)
    }

    /// Standard output as JSON objects, one a line.
    ///
    /// # Panics
    /// When a line is not.
    #[track_caller]
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let parsed = self.stdout.lines().map(|line| match serde_json::from_str(line) {
            Ok(value @ Value::Object(_)) => value,
            _ => panic!("not a JSON object: {line}\n{self:#?}"),
        });
        parsed.collect()
    }
}

/// Runs `command` to its end.
///
/// # Panics
/// When it cannot be started, or does not end.
#[track_caller]
#[must_use]
pub fn run(command: &mut Command) -> Output {
    use std::os::unix::process::ExitStatusExt;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the program can be started");
    let pid = Pid::from_child(&child);
    let (told, ended) = mpsc::channel();
    std::thread::spawn(move || told.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(COMMAND_TIMEOUT) else {
        let _ = kill_process(pid, Signal::KILL);
        let said = ended.recv().map(|output| format!("{output:?}"));
        panic!("{command:?} did not end in {COMMAND_TIMEOUT:?}: {said:?}");
    };
    let output = output.expect("its output can be read");
    Output {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
        signal: output.status.signal(),
    }
}
