//! Ends the host's children when the host is gone without a word: a process of its own that reads a
//! pipe. The kernel closes the other end however the host dies, and what was written before is read
//! first, so a child that was registered is never forgotten.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;

use super::children::signal;

/// The hidden command that [`reap`]s.
const COMMAND: &str = "reap-children";

/// The host's end.
#[derive(Debug)]
pub(super) struct Reaper {
    program: PathBuf,
    child: Mutex<Child>,
}

impl Reaper {
    pub(super) fn start(program: &Path) -> std::io::Result<Self> {
        Ok(Self {
            child: Mutex::new(spawn(program)?),
            program: program.to_owned(),
        })
    }

    /// A group is there; `alive` are all that are.
    pub(super) fn born(&self, group: i32, alive: &BTreeSet<i32>) {
        self.tell(&format!("+{group}\n"), alive);
    }

    /// A group is over.
    pub(super) fn gone(&self, group: i32, alive: &BTreeSet<i32>) {
        self.tell(&format!("-{group}\n"), alive);
    }

    fn tell(&self, line: &str, alive: &BTreeSet<i32>) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if said(&mut child, line).is_ok() {
            return;
        }
        // Somebody has killed it: another takes over all that is alive.
        let _ = child.kill();
        let _ = child.wait();
        let all: String = alive.iter().map(|group| format!("+{group}\n")).collect();
        let again = spawn(&self.program).and_then(|mut fresh| {
            said(&mut fresh, &all)?;
            Ok(fresh)
        });
        match again {
            Ok(fresh) => *child = fresh,
            Err(why) => tracing::error!("what the host started would outlive it if it were killed: {why}"),
        }
    }
}

fn said(child: &mut Child, text: &str) -> std::io::Result<()> {
    match &mut child.stdin {
        Some(pipe) => pipe.write_all(text.as_bytes()),
        None => Err(std::io::ErrorKind::BrokenPipe.into()),
    }
}

/// In a group of its own, so that a signal for the host's terminal is not its end.
fn spawn(program: &Path) -> std::io::Result<Child> {
    Command::new(program)
        .arg(COMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// What the hidden command does: takes down who is born and who is gone, and at the end of `lines`,
/// which is the end of the host, kills who is left.
pub fn reap(lines: impl BufRead) {
    for asked in [
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGHUP,
    ] {
        // A supervisor may ask all processes to end; this one ends with the host. If the handler cannot
        // be set it ends now, and the host starts another.
        let _ = signal_hook::flag::register(asked, Arc::new(AtomicBool::new(false)));
    }
    let mut alive = BTreeSet::new();
    for line in lines.lines().map_while(Result::ok) {
        match line.split_at_checked(1) {
            Some(("+", group)) => alive.extend(group.parse::<i32>()),
            Some(("-", group)) => {
                alive.retain(|one| group.parse() != Ok(*one));
            }
            _ => {}
        }
    }
    for group in alive {
        // 0 and 1 are no groups of ours, whoever wrote them.
        if group > 1 {
            signal(group, Signal::KILL);
        }
    }
}
