//! The file work of decisions: putting whole files in their place, and removing the rest. Every step
//! may be repeated after a crash at any point.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT};

use super::fault::Fault;
use super::{directory, disk, naming};
use crate::engine::IntentControl;
use crate::job::{Code, ErrorInfo, Existing, FileStatus, Job, Outcome};

/// Files placed between two syncs of their directories. One sync serves many renames, yet a job of a
/// hundred thousand files is recorded as it goes.
const PLACED_AT_ONCE: usize = 512;

/// Renames every whole file to its destination and drops what is left of the others (B-44).
///
/// # Errors
/// The first file that could not be placed; those before it are in place, and told to the control (B-45).
pub(super) async fn complete(
    job: &Job,
    files: &[FileStatus],
    control: &IntentControl,
) -> Result<Outcome, ErrorInfo> {
    let existing = job.spec.transfer().placing.existing(job.spec.profile);
    let parts = files.chunks(PLACED_AT_ONCE);
    let last = parts.len().saturating_sub(1);
    for (number, part) in parts.enumerate() {
        let (id, owned) = (job.id, part.to_vec());
        let placed = disk::blocking(move || Ok(place_all(id, &owned, existing))).await;
        let (placed, failed) = placed.unwrap_or_else(|fault| (Vec::new(), Some((0, fault))));
        control.placed(placed);
        // The last ones are recorded together with the end.
        let recorded = if number < last {
            control.record_placed(job).await
        } else {
            Ok(())
        };
        let unrecorded = recorded.err().map(|why| {
            let fault = Fault {
                code: Code::FAIL,
                ..Fault::local(&io::Error::other(why))
            };
            (0, fault)
        });
        if let Some((at, fault)) = failed.or(unrecorded)
            && let Some(file) = part.get(at).or(part.first())
        {
            return Err(fault.into_info(file, job.attempt, control.clock.now()));
        }
    }
    let all = files.iter().all(|file| file.transferred);
    Ok(if all { Outcome::Succeeded } else { Outcome::Partial })
}

/// Deletes everything of the job that is not yet at its destination (B-46).
///
/// # Errors
/// The first file that could not be deleted; all others are gone.
pub(super) async fn cancel(
    job: &Job,
    files: &[FileStatus],
    control: &IntentControl,
) -> Result<(), ErrorInfo> {
    for part in files.chunks(PLACED_AT_ONCE) {
        let (id, owned) = (job.id, part.to_vec());
        let failed = disk::blocking(move || Ok(remove_all(id, &owned))).await;
        if let Some((at, fault)) = failed.unwrap_or_else(|fault| Some((0, fault)))
            && let Some(file) = part.get(at)
        {
            return Err(fault.into_info(file, job.attempt, control.clock.now()));
        }
    }
    Ok(())
}

/// Puts one whole file in its place; may be repeated after a crash.
///
/// # Errors
/// That of the local file.
pub(super) async fn complete_one(job: crate::job::JobId, file: FileStatus) -> Result<(), Fault> {
    let placed = disk::blocking(move || Ok(place_all(job, &[file], Existing::Overwrite).1)).await?;
    placed.map_or(Ok(()), |(_, fault)| Err(fault))
}

/// Deletes the temporary file of one.
///
/// # Errors
/// That of the local file.
pub(super) async fn cancel_one(job: crate::job::JobId, file: FileStatus) -> Result<(), Fault> {
    disk::blocking(move || disk::remove(&disk::temporary_path(job, &file))).await
}

type Failed = Option<(usize, Fault)>;

fn place_all(job: crate::job::JobId, files: &[FileStatus], existing: Existing) -> (Vec<u32>, Failed) {
    let mut placed = Vec::new();
    let mut directories = BTreeSet::new();
    let mut failed = None;
    for (at, file) in files.iter().enumerate().filter(|(_, file)| !file.completed) {
        let temporary = disk::temporary_path(job, file);
        if !file.transferred {
            // Left behind at worst; the files that are whole are worth more (B-44).
            if let Err(why) = disk::remove(&temporary) {
                tracing::warn!("cannot delete {}: {why}", temporary.display());
            }
            continue;
        }
        match place(&temporary, file, existing) {
            Ok(directory) => {
                placed.push(file.index);
                directories.extend(directory);
            }
            Err(why) => {
                let taken = existing == Existing::Fail && why.kind() == io::ErrorKind::AlreadyExists;
                let fault = if taken {
                    Fault::in_the_way()
                } else {
                    Fault::local(&why)
                };
                failed = Some((at, fault));
                break;
            }
        }
    }
    for directory in directories {
        if let Err(why) = directory::sync(&directory) {
            // Nothing is recorded as placed that a power cut could undo.
            let at = files
                .iter()
                .position(|file| Path::new(&file.local).parent() == Some(&directory));
            return (Vec::new(), Some((at.unwrap_or_default(), Fault::local(&why))));
        }
    }
    (placed, failed)
}

/// Puts one file in its place; its data was synced before it counted as transferred.
fn place(temporary: &Path, file: &FileStatus, existing: Existing) -> io::Result<Option<PathBuf>> {
    let destination = naming::target(file, existing);
    if let Some(modified) = file.last_modified.as_deref()
        && let Err(why) = set_modified(temporary, modified)
        && why.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("cannot set the time of {}: {why}", temporary.display());
    }
    match naming::put(temporary, &destination, existing) {
        Ok(()) => {}
        // Renamed before a crash that kept it from being recorded. The size tells it from an older
        // file that merely has the name.
        Err(why) if why.kind() == io::ErrorKind::NotFound && is_there(&destination, file) => {}
        // What was there was as good, and nothing was fetched, or it was dropped before a crash.
        Err(why)
            if why.kind() == io::ErrorKind::NotFound
                && existing == Existing::Keep
                && destination.exists() => {}
        Err(why) => return Err(why),
    }
    Ok(destination.parent().map(Path::to_path_buf))
}

fn is_there(destination: &Path, file: &FileStatus) -> bool {
    std::fs::symlink_metadata(destination)
        .is_ok_and(|meta| meta.is_file() && meta.len() == file.bytes_transferred)
}

/// The server's `Last-Modified` becomes the file's (B-124).
fn set_modified(path: &Path, modified: &str) -> io::Result<()> {
    let date = httpdate::parse_http_date(modified).map_err(io::Error::other)?;
    let since = date.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: i64::try_from(since.as_secs()).map_err(io::Error::other)?,
            tv_nsec: 0,
        },
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)
}

fn remove_all(job: crate::job::JobId, files: &[FileStatus]) -> Failed {
    let mut failed = None;
    for (at, file) in files.iter().enumerate().filter(|(_, file)| !file.completed) {
        if let Err(why) = disk::remove(&disk::temporary_path(job, file)) {
            failed = failed.or(Some((at, Fault::local(&why))));
        }
    }
    failed
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
