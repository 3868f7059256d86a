//! One look at the folder: compares it with what is known, keeps what was good, and says what is to
//! be loaded. It is short, whatever takes long is done elsewhere (`turn.rs`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::folder::{self, Listing, Place, Stamp};
use super::room::Inner;
use super::turn::{Turn, Work};
use crate::job::PluginName;

/// Owns the folder: one look at a time (HH-05).
pub(super) struct Scanner {
    dir: PathBuf,
    /// The folder when it had plugins last.
    place: Option<Place>,
    /// Why the folder is not believed, if it is not.
    gone: Option<String>,
    strange: Vec<(String, String)>,
    /// Turns so far.
    turns: u64,
}

impl Scanner {
    /// For the folder `dir`.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            place: None,
            gone: None,
            strange: Vec::new(),
            turns: 0,
        }
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is wrong with the folder, in words for the operator.
    pub(super) fn trouble(&self) -> Option<String> {
        let why = self.gone.as_ref()?;
        let dir = self.dir.display();
        Some(format!(
            "the plugin folder {dir} {why}; nothing is unloaded, and the last good components serve. \
             Bring it back, or `sexton plugin remove NAME` for each plugin that is to go"
        ))
    }

    /// One look; returns what is to be loaded. `fresh` when something new is to be expected, and not
    /// only a file that was in the middle of being written.
    pub(super) fn look(&mut self, room: &Inner, fresh: bool) -> Vec<Turn> {
        if fresh {
            room.entries().values_mut().for_each(Entry::expect_news);
        }
        let listing = match folder::list(&self.dir) {
            Ok(listing) => listing,
            Err(error) => return self.folder_gone(room, format!("cannot be read ({error})")),
        };
        if let Some(why) = self.suspicious(room, &listing) {
            return self.folder_gone(room, why.to_owned());
        }
        if self.gone.take().is_some() {
            tracing::info!(dir = %self.dir.display(), "the plugin folder is back");
            // It is to be watched again.
            room.look_again.notify_one();
        }
        if !listing.files.is_empty() {
            self.place = Some(listing.place);
        }
        self.report_strange(&listing);
        self.unload_removed(room, &listing);
        self.plan(room, listing.files)
    }

    /// An empty folder may be one whose volume is not mounted. That nothing is in the folder that had
    /// plugins is a removal; that another folder is empty, or the first one after a start, is not.
    fn suspicious(&self, room: &Inner, listing: &Listing) -> Option<&'static str> {
        if !listing.files.is_empty() {
            return None;
        }
        match self.place {
            Some(place) if place == listing.place => None,
            _ if nothing_to_lose(room) => None,
            Some(_) => Some("is empty, and not the folder that it was; is its volume not mounted?"),
            None => Some("is empty, and was not when a host used it last; is its volume not mounted?"),
        }
    }

    /// HH-06: everything stays as it is; at start, what was good last is loaded.
    fn folder_gone(&mut self, room: &Inner, why: String) -> Vec<Turn> {
        if self.gone.as_ref() != Some(&why) {
            tracing::error!(dir = %self.dir.display(), "the plugin folder is gone: it {why}; every plugin is kept as it is");
        }
        self.gone = Some(why);
        let expected = room.keep().expected();
        let mut entries = room.entries();
        // What was being written is so no more.
        entries.values_mut().for_each(Entry::settle);
        let mut turns = Vec::new();
        for name in expected {
            let entry = entries.entry(name.clone()).or_default();
            if entry.served().is_none() && !entry.is_loading() {
                turns.push(self.turn(room, name, Work::Restore, entry));
            }
        }
        turns
    }

    /// Gives the entry's next turn to `work`.
    fn turn(&mut self, room: &Inner, name: PluginName, work: Work, entry: &mut Entry) -> Turn {
        self.turns += 1;
        entry.begin(self.turns);
        Turn {
            number: self.turns,
            serving: entry.served().map(|served| served.digest.clone()),
            settings: room.settings(&name),
            name,
            work,
        }
    }

    fn report_strange(&mut self, listing: &Listing) {
        for strange in &listing.strange {
            if !self.strange.contains(strange) {
                tracing::warn!(file = %strange.0.escape_debug(), "not a plugin: {}", strange.1);
            }
        }
        self.strange.clone_from(&listing.strange);
    }

    /// Running calls end by themselves; they hold what they need (HH-06). Forgotten is only what was
    /// seen here before: a file that was never there since the start may come back.
    fn unload_removed(&mut self, room: &Inner, listing: &Listing) {
        let is_there = |name: &PluginName| listing.files.contains_key(name);
        let removed: Vec<(PluginName, Entry)> = {
            let mut entries = room.entries();
            entries.extract_if(.., |name, _| !is_there(name)).collect()
        };
        let mut keep = room.keep();
        let mut noted = Ok(());
        for (name, entry) in &removed {
            tracing::info!(plugin = %name, "unloaded: its file was removed");
            if entry.had_file() {
                noted = noted.and(keep.forget(name).map(drop));
            }
        }
        noted = noted.and(keep.note_present(is_there));
        if let Err(error) = noted {
            tracing::warn!("the index of last good plugins cannot be written: {error}");
        }
        drop(keep);
        if !removed.is_empty() {
            room.publish();
            self.prune(room);
        }
    }

    /// What of the folder is to be read: files that are not as they were at the last look.
    fn plan(&mut self, room: &Inner, files: BTreeMap<PluginName, (PathBuf, Stamp)>) -> Vec<Turn> {
        let mut turns = Vec::new();
        let mut entries = room.entries();
        for (name, (path, stamp)) in files {
            let entry = entries.entry(name.clone()).or_default();
            entry.note_file();
            if entry.is_loading() {
                entry.miss();
                continue;
            }
            if entry.is_as_seen(stamp) {
                // The second look at a file that does not move.
                if let Some(refusal) = entry.certain_refusal() {
                    let kept = entry.served().is_some();
                    tracing::warn!(plugin = %name, kept, "refused: {refusal}");
                }
                entry.settle();
            } else {
                turns.push(self.turn(room, name, Work::Look(path), entry));
            }
        }
        turns
    }

    /// Forgets a plugin that has no file; says whether anything of it was left.
    pub(super) fn forget(&mut self, room: &Inner, name: &PluginName) -> std::io::Result<bool> {
        if folder::list(&self.dir).is_ok_and(|listing| listing.files.contains_key(name)) {
            return Ok(false);
        }
        let kept = room.keep().forget(name)?;
        let known = room.entries().remove(name).is_some();
        room.publish();
        self.prune(room);
        if nothing_to_lose(room) {
            // An empty folder is all right from now on.
            room.look_again.notify_one();
        }
        Ok(kept || known)
    }

    /// Deletes the code of components that are gone. Not while one is being loaded: its code may be
    /// in the cache already and in nobody's list.
    pub(super) fn prune(&self, room: &Inner) {
        let mut used: Vec<String> = Vec::new();
        for entry in room.entries().values() {
            if entry.is_loading() {
                return;
            }
            used.extend(entry.served().map(|served| served.digest.clone()));
        }
        used.extend(room.keep().digests().map(str::to_owned));
        let in_use = |digest: &str| used.iter().any(|one| one == digest);
        room.loader().compiler().prune(&in_use);
    }
}

/// No plugin serves, and none is missed.
fn nothing_to_lose(room: &Inner) -> bool {
    room.keep().expected().is_empty() && room.entries().is_empty()
}
