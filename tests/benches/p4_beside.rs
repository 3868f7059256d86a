//! P4 beside a neighbour that misbehaves without pause: what a good handler's decision takes then, against
//! what it takes alone.

use std::sync::Arc;

use sexton::plugin::SharedView;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::house::{House, Work};
use crate::measure::Samples;
use crate::p4_decision::decision;
use crate::report::{Report, Row};
use crate::room;

/// Calls of the neighbour at the same time: what one plugin may have when nothing is said.
const CALLS: usize = 4;

/// How the neighbour behaves; its deadline is 50 ms.
const MOODS: [&str; 5] = ["panic", "loop", "sleep", "alloc", "overflow"];

/// Runs P4 beside each of them.
pub fn run(bench: &Bench) -> Report {
    let count = bench.pick(500, 10);
    let mut report = Report::default();
    let alone = decisions(bench, None, count);
    report.row(Row::new("alone").time(alone.p50()).samples(&alone));
    for mood in MOODS {
        let beside = decisions(bench, Some(mood), count);
        let ratio = beside.p50().as_secs_f64() / alone.p50().as_secs_f64();
        report.row(
            Row::new(format!("beside {CALLS} calls that `{mood}` without end"))
                .time(beside.p50())
                .samples(&beside)
                .beside(ratio, "alone")
                .must("p50 ≤ 2 × alone", ratio <= 2.0),
        );
    }
    report
}

fn decisions(bench: &Bench, mood: Option<&str>, count: usize) -> Samples {
    let runtime = Runtime::new().expect("threads can be started");
    let house = runtime.block_on(House::open_beside(bench, Work::Fails, mood));
    let mut neighbours = JoinSet::new();
    let room = house.room.clone().expect("handlers serve in it");
    if mood.is_some() {
        for _ in 0..CALLS {
            let room = Arc::clone(&room);
            neighbours.spawn_on(
                async move {
                    loop {
                        let view: SharedView = Arc::new(room::Stateless);
                        let reply = room.call(&room::neighbour(), room::call(), view).await;
                        assert!(reply.verdict.is_err(), "it misbehaves: {reply:?}");
                    }
                },
                runtime.handle(),
            );
        }
    }
    drop(room);
    let mut samples = Samples::default();
    for _ in 0..count {
        samples.record(runtime.block_on(decision(&house)));
    }
    runtime.block_on(neighbours.shutdown());
    runtime.block_on(house.close());
    samples
}
