//! Process groups that the host started and that must not outlive it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use super::reaper::Reaper;

/// Process groups started by the host.
#[derive(Clone, Debug, Default)]
pub struct Children(Arc<Groups>);

#[derive(Debug, Default)]
struct Groups {
    alive: Mutex<BTreeSet<i32>>,
    /// Ends them when the host is gone without a word.
    reaper: Option<Reaper>,
}

/// Keeps a group registered while its command runs.
#[derive(Debug)]
pub struct Registered {
    children: Children,
    group: i32,
}

/// The same, and the group is killed when its run is over or given up: nothing outlives what it was
/// started for, not even what was left running in the background.
#[derive(Debug)]
pub struct Group(Registered);

impl Children {
    /// Children that a process of its own ends when the host cannot: `program` is this one.
    ///
    /// # Errors
    /// When that process cannot be started.
    pub fn with_reaper(program: &Path) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Groups {
            alive: Mutex::default(),
            reaper: Some(Reaper::start(program)?),
        })))
    }

    /// Registers the process group led by `pid`.
    #[must_use]
    pub fn register(&self, pid: u32) -> Registered {
        let group = i32::try_from(pid).unwrap_or(0);
        // A poisoned lock must not save a child.
        let mut alive = self.0.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.insert(group);
        if let Some(reaper) = &self.0.reaper {
            reaper.born(group, &alive);
        }
        drop(alive);
        Registered {
            children: self.clone(),
            group,
        }
    }

    /// The same for a group that ends with its run.
    #[must_use]
    pub fn group(&self, pid: u32) -> Group {
        Group(self.register(pid))
    }

    /// Kills every registered group.
    pub fn kill_all(&self) {
        let alive = self.0.alive.lock().unwrap_or_else(PoisonError::into_inner);
        for group in alive.iter().copied() {
            signal(group, Signal::KILL);
        }
    }
}

impl Registered {
    /// Kills the group now.
    pub fn kill(&self) {
        signal(self.group, Signal::KILL);
    }

    /// Asks the group to end.
    pub fn terminate(&self) {
        signal(self.group, Signal::TERM);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let groups = &self.children.0;
        let mut alive = groups.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.remove(&self.group);
        if let Some(reaper) = &groups.reaper {
            reaper.gone(self.group, &alive);
        }
    }
}

impl std::ops::Deref for Group {
    type Target = Registered;

    fn deref(&self) -> &Registered {
        &self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// Signals a group; it may have ended already.
pub(super) fn signal(group: i32, signal: Signal) {
    if let Some(group) = Pid::from_raw(group) {
        let _ = kill_process_group(group, signal);
    }
}
