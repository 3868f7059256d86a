//! Says when to look into the plugin folder again. Events are hints; the scan is the truth (HH-02).
//!
//! A folder that tells of its changes is left alone until it does, so that an idle host is not woken
//! (P8). One that cannot is looked at now and then.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::folder::{Place, place};

/// File systems whose changes are made elsewhere and are not told here.
const REMOTE: [i64; 11] = [
    0x6969,      // nfs
    0xFF53_4D42, // cifs
    0xFE53_4D42, // smb2
    0x517B,      // smb
    0x0102_1997, // 9p, as in virtual machines
    0x6573_5546, // fuse, sshfs and virtiofs among it
    0x00C3_6400, // ceph
    0x786F_4256, // vboxsf
    0x0BD0_0BD0, // lustre
    0x0116_1970, // gfs2
    0x7461_636F, // ocfs2
];

/// Follows the folder, and survives that it is replaced.
#[derive(Debug)]
pub(super) struct Watch {
    dir: PathBuf,
    hints: mpsc::Sender<()>,
    watcher: Option<(RecommendedWatcher, Place)>,
    /// Something happened to the folder itself: its number may be another folder's by now.
    doubtful: Arc<AtomicBool>,
    /// The folder that was reported as one that is only polled.
    polled: Option<Place>,
}

impl Watch {
    /// A watch that is not looking yet, and where its hints arrive. One waiting hint is enough.
    pub(super) fn new(dir: PathBuf) -> (Self, mpsc::Receiver<()>) {
        let (hints, seen) = mpsc::channel(1);
        let watch = Self {
            dir,
            hints,
            watcher: None,
            doubtful: Arc::default(),
            polled: None,
        };
        (watch, seen)
    }

    /// Looks at the folder itself, not at its files, whose inodes change (HH-01); and again when
    /// the folder is another one than before. Says whether it will tell of every change.
    pub(super) fn keep_looking(&mut self) -> bool {
        let Ok(now) = fs::metadata(&self.dir).map(|meta| place(&meta)) else {
            self.watcher = None;
            return false;
        };
        let doubtful = self.doubtful.swap(false, Ordering::SeqCst);
        if doubtful || self.watcher.as_ref().is_none_or(|(_, known)| *known != now) {
            self.watcher = self.start().map(|watcher| (watcher, now));
            // Something may have come between the last scan and this watch.
            let _ = self.hints.try_send(());
        }
        let tells = self.watcher.is_some() && !is_remote(&self.dir) && !has_links(&self.dir);
        if !tells && self.polled != Some(now) {
            tracing::info!(dir = %self.dir.display(), "the plugin folder cannot tell of every change and is looked at every few seconds");
            self.polled = Some(now);
        }
        tells
    }

    fn start(&self) -> Option<RecommendedWatcher> {
        let (hints, dir, doubtful) = (self.hints.clone(), self.dir.clone(), Arc::clone(&self.doubtful));
        let told = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            match event {
                // The scan itself opens files; answering that with a scan would never end.
                Ok(event) if matches!(event.kind, EventKind::Access(kind) if !is_written(kind)) => return,
                Ok(event) if !event.paths.contains(&dir) => {}
                Ok(_) | Err(_) => doubtful.store(true, Ordering::SeqCst),
            }
            // A full channel means that a hint is waiting already.
            let _ = hints.try_send(());
        })
        .and_then(|mut watcher| {
            watcher.watch(&self.dir, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        told.map_err(|error| {
            tracing::warn!(dir = %self.dir.display(), "the plugin folder cannot be watched: {error}");
        })
        .ok()
    }
}

fn is_written(kind: AccessKind) -> bool {
    kind == AccessKind::Close(AccessMode::Write)
}

fn is_remote(dir: &Path) -> bool {
    rustix::fs::statfs(dir).is_ok_and(|stat| REMOTE.contains(&stat.f_type))
}

/// A link in the path can be turned elsewhere without a word from the folder that is watched.
fn has_links(dir: &Path) -> bool {
    let is_link = |part: &Path| fs::symlink_metadata(part).is_ok_and(|meta| meta.is_symlink());
    dir.ancestors().any(is_link)
}

/// Says when something is mounted or unmounted anywhere: that may hide the folder or bring it back,
/// and the folder itself does not tell.
#[derive(Debug)]
pub(super) struct Mounts(Option<AsyncFd<File>>);

impl Mounts {
    /// The kernel's table of mounts, which becomes ready when it changes.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for the sake of types that lend out a descriptor not their own; this file is ours"
    )]
    pub(super) fn new() -> Self {
        let table = File::open("/proc/self/mountinfo");
        let table = table.and_then(|table| AsyncFd::with_interest(table, Interest::PRIORITY));
        Self(table.ok())
    }

    /// Whether there is such a table.
    pub(super) fn tell(&self) -> bool {
        self.0.is_some()
    }

    /// Returns after the next change.
    pub(super) async fn changed(&self) {
        let ready = async { self.0.as_ref()?.ready(Interest::PRIORITY).await.ok() };
        match ready.await {
            Some(mut ready) => ready.clear_ready(),
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_of_every_change_unless_it_is_reached_by_a_link_or_gone() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("real");
        fs::create_dir(&real).unwrap();
        assert!(Watch::new(real.clone()).0.keep_looking());
        let link = real.with_file_name("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(!Watch::new(link.clone()).0.keep_looking());
        assert!(!Watch::new(link.join("below")).0.keep_looking());
        let (mut watch, mut hints) = Watch::new(real.clone());
        watch.keep_looking();
        hints.try_recv().unwrap();
        fs::remove_dir(&real).unwrap();
        assert!(!watch.keep_looking());
        // Made anew it is another folder, which is watched anew.
        fs::create_dir(&real).unwrap();
        assert!(watch.keep_looking());
    }
}
