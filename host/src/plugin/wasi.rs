//! WASI on empty views: no network, no arguments, only the environment values and directories that
//! the operator granted, and output that goes into a small bounded buffer.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{FsPerms, WasiCtx};

use super::limits::RANDOM;
use super::text::{Lines, escape};
use crate::config::DirGrant;

/// Kept of the beginning of what a guest prints on one stream.
const HEAD: usize = 1 << 10;
/// Kept of its end: a panic's message is the last thing printed.
const TAIL: usize = 3 << 10;
/// What a guest may write at once. The sink never refuses, so this only sizes its chunks.
const CHUNK: usize = 64 << 10;

/// What a guest printed: head and tail, the middle counted. It takes everything, because a stream
/// that is full traps the guest (HX-09).
#[derive(Clone, Debug, Default)]
pub(super) struct Sink(Arc<Mutex<Printed>>);

#[derive(Debug, Default)]
struct Printed {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Printed {
    fn push(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        let kept = rest.split_at(rest.len().saturating_sub(TAIL)).1;
        self.left_out += (rest.len() - kept.len()) as u64;
        self.tail.extend(kept);
        let over = self.tail.len().saturating_sub(TAIL);
        self.left_out += over as u64;
        self.tail.drain(..over);
    }
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Printed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was printed, escaped, with a note where bytes were left out; empty when nothing was.
    pub(super) fn words(&self) -> String {
        let mut printed = self.lock();
        if printed.head.is_empty() {
            return String::new();
        }
        let head = String::from_utf8_lossy(&printed.head).into_owned();
        let left_out = printed.left_out;
        let tail = String::from_utf8_lossy(printed.tail.make_contiguous()).into_owned();
        drop(printed);
        let gap = match left_out {
            0 => String::new(),
            count => format!("\n… ({count} bytes left out) …\n"),
        };
        // Escaping may make control characters eight times as long; the cap bounds that too.
        let text = format!("{head}{gap}{tail}");
        escape(text.trim(), Lines::Keep, 2 * (HEAD + TAIL))
    }
}

impl IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Sink {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {}
}

impl OutputStream for Sink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.lock().push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.lock().push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The world as one call sees it.
///
/// # Errors
/// A sentence when a granted directory cannot be opened: that is the operator's matter, not the
/// handler's.
pub(super) fn context(
    env: &[(String, String)],
    dirs: &[DirGrant],
    stdout: &Sink,
    stderr: &Sink,
) -> Result<WasiCtx, String> {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .envs(env)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(RANDOM);
    for dir in dirs {
        let perms = if dir.write {
            FsPerms::ReadWrite
        } else {
            FsPerms::ReadOnly
        };
        builder
            .preopened_dir(&dir.path, &dir.guest, perms)
            .map_err(|error| {
                format!(
                    "the granted directory {} cannot be opened: {error:#}",
                    dir.path.display()
                )
            })?;
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hx09_a_flood_keeps_its_head_and_its_tail() {
        let sink = Sink::default();
        assert_eq!(sink.words(), "");
        sink.lock().push(b"first words\n");
        for _ in 0..1_000 {
            sink.lock().push(&[b'x'; 5_000]);
        }
        sink.lock().push(b"\x1b[2Jlast words\n");
        let words = sink.words();
        assert!(words.starts_with("first words\n"), "{words}");
        assert!(words.ends_with("\\u{1b}[2Jlast words"), "{words}");
        assert!(words.contains("bytes left out"), "{words}");
        assert!(words.len() < 2 * (HEAD + TAIL), "{}", words.len());
    }

    #[test]
    fn a_few_words_are_kept_whole() {
        let sink = Sink::default();
        sink.lock().push(&[b'a'; HEAD - 1]);
        sink.lock().push(b"bc");
        assert_eq!(sink.words().len(), HEAD + 1);
        assert!(sink.words().ends_with("abc"));
    }
}
