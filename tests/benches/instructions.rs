//! Instructions per call: a number that repeats where clocks are noisy.
//!
//! `cargo bench -p sexton-tests -- instructions` runs the loop of P1 alone under
//! `valgrind --tool=callgrind`, twice; the difference of the two runs holds no start and no end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bench::{Bench, installed};
use crate::p1_calls;
use crate::report::{Report, Row};

/// What tells this program that it is the one under valgrind.
const LOOP: &str = "--p1-loop";

/// The calls and the folder that this process is to make them in, if it is the one under valgrind.
pub fn asked_for(args: impl Iterator<Item = String>) -> Option<(usize, PathBuf)> {
    let mut args = args.skip_while(|arg| arg != LOOP).skip(1);
    Some((args.next()?.parse().ok()?, args.next()?.into()))
}

/// The loop itself.
pub fn work((count, dir): (usize, PathBuf)) {
    p1_calls::bare_loop(&dir, count);
}

/// Counts.
pub fn run(bench: &Bench) -> Report {
    let mut report = Report::default();
    let what = "instructions of one call (P1's loop under callgrind)";
    if installed("valgrind").is_none() {
        report.row(Row::skipped(what, "valgrind is not installed: skipped"));
        return report;
    }
    let folder = bench.folder();
    let calls = bench.pick(4_000, 200);
    // The first fills the cache of compiled components.
    let counts = [1, calls, 2 * calls].map(|count| counted(folder.path(), count));
    let each = (counts[2] - counts[1]) / calls as f64;
    report.row(Row::new(what).number(each, "instructions"));
    report
}

/// Instructions of a whole run of `count` calls.
fn counted(dir: &Path, count: usize) -> f64 {
    let me = std::env::current_exe().expect("this program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--trace-children=yes"])
        .arg(format!(
            "--callgrind-out-file={}",
            dir.join("callgrind.%p").display()
        ))
        .arg(me)
        .arg(LOOP)
        .arg(count.to_string())
        .arg(dir)
        .stdin(Stdio::null())
        .output()
        .expect("valgrind can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // `==PID== Collected : N`, of the children first, of the loop last.
    let collected = said.lines().filter_map(|line| line.split_once("Collected :"));
    let last = collected.map(|(_, number)| number.trim()).next_back();
    last.and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no count in {said}"))
}
