//! Watches the configuration file: a good change is applied live, a bad one is refused whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::handle::HostShared;

/// Editors write in several steps; the file is read once it has been quiet this long.
const QUIET: Duration = Duration::from_millis(300);

/// Follows the file's folder (editors replace files, HH-01) until `stop`.
pub(super) async fn follow(host: Arc<HostShared>, stop: CancellationToken) {
    let Some(source) = host.config().source.clone() else {
        return;
    };
    // One waiting note is enough: the file itself is the truth.
    let (note, mut notes) = mpsc::channel(1);
    // The file may have changed between its reading at start and this watch.
    let _ = note.try_send(());
    let Some(_watcher) = watch(&source, note) else {
        return;
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            noted = notes.recv() => if noted.is_none() { return },
        }
        while let Ok(Some(())) = tokio::time::timeout(QUIET, notes.recv()).await {}
        // What it led to is in the log and in `status`.
        let _ = host.reload().await;
    }
}

fn watch(source: &Path, note: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let folder = source
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = source.file_name()?.to_owned();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours = event.is_ok_and(|event| {
            !event.kind.is_access()
                && event
                    .paths
                    .iter()
                    .any(|path| path.file_name() == Some(name.as_os_str()))
        });
        if ours {
            // Full means that a note waits already.
            let _ = note.try_send(());
        }
    });
    let watched = watcher.and_then(|mut watcher| {
        watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .map(|()| watcher)
    });
    match watched {
        Ok(watcher) => Some(watcher),
        Err(why) => {
            tracing::warn!("{} is not watched ({why}); use `sexton reload`", source.display());
            None
        }
    }
}
