//! P9: a process that is killed in the middle of a download: what is fetched again, and what becomes
//! of a file that changed meanwhile. Beside it what people use for that.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use crate::bench::{Bench, installed};
use crate::report::{Report, Row};

const MIB: u64 = 1 << 20;
/// What a crash may cost.
const REFETCHED_MAX: u64 = 8 * MIB;
/// Pieces of the first answer, and the pause between two: slow enough to be killed in the middle.
const PIECE: usize = 256 << 10;
const PAUSE: Duration = Duration::from_millis(8);

/// What is compared.
const PEERS: [Peer; 3] = [
    Peer {
        program: "aria2c",
        name: "`aria2c -c`",
        args: &[
            "-q",
            "-c",
            "--auto-file-renaming=false",
            "--file-allocation=none",
            "--auto-save-interval=1",
            "-d",
        ],
    },
    Peer {
        program: "curl",
        name: "`curl -C -`",
        args: &["-s", "-S", "-f", "-C", "-", "--output-dir"],
    },
    Peer {
        program: "wget",
        name: "`wget -c`",
        args: &["-q", "-c", "-P"],
    },
];

/// A program that is told the folder last, and then the URL.
struct Peer {
    program: &'static str,
    name: &'static str,
    args: &'static [&'static str],
}

/// How a killed and repeated download ended.
struct Ending {
    /// Body bytes that the server sent beyond the file's own.
    again: u64,
    /// The second run's exit code, or that it was never told.
    code: Option<i32>,
    file: Vec<u8>,
}

pub fn run(bench: &Bench) -> Report {
    let mut report = Report::default();
    let size = bench.pick(256 * MIB, 32 * MIB);
    let (old, new) = (remote(size, 1), remote(size, 2));
    let own = |then: &Remote| sexton(bench, &old, then);
    tell(&mut report, "sexton", true, &own(&old), &own(&new), &old, &new);
    for peer in &PEERS {
        match installed(peer.program) {
            None => report.row(Row::skipped(peer.name, "not installed")),
            Some(program) => {
                let run = |then: &Remote| peer.run(&program, bench, &old, then);
                tell(&mut report, peer.name, false, &run(&old), &run(&new), &old, &new);
            }
        }
    }
    report.note(
        "each was killed with SIGKILL when half of the file had been sent, and started again on what it had left; \
         the changed file has the same length and another `ETag`",
    );
    report
}

/// Two rows of one contestant.
fn tell(
    report: &mut Report,
    name: &str,
    ours: bool,
    same: &Ending,
    changed: &Ending,
    old: &Remote,
    new: &Remote,
) {
    let whole = same.file == old.body;
    let row = Row::new(format!("{name}: fetched again after `kill -9`")).size(same.again);
    let row = if ours {
        row.must("≤ 8 MiB", whole && same.again <= REFETCHED_MAX)
    } else {
        row
    };
    report.row(row);
    let words = if changed.file == new.body {
        "the new file"
    } else if changed.file == old.body {
        "the old file"
    } else {
        "**mixed or torn**"
    };
    let code = changed
        .code
        .map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
    let row = Row::new(format!("{name}: the file changed meanwhile")).text(format!("{words}, {code}"));
    report.row(if ours {
        row.must("never mixed", changed.file == new.body)
    } else {
        row
    });
}

/// A file in which no two words are alike, and none is that of another seed.
fn remote(size: u64, seed: u64) -> Remote {
    let words = (0..size / 8).flat_map(|word| (word ^ (seed << 56)).to_le_bytes());
    let body: Vec<u8> = words.collect();
    Remote {
        last_modified: Some(format!("Thu, 0{seed} Jan 2026 00:00:00 GMT")),
        ..Remote::new(body)
    }
}

/// A server that serves `remote` slowly.
fn slow(remote: &Remote) -> (Web, String) {
    let web = Web::start();
    let behaviour = Behaviour::Slow {
        remote: remote.clone(),
        chunk: PIECE,
        delay: PAUSE,
    };
    let url = web.route("/file.bin", behaviour);
    (web, url)
}

fn wait_half(web: &Web, remote: &Remote) {
    let half = remote.body.len() as u64 / 2;
    let started = Instant::now();
    while web.sent("/file.bin") < half {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "half of it never came"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn again(web: &Web, remote: &Remote) -> u64 {
    web.sent("/file.bin").saturating_sub(remote.body.len() as u64)
}

fn sexton(bench: &Bench, first: &Remote, then: &Remote) -> Ending {
    let (web, url) = slow(first);
    let mut host = TestHost::new(env!("CARGO_BIN_EXE_sexton-under-test"), "");
    let place = bench.folder();
    let file = place.path().join("file.bin");
    host.start();
    let id = host.download_to(&url, &file, &[]);
    wait_half(&web, first);
    host.kill9();
    web.route("/file.bin", Behaviour::Serve(then.clone()));
    host.start();
    eventually("the job has ended", || host.job(&id)["outcome"].is_string());
    let code = host.cli(&["job", "watch", &id]).code;
    Ending {
        again: again(&web, then),
        code: Some(code),
        file: read(&file),
    }
}

impl Peer {
    fn run(&self, program: &Path, bench: &Bench, first: &Remote, then: &Remote) -> Ending {
        let (web, url) = slow(first);
        let place = bench.folder();
        let mut child = self.start(program, place.path(), &url);
        wait_half(&web, first);
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
        web.route("/file.bin", Behaviour::Serve(then.clone()));
        let ended = self.start(program, place.path(), &url).wait();
        Ending {
            again: again(&web, then),
            code: ended.expect("it can be waited for").code(),
            file: read(&place.path().join("file.bin")),
        }
    }

    fn start(&self, program: &Path, dir: &Path, url: &str) -> Child {
        let mut command = Command::new(program);
        command.args(self.args).arg(dir);
        if self.program == "curl" {
            command.arg("-O");
        }
        command
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be started")
    }
}

fn read(path: &PathBuf) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}
