//! Downloads through the whole program: whole, resumed, never mixed, and gone when cancelled.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use crate::host;

const MIB: usize = 1 << 20;

/// What a crash may cost (P9).
const REFETCHED_MAX: u64 = 8 << 20;

/// Bytes in which no two blocks are alike, so that a mixed file cannot pass for a whole one.
pub(crate) fn body(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(size / 8 + 1).flatten().take(size).collect()
}

/// About 16 MiB a second, and much slower with a larger `delay`.
fn slow(remote: &Remote, delay: u64) -> Behaviour {
    Behaviour::Slow {
        remote: remote.clone(),
        chunk: 256 << 10,
        delay: Duration::from_millis(delay),
    }
}

/// Temporary files below a folder.
fn leftovers(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.contains(".part")).collect()
}

fn wait_bytes(host: &TestHost, id: &str, bytes: usize) {
    eventually(&format!("{bytes} bytes are durable"), || {
        host.job(id)["bytes_transferred"].as_u64().unwrap() >= bytes as u64
    });
}

#[test]
fn a_file_arrives_byte_for_byte() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let bytes = body(5 * MIB + 3, 1);
    let url = web.route("/f", Behaviour::Serve(Remote::new(bytes.clone())));
    let id = host.download(&url, &["--wait"]);
    assert!(std::fs::read(host.path("file.bin")).unwrap() == bytes);
    let job = host.job(&id);
    assert_eq!(
        (&job["state"], &job["outcome"]),
        (&"acknowledged".into(), &"succeeded".into())
    );
    assert_eq!(job["bytes_transferred"], bytes.len());
    assert_eq!(leftovers(host.path("").as_path()), [""; 0]);
    assert_eq!(web.requests("/f").len(), 1);
}

#[test]
fn p9_a_killed_host_resumes_and_fetches_little_again() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote::new(body(40 * MIB, 2));
    let url = web.route("/f", slow(&remote, 10));
    let id = host.download(&url, &[]);
    wait_bytes(&host, &id, 16 * MIB);
    host.kill9();
    let before = web.sent("/f");
    assert!(before < remote.body.len() as u64, "it was killed in the middle");
    web.route("/f", Behaviour::Serve(remote.clone()));
    host.start();
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    let requests = web.requests("/f");
    let again = requests.last().unwrap();
    let (start, _) = again.span().expect("it asked for a range");
    assert_eq!(again.if_range(), remote.etag.as_deref());
    assert!(start >= 16 * MIB as u64, "what was durable is kept: {start}");
    let refetched = web.sent("/f") - remote.body.len() as u64;
    assert!(refetched <= REFETCHED_MAX, "{refetched} bytes were fetched again");
}

#[test]
fn b94_a_file_that_changed_meanwhile_is_begun_anew_and_never_mixed() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let (old, new) = (Remote::new(body(16 * MIB, 3)), Remote::new(body(16 * MIB, 4)));
    let url = web.route("/f", slow(&old, 20));
    let id = host.download(&url, &[]);
    wait_bytes(&host, &id, 4 * MIB);
    host.kill9();
    web.route("/f", Behaviour::Serve(new.clone()));
    host.start();
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(host.path("file.bin")).unwrap() == new.body);
    assert_eq!(leftovers(host.path("").as_path()), [""; 0]);
}

#[test]
fn a_denied_file_leaves_an_error_object() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.denied();
    let id = host.download(&url, &[]);
    host.wait_state(&id, "error");
    let error = host.object(&["job", "error", &id]);
    assert_eq!(error["code"], "0x80190193");
    assert_eq!(error["name"], "HTTP_403");
    assert_eq!(error["context"], "remote-file");
    assert_eq!(error["protocol"], "http");
    assert_eq!(error["leg"], "download");
    assert_eq!(error["attempt"], 1);
    assert_eq!(error["file"]["remote"], url);
    assert_eq!(error["file"]["index"], 0);
    assert_eq!(
        error["file"]["local"],
        host.path("file.bin")
            .canonicalize()
            .unwrap_or(host.path("file.bin"))
            .to_str()
            .unwrap()
    );
    for field in ["description", "context_description"] {
        assert!(!error[field].as_str().unwrap().is_empty(), "{error:#}");
    }
    // Errors survive restarts.
    host.restart();
    assert_eq!(host.object(&["job", "error", &id]), error);
    assert_eq!(host.job(&id)["error_count"], 1);
}

#[test]
fn a_passing_error_is_retried_without_calling_job_error() {
    let config = "[[subscribe]]\nplugin = \"absent\"\nevents = [\"job-error\", \"job-transferred\"]\n";
    let (web, mut host) = (Web::start(), host(config));
    host.start();
    let later = Behaviour::Status(503, vec![("Retry-After".to_owned(), "1".to_owned())]);
    let good = Behaviour::Serve(Remote::new("at last"));
    let url = web.route("/f", Behaviour::Sequence(vec![later, good]));
    let id = host.download(&url, &[]);
    host.wait_state(&id, "transient-error");
    assert_eq!(host.object(&["job", "error", &id])["code"], "0x801901F7");
    host.wait_state(&id, "transferred");
    let events: Vec<_> = host
        .deliveries(&["--job", &id])
        .iter()
        .map(|d| d["event"].clone())
        .collect();
    assert_eq!(events, ["job-transferred"]);
    host.cli(&["job", "error", &id]).code(5);
    host.cli(&["job", "complete", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(std::fs::read(host.path("file.bin")).unwrap(), b"at last");
}

#[test]
fn a_cut_body_is_resumed() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote::new(body(6 * MIB, 5));
    let url = web.route(
        "/f",
        Behaviour::Cut {
            remote: remote.clone(),
            after: 5 * MIB,
        },
    );
    host.download(&url, &["--retry-delay", "100ms", "--wait"]);
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    assert_eq!(web.requests("/f").len(), 2);
    assert_eq!(
        web.sent("/f"),
        remote.body.len() as u64,
        "no byte was asked for twice"
    );
}

#[test]
fn suspend_stops_the_bytes_and_resume_goes_on() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote::new(body(16 * MIB, 6));
    let url = web.route("/f", slow(&remote, 20));
    let id = host.download(&url, &[]);
    wait_bytes(&host, &id, 2 * MIB);
    host.cli(&["job", "suspend", &id]).code(0);
    assert_eq!(host.job(&id)["state"], "suspended");
    eventually("the connection is closed", || {
        let before = web.sent("/f");
        std::thread::sleep(Duration::from_millis(200));
        web.sent("/f") == before
    });
    let stopped = host.job(&id)["bytes_transferred"].clone();
    assert_eq!(web.requests("/f").len(), 1);
    web.route("/f", Behaviour::Serve(remote.clone()));
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    let requests = web.requests("/f");
    assert_eq!(requests.len(), 2);
    assert!(requests[1].span().unwrap().0 >= stopped.as_u64().unwrap());
}

#[test]
fn b44_complete_in_the_middle_keeps_what_is_whole() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.route("/f", slow(&Remote::new(body(16 * MIB, 7)), 50));
    let id = host.download(&url, &[]);
    wait_bytes(&host, &id, MIB);
    host.cli(&["job", "complete", &id]).code(0);
    let job = host.wait_state(&id, "acknowledged");
    assert_eq!(job["outcome"], "partial");
    assert_eq!(job["files_transferred"], 0);
    assert!(!host.path("file.bin").exists(), "half a file is not a file");
    assert_eq!(leftovers(host.path("").as_path()), [""; 0]);
}

#[test]
fn b46_cancel_leaves_nothing_behind() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.route("/f", slow(&Remote::new(body(16 * MIB, 8)), 50));
    let id = host.download(&url, &[]);
    wait_bytes(&host, &id, MIB);
    let temporary = host.job(&id)["files"][0]["temporary"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(Path::new(&temporary).exists());
    host.cli(&["job", "cancel", &id]).code(0);
    assert_eq!(host.wait_state(&id, "cancelled")["outcome"], "cancelled");
    assert!(!Path::new(&temporary).exists() && !host.path("file.bin").exists());
    assert_eq!(leftovers(host.path("").as_path()), [""; 0]);
}

#[test]
fn sigterm_makes_transfers_durable_and_exits_0() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote::new(body(24 * MIB, 9));
    let url = web.route("/f", slow(&remote, 20));
    let id = host.download(&url, &[]);
    wait_bytes(&host, &id, 4 * MIB);
    let ending = host.term();
    assert_eq!((ending.code, ending.signal), (Some(0), None));
    let before = web.sent("/f");
    web.route("/f", Behaviour::Serve(remote.clone()));
    host.start();
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    // A drain loses nothing that arrived: all that is fetched again was still on its way.
    let start = web.requests("/f").last().unwrap().span().unwrap().0;
    assert!(before - start <= 4 * MIB as u64, "{start} of {before}");
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let config = "[plugin.moody]\nlimits = { deadline = \"1h\" }\nconfig = { mood = \"sleep\" }\n\
        [[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\"]\n";
    let (web, mut host) = (Web::start(), host(config));
    host.plugin("moody", sexton_tests::guests::bytes(sexton_tests::guests::MOODY));
    host.start();
    let id = host.download(&web.denied(), &[]);
    host.wait_delivery(&id, "moody", "running");
    host.signal(Signal::TERM);
    host.wait_log("draining");
    assert_eq!(host.object(&["status"])["state"], "draining");
    let refused = host.cli(&["submit", "download", &web.good(), "x"]).code(8);
    assert!(refused.stderr.contains("takes no new jobs"), "{refused:?}");
    host.signal(Signal::TERM);
    let ending = host.ended();
    assert_eq!((ending.code, ending.signal), (Some(1), None), "it was no drain");
    host.wait_log("cut short by a second signal");
}
