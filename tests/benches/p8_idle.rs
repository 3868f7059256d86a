//! P8: what a host costs that has nothing to do: memory, wake-ups, and the way to its ready line.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;

use crate::bench::Bench;
use crate::measure::Samples;
use crate::process::Process;
use crate::report::{Report, Row};

const MIB: u64 = 1 << 20;

/// Plugins, most that may be resident, longest way to the ready line.
const SIZES: [(usize, u64, Duration); 2] = [
    (3, 30 * MIB, Duration::from_millis(50)),
    (100, 60 * MIB, Duration::from_millis(100)),
];

/// Until a host that was just started sleeps: threads that may block are kept for ten seconds.
const SETTLE: Duration = Duration::from_secs(13);

pub fn run(bench: &Bench) -> Report {
    let mut report = Report::default();
    for (plugins, memory, start) in SIZES {
        let plugins = bench.pick(plugins, plugins.min(10));
        let host = folder(plugins);
        // Compiles them: every later start finds them in the cache.
        end(started(&host, plugins).0);
        let mut ready = Samples::default();
        for _ in 0..bench.pick(20, 3) {
            let (child, took) = started(&host, plugins);
            ready.record(took);
            end(child);
        }
        let what = format!("start to ready, {plugins} plugins from the cache");
        let budget = format!("p50 ≤ {} ms", start.as_millis());
        let met = ready.p50() <= start;
        report.row(Row::new(what).time(ready.p50()).samples(&ready).must(budget, met));
        idle(bench, &host, plugins, memory, &mut report);
    }
    report.note(
        "resident is what the kernel counts (`VmRSS`), pages of the program's own file among it; \
         wake-ups are the context switches of all threads, voluntary or not, while nothing is due",
    );
    report
}

/// Memory and wake-ups of a host that is left alone.
fn idle(bench: &Bench, host: &TestHost, plugins: usize, memory: u64, report: &mut Report) {
    let (child, _) = started(host, plugins);
    std::thread::sleep(SETTLE);
    let process = Process::of(child.id());
    let (before, ticks) = (process.switches(), process.ticks());
    let window = bench.pick(Duration::from_secs(60), Duration::from_secs(12));
    std::thread::sleep(window);
    let (switches, ticks) = (process.switches() - before, process.ticks() - ticks);
    let resident = process.memory("VmRSS:");
    let budget = format!("≤ {} MiB", memory / MIB);
    let what = format!("resident, {plugins} plugins");
    report.row(Row::new(what).size(resident).must(budget, resident <= memory));
    let own = process.memory("RssAnon:");
    report.row(Row::new("of that not backed by a file").size(own));
    let what = format!("wake-ups in {} s, {plugins} plugins", window.as_secs());
    let words = format!("{switches} switches, {ticks} ticks of processor time");
    report.row(Row::new(what).text(words).must("0", switches == 0 && ticks == 0));
    end(child);
}

/// A folder with so many components, no two alike.
fn folder(plugins: usize) -> TestHost {
    let host = TestHost::new(env!("CARGO_BIN_EXE_sexton-under-test"), "");
    for number in 0..plugins {
        let name = format!("plugin-{number:03}");
        host.plugin(&name, guests::marked(MOODY, &name));
    }
    host
}

/// A host that has said that it is ready, and how long that took; all its plugins serve.
fn started(host: &TestHost, plugins: usize) -> (Child, Duration) {
    let start = Instant::now();
    let mut child = host
        .command()
        .arg("run")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let ready = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains(" ready: control "));
    let took = start.elapsed();
    ready.expect("the host says that it is ready");
    // Nobody may wait for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    while host
        .list(&["plugin", "list"])
        .iter()
        .filter(|plugin| plugin["serving"] == true)
        .count()
        < plugins
    {
        std::thread::sleep(Duration::from_millis(100));
    }
    (child, took)
}

fn end(mut child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it can be signalled");
    let ended = child.wait().expect("it can be waited for");
    assert!(ended.success(), "the drain: {ended}");
}
