//! P1: one callback into a fresh, isolated instance through the whole plugin room.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sexton::job::PluginName;
use sexton::plugin::{Call, PluginRoom, SharedView};
use tokio::runtime::Runtime;

use crate::bench::{Bench, installed};
use crate::measure::{Contestant, Rounds, Samples, in_turn, rate};
use crate::report::{Report, Row};
use crate::room;

/// Slots of the room: what a host has when nothing is said.
const CALLS: usize = 64;

/// Rounds of every contestant; the best counts, because a shared machine only ever takes away.
const ROUNDS: usize = 5;

/// One round of calls.
#[derive(Clone, Default)]
struct Round {
    rate: f64,
    latencies: Samples,
}

/// Runs P1.
pub fn run(bench: &Bench) -> Report {
    let runtime = Runtime::new().expect("threads can be started");
    let folders = [bench.folder(), bench.folder()];
    // How many plugins are called in turn.
    let counts = bench.pick([1, 30, 100], [1, 2, 3]);
    let most = counts[2];
    let names = room::names(most);
    eprintln!("  compiling {most} components, twice");
    let rooms = [1, 2].map(|workers| {
        let dir = folders[workers - 1].path();
        runtime.block_on(room::open(dir, &names, workers, CALLS))
    });
    let length = bench.pick(Duration::from_secs(1), Duration::from_millis(20));

    let mut report = Report::default();
    let hooks = bench.pick(300, 5);
    for count in counts {
        let names = &names[..count];
        let mut best = [Round::default(), Round::default()];
        let mut hook = Rounds::default();
        for _ in 0..ROUNDS {
            for (best, (workers, room)) in best.iter_mut().zip([1, 2].into_iter().zip(&rooms)) {
                let round = calls(&runtime, room, names, workers, length);
                if round.rate > best.rate {
                    *best = round;
                }
            }
            hook.push(spawn_hooks(hooks));
        }
        tell(&mut report, count, &best, &hook);
    }
    report.row(Row::new(format!("resident, both rooms with {most} plugins")).size(resident()));
    report.row(Row::new("the same instance for every call (`reused`)").text("not built"));
    peers(bench, &mut report);
    report.note(
        "a call is counted from the plain data handed to the room to the instance given back. A hook \
         process is `posix_spawn` of `true` and the wait for its end. Best of five rounds.",
    );
    report
}

fn tell(report: &mut Report, count: usize, [one, two]: &[Round; 2], hook: &Rounds) {
    let plugins = if count == 1 { "plugin" } else { "plugins in turn" };
    let (p50, p99) = (one.latencies.p50(), one.latencies.p99());
    report.row(
        Row::new(format!("one worker, {count} {plugins}"))
            .number(one.rate, "calls/s")
            .samples(&one.latencies)
            .beside(one.rate / hook.best(), "hook processes")
            .must("≥ 110,000/s", one.rate >= 110e3)
            .must("p50 ≤ 10 µs", p50 <= Duration::from_micros(10))
            .must("p99 ≤ 20 µs", p99 <= Duration::from_micros(20)),
    );
    report.row(
        Row::new(format!("two workers, {count} {plugins}"))
            .number(two.rate, "calls/s")
            .samples(&two.latencies)
            .beside(two.rate / one.rate, "one worker")
            .must("≥ 1.8 × one worker", two.rate >= 1.8 * one.rate),
    );
}

/// Keeps every worker busy for `length` with calls of all `names` in turn.
fn calls(
    runtime: &Runtime,
    room: &PluginRoom,
    names: &[PluginName],
    workers: usize,
    length: Duration,
) -> Round {
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let tasks: Vec<_> = (0..workers)
        .map(|worker| {
            let (room, names, stop) = (room.clone(), names.to_vec(), Arc::clone(&stop));
            // Where dispatch makes its calls: on the guests' own threads.
            room.handle().spawn(async move {
                let (call, mut latencies) = (room::call(), Samples::default());
                let mut next = names.iter().cycle().skip(worker * names.len() / 2);
                while !stop.load(Ordering::Relaxed) {
                    let name = next.next().expect("an endless iterator");
                    latencies.record(one(&room, name, &call).await);
                }
                latencies
            })
        })
        .collect();
    std::thread::sleep(length);
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Samples::default();
    for task in tasks {
        latencies.merge(&runtime.block_on(task).expect("a caller does not panic"));
    }
    Round {
        rate: latencies.count() as f64 / start.elapsed().as_secs_f64(),
        latencies,
    }
}

/// One call that must be answered with one decision; how long it took.
async fn one(room: &PluginRoom, name: &PluginName, call: &Call) -> Duration {
    let (call, view): (_, SharedView) = (call.clone(), Arc::new(room::Stateless));
    let start = Instant::now();
    let reply = room.call(name, call, view).await;
    let took = start.elapsed();
    assert!(reply.verdict.is_ok() && reply.requests.len() == 1, "{reply:?}");
    took
}

/// `count` calls and nothing else, for a profiler or an instruction counter.
pub fn bare_loop(dir: &Path, count: usize) {
    let runtime = Runtime::new().expect("threads can be started");
    let names = room::names(1);
    let room = runtime.block_on(room::open(dir, &names, 1, CALLS));
    let calls = room.handle().spawn({
        let room = room.clone();
        async move {
            let call = room::call();
            for _ in 0..count {
                one(&room, &names[0], &call).await;
            }
        }
    });
    runtime.block_on(calls).expect("a caller does not panic");
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or(0) << 10
}

/// Rate of `count` processes, one after the other.
fn spawn_hooks(count: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        let status = Command::new("true").stdin(Stdio::null()).status();
        assert!(status.expect("`true` is installed").success());
    }
    rate(count, start)
}

fn peers(bench: &Bench, report: &mut Report) {
    let hooks = bench.pick(300, 5);
    let (folder, aria2) = (bench.folder(), installed("aria2c"));
    let mut contestants: Vec<Contestant<'_>> = vec![Box::new(move || spawn_hooks(hooks))];
    if let Some(program) = &aria2 {
        let urls = bench.pick(1_000, 10);
        let dir = folder.path();
        contestants.push(Box::new(move || aria2_hooks(program, dir, urls)));
    }
    let results = in_turn(ROUNDS, &mut contestants);
    report.row(Row::new("peer: spawning a hook process").number(results[0].best(), "hooks/s"));
    report.row(match results.get(1) {
        Some(aria2) => {
            Row::new("peer: aria2's `--on-download-error` over refused URLs").number(aria2.best(), "hooks/s")
        }
        None => Row::skipped(
            "peer: aria2's `--on-download-error`",
            "aria2c is not installed: skipped",
        ),
    });
    report.row(Row::skipped(
        "peer: Extism, fresh and reused",
        "not part of this workspace: skipped",
    ));
}

/// aria2 with `count` addresses that nobody listens on, and a hook that does nothing.
fn aria2_hooks(program: &Path, dir: &Path, count: usize) -> f64 {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback is there");
        listener.local_addr().expect("it is bound").port()
    };
    let list: String = (0..count)
        .map(|number| format!("http://127.0.0.1:{port}/{number}\n"))
        .collect();
    let input = dir.join("urls");
    std::fs::write(&input, list).expect("a file can be written");
    let hook = installed("true").expect("`true` is installed");
    let start = Instant::now();
    // It ends with the code of the last failure: that is what it is here for.
    Command::new(program)
        .args([
            "--no-conf",
            "--quiet",
            "--max-tries=1",
            "--max-concurrent-downloads=16",
        ])
        .arg(format!("--dir={}", dir.display()))
        .arg(format!("--input-file={}", input.display()))
        .arg(format!("--on-download-error={}", hook.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("aria2c can be started");
    rate(count, start)
}
