//! One look at the folder: compares it with what is known, loads what is new, keeps what was good.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;

use super::PluginInfo;
use super::folder::{self, Listing, Reading, SIZE_MAX, Stamp};
use super::keep::Keep;
use super::load::{Loader, Served};
use super::refusal::Refusal;
use super::room::Inner;
use super::settings::Settings;
use crate::job::PluginName;

/// Between two looks at a file that could not be loaded: if it has not moved by then, nobody is
/// writing it, and it is what it is (HH-03).
const LOOK_AGAIN: Duration = Duration::from_millis(150);
/// Looks of one rescan; a file that is written for longer is left for the next event.
const LOOKS: u32 = 10;
/// Loads at the same time: each may be a compiler of its own.
const LOADS: usize = 2;

/// What is known of one plugin's file.
#[derive(Default)]
pub(super) struct Entry {
    served: Option<Arc<Served>>,
    /// The state of the file that was looked at last.
    seen: Option<Stamp>,
    /// Nothing more is to be done about that state.
    settled: bool,
    problem: Option<Problem>,
}

/// What is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    refusal: Refusal,
    digest: Option<String>,
}

impl Entry {
    /// What serves.
    pub(super) fn served(&self) -> Option<&Arc<Served>> {
        self.served.as_ref()
    }

    /// Makes other settings count. What was refused is looked at again.
    pub(super) fn configure(&mut self, settings: &Arc<Settings>) {
        if self.problem.is_some() {
            self.seen = None;
        }
        let Some(served) = self.served.take() else {
            return;
        };
        match served.surface.check_grants(settings) {
            Ok(()) => self.served = Some(with_settings(served, settings)),
            Err(refusal) => {
                tracing::warn!(plugin = %served.name, "stops serving: {refusal}");
                self.seen = None;
                self.problem = Some(Problem {
                    refusal,
                    digest: Some(served.digest.clone()),
                });
            }
        }
    }

    /// As the operator sees it.
    pub(super) fn info(&self, name: &PluginName) -> PluginInfo {
        let served = self.served.as_deref();
        // A problem is told once it is certain.
        let problem = self.problem.as_ref().filter(|_| self.settled || served.is_none());
        let refused = problem.and_then(|problem| problem.digest.clone());
        PluginInfo {
            name: name.clone(),
            digest: served.map(|s| s.digest.clone()).unwrap_or_default(),
            size: served.map_or(0, |s| s.size),
            interfaces: served.map(|s| s.surface.interfaces.clone()).unwrap_or_default(),
            serving: served.is_some(),
            problem: problem.map(|problem| problem.refusal.to_string()),
            refused_digest: refused,
        }
    }
}

fn with_settings(served: Arc<Served>, settings: &Arc<Settings>) -> Arc<Served> {
    if *served.settings == **settings {
        return served;
    }
    Arc::new(Served {
        settings: Arc::clone(settings),
        ..(*served).clone()
    })
}

/// Compiling takes its time, and the configuration may have changed meanwhile: what was loaded under
/// `asked` gets the grants and limits of now, what was refused under it is looked at again. Says
/// whether another look is needed.
fn catch_up(room: &Inner, name: &PluginName, asked: &Settings) -> bool {
    let mut entries = room.entries();
    let now = room.settings(name);
    let changed = *now != *asked;
    if let Some(entry) = entries.get_mut(name).filter(|_| changed) {
        entry.configure(&now);
    }
    changed
}

/// Owns the folder: one rescan at a time (HH-05).
pub(super) struct Scanner {
    dir: PathBuf,
    keep: Keep,
    loader: Arc<Loader>,
    /// The device the folder was on when it had plugins.
    device: Option<u64>,
    /// The folder was reported as gone.
    gone: bool,
    strange: Vec<(String, String)>,
}

/// What became of one file.
enum Outcome {
    Loaded(Stamp, Served, Vec<u8>),
    /// The same bytes serve already.
    Same(Stamp),
    Refused(Stamp, Refusal, Option<String>),
    Moving,
}

impl Scanner {
    /// For the folder `dir`.
    pub(super) fn new(dir: PathBuf, keep: Keep, loader: Loader) -> Self {
        Self {
            dir,
            keep,
            loader: Arc::new(loader),
            device: None,
            gone: false,
            strange: Vec::new(),
        }
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Scans until no file is in the middle of being written.
    pub(super) async fn settle(&mut self, room: &Inner) {
        for _ in 0..LOOKS {
            if !self.scan(room).await {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// One look; says whether another one is needed soon.
    async fn scan(&mut self, room: &Inner) -> bool {
        let listing = match folder::list(&self.dir) {
            Ok(listing) => listing,
            Err(error) => {
                self.folder_gone(room, &error.to_string()).await;
                return false;
            }
        };
        if listing.files.is_empty() && self.device.is_some_and(|device| device != listing.device) {
            self.folder_gone(
                room,
                "it is empty and on another device than before; was it unmounted?",
            )
            .await;
            return false;
        }
        self.gone = false;
        if !listing.files.is_empty() {
            self.device = Some(listing.device);
        }
        self.report_strange(&listing);
        self.unload_removed(room, &listing);
        let looks = plan(room, listing.files).into_iter().map(|(name, path)| {
            let settings = room.settings(&name);
            let serving = serving_digest(room, &name);
            let loader = Arc::clone(&self.loader);
            async move {
                let outcome = look(&loader, &name, &path, serving, Arc::clone(&settings)).await;
                (name, outcome, settings)
            }
        });
        let looks: Vec<_> = looks.collect();
        let touched = !looks.is_empty();
        let mut looks = futures::stream::iter(looks).buffer_unordered(LOADS);
        let mut unsettled = false;
        // Each serves as soon as it can: a slow compile holds up nobody else.
        while let Some((name, outcome, settings)) = looks.next().await {
            unsettled |= self.apply(room, &name, outcome).await;
            unsettled |= catch_up(room, &name, &settings);
            room.publish();
        }
        if touched {
            self.prune(room);
        }
        unsettled
    }

    /// HH-06: everything stays as it is; at start, what was good last is loaded.
    async fn folder_gone(&mut self, room: &Inner, why: &str) {
        if !self.gone {
            tracing::error!(dir = %self.dir.display(), "the plugin folder is gone ({why}); every plugin is kept as it is");
        }
        self.gone = true;
        for name in self.keep.names() {
            if serving_digest(room, &name).is_none() {
                self.restore(room, &name, None).await;
            }
        }
        room.publish();
    }

    fn report_strange(&mut self, listing: &Listing) {
        for strange in &listing.strange {
            if !self.strange.contains(strange) {
                tracing::warn!(file = %strange.0.escape_debug(), "not a plugin: {}", strange.1);
            }
        }
        self.strange.clone_from(&listing.strange);
    }

    /// Running calls end by themselves; they hold what they need (HH-06).
    fn unload_removed(&mut self, room: &Inner, listing: &Listing) {
        let is_there = |name: &PluginName| listing.files.contains_key(name);
        let removed: Vec<_> = room
            .entries()
            .keys()
            .filter(|name| !is_there(name))
            .cloned()
            .collect();
        for name in &removed {
            room.entries().remove(name);
            tracing::info!(plugin = %name, "unloaded: its file was removed");
        }
        for name in self.keep.names().iter().filter(|name| !is_there(name)) {
            if let Err(error) = self.keep.forget(name) {
                tracing::warn!(plugin = %name, "its last good component could not be forgotten: {error}");
            }
        }
        if !removed.is_empty() {
            room.publish();
            self.prune(room);
        }
    }

    /// Records what became of a file; says whether it must be looked at again soon.
    async fn apply(&mut self, room: &Inner, name: &PluginName, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Moving => {
                room.entries().entry(name.clone()).or_default().seen = None;
                true
            }
            Outcome::Same(stamp) => {
                let mut entries = room.entries();
                let entry = entries.entry(name.clone()).or_default();
                entry.seen = Some(stamp);
                entry.settled = true;
                entry.problem = None;
                false
            }
            Outcome::Loaded(stamp, served, bytes) => {
                if let Err(error) = self.keep.remember(name, &served.digest, &bytes) {
                    tracing::warn!(plugin = %name, "it is loaded, but not kept for the next start: {error}");
                }
                let mut entries = room.entries();
                let entry = entries.entry(name.clone()).or_default();
                let was = entry.served.as_ref().map_or("none", |old| &old.digest);
                tracing::info!(plugin = %name, digest = %served.digest, %was, "loaded");
                *entry = Entry {
                    served: Some(Arc::new(served)),
                    seen: Some(stamp),
                    settled: true,
                    problem: None,
                };
                false
            }
            Outcome::Refused(stamp, refusal, digest) => {
                let is_new = {
                    let mut entries = room.entries();
                    let entry = entries.entry(name.clone()).or_default();
                    entry.seen = Some(stamp);
                    entry.settled = false;
                    entry.problem = Some(Problem {
                        refusal,
                        digest: digest.clone(),
                    });
                    entry.served.is_none()
                };
                if is_new {
                    self.restore(room, name, digest.as_deref()).await;
                }
                true
            }
        }
    }

    /// Lets the last good component serve when there is none, unless it is the refused one.
    async fn restore(&mut self, room: &Inner, name: &PluginName, refused: Option<&str>) {
        if self
            .keep
            .digest(name)
            .is_none_or(|digest| Some(digest) == refused)
        {
            return;
        }
        let Some((digest, bytes)) = self.keep.read(name) else {
            return;
        };
        match self.loader.load(name, &digest, &bytes, room.settings(name)).await {
            Ok(served) => {
                tracing::warn!(plugin = %name, %digest, "the last good component serves in place of the file");
                room.entries().entry(name.clone()).or_default().served = Some(Arc::new(served));
            }
            Err(refusal) => {
                tracing::warn!(plugin = %name, %digest, "the last good component no longer loads: {refusal}");
            }
        }
    }

    fn prune(&self, room: &Inner) {
        let mut digests: Vec<String> = room
            .entries()
            .values()
            .filter_map(|entry| Some(entry.served()?.digest.clone()))
            .collect();
        digests.extend(
            self.keep
                .names()
                .iter()
                .filter_map(|name| Some(self.keep.digest(name)?.to_owned())),
        );
        self.loader
            .compiler()
            .prune(&|digest| digests.iter().any(|used| used == digest));
    }
}

/// Which files are to be read: those that are not as they were at the last look.
fn plan(room: &Inner, files: BTreeMap<PluginName, (PathBuf, Stamp)>) -> Vec<(PluginName, PathBuf)> {
    let mut work = Vec::new();
    let mut entries = room.entries();
    for (name, (path, stamp)) in files {
        match entries.get_mut(&name) {
            Some(entry) if entry.seen == Some(stamp) => {
                // The second look at a file that does not move.
                if let (false, Some(problem)) = (entry.settled, &entry.problem) {
                    let kept = entry.served.is_some();
                    tracing::warn!(plugin = %name, kept, "refused: {}", problem.refusal);
                }
                entry.settled = true;
            }
            _ => work.push((name, path)),
        }
    }
    work
}

fn serving_digest(room: &Inner, name: &PluginName) -> Option<String> {
    let entries = room.entries();
    Some(entries.get(name)?.served()?.digest.clone())
}

async fn look(
    loader: &Loader,
    name: &PluginName,
    path: &Path,
    serving: Option<String>,
    settings: Arc<Settings>,
) -> Outcome {
    let started = Instant::now();
    let (stamp, digest, bytes) = match folder::read(path) {
        Reading::Whole { stamp, digest, bytes } => (stamp, digest, bytes),
        Reading::Moving => return Outcome::Moving,
        Reading::TooLarge { stamp } => {
            let size = stamp.size();
            return Outcome::Refused(stamp, Refusal::TooLarge { size, max: SIZE_MAX }, None);
        }
    };
    if serving.as_ref() == Some(&digest) {
        return Outcome::Same(stamp);
    }
    match loader.load(name, &digest, &bytes, settings).await {
        Ok(served) => {
            tracing::debug!(plugin = %name, took = ?started.elapsed(), "ready");
            Outcome::Loaded(stamp, served, bytes)
        }
        Err(refusal) => Outcome::Refused(stamp, refusal, Some(digest)),
    }
}
