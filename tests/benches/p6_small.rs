//! P6: ten thousand small files, fifty under way; beside it what people use for that.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sexton::api::client::Client;
use sexton::api::request::{FileRequest, SubmitRequest};
use sexton::job::{JobKind, JobState};
use sexton_tests::host::TestHost;
use tempfile::TempDir;

use crate::bench::{Bench, installed, program};
use crate::measure::Rounds;
use crate::nginx::Nginx;
use crate::report::{Report, Row};

/// Files under way at the same time.
const CONFIG: &str = "[transfer]\nslots = 50\nslots_per_host = 50\n";

const BYTES: usize = 4096;

/// A program that is given a list of URLs.
#[derive(Clone, Copy)]
struct Peer {
    program: &'static str,
    name: &'static str,
    /// A line of shell: `$1` is the folder, `$2` the list.
    line: &'static str,
    budget: f64,
}

const PEERS: [Peer; 2] = [
    Peer {
        program: "curl",
        name: "`curl --parallel` + `sync`",
        line: "cd \"$1\" && curl -s -S -f --parallel --parallel-max 50 -K \"$2\" && sync -f .",
        budget: 1.5,
    },
    Peer {
        program: "aria2c",
        name: "`aria2c -j8`",
        line: "aria2c -q -j8 --file-allocation=none -d \"$1\" -i \"$2\"",
        budget: 0.2,
    },
];

pub fn run(bench: &Bench) -> Report {
    let mut report = Report::default();
    let Some(nginx) = Nginx::start(bench) else {
        report.row(Row::skipped("small files", "nginx is not installed"));
        return report;
    };
    let count = bench.pick(10_000, 500);
    for number in 0..count {
        let body = [u8::try_from(number % 251).unwrap_or(0); BYTES];
        std::fs::write(nginx.files().join(name(number)), body).expect("a file can be written");
    }
    let peers: Vec<Peer> = PEERS
        .iter()
        .filter(|peer| installed(peer.program).is_some())
        .copied()
        .collect();
    let mut own = Rounds::default();
    let mut others = vec![Rounds::default(); peers.len()];
    // Nothing is deleted before the end: file systems go round what was deleted a moment ago, and
    // each would pay for the one before it.
    let rounds = bench.pick(5, 2);
    let places: Vec<TempDir> = (0..rounds * (1 + peers.len())).map(|_| bench.folder()).collect();
    let mut place = places.iter();
    let mut next = || place.next().expect("one for each").path();
    for _ in 0..rounds {
        own.push(sexton(next(), &nginx, count).as_secs_f64());
        for (peer, rounds) in peers.iter().zip(&mut others) {
            rounds.push(peer.run(bench, next(), &nginx, count).as_secs_f64());
        }
    }
    let mut row = Row::new("sexton: one job set, 50 under way").number(own.median(), "s");
    for (peer, rounds) in peers.iter().zip(&others) {
        let ratio = own.ratio_to(rounds);
        let budget = format!("≤ {} × {}", peer.budget, peer.name);
        row = row.beside(ratio, peer.name).must(budget, ratio <= peer.budget);
    }
    report.row(row);
    for (peer, rounds) in peers.iter().zip(&others) {
        report.row(Row::new(format!("peer: {}", peer.name)).number(rounds.median(), "s"));
    }
    for peer in PEERS.iter().filter(|peer| installed(peer.program).is_none()) {
        report.row(Row::skipped(peer.name, "not installed"));
    }
    report.note(format!(
        "{count} files of 4 KiB from nginx; a job for each, submitted in one request, and each of its files is durable \
         by itself before its job says so"
    ));
    report
}

fn name(number: usize) -> String {
    format!("small-{number:05}.bin")
}

/// From the request to the last file at its place.
fn sexton(place: &Path, nginx: &Nginx, count: usize) -> Duration {
    let mut host = TestHost::new(program(), CONFIG);
    host.start();
    let jobs: Vec<SubmitRequest> = (0..count)
        .map(|number| {
            let name = name(number);
            let local = place.join(&name);
            let file = FileRequest::new(nginx.url(&name), local.to_str().expect("a folder of ours"));
            SubmitRequest::new(JobKind::Download, vec![file])
        })
        .collect();
    let client = Client::new(host.path("control.sock"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let start = Instant::now();
    runtime.block_on(async {
        client.submit_many(&jobs).await.expect("the jobs are accepted");
        loop {
            let status = client.status().await.expect("the host answers");
            let done = status
                .counts
                .jobs
                .get(&JobState::Acknowledged)
                .copied()
                .unwrap_or(0);
            if done >= jobs.len() as u64 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let took = start.elapsed();
    check(place, count);
    took
}

impl Peer {
    fn run(&self, bench: &Bench, place: &Path, nginx: &Nginx, count: usize) -> Duration {
        let mut list = String::new();
        for number in 0..count {
            let (url, name) = (nginx.url(&name(number)), name(number));
            if self.program == "curl" {
                let _ = writeln!(list, "url = \"{url}\"\noutput = \"{name}\"");
            } else {
                let _ = writeln!(list, "{url}\n out={name}");
            }
        }
        let lists = bench.folder();
        let path = lists.path().join("list");
        std::fs::write(&path, list).expect("a file can be written");
        let start = Instant::now();
        let ended = self
            .command(place, &path)
            .status()
            .expect("a shell can be started");
        let took = start.elapsed();
        assert!(ended.success(), "{}: {ended}", self.name);
        check(place, count);
        took
    }

    fn command(&self, dir: &Path, list: &Path) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", self.line, "sh"])
            .arg(dir)
            .arg(list)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

fn check(place: &Path, count: usize) {
    let last = std::fs::read(place.join(name(count - 1))).expect("the last file is there");
    assert_eq!(last.len(), BYTES);
    let found = std::fs::read_dir(place).expect("it is a folder").count();
    assert_eq!(found, count, "files at their place");
}
