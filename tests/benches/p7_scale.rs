//! P7: a store with a million queued and a million finished jobs, and the slope up to there.
//!
//! The store is filled here; claims, lists and restarts are measured in a process of its own, this
//! program once more, that has nothing else in its memory and is killed at the end.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sexton::clock::Clock;
use sexton::job::{
    Command as Verb, EventKind, FileSpec, Job, JobId, JobKind, JobSpec, JobState, Outcome, Priority, Profile,
    Route, Router,
};
use sexton::store::{ClaimJobs, JobFilter, NewJob, SqliteOptions, SqliteStore, Store};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::measure::{Samples, rate};
use crate::report::{Report, Row, grouped};

/// The word that makes this program the process in which a store of that folder is opened.
const OPENED: &str = "--p7-opened";

/// Jobs of one `submit_many`.
const BATCH: usize = 1_000;

/// Batches that are on their way at once: one is written while the next is made.
const IN_FLIGHT: usize = 2;

/// Owners and remote hosts that the jobs are spread over. An owner has at most 100,000 open ones.
const OWNERS: usize = 20;
const HOSTS: usize = 1_000;

/// What one size costs.
struct Size {
    jobs: usize,
    submit: f64,
    opened: Opened,
    killed: Opened,
}

/// What a freshly started process found.
#[derive(Default)]
struct Opened {
    first_claim: Duration,
    resident: u64,
    claims: Samples,
    claims_beside: Samples,
    lists: Samples,
    counts: Samples,
}

/// Runs P7.
pub fn run(bench: &Bench) -> Report {
    let sizes: &[usize] = bench.pick(&[1_000, 10_000, 100_000, 1_000_000], &[1_000, 3_000]);
    let mut report = Report::default();
    let mut least = None;
    for jobs in sizes {
        let size = measure(bench, *jobs);
        let beside = *least.get_or_insert(size.submit);
        tell(&mut report, &size, beside);
    }
    report.note(format!(
        "jobs of {OWNERS} owners for {HOSTS} remote hosts, submitted in lists of {BATCH}, with as many finished \
         ones before them. A claim takes eight. A restart is counted from the opening of the store in a \
         process that has just begun, to the first claimed job in hand; the second one follows a `kill -9` \
         with jobs running, and has its check of the whole file going on beside it.",
    ));
    report
}

fn measure(bench: &Bench, jobs: usize) -> Size {
    let folder = bench.folder();
    let dir = folder.path();
    let runtime = Runtime::new().expect("threads can be started");
    let submit = runtime.block_on(fill(dir, jobs));
    let (opened, mut child) = open_again(dir);
    // By the id that was started here; what it leaves is what a crash leaves.
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");
    let (killed, mut child) = open_again(dir);
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");
    Size {
        jobs,
        submit,
        opened,
        killed,
    }
}

fn tell(report: &mut Report, size: &Size, least: f64) {
    let (opened, killed) = (&size.opened, &size.killed);
    let jobs = format!(
        "{} + {} jobs",
        grouped(size.jobs as u64),
        grouped(size.jobs as u64)
    );
    report.row(
        Row::new(format!("submit, {jobs}"))
            .number(size.submit, "jobs/s")
            .beside(size.submit / least, "the smallest store")
            .must("≥ 50,000/s", size.submit >= 50e3),
    );
    let five = Duration::from_millis(5);
    let within = |what: &str, samples: &Samples| {
        Row::new(format!("{what}, {jobs}"))
            .number(1.0 / samples.p50().as_secs_f64(), "/s")
            .samples(samples)
            .must("p99 ≤ 5 ms", samples.p99() <= five)
    };
    report.row(within("claim", &opened.claims));
    report.row(within("claim while the file is checked", &killed.claims_beside));
    report.row(within("list a page by state", &opened.lists));
    report.row(within("count all states", &opened.counts));
    for (what, opened) in [("restart", opened), ("restart after a kill", killed)] {
        report.row(
            Row::new(format!("{what} to first claim, {jobs}"))
                .time(opened.first_claim)
                .must("≤ 300 ms", opened.first_claim <= Duration::from_millis(300)),
        );
        report.row(
            Row::new(format!("resident after {what}, {jobs}"))
                .size(opened.resident)
                .must("≤ 100 MiB", opened.resident <= 100 << 20),
        );
    }
}

/// Nobody hears of anything.
struct NoRoutes;

impl Router for NoRoutes {
    fn routes(&self, _: &Job, _: EventKind) -> Vec<Route> {
        Vec::new()
    }
}

async fn open(dir: &Path) -> SqliteStore {
    let options = SqliteOptions {
        state_dir: dir.join("state"),
        clock: Clock::real(),
        force: false,
    };
    let store = SqliteStore::open(options).await.expect("a store can be opened");
    let routed = store.set_router(Arc::new(NoRoutes), Default::default()).await;
    routed.expect("it can be routed");
    store
}

/// As many finished as queued jobs; returns the rate at which the queued ones were taken.
async fn fill(dir: &Path, jobs: usize) -> f64 {
    let store = Arc::new(open(dir).await);
    eprintln!("  {jobs} finished and {jobs} queued jobs");
    let mut first = 0;
    while first < jobs {
        let ids = submit(&store, first, BATCH.min(jobs - first)).await;
        finish(&store, ids).await;
        first += BATCH;
    }
    let start = Instant::now();
    let mut under_way = JoinSet::new();
    for first in (0..jobs).step_by(BATCH) {
        if under_way.len() >= IN_FLIGHT {
            let ended = under_way.join_next().await;
            ended.transpose().expect("a submission does not panic");
        }
        let store = Arc::clone(&store);
        under_way.spawn(async move { submit(&store, first, BATCH.min(jobs - first)).await });
    }
    under_way.join_all().await;
    let submitted = rate(jobs, start);
    store.close().await;
    submitted
}

async fn submit(store: &SqliteStore, first: usize, count: usize) -> Vec<JobId> {
    let batch = (first..first + count).map(new_job).collect();
    let submitted = store.submit_many(batch).await.expect("jobs are accepted");
    submitted.into_iter().map(|one| one.job.id).collect()
}

async fn finish(store: &Arc<SqliteStore>, ids: Vec<JobId>) {
    let mut under_way = JoinSet::new();
    for id in ids {
        let store = Arc::clone(store);
        under_way.spawn(async move {
            let outcome = Outcome::Cancelled;
            for verb in [Verb::Cancel, Verb::IntentDone { outcome }] {
                store.command(id, verb).await.expect("the law allows it");
            }
        });
    }
    under_way.join_all().await;
}

fn new_job(number: usize) -> NewJob {
    NewJob {
        owner: format!("uid-{}", number % OWNERS).parse().expect("a legal name"),
        kind: JobKind::Download,
        priority: Priority::Normal,
        spec: JobSpec::new("nightly.tar.zst", Profile::Sexton),
        files: vec![FileSpec::new(
            format!(
                "https://host-{}.example.com/files/{number}.tar.zst",
                number % HOSTS
            ),
            format!("/srv/mirror/{number}.tar.zst"),
        )],
        key: None,
        suspended: false,
    }
}

/// Starts this program anew on a filled store and reads what it finds.
fn open_again(dir: &Path) -> (Opened, Child) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .arg(OPENED)
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started again");
    let mut opened = Opened::default();
    let said = child.stdout.take().expect("its stdout is a pipe");
    for line in BufReader::new(said).lines() {
        let line = line.expect("it says what it finds");
        let (what, value) = line.split_once(' ').expect("a word and a number");
        let value: u64 = value.parse().expect("a number");
        let time = Duration::from_nanos(value);
        match what {
            "first-claim" => opened.first_claim = time,
            "resident" => opened.resident = value,
            "claim" => opened.claims.record(time),
            "claim-beside" => opened.claims_beside.record(time),
            "list" => opened.lists.record(time),
            "count" => opened.counts.record(time),
            "ready" => break,
            other => panic!("`{other}` is not known"),
        }
    }
    (opened, child)
}

/// Whether this process is to open the store of a folder, and which.
pub fn opened(mut args: impl Iterator<Item = String>) -> Option<String> {
    args.find(|arg| arg == OPENED)?;
    args.next()
}

/// Opens a filled store, tells what that and the usual verbs cost, and waits to be killed.
pub fn serve(dir: &str) {
    let runtime = Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let start = Instant::now();
        let store = Arc::new(open(Path::new(dir)).await);
        let unclean = store.was_unclean();
        let checked = Arc::clone(&store);
        let check = unclean.then(|| tokio::spawn(async move { checked.check(false).await }));
        claim(&store, false).await;
        say("first-claim", start.elapsed());
        if let Some(check) = check {
            for _ in 0..200 {
                say("claim-beside", claim(&store, true).await);
            }
            check.await.expect("a check ends").expect("the store is sound");
        }
        for _ in 0..1_000 {
            say("claim", claim(&store, true).await);
        }
        page(&store).await;
        println!("resident {}", resident());
        println!("ready 0");
        std::io::stdout().flush().expect("the parent listens");
        // The parent ends this process.
        std::future::pending::<()>().await;
    });
}

/// Claims eight jobs; how long it took. They go back to the queue or stay running.
async fn claim(store: &Arc<SqliteStore>, give_back: bool) -> Duration {
    let ask = ClaimJobs {
        background: 8,
        foreground: 64,
        busy_hosts: Default::default(),
        per_host: 6,
        yielding: Vec::new(),
        holds: Vec::new(),
        batch: 0,
        queries: 0,
        lease: Duration::from_secs(30),
        ..ClaimJobs::default()
    };
    let start = Instant::now();
    let runs = store.claim_jobs(ask).await.expect("jobs can be claimed");
    let took = start.elapsed();
    assert_eq!(runs.len(), 8);
    if give_back {
        let mut under_way = JoinSet::new();
        for run in runs {
            let store = Arc::clone(store);
            // Together, so that all of them share a commit.
            under_way.spawn(async move { store.report(run.id(), Verb::Yield).await });
        }
        for given in under_way.join_all().await {
            given.expect("a run may be given back");
        }
    }
    took
}

/// Lists page after page, and counts.
async fn page(store: &SqliteStore) {
    let mut filter = JobFilter {
        states: vec![JobState::Queued],
        limit: 100,
        ..JobFilter::default()
    };
    for round in 0..200 {
        filter.states = match round % 4 {
            0 => vec![JobState::Cancelled],
            1 => vec![JobState::Error, JobState::Queued, JobState::Transferred],
            _ => vec![JobState::Queued],
        };
        let start = Instant::now();
        let page = store.jobs(filter.clone()).await.expect("jobs can be listed");
        say("list", start.elapsed());
        filter.before = page.last().map(|job| job.id);
        let start = Instant::now();
        store.counts().await.expect("jobs can be counted");
        say("count", start.elapsed());
    }
}

fn say(what: &str, time: Duration) {
    println!("{what} {}", time.as_nanos());
}

/// The most this process ever had resident, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok())
        .expect("a number of kB")
        * 1024
}
