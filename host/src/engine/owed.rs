//! What a run has to say and need not say at once: it goes with its next word, so that a small file costs
//! one transaction and not three. Nothing that follows depends on its record before that.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::job::{Command, FileStatus};
use crate::store::{FileCheckpoint, PluginWrites, Told};

/// Files that are known to the run's end without asking the store; a job of more reads them again.
const FILES_KNOWN: usize = 16;

/// What one run owes the store, and how its files stand.
pub(super) struct Owed(Mutex<Known>);

struct Known {
    told: Told,
    /// What components wrote to their state: it counts only if the run ends well.
    writes: Vec<PluginWrites>,
    /// `None` where there are too many to carry along.
    files: Option<Vec<FileStatus>>,
}

impl Owed {
    pub(super) fn new(files: &[FileStatus]) -> Self {
        Self(Mutex::new(Known {
            told: Told::default(),
            writes: Vec::new(),
            files: (files.len() <= FILES_KNOWN).then(|| files.to_vec()),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connected(&self) {
        self.lock().told.connected = true;
    }

    pub(super) fn checkpoint(&self, checkpoint: FileCheckpoint) {
        let mut known = self.lock();
        let index = checkpoint.file.index;
        let file = known.files.iter_mut().flatten().find(|file| file.index == index);
        if let Some(file) = file {
            *file = checkpoint.file.clone();
        }
        known.told.files.push(checkpoint);
    }

    pub(super) fn wrote(&self, writes: PluginWrites) {
        self.lock().writes.push(writes);
    }

    pub(super) fn any(&self) -> bool {
        let known = self.lock();
        known.told.connected || !known.told.files.is_empty()
    }

    /// All of it, with how the run ended if it did.
    pub(super) fn take(&self, end: Option<Command>) -> Told {
        let mut known = self.lock();
        let mut told = std::mem::take(&mut known.told);
        if let Some(Command::Finished { .. }) = end {
            told.writes = std::mem::take(&mut known.writes);
        }
        told.end = end;
        told
    }

    /// The files as the run left them.
    pub(super) fn files(&self) -> Option<Vec<FileStatus>> {
        self.lock().files.take()
    }
}
