//! The temporary file: how it is named, opened, written and made durable. Everything here blocks.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::FlockOperation;
use tokio::task::{JoinError, spawn_blocking};

use super::fault::Fault;
use crate::job::{FileStatus, JobId};

/// Most bytes of the destination's name that the temporary name repeats: with the rest it stays
/// under the 255 bytes that file systems allow.
const NAME_BYTES_MAX: usize = 200;
/// Buffers of one `pwritev`, below every system's `IOV_MAX`.
const VECTOR_MAX: usize = 256;

/// Where a file's temporary file is: where it was recorded to be, else beside the destination under
/// a name that follows from the job (B-121).
///
/// The name can be found again without a record, so a crash between creating the file and recording
/// it leaves nothing unknown. The last digits of a job's id are its random ones.
pub(super) fn temporary_path(job: JobId, file: &FileStatus) -> PathBuf {
    if let Some(recorded) = &file.temporary {
        return PathBuf::from(recorded);
    }
    let destination = Path::new(&file.local);
    let name = destination.file_name().unwrap_or_default().to_string_lossy();
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let name = name.get(..end).unwrap_or_default();
    let id = job.to_string();
    let random = id.get(id.len().saturating_sub(8)..).unwrap_or_default();
    destination.with_file_name(format!(".{name}.{random}-{}.part", file.index))
}

/// Opens a temporary file to go on after its first `durable` bytes; later bytes were written but
/// never vouched for and are cut off. `None` when it is gone or shorter than it should be: start over.
///
/// # Errors
/// When it cannot be opened, is not ours, or is in use.
pub(super) fn resume(path: &Path, durable: u64) -> io::Result<Option<File>> {
    let file = match options().open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why),
    };
    take(&file)?;
    if file.metadata()?.len() < durable {
        return Ok(None);
    }
    file.set_len(durable)?;
    Ok(Some(file))
}

/// Creates a temporary file, or empties the one that an earlier run of this very job left.
///
/// # Errors
/// When it cannot be created, or its name belongs to something else.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let (file, old) = match options().create_new(true).open(path) {
        Ok(file) => (file, false),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => (options().open(path)?, true),
        Err(why) => return Err(why),
    };
    take(&file)?;
    if old {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Writes `batch` at `offset`. Positions are explicit, so a write and a sync need no order between
/// them.
///
/// # Errors
/// The system's.
pub(super) fn write_at(file: &File, mut offset: u64, batch: &[Bytes]) -> io::Result<()> {
    for part in batch.chunks(VECTOR_MAX) {
        let mut slices: Vec<IoSlice<'_>> = part.iter().map(|bytes| IoSlice::new(bytes)).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0); // drops empty buffers at the front
        while !rest.is_empty() {
            match rustix::io::pwritev(file, rest, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += u64::try_from(written).unwrap_or_default();
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
            }
        }
    }
    Ok(())
}

/// Removes a temporary file; one that is gone already is as good.
///
/// # Errors
/// The system's.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(why) if !matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Err(why),
        _ => Ok(()),
    }
}

/// Runs blocking file work off the async threads.
///
/// # Errors
/// The fault of the local file.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    joined(spawn_blocking(work).await).map_err(|why| Fault::local(&why))
}

/// Runs other blocking work off the async threads.
///
/// # Errors
/// Its own.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|why| Err(Fault::local(&io::Error::other(why))))
}

/// A blocking task that panicked or was shut down is an I/O error of its file.
pub(super) fn joined<T>(done: Result<io::Result<T>, JoinError>) -> io::Result<T> {
    done.unwrap_or_else(|why| Err(io::Error::other(why)))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // A link at the name could lead anywhere: it is not followed.
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW);
    options
}

/// Whether what has this name is ours: a plain file of this user under one name.
pub(super) fn is_ours(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| ours(&meta))
}

fn ours(meta: &Metadata) -> bool {
    meta.is_file() && meta.nlink() == 1 && meta.uid() == rustix::process::geteuid().as_raw()
}

/// Makes sure that an open file is ours to write, and not held by a write that an earlier run left
/// behind (B-92). The lock goes with the last handle.
fn take(file: &File) -> io::Result<()> {
    if !ours(&file.metadata()?) {
        return Err(io::Error::from_raw_os_error(libc::EEXIST));
    }
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(io::Error::from_raw_os_error(libc::EBUSY)),
        // Some network file systems have no locks; then there is none to respect.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(local: &str) -> FileStatus {
        crate::engine::transfer::tests::file(3, "http://h/x", Path::new(local))
    }

    #[test]
    fn b121_the_temporary_name_follows_from_the_job() {
        let job: JobId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let path = temporary_path(job, &status("/d/iso.img"));
        assert_eq!(path, Path::new("/d/.iso.img.099a8057-3.part"));
        let long = temporary_path(job, &status(&format!("/d/{}", "ü".repeat(127))));
        assert!(long.file_name().unwrap().len() <= 255);
    }

    #[test]
    fn a_link_or_a_foreign_file_at_the_name_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let (target, name, twin) = (dir.path().join("t"), dir.path().join("n"), dir.path().join("u"));
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &name).unwrap();
        assert!(create(&name).is_err());
        assert!(resume(&name, 1).is_err());
        std::fs::hard_link(&target, &twin).unwrap();
        assert!(create(&twin).is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    }

    #[test]
    fn b92_a_file_in_use_is_refused_until_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let first = create(&path).unwrap();
        write_at(&first, 0, &[Bytes::from_static(b"abcdef")]).unwrap();
        let busy = resume(&path, 3).unwrap_err();
        assert_eq!(busy.raw_os_error(), Some(libc::EBUSY));
        drop(first);
        let again = resume(&path, 3).unwrap().unwrap();
        assert_eq!(again.metadata().unwrap().len(), 3);
        drop(again);
        assert!(resume(&path, 4).unwrap().is_none());
        assert!(resume(&dir.path().join("y"), 1).unwrap().is_none());
    }

    #[test]
    fn batches_land_where_they_belong() {
        let dir = tempfile::tempdir().unwrap();
        let file = create(&dir.path().join("x")).unwrap();
        let batch: Vec<Bytes> = (0..600_u32)
            .map(|n| Bytes::from(n.to_string().repeat((n % 3) as usize)))
            .collect();
        write_at(&file, 2, &batch).unwrap();
        let expected = [b"\0\0".as_slice(), &batch.concat()].concat();
        assert_eq!(std::fs::read(dir.path().join("x")).unwrap(), expected);
    }
}
