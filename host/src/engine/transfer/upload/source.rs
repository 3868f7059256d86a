//! The file that is sent: opened once, read in blocks, and watched for changes (B-93).

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::super::classify::Class;
use super::super::disk;
use super::super::fault::Fault;
use crate::engine::Throttle;
use crate::job::{Code, ErrorContext};

/// Bytes read from the disk at once; with what the HTTP layer buffers it is all that an upload holds.
const BLOCK_BYTES: u64 = 256 << 10;
/// Bytes handed to the network at once: a server that takes fewer within the idle time-out is silent.
const CHUNK_BYTES: usize = 16 << 10;

/// What a file is known by: B-93 compares these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl From<&Metadata> for Mark {
    fn from(meta: &Metadata) -> Self {
        Self {
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
        }
    }
}

/// An open file, as it was when it was opened.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    path: PathBuf,
    pub(super) mark: Mark,
}

/// How much of a body went out, and why it stopped.
pub(super) struct Outflow {
    /// Bytes handed to the network.
    pub(super) sent: watch::Receiver<u64>,
    told: Told,
}

/// Where a body tells what became of it.
#[derive(Clone)]
pub(super) struct Told {
    count: Arc<watch::Sender<u64>>,
    fault: Arc<Mutex<Option<Fault>>>,
    throttle: Option<Throttle>,
    /// The limits are what holds the body back, not the server.
    held: Arc<AtomicBool>,
}

impl Outflow {
    /// The fault of the file itself, which the network only knows as a broken body.
    pub(super) fn fault(&self) -> Option<Fault> {
        let mut fault = self.told.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.take()
    }

    /// Whether our own limits hold the bytes back just now.
    pub(super) fn is_held(&self) -> bool {
        self.told.held.load(Ordering::Relaxed)
    }

    /// Where the next body of the same request tells.
    pub(super) fn again(&self) -> Told {
        self.told.clone()
    }
}

impl Source {
    /// Opens a file to be sent.
    ///
    /// # Errors
    /// The system's, or that it is no plain file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // A pipe without a writer would block the open for ever.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        Ok(Self {
            mark: Mark::from(&meta),
            file,
            path: path.to_path_buf(),
        })
    }

    /// Reads up to `most` bytes from `at`. The name is looked at, not the open file: one that was put in
    /// its place is a change too.
    fn read(&self, at: u64, most: u64) -> Result<Bytes, Fault> {
        let local = |why: &io::Error| Fault::local(why);
        let mut block = vec![0; usize::try_from(most.min(BLOCK_BYTES)).unwrap_or(0)];
        let read = self
            .file
            .read_exact_at(&mut block, at)
            .map_err(|why| match why.kind() {
                io::ErrorKind::UnexpectedEof => changed(),
                _ => local(&why),
            });
        let now = Mark::from(&std::fs::metadata(&self.path).map_err(|why| local(&why))?);
        if now != self.mark {
            return Err(changed());
        }
        read.map(|()| block.into())
    }

    /// Hands all bytes of a span to `take`, block by block.
    ///
    /// # Errors
    /// That of the file; [`Code::LOCAL_FILE_CHANGED`] when it changed.
    pub(super) fn each_block(&self, span: Range<u64>, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut at = span.start;
        while at < span.end {
            let block = self.read(at, span.end - at)?;
            take(&block);
            at += u64::try_from(block.len()).unwrap_or_default();
        }
        Ok(())
    }

    /// What the bodies of one request tell of themselves.
    pub(super) fn outflow(&self, throttle: Option<&Throttle>) -> Outflow {
        let (count, sent) = watch::channel(0);
        Outflow {
            sent,
            told: Told {
                count: Arc::new(count),
                fault: Arc::default(),
                throttle: throttle.cloned(),
                held: Arc::default(),
            },
        }
    }

    /// A body of the bytes of `span`, counted from its first byte: a request may be made several times.
    pub(super) fn body(self: &Arc<Self>, span: Range<u64>, told: &Told) -> reqwest::Body {
        told.count.send_replace(0);
        let flow = Flow {
            source: Arc::clone(self),
            span,
            block: Bytes::new(),
            told: told.clone(),
        };
        let stream = stream::unfold(flow, |mut flow| async {
            let chunk = flow.next().await?;
            Some((chunk, flow))
        });
        reqwest::Body::wrap_stream(stream)
    }
}

/// A body on its way out.
struct Flow {
    source: Arc<Source>,
    /// What is still to be read.
    span: Range<u64>,
    /// What was read and not yet handed out.
    block: Bytes,
    told: Told,
}

impl Flow {
    /// The next chunk. After an error the body is broken off, and the server knows that it is not whole.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.block.is_empty() {
            if self.span.is_empty() {
                return None;
            }
            let (source, at, left) = (
                Arc::clone(&self.source),
                self.span.start,
                self.span.end - self.span.start,
            );
            let read = disk::blocking(move || Ok(source.read(at, left))).await;
            match read.and_then(|read| read) {
                Ok(block) => {
                    self.span.start += u64::try_from(block.len()).unwrap_or_default();
                    self.block = block;
                }
                Err(fault) => {
                    self.span.start = self.span.end;
                    *self.told.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                    return Some(Err(io::Error::other("the file cannot be sent")));
                }
            }
        }
        let chunk = self.block.split_to(self.block.len().min(CHUNK_BYTES));
        let length = u64::try_from(chunk.len()).unwrap_or_default();
        if let Some(throttle) = self
            .told
            .throttle
            .as_ref()
            .filter(|throttle| throttle.is_limited())
        {
            self.told.held.store(true, Ordering::Relaxed);
            throttle.take(length).await;
            self.told.held.store(false, Ordering::Relaxed);
        }
        self.told.count.send_modify(|sent| *sent += length);
        Some(Ok(chunk))
    }
}

/// B-93.
pub(super) fn changed() -> Fault {
    Fault {
        code: Code::LOCAL_FILE_CHANGED,
        class: Class::Fatal,
        context: ErrorContext::LocalFile,
        what: "it changed since it was first sent; `resume` sends it as it is now, from its first byte"
            .to_owned(),
        retry_after: None,
    }
}
