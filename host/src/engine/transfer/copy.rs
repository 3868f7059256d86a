//! Sources that are local files: copied into the temporary file like a body, step by step, each of
//! them synced and recorded.
//!
//! `copy_file_range` lets the file system share blocks (reflink) where it can, and copies within the
//! kernel elsewhere. A source that changes on the way is noticed by its size and its time (B-94).

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::anew::Why;
use super::answer::Version;
use super::fault::{Fault, Halt};
use super::fetch::Fetch;
use super::pour::SAVE_BYTES;
use super::sink::Sink;
use super::work::Work;
use super::{Progress, disk, preserve};
use crate::job::ErrorContext;

/// Bytes of one read, where the kernel cannot copy by itself.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes of one step where there is a limit.
const PAID_BYTES: u64 = 256 << 10;

impl<P: Progress> Fetch<'_, P> {
    /// Copies a local file.
    pub(super) async fn copy(&self, work: &mut Work, place: u32, path: PathBuf) -> Result<(), Halt> {
        let opened = tokio::task::spawn_blocking(move || open(&path));
        let (source, meta) = disk::joined(opened.await).map_err(|why| remote_fault(&why))?;
        let source = Arc::new(source);
        let version = version(&meta);
        if work.status.bytes_transferred > 0
            && (work.session.place != place || work.status.validator != version.validator)
        {
            self.start_over(work, Why::Changed("the source file is another one than before"))?;
        }
        if work.status.bytes_transferred == 0 {
            self.learn(work, Some(meta.len()))?;
            self.begin(work, place, version.clone()).await?;
        }
        self.within_cap(work)?;
        // A step that is durable is never copied again.
        self.progress.set_resumable(true);
        self.copy_on(work, &source, meta.len()).await?;
        let again = Arc::clone(&source);
        let now = disk::blocking(move || again.metadata()).await?;
        if self::version(&now).validator != version.validator {
            let why = Why::Changed("the source file changed while it was copied");
            self.start_over(work, why)?;
            return Err(why
                .fault(super::classify::Class::Transient, "and is copied again")
                .into());
        }
        if !self.placing.preserve.is_empty()
            && let Some(temp) = work.temp.clone()
        {
            let wanted = self.placing.preserve.clone();
            let kept = disk::blocking(move || Ok(preserve::take_over(&source, temp.file()?, &wanted)));
            kept.await??;
        }
        Ok(())
    }

    /// How much of what is left is copied next: a step that is paid for (B-70), small where there is a
    /// limit, so that it is held to and a slow one is seen to advance.
    async fn pay(&self, left: u64) -> Result<u64, Halt> {
        let limits = self.progress.throttle();
        let Some(throttle) = limits.filter(|throttle| throttle.is_limited()) else {
            return Ok(left.min(SAVE_BYTES));
        };
        let length = left.min(PAID_BYTES);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            () = throttle.take(length) => Ok(length),
        }
    }

    async fn copy_on(&self, work: &mut Work, source: &Arc<File>, size: u64) -> Result<(), Halt> {
        while work.status.bytes_transferred < size {
            if self.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            let Some(temp) = work.temp.clone() else {
                return Err(Fault::local(&io::ErrorKind::NotFound.into()).into());
            };
            let (source, at) = (Arc::clone(source), work.status.bytes_transferred);
            let length = self.pay(size - at).await?;
            let copied = disk::blocking(move || {
                let copied = copy_range(&source, &temp, at, length)?;
                temp.sync_data()?;
                Ok(copied)
            });
            let copied = copied.await?;
            if copied == 0 {
                // It was cut short meanwhile; its size and time tell.
                return Ok(());
            }
            work.status.bytes_transferred += copied;
            // The last step is recorded together with the end.
            if work.status.bytes_transferred < size {
                self.progress.checkpoint(work.status.clone()).await?;
                work.recorded = true;
            }
        }
        Ok(())
    }
}

/// Opens a plain file. Not blocking, as a pipe would wait for its other end.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok((file, meta))
}

/// A fault of the source is a fault of the remote side: its path is the remote name.
fn remote_fault(why: &io::Error) -> Fault {
    Fault {
        context: ErrorContext::RemoteFile,
        ..Fault::local(why)
    }
}

/// Size and time name a version (B-94); the time is also the finished file's (B-124).
fn version(meta: &Metadata) -> Version {
    let name = format!(
        "file:{}-{}.{:09}-{}",
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ino()
    );
    let modified = meta.modified().ok().filter(|time| *time >= UNIX_EPOCH);
    Version {
        validator: Some(name),
        last_modified: modified.map(httpdate::fmt_http_date),
    }
}

/// Copies at most `length` bytes at `at`, and says how many; none at the end of the source.
fn copy_range(source: &File, temp: &Sink, at: u64, length: u64) -> io::Result<u64> {
    let (file, mut done) = (temp.file()?, 0);
    while done < length {
        let (mut from, mut to) = (at + done, at + done);
        let rest = usize::try_from(length - done).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(source, Some(&mut from), file, Some(&mut to), rest) {
            Ok(0) => break,
            Ok(copied) => done += u64::try_from(copied).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(
                rustix::io::Errno::XDEV
                | rustix::io::Errno::INVAL
                | rustix::io::Errno::NOSYS
                | rustix::io::Errno::OPNOTSUPP,
            ) => return Ok(done + copy_by_hand(source, temp, at + done, length - done)?),
            Err(why) => return Err(why.into()),
        }
    }
    Ok(done)
}

fn copy_by_hand(source: &File, temp: &Sink, at: u64, length: u64) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut done = 0;
    while done < length {
        let most = usize::try_from(length - done).map_or(BUFFER_BYTES, |rest| rest.min(BUFFER_BYTES));
        let room = buffer.get_mut(..most).unwrap_or_default();
        let read = source.read_at(room, at + done)?;
        if read == 0 {
            break;
        }
        temp.file()?
            .write_all_at(room.get(..read).unwrap_or_default(), at + done)?;
        done += u64::try_from(read).unwrap_or_default();
    }
    Ok(done)
}
