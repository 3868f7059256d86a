//! P5: one large file over the loopback, with durable progress; beside it what people use for that,
//! and what they would have to add to have the file durable too.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use sexton_tests::host::TestHost;

use crate::bench::{Bench, installed, program};
use crate::measure::Rounds;
use crate::nginx::Nginx;
use crate::process::Process;
use crate::report::{Report, Row};

const MIB: u64 = 1 << 20;

/// Most that may be resident.
const RESIDENT_MAX: u64 = 32 * MIB;

/// Ticks of processor time in a second, as the kernel tells them.
const TICKS: f64 = 100.0;

/// What one contestant took in each round, in seconds.
#[derive(Default)]
struct Took {
    wall: Rounds,
    cpu: Rounds,
}

pub fn run(bench: &Bench) -> Report {
    let mut report = Report::default();
    let Some(nginx) = Nginx::start(bench) else {
        report.row(Row::skipped("one large file", "nginx is not installed"));
        return report;
    };
    let size = bench.pick(1024 * MIB, 64 * MIB);
    write(&nginx.files().join("large.bin"), size);
    let url = nginx.url("large.bin");
    let place = bench.folder();
    let mut host = TestHost::new(program(), "");
    host.start();
    let process = Process::of(host.pid().as_raw_nonzero().get().unsigned_abs());
    let peers: Vec<Peer> = PEERS
        .iter()
        .filter(|peer| installed(peer.program).is_some())
        .copied()
        .collect();
    let (mut own, mut others) = (Took::default(), Vec::new());
    others.resize_with(peers.len(), Took::default);
    let mut first = 0;
    for round in 0..bench.pick(5, 2) {
        let file = place.path().join("own.bin");
        let (ticks, start) = (process.ticks(), Instant::now());
        let to = file.to_str().expect("a folder of ours");
        host.cli(&["submit", "download", &url, to, "--wait"]).code(0);
        own.wall.push(start.elapsed().as_secs_f64());
        own.cpu.push((process.ticks() - ticks) as f64 / TICKS);
        check(&file, size);
        if round == 0 {
            first = process.memory("VmHWM:");
        }
        for (peer, took) in peers.iter().zip(&mut others) {
            peer.run(&url, place.path(), size, took);
        }
    }
    tell(&mut report, &own, &peers, &others);
    let last = process.memory("VmHWM:");
    let row = Row::new("resident at most").size(last);
    report.row(row.must("≤ 32 MiB", last <= RESIDENT_MAX));
    report.row(Row::new("resident at most after the first round").size(first));
    for peer in PEERS.iter().filter(|peer| installed(peer.program).is_none()) {
        report.row(Row::skipped(peer.name, "not installed"));
    }
    report.note(format!(
        "{} MiB from nginx; sexton's time is that of `submit download --wait`, its processor time the host's",
        size / MIB
    ));
    report
}

/// A program that is given a file and a URL.
#[derive(Clone, Copy)]
struct Peer {
    program: &'static str,
    name: &'static str,
    /// A line of shell: `$1` is the folder, `$2` the URL.
    line: &'static str,
}

const PEERS: [Peer; 2] = [
    Peer {
        program: "curl",
        name: "curl + `sync FILE`",
        line: "curl -s -S -f -o \"$1/peer.bin\" \"$2\" && sync \"$1/peer.bin\"; times",
    },
    Peer {
        program: "aria2c",
        name: "aria2c + `sync FILE`",
        line: "aria2c -q --file-allocation=none -x1 -d \"$1\" -o peer.bin \"$2\" && sync \"$1/peer.bin\"; times",
    },
];

impl Peer {
    fn run(&self, url: &str, dir: &Path, size: u64, took: &mut Took) {
        let start = Instant::now();
        let ended = Command::new("sh")
            .args(["-c", self.line, "sh"])
            .arg(dir)
            .arg(url)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .expect("a shell can be started");
        took.wall.push(start.elapsed().as_secs_f64());
        took.cpu.push(children(&String::from_utf8_lossy(&ended.stdout)));
        check(&dir.join("peer.bin"), size);
    }
}

/// Seconds that `times` tells of a shell's children: its second line, such as `0m0.31s 0m0.55s`.
fn children(said: &str) -> f64 {
    let line = said.lines().nth(1).unwrap_or_default();
    line.split_whitespace()
        .filter_map(|time| {
            let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
            Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
        })
        .sum()
}

fn tell(report: &mut Report, own: &Took, peers: &[Peer], others: &[Took]) {
    let wall = Row::new("sexton, wall clock").number(own.wall.median(), "s");
    let cpu = Row::new("sexton, processor").number(own.cpu.median(), "s");
    let curl = peers.iter().zip(others).find(|(peer, _)| peer.program == "curl");
    let (wall, cpu) = match curl {
        None => (wall, cpu),
        Some((_, curl)) => {
            let (slower, dearer) = (own.wall.ratio_to(&curl.wall), own.cpu.ratio_to(&curl.cpu));
            (
                wall.beside(slower, "curl + sync")
                    .must("≤ 1.1 × (curl + sync)", slower <= 1.1),
                cpu.beside(dearer, "curl").must("≤ 1.25 × curl", dearer <= 1.25),
            )
        }
    };
    report.row(wall);
    report.row(cpu);
    for (peer, took) in peers.iter().zip(others) {
        report.row(Row::new(format!("peer: {}, wall clock", peer.name)).number(took.wall.median(), "s"));
        report.row(Row::new(format!("peer: {}, processor", peer.name)).number(took.cpu.median(), "s"));
    }
}

/// A file that no file system can store in less.
fn write(path: &Path, size: u64) {
    use std::io::Write;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file can be made"));
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..size / 8 {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        file.write_all(&word.to_le_bytes()).expect("it can be written");
    }
    file.flush().expect("it can be written");
}

fn check(path: &Path, size: u64) {
    let found = std::fs::metadata(path).expect("the file is there").len();
    assert_eq!(found, size, "{}", path.display());
    std::fs::remove_file(path).expect("it can be removed");
}
