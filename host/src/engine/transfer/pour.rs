//! From the network to the disk: one body into one temporary file.
//!
//! One loop owns everything: it takes chunks from the network, hands batches to the blocking pool to
//! be written, and has the file synced beside that. At most one write and one sync of a file are
//! under way, and no thread waits for a silent server, so a hundred stalled downloads cost no thread.
//!
//! ```text
//! body ─► pending ─► write ─► (page cache) ─► sync ─► checkpoint
//!   └──────── received − saved < WINDOW_BYTES ────────────┘
//! ```
//! A checkpoint counts only what was synced before it (P9).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::Progress;
use super::disk::joined;
use super::fault::{Fault, Halt};
use super::sink::Sink;
use crate::clock::Clock;
use crate::engine::Quota;
use crate::job::FileStatus;

/// Unsaved bytes that start a sync and a checkpoint (P9).
pub(super) const SAVE_BYTES: u64 = 4 << 20;
/// The longest that received bytes wait for their checkpoint.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// Received bytes that may be without a checkpoint; reading pauses there. With one chunk on top (half
/// a MiB at most) it stays under the 8 MiB that a crash may cost (P9), and it bounds what a download
/// holds in memory. Above [`SAVE_BYTES`], so that bytes flow while the disk syncs.
const WINDOW_BYTES: u64 = 7 << 20;
/// Received bytes that may wait for a write that is under way; reading pauses there too. The chunks of a
/// body are parts of buffers several times their size, so a slow disk would be felt in memory many times
/// over.
const HELD_BYTES: u64 = 512 << 10;
/// Bytes that start a write; fewer wait for company.
const WRITE_BYTES: u64 = 256 << 10;
/// Chunks that start a write: a server that sends single bytes must not grow the list.
const WRITE_CHUNKS: usize = 256;

/// Bytes a second, over a whole idle time-out, that make a body one that comes. A server that drips a
/// byte now and then is never silent and would hold a slot for years; no line that anybody waits for is
/// as slow as this.
const RATE_MIN: u64 = 16;

/// How a body ended, everything received being durable.
#[derive(Debug)]
pub(super) enum End {
    /// The file is whole, and recorded as such.
    Whole,
    /// The server sent all it had announced, which is not yet the whole file.
    Part,
    /// It ended early.
    Broken(Fault),
    /// The run was asked to stop.
    Stopped,
}

/// What is known of a body before it comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expect {
    /// Size of the whole file.
    pub(super) total: Option<u64>,
    /// Where this body ends within the file, if it was announced.
    pub(super) end: Option<u64>,
    /// Nothing is left to be proven of a file whose last byte is here: it counts as whole at once.
    pub(super) seal: bool,
    /// The run ends with it: that it is whole is recorded with that end.
    pub(super) last: bool,
}

/// Boxed: most events of the loop are small.
type Saved = Result<Box<FileStatus>, Halt>;

/// One body on its way into one file.
pub(super) struct Pour<'a, P> {
    pub(super) progress: &'a P,
    pub(super) clock: &'a Clock,
    pub(super) stop: &'a CancellationToken,
    pub(super) temp: Arc<Sink>,
    pub(super) expect: Expect,
    idle: Duration,
    state: State,
}

/// What the loop keeps in mind.
struct State {
    file: FileStatus,
    received: u64,
    /// Bytes handed to writes that ended or are under way.
    handed: u64,
    pending: Vec<Bytes>,
    /// What had been received when the rate was last looked at.
    heard: u64,
    /// Reading has paused since then, so that the rate is not the server's.
    paused: bool,
    end: Option<End>,
    due: bool,
    finished: bool,
}

enum Event {
    Stop,
    Written(io::Result<()>),
    Saved(Saved),
    Due,
    Watch,
    Paid,
    Chunk(Result<Option<Bytes>, reqwest::Error>),
}

enum Work {
    None,
    Write,
    Save,
}

impl<'a, P: Progress> Pour<'a, P> {
    pub(super) fn new(
        progress: &'a P,
        clock: &'a Clock,
        stop: &'a CancellationToken,
        temp: Arc<Sink>,
        expect: Expect,
        idle: Duration,
        file: FileStatus,
    ) -> Self {
        // Without a name for its version, what is here must be fetched anew (B-94).
        progress.set_resumable(file.validator.is_some());
        let state = State {
            received: file.bytes_transferred,
            handed: file.bytes_transferred,
            heard: file.bytes_transferred,
            paused: false,
            file,
            pending: Vec::new(),
            end: None,
            due: false,
            finished: false,
        };
        Self {
            progress,
            clock,
            stop,
            temp,
            expect,
            idle,
            state,
        }
    }

    /// Pours until the body ends. The status that comes back is the one last recorded.
    ///
    /// # Errors
    /// When the disk failed or the run was taken away; other ends are [`End`]s.
    pub(super) async fn run(mut self, mut body: reqwest::Response) -> Result<(End, FileStatus), Halt> {
        let mut writing: Option<JoinHandle<io::Result<()>>> = None;
        let mut saving: Option<BoxFuture<'a, Saved>> = None;
        let mut paying: Option<BoxFuture<'a, ()>> = None;
        let timer = self.clock.sleep_until(self.clock.now().after(SAVE_EVERY));
        let watch = self.clock.sleep_until(self.clock.now().after(self.idle));
        tokio::pin!(timer, watch);
        loop {
            match self.work(writing.is_some(), saving.is_some()) {
                Work::Write => writing = Some(self.write()),
                Work::Save => {
                    saving = Some(self.save());
                    timer.set(self.clock.sleep_until(self.clock.now().after(SAVE_EVERY)));
                }
                Work::None if self.state.finished && writing.is_none() && saving.is_none() => break,
                Work::None => {}
            }
            let state = &mut self.state;
            let reading = state.end.is_none();
            let room = paying.is_none()
                && state.received - state.handed < HELD_BYTES
                && state.received - state.file.bytes_transferred < WINDOW_BYTES;
            state.paused |= !room;
            let event = tokio::select! {
                biased;
                () = self.stop.cancelled(), if reading => Event::Stop,
                written = settled(&mut writing) => Event::Written(joined(written)),
                saved = settled(&mut saving) => Event::Saved(saved),
                () = &mut timer, if reading && !state.due => Event::Due,
                () = &mut watch, if reading => Event::Watch,
                () = settled(&mut paying), if reading => Event::Paid,
                chunk = body.chunk(), if reading && room => Event::Chunk(chunk),
            };
            if matches!(event, Event::Watch) {
                watch.set(self.clock.sleep_until(self.clock.now().after(self.idle)));
            }
            if let Event::Chunk(Ok(Some(chunk))) = &event {
                paying = self.pay(chunk.len());
            }
            self.apply(event)?;
        }
        let State { file, end, .. } = self.state;
        Ok((end.unwrap_or(End::Stopped), file))
    }

    /// What came is paid for before more is read; where nothing is limited that is nothing.
    fn pay(&self, bytes: usize) -> Option<BoxFuture<'a, ()>> {
        let throttle = self
            .progress
            .throttle()
            .filter(|throttle| throttle.is_limited())?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Some(Box::pin(throttle.take(bytes)))
    }

    /// What the disk should do next. Pure.
    fn work(&mut self, writing: bool, saving: bool) -> Work {
        let state = &mut self.state;
        let unsaved = state.received - state.file.bytes_transferred;
        let ending = state.end.is_some();
        // A save counts all that was handed out before it, so no write may be under way.
        if !writing && !saving && !state.finished {
            if ending && unsaved == 0 && !matches!(state.end, Some(End::Whole)) {
                state.finished = true;
                return Work::None;
            }
            if ending || unsaved >= SAVE_BYTES || (state.due && (unsaved > 0 || self.progress.owes())) {
                state.finished = ending;
                return Work::Save;
            }
        }
        let waiting = state.received - state.handed;
        if !writing && !ending && (waiting >= WRITE_BYTES || state.pending.len() >= WRITE_CHUNKS) {
            return Work::Write;
        }
        Work::None
    }

    fn apply(&mut self, event: Event) -> Result<(), Halt> {
        let state = &mut self.state;
        match event {
            Event::Stop => state.end = Some(End::Stopped),
            Event::Due => state.due = true,
            Event::Paid => {}
            Event::Watch => {
                let least = self.idle.as_millis().saturating_mul(u128::from(RATE_MIN)) / 1000;
                if !state.paused && u128::from(state.received - state.heard) < least {
                    state.end = Some(End::Broken(Fault::slow(RATE_MIN)));
                }
                (state.heard, state.paused) = (state.received, false);
            }
            Event::Written(done) => done.map_err(|why| Fault::local(&why))?,
            Event::Saved(done) => state.file = *done?,
            Event::Chunk(Ok(Some(chunk))) => {
                let length = u64::try_from(chunk.len()).unwrap_or_default();
                if self.expect.end.is_some_and(|end| state.received + length > end) {
                    let fault = Fault::answer("it sent more than it had announced");
                    state.end = Some(End::Broken(fault));
                } else if let Some(most) = over(self.progress.quota(), self.expect, state, length) {
                    state.end = Some(End::Broken(Fault::too_large(most)));
                } else if length > 0 {
                    state.received += length;
                    state.pending.push(chunk);
                }
            }
            Event::Chunk(Ok(None)) => state.end = Some(ended(self.expect, state.received)),
            Event::Chunk(Err(why)) => state.end = Some(End::Broken(Fault::wire(&why))),
        }
        Ok(())
    }

    fn write(&mut self) -> JoinHandle<io::Result<()>> {
        let (batch, offset) = self.hand_out();
        let temp = Arc::clone(&self.temp);
        spawn_blocking(move || temp.write_at(offset, &batch))
    }

    fn save(&mut self) -> BoxFuture<'a, Saved> {
        let (batch, offset) = self.hand_out();
        self.state.due = false;
        let mut file = self.state.file.clone();
        file.bytes_transferred = self.state.handed;
        if matches!(self.state.end, Some(End::Whole)) {
            file.bytes_total = Some(file.bytes_transferred);
            file.transferred = self.expect.seal;
        }
        let concluded = file.transferred && self.expect.last;
        let temp = Arc::clone(&self.temp);
        let synced = spawn_blocking(move || {
            temp.write_at(offset, &batch)?;
            drop(batch);
            temp.sync_data()
        });
        let progress = self.progress;
        Box::pin(async move {
            joined(synced.await).map_err(|why| Fault::local(&why))?;
            if concluded {
                progress.conclude(file.clone()).await?;
            } else {
                progress.checkpoint(file.clone()).await?;
            }
            Ok(Box::new(file))
        })
    }

    fn hand_out(&mut self) -> (Vec<Bytes>, u64) {
        let offset = self.state.handed;
        self.state.handed = self.state.received;
        (std::mem::take(&mut self.state.pending), offset)
    }
}

/// The cap of the job, where this chunk or what was announced goes beyond it (B-76).
fn over(quota: Option<&Quota>, expect: Expect, state: &State, length: u64) -> Option<u64> {
    let announced = expect.total.unwrap_or(0);
    quota?.exceeded(state.file.index, announced.max(state.received + length))
}

/// What the end of a body means. A length that was announced is held against what came.
fn ended(expect: Expect, received: u64) -> End {
    match (expect.end, expect.total) {
        (Some(end), _) if received < end => End::Broken(Fault::cut(received, end)),
        (_, Some(total)) if received < total => End::Part,
        _ => End::Whole,
    }
}

/// Waits for what is in the slot and empties it; waits for ever while it is empty. Cancel-safe: the
/// future stays in its slot until it is done.
async fn settled<F: Future + Unpin>(slot: &mut Option<F>) -> F::Output {
    match slot {
        Some(future) => {
            let output = future.await;
            *slot = None;
            output
        }
        None => std::future::pending().await,
    }
}
