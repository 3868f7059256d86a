//! Keeps the room in step with its folder: when to look, and whose turn it is to be loaded.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::entry::Entry;
use super::room::{Inner, PluginRoom, lock};
use super::turn::Turn;
use super::watch::{Mounts, Watch};
use crate::job::PluginName;

/// Quiet time after an event before the folder is scanned: a copy is many events (HH-02).
/// Shorter than usual, because a half-written file does no harm here: it is refused in
/// microseconds and looked at again (HH-03).
const DEBOUNCE: Duration = Duration::from_millis(80);
/// A busy folder is scanned all the same.
const DEBOUNCE_MAX: Duration = Duration::from_millis(400);
/// Scans of a folder that cannot tell of its changes: it is gone, on a network file system, reached
/// by a link (HH-02). One that can is scanned when it tells, so that an idle host sleeps (P8).
const POLL: Duration = Duration::from_secs(10);
/// Between two looks at a file that could not be loaded: if it has not moved by then, nobody is
/// writing it, and it is what it is (HH-03).
const LOOK_AGAIN: Duration = Duration::from_millis(150);

impl PluginRoom {
    /// Scans the folder and loads, swaps and unloads what changed. Returns when every file is either
    /// served or settled as refused (or, being written all the time, left for later).
    pub async fn rescan(&self) {
        let mut ended = self.0.turns_ended.subscribe();
        let mut fresh = true;
        loop {
            self.look(fresh).await;
            fresh = false;
            // Turns that others began count too.
            while self.0.entries().values().any(Entry::is_loading) {
                if ended.changed().await.is_err() {
                    return;
                }
            }
            if !self.0.entries().values().any(Entry::wants_look) {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Looks into the folder once and lets the plugins that are to be loaded take their turns, without
    /// waiting for them.
    async fn look(&self, fresh: bool) {
        let room = Arc::clone(&self.0);
        // Listing blocks, so it has a thread that may.
        let looked = self.0.handle.spawn_blocking(move || {
            let mut scanner = lock(&room.scanner);
            let turns = scanner.look(&room, fresh);
            *lock(&room.trouble) = scanner.trouble();
            drop(scanner);
            // Here, not after the wait: who asked may have gone away by then, and a turn that is planned
            // and never begun keeps its plugin waiting for ever.
            turns.into_iter().for_each(|turn| begin(&room, turn));
        });
        if let Err(error) = looked.await {
            tracing::error!("scanning the plugin folder failed: {error}");
        }
    }

    /// Keeps the room in step with its folder until `token` is cancelled.
    pub async fn run(self, token: CancellationToken) {
        let dir = lock(&self.0.scanner).dir().to_owned();
        let (mut watch, mut hints) = Watch::new(dir);
        let mounts = Mounts::new();
        loop {
            let tells = watch.keep_looking() && mounts.tell();
            let fresh = tokio::select! {
                () = token.cancelled() => return,
                () = self.0.look_again.notified() => true,
                () = self.0.look_soon.notified() => false,
                () = mounts.changed() => continue,
                () = tokio::time::sleep(POLL), if !tells => true,
                _ = hints.recv() => {
                    let quiet = async {
                        while tokio::time::timeout(DEBOUNCE, hints.recv()).await.is_ok() {}
                    };
                    let _ = tokio::time::timeout(DEBOUNCE_MAX, quiet).await;
                    true
                }
            };
            tokio::select! {
                () = token.cancelled() => return,
                () = self.look(fresh) => {}
            }
        }
    }

    /// Forgets a plugin whose file is gone: what was good last, too. Says whether anything was left of
    /// it.
    ///
    /// # Errors
    /// When that cannot be made durable.
    pub async fn forget(&self, plugin: &PluginName) -> std::io::Result<bool> {
        let (room, plugin) = (Arc::clone(&self.0), plugin.clone());
        let forgotten = self
            .0
            .handle
            .spawn_blocking(move || lock(&room.scanner).forget(&room, &plugin));
        forgotten.await.map_err(std::io::Error::other)?
    }

    /// What is wrong with the folder itself, in words for the operator.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.0.trouble).clone()
    }
}

/// Lets a plugin take its turn, on a thread that may block: reading, hashing and mapping do. Whoever
/// asked for it may go away; the turn ends all the same.
fn begin(room: &Arc<Inner>, turn: Turn) {
    let spawner = room.handle.clone();
    let room = Arc::clone(room);
    drop(spawner.spawn(async move {
        // Never closed.
        let place = Arc::clone(&room.loads).acquire_owned().await;
        let (handle, taken) = (room.handle.clone(), Arc::clone(&room));
        let turn = room.handle.spawn_blocking(move || {
            let again = handle.block_on(turn.take(&taken));
            lock(&taken.scanner).prune(&taken);
            again
        });
        let again = turn.await.unwrap_or(false);
        drop(place);
        room.turns_ended.send_modify(|ended| *ended += 1);
        if again {
            tokio::time::sleep(LOOK_AGAIN).await;
            room.look_soon.notify_one();
        }
    }));
}
