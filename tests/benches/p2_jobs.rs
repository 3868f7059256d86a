//! P2 and P3: durable jobs of nothing, without and with a handler, beside the bare store loop.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;

use crate::bare;
use crate::bench::Bench;
use crate::house::{House, Work, job};
use crate::measure::{Contestant, Rounds, in_turn, rate};
use crate::report::{Report, Row};

/// Who submits at the same time, each waiting for its job to be durable before the next.
const PRODUCERS: usize = 64;
/// Rounds of each contestant.
const ROUNDS: usize = 5;

/// Runs P2.
pub fn run(bench: &Bench) -> Report {
    let (jobs, runtime) = (size(bench), runtime());
    let mut contestants: [Contestant<'_>; 2] = [
        Box::new(|| runtime.block_on(bare::jobs(bench, PRODUCERS, jobs))),
        Box::new(|| runtime.block_on(durable_jobs(bench, Work::Succeeds, jobs))),
    ];
    let [bare, host] = &in_turn(ROUNDS, &mut contestants)[..] else {
        unreachable!("two contestants")
    };
    let ratio = host.ratio_to(bare);
    let mut report = Report::default();
    report.row(
        told(&format!("{jobs} jobs of nothing, {PRODUCERS} producers"), host)
            .beside(ratio, "bare loop")
            .must("≥ 0.6 × bare loop", ratio >= 0.6),
    );
    report.row(told("peer: the bare SQLite group-commit loop", bare));
    report.note(format!(
        "every job is submitted, claimed, finished and completed, each step durable before the next; \
         the bare loop has the same producers and writes one row three times, in three commits. Median of {ROUNDS} rounds; \
         ratios are medians of the ratios of neighbouring rounds."
    ));
    report
}

/// Runs P3.
pub fn with_handler(bench: &Bench) -> Report {
    let (jobs, runtime) = (size(bench), runtime());
    let mut contestants: [Contestant<'_>; 2] = [
        Box::new(|| runtime.block_on(durable_jobs(bench, Work::Succeeds, jobs))),
        Box::new(|| runtime.block_on(durable_jobs(bench, Work::Fails, jobs))),
    ];
    let [without, with] = &in_turn(ROUNDS, &mut contestants)[..] else {
        unreachable!("two contestants")
    };
    let ratio = with.ratio_to(without);
    let mut report = Report::default();
    report.row(
        told(&format!("{jobs} jobs, each calls a handler that decides"), with)
            .beside(ratio, "P2")
            .must("≥ 0.5 × P2", ratio >= 0.5),
    );
    report.row(told("the same without the call (P2)", without));
    report.note(
        "every job fails, its `on-error` is written with the failure, claimed, called in a fresh \
         instance, and settled together with its decision to cancel, which is then carried out.",
    );
    report
}

fn told(what: &str, rounds: &Rounds) -> Row {
    Row::new(what).number(rounds.median(), "jobs/s")
}

fn size(bench: &Bench) -> usize {
    bench.pick(40_000, 1_000)
}

fn runtime() -> Runtime {
    Runtime::new().expect("threads can be started")
}

/// Rate of `jobs` jobs from the first submit to the last end, on a new store.
async fn durable_jobs(bench: &Bench, work: Work, jobs: usize) -> f64 {
    let house = House::open(bench, work).await;
    let each = jobs / PRODUCERS;
    let start = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let store = Arc::clone(&house.store);
            tokio::spawn(async move {
                for _ in 0..each {
                    store.submit(job()).await.expect("a job is accepted");
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.expect("a producer does not panic");
    }
    let total = each * PRODUCERS;
    house.ended(total as u64).await;
    let rate = rate(total, start);
    house.close().await;
    rate
}
