//! One plugin's turn: its file is read and loaded, or its last good component is. Each takes its own
//! time, so that a slow compile keeps nobody else waiting.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::entry::Entry;
use super::folder::{self, Reading, SIZE_MAX, Stamp};
use super::load::{Loader, Served};
use super::refusal::Refusal;
use super::room::Inner;
use super::settings::Settings;
use crate::job::PluginName;

/// What is to be done for one plugin.
pub(super) struct Turn {
    /// No two turns have the same.
    pub(super) number: u64,
    /// The plugin.
    pub(super) name: PluginName,
    /// What is to be done.
    pub(super) work: Work,
    /// The digest of what serves now.
    pub(super) serving: Option<String>,
    /// Its settings when the turn began.
    pub(super) settings: Arc<Settings>,
}

/// What is to be done in a turn.
pub(super) enum Work {
    /// Load the file.
    Look(PathBuf),
    /// Load the last good component: there is no file.
    Restore,
}

/// What became of a file.
enum Outcome {
    Loaded(Stamp, Served, Vec<u8>),
    /// The same bytes serve already.
    Same(Stamp),
    Refused(Stamp, Refusal, Option<String>),
    Moving,
}

impl Turn {
    /// Takes the turn; says whether the file is to be looked at again soon. Blocks.
    pub(super) async fn take(self, room: &Inner) -> bool {
        match &self.work {
            Work::Restore => {
                self.restore(room, None).await;
                self.with_entry(room, Entry::settle);
            }
            Work::Look(path) => {
                let outcome = look(room.loader(), &self, path).await;
                self.apply(room, outcome).await;
            }
        }
        self.end(room)
    }

    /// Compiling takes its time, and the configuration may have changed meanwhile: what was loaded
    /// under other settings gets the grants and limits of now, what was refused under them is looked
    /// at again.
    fn end(&self, room: &Inner) -> bool {
        let again = {
            let mut entries = room.entries();
            let now = room.settings(&self.name);
            let entry = entries
                .get_mut(&self.name)
                .filter(|entry| entry.is_turn(self.number));
            entry.is_some_and(|entry| {
                if *now != *self.settings {
                    entry.configure(&now);
                }
                entry.end_turn()
            })
        };
        room.publish();
        again
    }

    /// Records what became of the file, unless the plugin was removed meanwhile.
    async fn apply(&self, room: &Inner, outcome: Outcome) {
        let serves = {
            let entries = room.entries();
            let entry = entries.get(&self.name).filter(|entry| entry.is_turn(self.number));
            let Some(entry) = entry else { return };
            entry.served().is_some()
        };
        match outcome {
            Outcome::Moving => self.with_entry(room, Entry::moving),
            Outcome::Same(stamp) => self.with_entry(room, |entry| entry.loaded(stamp, None)),
            Outcome::Loaded(stamp, served, bytes) => {
                let name = &self.name;
                if let Err(error) = room.keep().remember(name, &served.digest, &bytes) {
                    tracing::warn!(plugin = %name, "it is loaded, but not kept for the next start: {error}");
                }
                let was = self.serving.as_deref().unwrap_or("none");
                tracing::info!(plugin = %name, digest = %served.digest, %was, "loaded");
                self.with_entry(room, |entry| entry.loaded(stamp, Some(Arc::new(served))));
            }
            Outcome::Refused(stamp, refusal, digest) => {
                self.with_entry(room, |entry| entry.refused(stamp, refusal, digest.clone()));
                if !serves {
                    self.restore(room, digest.as_deref()).await;
                }
            }
        }
    }

    fn with_entry(&self, room: &Inner, change: impl FnOnce(&mut Entry)) {
        let mut entries = room.entries();
        if let Some(entry) = entries
            .get_mut(&self.name)
            .filter(|entry| entry.is_turn(self.number))
        {
            change(entry);
        }
    }

    /// Lets the last good component serve, unless it is the refused one.
    async fn restore(&self, room: &Inner, refused: Option<&str>) {
        let name = &self.name;
        let kept = {
            let keep = room.keep();
            let wanted = keep.digest(name).filter(|digest| Some(*digest) != refused);
            wanted.and_then(|_| keep.read(name))
        };
        let Some((digest, bytes)) = kept else { return };
        let settings = Arc::clone(&self.settings);
        match room.loader().load(name, &digest, &bytes, settings).await {
            Ok(served) => {
                tracing::warn!(plugin = %name, %digest, "the last good component serves in place of the file");
                self.with_entry(room, |entry| entry.restored(Arc::new(served)));
            }
            Err(refusal) => {
                tracing::warn!(plugin = %name, %digest, "the last good component no longer loads: {refusal}");
            }
        }
    }
}

async fn look(loader: &Loader, turn: &Turn, path: &Path) -> Outcome {
    let started = Instant::now();
    let (stamp, digest, bytes) = match folder::read(path) {
        Reading::Whole { stamp, digest, bytes } => (stamp, digest, bytes),
        Reading::Moving => return Outcome::Moving,
        Reading::TooLarge { stamp } => {
            let size = stamp.size();
            return Outcome::Refused(stamp, Refusal::TooLarge { size, max: SIZE_MAX }, None);
        }
    };
    if turn.serving.as_ref() == Some(&digest) {
        return Outcome::Same(stamp);
    }
    let settings = Arc::clone(&turn.settings);
    match loader.load(&turn.name, &digest, &bytes, settings).await {
        Ok(served) => {
            tracing::debug!(plugin = %turn.name, took = ?started.elapsed(), "ready");
            Outcome::Loaded(stamp, served, bytes)
        }
        Err(refusal) => Outcome::Refused(stamp, refusal, Some(digest)),
    }
}
