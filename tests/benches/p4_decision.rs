//! P4: from an error to a durable decision on a host that has nothing else to do.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sexton::job::JobId;
use sexton::store::Change;
use tokio::runtime::Runtime;
use tokio::sync::broadcast::Receiver;

use crate::bench::Bench;
use crate::house::{House, Work, job};
use crate::measure::{Samples, SyncProbe};
use crate::report::{Report, Row, time};

/// Commits between the error and the decision: the error with its delivery, the claim, the
/// settlement with the decision.
const COMMITS: u32 = 3;
/// What may be spent beside them.
const BESIDE: Duration = Duration::from_micros(700);

/// Runs P4.
pub fn run(bench: &Bench) -> Report {
    let runtime = Runtime::new().expect("threads can be started");
    let count = bench.pick(1_000, 20);
    let mut probe = SyncProbe::new(bench.dir());
    let (mut decisions, mut hooks) = (Samples::default(), Samples::default());
    let house = runtime.block_on(House::open(bench, Work::Fails));
    for _ in 0..count {
        // In turn, so that the disk's and the machine's moods are the same for all.
        probe.sync();
        decisions.record(runtime.block_on(decision(&house)));
        hooks.record(hook());
    }
    runtime.block_on(house.close());

    let sync = probe.samples.p50();
    let allowed = sync * COMMITS + BESIDE;
    let (p50, p99) = (decisions.p50(), decisions.p99());
    let mut report = Report::default();
    report.row(
        Row::new("error → handler called → decision durable")
            .time(p50)
            .samples(&decisions)
            .beside(p50.as_secs_f64() / sync.as_secs_f64(), "sync")
            .beside(p50.as_secs_f64() / hooks.p50().as_secs_f64(), "hook process")
            .must(
                format!("p50 ≤ 3 syncs + 0.7 ms = {}", time(allowed)),
                p50 <= allowed,
            )
            .must("p99 ≤ 4 × p50", p99 <= 4 * p50),
    );
    report.row(
        Row::new("one sync in turn with them")
            .time(sync)
            .samples(&probe.samples),
    );
    report.row(
        Row::new("peer: spawning a hook process, nothing durable")
            .time(hooks.p50())
            .samples(&hooks),
    );
    report
}

/// One job on an idle host: from the moment its runner says that it failed until everybody is told
/// that the handler's decision is committed.
pub async fn decision(house: &House) -> Duration {
    let mut changes = house.store.changes();
    let accepted = house.store.submit(job()).await.expect("a job is accepted");
    until_decided(&mut changes, accepted.job.id).await;
    let decided = Instant::now();
    let failed = house.failed_at();
    // The next one finds the host idle: this one's end is committed too.
    until_ended(&mut changes, accepted.job.id).await;
    decided.duration_since(failed)
}

/// Only the handler cancels.
async fn until_decided(changes: &mut Receiver<Change>, job: JobId) {
    until(changes, job, |intent, _| intent).await;
}

async fn until_ended(changes: &mut Receiver<Change>, job: JobId) {
    until(changes, job, |_, ended| ended).await;
}

async fn until(changes: &mut Receiver<Change>, job: JobId, so: impl Fn(bool, bool) -> bool) {
    loop {
        let change = changes.recv().await.expect("nothing is missed on an idle host");
        if let Change::Job {
            id, state, intent, ..
        } = change
            && id == job
            && so(intent, state.is_final())
        {
            return;
        }
    }
}

fn hook() -> Duration {
    let start = Instant::now();
    let status = Command::new("true").stdin(Stdio::null()).status();
    assert!(status.expect("`true` is installed").success());
    start.elapsed()
}
