//! What commands print, kept below the state directory: of each output the first half of what may be
//! kept, and the last; what fell out between them is counted.
//!
//! Each output is a few files named by the run, the output and the position of their first byte, as in
//! `2.stderr.524288`: the names alone say what is missing.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::job::{Code, JobId, OutputAsk, OutputPage, OutputStream};
use crate::store::{Change, Store, StoreError};

/// The folder below the state directory.
const FOLDER: &str = "logs";

/// Of each output, as much of its end is kept in memory, for the sentence about an error.
const LAST_WORDS: usize = 400;

/// What commands of this host printed.
#[derive(Clone, Debug)]
pub struct Outputs {
    dir: PathBuf,
    /// Of each output of a run, in bytes.
    limit: u64,
}

impl Outputs {
    /// Below this state directory, so many bytes of each output.
    #[must_use]
    pub fn new(state_dir: &Path, limit: u64) -> Self {
        Self {
            dir: state_dir.join(FOLDER),
            limit,
        }
    }

    fn of_job(&self, job: JobId) -> PathBuf {
        self.dir.join(job.to_string())
    }

    /// The folder of a run that begins, made if it is not there. Nobody else may look: what is printed may
    /// be secret.
    pub(super) async fn make(&self, job: JobId) -> std::io::Result<PathBuf> {
        let dir = self.of_job(job);
        let made = tokio::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .await;
        made.map(|()| dir)
    }

    /// Begins to keep one output of a run.
    pub(super) fn begin(&self, job: JobId, attempt: u32, stream: OutputStream) -> Keeper {
        Keeper {
            dir: self.of_job(job),
            attempt,
            stream,
            limit: self.limit.max(4),
            at: 0,
            parts: Vec::new(),
            file: None,
            last: Vec::new(),
            failed: false,
        }
    }

    /// Keeps a text that came whole.
    pub(super) async fn keep(&self, job: JobId, attempt: u32, text: &[u8]) {
        if !text.is_empty() && self.make(job).await.is_ok() {
            self.begin(job, attempt, OutputStream::Stdout).write(text).await;
        }
    }

    /// A piece of what was kept. Reads the disk.
    ///
    /// # Errors
    /// The code, and a sentence, when nothing was kept or it cannot be read.
    pub fn read(&self, job: JobId, ask: &OutputAsk) -> Result<OutputPage, (Code, String)> {
        let dir = self.of_job(job);
        let parts = parts(&dir).map_err(|why| unreadable(&dir, &why))?;
        let last = parts.iter().map(|part| part.attempt).max();
        let Some(attempt) = ask.attempt.or(last) else {
            return Ok(OutputPage {
                next: ask.offset,
                ..OutputPage::default()
            });
        };
        let mut page = OutputPage {
            attempt,
            next: ask.offset,
            ..OutputPage::default()
        };
        let wanted = parts
            .into_iter()
            .filter(|part| part.attempt == attempt && part.stream == ask.stream);
        for part in wanted {
            match fill(&dir, &part, ask.limit, &mut page) {
                // It was dropped while this read: the next one says how much is missing.
                Err(why) if why.kind() == ErrorKind::NotFound => {}
                Err(why) => return Err(unreadable(&dir, &why)),
                Ok(()) => {}
            }
        }
        Ok(page)
    }

    /// Removes what jobs printed that are no longer there, now and whenever one is forgotten.
    pub async fn follow(self, store: std::sync::Arc<dyn Store>) {
        let mut changes = store.changes();
        self.sweep(&*store).await;
        loop {
            match changes.recv().await {
                Ok(Change::Forgotten { id }) => self.forget(id).await,
                Ok(_) => {}
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => self.sweep(&*store).await,
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    async fn forget(&self, job: JobId) {
        let dir = self.of_job(job);
        match tokio::fs::remove_dir_all(&dir).await {
            Err(why) if why.kind() != ErrorKind::NotFound => {
                tracing::warn!("{} cannot be removed: {why}", dir.display());
            }
            _ => {}
        }
    }

    async fn sweep(&self, store: &dyn Store) {
        let Ok(mut entries) = tokio::fs::read_dir(&self.dir).await else {
            return;
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let Some(job) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if matches!(store.job(job).await, Err(StoreError::NotFound { .. })) {
                self.forget(job).await;
            }
        }
    }
}

fn unreadable(dir: &Path, why: &std::io::Error) -> (Code, String) {
    let code = why.raw_os_error().map_or(Code::FAIL, Code::errno);
    (code, format!("{} cannot be read: {why}", dir.display()))
}

/// A file that holds a part of an output.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    attempt: u32,
    stream: OutputStream,
    start: u64,
}

impl Part {
    fn name(&self) -> String {
        format!("{}.{}.{}", self.attempt, self.stream, self.start)
    }
}

impl FromStr for Part {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut words = name.splitn(3, '.');
        let mut word = || words.next().ok_or(());
        Ok(Self {
            attempt: word()?.parse().map_err(drop)?,
            stream: word()?.parse().map_err(drop)?,
            start: word()?.parse().map_err(drop)?,
        })
    }
}

/// What there is of a job, in order.
fn parts(dir: &Path) -> std::io::Result<Vec<Part>> {
    let entries = match std::fs::read_dir(dir) {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut parts = Vec::new();
    for entry in entries {
        parts.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<Part>().ok()),
        );
    }
    parts.sort_unstable();
    Ok(parts)
}

/// Takes from a part what the page lacks.
fn fill(dir: &Path, part: &Part, limit: usize, page: &mut OutputPage) -> std::io::Result<()> {
    let room = limit.saturating_sub(page.bytes.len());
    let mut file = std::fs::File::open(dir.join(part.name()))?;
    let end = part.start + file.metadata()?.len();
    if room == 0 || end <= page.next {
        return Ok(());
    }
    if part.start > page.next {
        // A page is one piece: what was dropped goes before it.
        if !page.bytes.is_empty() {
            return Ok(());
        }
        page.dropped += part.start - page.next;
        page.next = part.start;
    }
    file.seek(SeekFrom::Start(page.next - part.start))?;
    let taken = file.take(room as u64).read_to_end(&mut page.bytes)?;
    page.next += taken as u64;
    Ok(())
}

/// Keeps one output of one run as it is printed.
pub(super) struct Keeper {
    dir: PathBuf,
    attempt: u32,
    stream: OutputStream,
    limit: u64,
    /// How much was printed.
    at: u64,
    /// Where the files begin that are there.
    parts: Vec<u64>,
    file: Option<File>,
    last: Vec<u8>,
    failed: bool,
}

impl Keeper {
    /// Keeps what was printed. A disk that cannot take it is no reason to end the command.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) {
        self.remember(bytes);
        while !bytes.is_empty() {
            let room = match self.room().await {
                Ok(room) => usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len()),
                Err(why) => {
                    self.fail(&why);
                    bytes.len()
                }
            };
            let (now, later) = bytes.split_at(room);
            if let Some(file) = &mut self.file {
                let written = match file.write_all(now).await {
                    Ok(()) => file.flush().await,
                    failed => failed,
                };
                if let Err(why) = written {
                    self.fail(&why);
                }
            }
            self.at += now.len() as u64;
            bytes = later;
        }
    }

    /// Which output it is.
    pub(super) const fn stream(&self) -> OutputStream {
        self.stream
    }

    /// The end of what was printed, in words that can stand in a sentence.
    pub(super) fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.last);
        let lines = text.trim_end().lines().rev().take(3).collect::<Vec<_>>();
        let words = lines.into_iter().rev().collect::<Vec<_>>().join(" / ");
        let safe = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        words.chars().map(safe).collect()
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.last.extend(bytes.iter().rev().take(LAST_WORDS).rev());
        let over = self.last.len().saturating_sub(LAST_WORDS);
        self.last.drain(..over);
    }

    /// How much the part that is written may still take; the next one is begun where it is full.
    async fn room(&mut self) -> std::io::Result<u64> {
        if self.failed {
            return Ok(u64::MAX);
        }
        let start = self.parts.last().copied();
        if let Some(start) = start {
            let end = start + self.size(start);
            if self.at < end {
                return Ok(end - self.at);
            }
        }
        let next = Part {
            attempt: self.attempt,
            stream: self.stream,
            start: self.at,
        };
        let file = tokio::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(self.dir.join(next.name()))
            .await?;
        self.file = Some(file);
        self.parts.push(self.at);
        // The first part and the two last stay.
        if self.parts.len() > 3 {
            let start = self.parts.remove(1);
            tokio::fs::remove_file(self.dir.join(Part { start, ..next }.name())).await?;
        }
        Ok(self.size(self.at))
    }

    fn size(&self, start: u64) -> u64 {
        if start == 0 {
            self.limit / 2
        } else {
            self.limit / 4
        }
    }

    fn fail(&mut self, why: &std::io::Error) {
        if !self.failed {
            tracing::warn!("output of a command is not kept: {}: {why}", self.dir.display());
        }
        self.failed = true;
        self.file = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn printed(limit: u64, pieces: &[&str]) -> (tempfile::TempDir, Outputs, JobId, Keeper) {
        let dir = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(dir.path(), limit);
        let job = JobId::fresh();
        outputs.make(job).await.unwrap();
        let mut keeper = outputs.begin(job, 1, OutputStream::Stdout);
        for piece in pieces {
            keeper.write(piece.as_bytes()).await;
        }
        (dir, outputs, job, keeper)
    }

    fn ask(offset: u64, limit: usize) -> OutputAsk {
        OutputAsk {
            stream: OutputStream::Stdout,
            attempt: None,
            offset,
            limit,
        }
    }

    #[tokio::test]
    async fn what_fits_is_kept_whole_and_read_from_anywhere() {
        let (_dir, outputs, job, _) = printed(64, &["one ", "two ", "three"]).await;
        let page = outputs.read(job, &ask(0, 100)).unwrap();
        assert_eq!((page.bytes.as_slice(), page.dropped), (&b"one two three"[..], 0));
        let page = outputs.read(job, &ask(4, 3)).unwrap();
        assert_eq!((page.bytes.as_slice(), page.next), (&b"two"[..], 7));
        assert!(outputs.read(job, &ask(13, 100)).unwrap().bytes.is_empty());
    }

    #[tokio::test]
    async fn of_more_the_first_half_and_the_end_stay_and_the_gap_is_counted() {
        // Parts of 8 and then of 4: 0..8, 8..12, 12..16, 16..20, 20..21.
        let (dir, outputs, job, keeper) = printed(16, &["0123456789", "abcdefghijk"]).await;
        let page = outputs.read(job, &ask(0, 100)).unwrap();
        assert_eq!((page.bytes.as_slice(), page.next), (&b"01234567"[..], 8));
        let page = outputs.read(job, &ask(page.next, 100)).unwrap();
        assert_eq!(
            (page.bytes.as_slice(), page.dropped, page.next),
            (&b"ghijk"[..], 8, 21)
        );
        let kept = std::fs::read_dir(dir.path().join(FOLDER).join(job.to_string())).unwrap();
        let sizes: u64 = kept.map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert_eq!(sizes, 13, "never more than 16");
        assert_eq!(keeper.last_words(), "0123456789abcdefghijk");
    }

    #[tokio::test]
    async fn last_words_cannot_move_a_cursor() {
        let (_dir, _, _, keeper) = printed(64, &["a\nb\nc\x1b[2J\nd\n"]).await;
        assert_eq!(keeper.last_words(), "b / c\u{fffd}[2J / d");
    }

    #[tokio::test]
    async fn what_a_job_printed_goes_with_it() {
        use crate::clock::{Clock, until};
        use crate::job::{Command, JobKind, JobSpec, Profile, Timestamp};
        use crate::store::{NewJob, RetentionRule, SqliteOptions, SqliteStore};
        use std::sync::Arc;
        use std::time::Duration;

        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Timestamp::from_millis(1_700_000_000_000));
        let options = SqliteOptions {
            state_dir: dir.path().to_owned(),
            clock: clock.clone(),
            force: false,
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).await.unwrap());
        let new = NewJob {
            owner: "uid-0".parse().unwrap(),
            kind: JobKind::Batch,
            priority: crate::job::Priority::Normal,
            spec: JobSpec::new("test", Profile::Sexton),
            files: Vec::new(),
            key: None,
            suspended: false,
        };
        let job = store.submit(new).await.unwrap().job.id;
        store.command(job, Command::Cancel).await.unwrap();
        let outcome = crate::job::Outcome::Cancelled;
        store.command(job, Command::IntentDone { outcome }).await.unwrap();
        let outputs = Outputs::new(dir.path(), 64);
        outputs.keep(job, 1, b"kept").await;
        let following = tokio::spawn(outputs.clone().follow(Arc::clone(&store)));
        let rule = |failed| RetentionRule {
            finished: None,
            failed,
            dead: None,
        };
        store.tick(rule(None)).await.unwrap();
        assert!(outputs.of_job(job).exists());
        clock.advance(Duration::from_secs(4000));
        store.tick(rule(Some(Duration::from_secs(1)))).await.unwrap();
        until("it is gone", || !outputs.of_job(job).exists()).await;
        following.abort();
    }
}
