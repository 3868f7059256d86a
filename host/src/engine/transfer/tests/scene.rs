//! A job of one file, a recorder in place of the store, and a server that follows a script.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::client::{self, Purpose};
use super::super::{Clients, Progress, Speaker, StartOvers, Targets, disk, fetch::Fetch};
use crate::clock::Clock;
use crate::config::{TransferConfig, TransferRules};
use crate::engine::{Quota, RunEnd, Stopped, Throttle};
use crate::job::{Code, FileSpec, FileStatus, HttpSpec, JobId, PlacingSpec, ProxySpec};

/// A file as it stands before its first run.
pub(in super::super) fn file(index: u32, remote: &str, local: &Path) -> FileStatus {
    FileStatus::new(index, FileSpec::new(remote, local.to_str().unwrap()))
}

/// A configuration of which nothing is said.
pub(in super::super) fn config() -> TransferConfig {
    TransferConfig {
        rules: TransferRules::default(),
        slots: 1,
        slots_per_host: 1,
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(20),
        user_agent: "sexton-test".to_owned(),
        ca: Vec::new(),
        proxy: ProxySpec::DEFAULT,
        s3: std::collections::BTreeMap::new(),
    }
}

/// Bytes that differ from place to place.
pub(super) fn body(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 7 + n / 1009) as u8).collect()
}

/// A 200 with a length and more header lines.
pub(super) fn ok(content: &[u8], headers: &str) -> Reply {
    Reply::new("200 OK", content, headers)
}

/// A 206 of `content` from `start`.
pub(super) fn part(content: &[u8], start: usize, headers: &str) -> Reply {
    span(content, start, content.len(), headers)
}

/// A 206 of `content` from `start` up to `end`.
pub(super) fn span(content: &[u8], start: usize, end: usize, headers: &str) -> Reply {
    let range = format!(
        "Content-Range: bytes {start}-{}/{}\r\n{headers}",
        end - 1,
        content.len()
    );
    Reply::new("206 Partial Content", &content[start..end], &range)
}

/// The code of an end that has one.
pub(super) fn code(end: &RunEnd) -> Option<Code> {
    match end {
        RunEnd::Transient { error, .. } | RunEnd::Fatal { error } => Some(error.code),
        _ => None,
    }
}

/// One answer, after which the connection is closed.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    /// Keeps the connection open and silent afterwards.
    pub(super) hang: bool,
}

impl Reply {
    pub(super) fn raw(text: &str) -> Self {
        Self {
            bytes: text.as_bytes().to_vec(),
            hang: false,
        }
    }

    fn new(status: &str, content: &[u8], headers: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n",
            content.len()
        );
        Self {
            bytes: [head.as_bytes(), content].concat(),
            hang: false,
        }
    }

    /// Leaves out the last bytes.
    pub(super) fn cut(mut self, by: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - by);
        self
    }

    pub(super) fn hang(mut self) -> Self {
        self.hang = true;
        self
    }
}

/// What a run told.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) files: Mutex<Vec<FileStatus>>,
    pub(super) connected: AtomicU32,
    /// Refuses from this checkpoint on, as a store does when the run was taken away.
    pub(super) refuse_from: Option<usize>,
    /// Cancelled at the first checkpoint that has this many bytes.
    pub(super) stop_at: Option<(u64, CancellationToken)>,
    /// Never answers a checkpoint that has bytes.
    pub(super) stall: bool,
    pub(super) throttle: Option<Throttle>,
    pub(super) quota: Option<Quota>,
}

impl Progress for Recorder {
    async fn connected(&self) -> Result<(), Stopped> {
        self.connected.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn checkpoint(&self, file: FileStatus) -> Result<(), Stopped> {
        if self.stall && file.bytes_transferred > 0 {
            std::future::pending::<()>().await;
        }
        let mut files = self.files.lock().unwrap();
        if self.refuse_from.is_some_and(|from| files.len() >= from) {
            return Err(Stopped);
        }
        // Law: what is recorded is on the disk.
        if file.bytes_transferred > 0 {
            let len = std::fs::metadata(file.temporary.as_ref().unwrap()).unwrap().len();
            assert!(len >= file.bytes_transferred);
        }
        if let Some((bytes, stop)) = &self.stop_at
            && file.bytes_transferred >= *bytes
        {
            stop.cancel();
        }
        files.push(file);
        Ok(())
    }

    fn throttle(&self) -> Option<&Throttle> {
        self.throttle.as_ref()
    }

    fn quota(&self) -> Option<&Quota> {
        self.quota.as_ref()
    }
}

/// One file, one server, one recorder.
pub(super) struct Scene {
    pub(super) dir: tempfile::TempDir,
    pub(super) job: JobId,
    pub(super) file: FileStatus,
    pub(super) recorder: Recorder,
    pub(super) stop: CancellationToken,
    pub(super) idle: Duration,
    pub(super) start_overs: StartOvers,
    pub(super) http: HttpSpec,
    pub(super) placing: PlacingSpec,
    asked: Arc<Mutex<Vec<String>>>,
    script: Arc<Mutex<Script>>,
}

/// What the server answers.
#[derive(Default)]
struct Script {
    replies: Vec<Reply>,
    /// In place of them: a file, and its `ETag`, whatever range of it is asked for.
    content: Option<(Vec<u8>, String)>,
}

impl Script {
    fn next(&mut self, asked: &str) -> Reply {
        if let Some((content, tag)) = &self.content {
            let range = asked.split("range: bytes=").nth(1).expect("a range");
            let (start, rest) = range.split_once('-').unwrap();
            let last = rest.split_once('\r').unwrap().0.parse::<usize>();
            let end = last.map_or(content.len(), |last| last + 1);
            return span(content, start.parse().unwrap(), end, &format!("ETag: {tag}\r\n"));
        }
        if self.replies.len() > 1 {
            self.replies.remove(0)
        } else {
            self.replies[0].clone()
        }
    }
}

impl Scene {
    /// Replies are given in order, the last one again and again.
    pub(super) async fn new(script: Vec<Reply>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let remote = format!("http://{}/x", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(Script {
            replies: script,
            content: None,
        }));
        tokio::spawn(serve(listener, Arc::clone(&script), Arc::clone(&asked)));
        Self {
            file: file(0, &remote, &dir.path().join("x")),
            dir,
            job: JobId::fresh(),
            recorder: Recorder::default(),
            stop: CancellationToken::new(),
            idle: Duration::from_secs(20),
            start_overs: StartOvers::default(),
            http: HttpSpec::default(),
            placing: PlacingSpec::default(),
            asked,
            script,
        }
    }

    /// Where the server listens.
    pub(super) fn remote_address(&self) -> std::net::SocketAddr {
        let host = self
            .file
            .remote
            .trim_start_matches("http://")
            .trim_end_matches("/x");
        host.parse().unwrap()
    }

    pub(super) fn then(&self, script: Vec<Reply>) {
        self.script.lock().unwrap().replies = script;
    }

    /// Answers every range of a file from now on.
    pub(super) fn serve(&self, content: Vec<u8>, tag: &str) {
        self.script.lock().unwrap().content = Some((content, tag.to_owned()));
    }

    pub(super) async fn run(&self) -> RunEnd {
        self.run_with(&client::build(&self.config(), Purpose::Fetching).unwrap())
            .await
    }

    pub(super) fn config(&self) -> TransferConfig {
        TransferConfig {
            idle_timeout: self.idle,
            ..config()
        }
    }

    pub(super) async fn run_with(&self, client: &reqwest::Client) -> RunEnd {
        let clock = Clock::real();
        let files = vec![self.file.clone()];
        let clients = Arc::new(Clients::around(client.clone(), &self.config(), Purpose::Fetching));
        let speaker = Speaker::new(&clients, &self.http, &files).await.unwrap();
        let fetch = Fetch {
            speaker: &speaker,
            progress: &self.recorder,
            clock: &clock,
            stop: &self.stop,
            job: self.job,
            attempt: 7,
            idle: self.idle,
            start_overs: &self.start_overs,
            targets: &Targets::new(&self.config()),
            placing: &self.placing,
            existing: self.placing.existing(crate::job::Profile::Sexton),
        };
        fetch.run(files).await
    }

    /// What the next run starts from: what this one recorded last.
    pub(super) fn again(&mut self) {
        self.file = self.recorded();
        self.stop = CancellationToken::new();
        self.recorder = Recorder::default();
    }

    pub(super) fn checkpoints(&self) -> Vec<FileStatus> {
        self.recorder.files.lock().unwrap().clone()
    }

    pub(super) fn recorded(&self) -> FileStatus {
        self.checkpoints()
            .last()
            .cloned()
            .unwrap_or_else(|| self.file.clone())
    }

    pub(super) fn connected(&self) -> u32 {
        self.recorder.connected.load(Ordering::SeqCst)
    }

    pub(super) fn destination(&self) -> PathBuf {
        PathBuf::from(&self.file.local)
    }

    pub(super) fn temporary(&self) -> Vec<u8> {
        std::fs::read(disk::temporary_path(self.job, &self.file)).unwrap()
    }

    /// The head of a request, in lower case.
    pub(super) fn asked(&self, at: usize) -> String {
        self.asked.lock().unwrap()[at].clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

async fn serve(listener: TcpListener, script: Arc<Mutex<Script>>, asked: Arc<Mutex<Vec<String>>>) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match socket.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        if head.is_empty() {
            continue;
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let reply = script.lock().unwrap().next(&head);
        asked.lock().unwrap().push(head);
        tokio::spawn(async move {
            let _ = socket.write_all(&reply.bytes).await;
            if reply.hang {
                std::future::pending::<()>().await;
            }
            let _ = socket.shutdown().await;
            // What the client still sends is read, so that closing does not reset the connection.
            let _ = socket.read_to_end(&mut Vec::new()).await;
        });
    }
}
