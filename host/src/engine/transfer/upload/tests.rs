//! How long a server may take, by a clock that is moved by hand.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::super::client::Purpose;
use super::super::clients::Clients;
use super::super::speak::Speaker;
use super::*;
use crate::config::TransferConfig;
use crate::engine::bandwidth::Bandwidth;
use crate::engine::throttle::{Bucket, LiveLevel, Throttle};
use crate::job::{
    ErrorInfo, FileSpec, HttpSpec, JobId, JobSpec, JobState, Priority, Profile, Progress as Sums, Timestamp,
};

const SIZE: usize = 100_000;
const IDLE: Duration = Duration::from_secs(20);

/// Hears everything, and knows the job.
struct Teller {
    job: Job,
    heard: Mutex<Vec<FileCheckpoint>>,
    throttle: Option<Throttle>,
}

impl Progress for Teller {
    async fn connected(&self) -> Result<(), Stopped> {
        Ok(())
    }

    async fn checkpoint(&self, file: FileStatus) -> Result<(), Stopped> {
        self.checkpoint_all(file.into()).await
    }

    fn throttle(&self) -> Option<&Throttle> {
        self.throttle.as_ref()
    }
}

impl UploadProgress for Teller {
    async fn checkpoint_all(&self, checkpoint: FileCheckpoint) -> Result<(), Stopped> {
        self.heard.lock().unwrap().push(checkpoint);
        Ok(())
    }

    async fn job(&self) -> Result<Job, Stopped> {
        Ok(self.job.clone())
    }
}

fn job() -> Job {
    let mut spec = JobSpec::new("x", Profile::Sexton);
    spec.transfer.get_or_insert_default().upload.protocol = UploadProtocol::Put;
    Job {
        id: JobId::fresh(),
        owner: "uid-0".parse().unwrap(),
        kind: JobKind::Upload,
        state: JobState::Connecting,
        intent: None,
        outcome: None,
        priority: Priority::Normal,
        revision: 2,
        attempt: 1,
        error_count: 0,
        retries: 0,
        call: crate::job::CallState::default(),
        no_progress_since: None,
        due: None,
        created: Timestamp::default(),
        modified: Timestamp::default(),
        transferred: None,
        progress: Sums::default(),
        reply: None,
        error: None,
        spec,
    }
}

/// Takes every byte of one connection and never answers.
async fn silent_server() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = format!("http://{}/f", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        while let Ok(read @ 1..) = socket.read(&mut buffer).await {
            count.fetch_add(read as u64, Ordering::SeqCst);
        }
    });
    (remote, taken)
}

fn file(remote: &str, local: &Path) -> FileStatus {
    FileStatus::new(0, FileSpec::new(remote, local.to_str().unwrap()))
}

fn config() -> TransferConfig {
    TransferConfig {
        idle_timeout: IDLE,
        ..crate::engine::transfer::tests::config()
    }
}

/// What ends the run within some turns of the machine, once `ready`.
async fn turns(
    run: &mut (dyn Future<Output = RunEnd> + Unpin),
    ready: impl Fn() -> bool,
) -> Option<ErrorInfo> {
    let mut left = 50;
    while left > 0 {
        tokio::select! {
            end = &mut *run => match end {
                RunEnd::Transient { error, .. } => return Some(error),
                other => panic!("{other:?}"),
            },
            () = tokio::time::sleep(crate::clock::POLL) => left -= u32::from(ready()),
        }
    }
    None
}

/// Sends a file of [`SIZE`] bytes to a server that takes all of it and is silent, and calls `watch`
/// with the run and how much it took.
async fn sending(
    throttle: Option<Throttle>,
    clock: &Clock,
    watch: impl AsyncFnOnce(&mut (dyn Future<Output = RunEnd> + Unpin), Arc<AtomicU64>),
) {
    let dir = tempfile::tempdir().unwrap();
    let local = dir.path().join("x");
    std::fs::write(&local, vec![7; SIZE]).unwrap();
    let (remote, taken) = silent_server().await;
    let clients = |purpose| Arc::new(Clients::new(&config(), purpose).unwrap());
    let (sending, fetching) = (clients(Purpose::Sending), clients(Purpose::Fetching));
    let speaker = Speaker::new(&sending, &HttpSpec::DEFAULT, &[]).await.unwrap();
    let teller = Teller {
        job: job(),
        heard: Mutex::default(),
        throttle,
    };
    let upload = Upload {
        speaker: &speaker,
        fetching: &fetching,
        progress: &teller,
        clock,
        stop: &CancellationToken::new(),
        job: &teller.job,
        idle: IDLE,
        start_overs: &StartOvers::default(),
        targets: &Targets::new(&config()),
    };
    let mut run = Box::pin(upload.run(vec![file(&remote, &local)]));
    watch(&mut run, taken).await;
}

#[tokio::test]
async fn b137_a_server_that_has_all_may_think_for_five_minutes() {
    let clock = Clock::simulated(Timestamp::from_millis(1_700_000_000_000));
    sending(None, &clock, async |run, taken| {
        let sent = || taken.load(Ordering::SeqCst) >= SIZE as u64;
        assert_eq!(turns(run, sent).await, None);
        clock.advance(Duration::from_secs(299));
        assert_eq!(turns(run, || true).await, None);
        clock.advance(Duration::from_secs(1));
        let error = turns(run, || true).await.expect("it is over");
        assert_eq!(
            (error.code, error.leg),
            (Code::INTERNET_TIMEOUT, Some(Leg::Upload))
        );
        assert!(
            error.description.contains("has all and does not answer"),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn b70_what_is_sent_pays_for_its_bytes_and_is_no_silence_of_the_server() {
    let clock = Clock::simulated(Timestamp::from_millis(1_700_000_000_000));
    // A chunk of 16 KiB takes longer than the server may be silent.
    let bandwidth = Arc::new(Bandwidth::new(clock.clone()));
    let own = Arc::new(Bucket::new(clock.clone(), Some(500)));
    let throttle = Throttle::new(Some(own), LiveLevel::new(Priority::Foreground), bandwidth);
    sending(Some(throttle), &clock, async |run, taken| {
        let taken = || taken.load(Ordering::SeqCst);
        assert_eq!(turns(run, || true).await, None);
        assert!(taken() < 1_000, "the head, and no byte of the file");
        for _ in 0..3 {
            clock.advance(IDLE + Duration::from_secs(1));
            assert_eq!(turns(run, || true).await, None);
        }
        let after = taken();
        assert!((16_000..40_000).contains(&after), "{after} bytes in 63 s");
    })
    .await;
}
