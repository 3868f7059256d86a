//! Temporary files that nobody works on any more: swept once, when the host has started after one that
//! did not end in order (B-131).
//!
//! A temporary file goes with its job. What stays behind comes of a crash at a bad moment, of a file
//! that could not be deleted then, or of a store that was lost. Only a file that the store knows as one
//! of a job that has ended is ours to delete; one that merely looks like ours is told of and left.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::disk;
use crate::job::{JobKind, Timestamp};
use crate::store::{JobFilter, Store, StoreError};

/// Files that are looked up, those of the newest jobs first: what a crash left is of jobs that were
/// at work, and more would cost a start memory and time that the work after it needs.
const FILES_MAX: usize = 5_000;
/// Jobs asked of the store at once, and how often.
const PAGE_JOBS: usize = 500;
const PAGES_MAX: usize = 20;
/// Entries of one directory that are looked at.
const ENTRIES_MAX: usize = 100_000;
/// Unknown files that are named; of the rest the number is told.
const NAMED_MAX: usize = 5;

/// What one sweep found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Deleted: they were of jobs that have ended.
    pub(super) deleted: Vec<PathBuf>,
    /// Left: they look like ours, and no job is known.
    pub(super) unknown: Vec<PathBuf>,
}

/// Sweeps, and logs what was found; `started` is when the host was.
pub async fn sweep(store: &dyn Store, started: Timestamp) {
    let swept = match known_files(store).await {
        Ok(known) => disk::blocking(move || Ok(sweep_directories(&known, started))).await,
        Err(why) => {
            tracing::warn!("left temporary files were not looked for: {why}");
            return;
        }
    };
    let Ok(Swept { deleted, unknown }) = swept else {
        return;
    };
    for path in &deleted {
        tracing::info!(
            "deleted {}, a temporary file of a job that has ended",
            path.display()
        );
    }
    for path in unknown.iter().take(NAMED_MAX) {
        tracing::warn!(
            "{} looks like a temporary file of a lost job; nobody works on it",
            path.display()
        );
    }
    if unknown.len() > NAMED_MAX {
        tracing::warn!("and {} more of them", unknown.len() - NAMED_MAX);
    }
}

/// The temporary files of downloads that the store knows.
#[derive(Debug, Default)]
struct Known {
    /// Each, and whether its job has ended.
    files: BTreeMap<PathBuf, bool>,
    /// There are no others, so that one which is not among them is nobody's.
    all: bool,
}

async fn known_files(store: &dyn Store) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let mut filter = JobFilter {
        limit: PAGE_JOBS,
        ..JobFilter::default()
    };
    for _ in 0..PAGES_MAX {
        let jobs = store.jobs(filter.clone()).await?;
        let Some(last) = jobs.last() else {
            known.all = true;
            return Ok(known);
        };
        filter.before = Some(last.id);
        for job in jobs.iter().filter(|job| job.kind == JobKind::Download) {
            let room = u32::try_from(FILES_MAX.saturating_sub(known.files.len())).unwrap_or(0);
            if room == 0 {
                return Ok(known);
            }
            for file in store.files(job.id, 0, room).await? {
                let path = disk::temporary_path(job.id, &file);
                known.files.insert(path, job.state.is_final());
            }
        }
    }
    Ok(known)
}

fn sweep_directories(known: &Known, started: Timestamp) -> Swept {
    let mut swept = Swept::default();
    let directories: BTreeSet<&Path> = known.files.keys().filter_map(|path| path.parent()).collect();
    for directory in directories {
        let Ok(entries) = std::fs::read_dir(directory) else {
            continue;
        };
        for entry in entries.take(ENTRIES_MAX).filter_map(Result::ok) {
            if !is_temporary(&entry.file_name()) {
                continue;
            }
            let path = entry.path();
            match known.files.get(&path) {
                Some(true) if disk::is_ours(&path) => match disk::remove(&path) {
                    Ok(()) => swept.deleted.push(path),
                    Err(why) => tracing::warn!("cannot delete {}: {why}", path.display()),
                },
                Some(_) => {}
                None => {
                    // What is younger is of a job that was submitted meanwhile.
                    if known.all && changed(&entry).is_some_and(|changed| changed < started) {
                        swept.unknown.push(path);
                    }
                }
            }
        }
    }
    swept
}

fn changed(entry: &DirEntry) -> Option<Timestamp> {
    let modified = entry.metadata().and_then(|meta| meta.modified()).ok()?;
    let since = modified.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp::from_millis)
}

/// Whether a name is one of [`disk::temporary_path`]: `.NAME.RANDOM-INDEX.part`.
fn is_temporary(name: &OsStr) -> bool {
    let inner = name
        .to_str()
        .and_then(|name| name.strip_prefix('.')?.strip_suffix(".part"));
    let Some((_, tail)) = inner.and_then(|inner| inner.rsplit_once('.')) else {
        return false;
    };
    tail.split_once('-').is_some_and(|(random, index)| {
        random.len() == 8
            && random.bytes().all(|digit| digit.is_ascii_hexdigit())
            && !index.is_empty()
            && index.bytes().all(|digit| digit.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b131_only_what_is_known_as_left_over_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in [
            ".a.0123abcd-0.part",
            ".b.0123abcd-1.part",
            ".c.89abcdef-0.part",
            ".c.part",
            "x.part",
        ] {
            std::fs::write(path(name), "").unwrap();
        }
        std::os::unix::fs::symlink(path("x.part"), path(".d.0123abcd-2.part")).unwrap();
        let files = BTreeMap::from([
            (path(".a.0123abcd-0.part"), true),
            (path(".b.0123abcd-1.part"), false),
            (path(".d.0123abcd-2.part"), true),
        ]);
        let mut known = Known { files, all: true };
        let later = Timestamp::from_millis(i64::MAX);
        let swept = sweep_directories(&known, later);
        assert_eq!(swept.deleted, [path(".a.0123abcd-0.part")]);
        assert_eq!(swept.unknown, [path(".c.89abcdef-0.part")]);
        assert!(!path(".a.0123abcd-0.part").exists());
        for name in [
            ".b.0123abcd-1.part",
            ".c.89abcdef-0.part",
            ".c.part",
            "x.part",
            ".d.0123abcd-2.part",
        ] {
            assert!(path(name).exists(), "{name}");
        }
        // What was made since the start is of a job that was submitted since.
        let before = Timestamp::from_millis(0);
        assert_eq!(sweep_directories(&known, before), Swept::default());
        known.all = false;
        assert_eq!(
            sweep_directories(&known, later),
            Swept::default(),
            "it may be of an older job"
        );
    }
}
