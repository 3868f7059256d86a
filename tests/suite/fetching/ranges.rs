//! Ranges of a file, and one file over several connections, each across a SIGKILL.

use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use super::{MIB, body, content, slow, wait_bytes};
use crate::host;

#[test]
fn b125_ranges_arrive_in_their_order_and_outlive_a_kill() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote::new(body(24 * MIB, 21));
    let url = web.route("/f", slow(&remote));
    let ranges = [
        "--range",
        "8388608-20971519",
        "--range",
        "0-4194303",
        "--range",
        "25165000-",
    ];
    let id = host.download(&url, &ranges);
    wait_bytes(&host, &id, 6 * MIB);
    host.kill9();
    web.route("/f", Behaviour::Serve(remote.clone()));
    host.start();
    let job = host.wait_state(&id, "acknowledged");
    let expected = [
        &remote.body[8 * MIB..20 * MIB],
        &remote.body[..4 * MIB],
        &remote.body[25_165_000..],
    ]
    .concat();
    assert!(content(&host, "file.bin") == expected);
    assert_eq!(job["bytes_total"], expected.len(), "B-09: the sum of the ranges");
    assert_eq!(job["bytes_transferred"], expected.len());
    let again = web.sent("/f") - expected.len() as u64;
    assert!(again <= 8 * MIB as u64, "{again} bytes were fetched again");
    for request in web.requests("/f") {
        assert!(
            !request.range().unwrap().contains(','),
            "one range at a time (B-126)"
        );
    }
}

#[test]
fn b125_bad_ranges_are_refused_with_their_codes() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.good();
    let said = host.cli(&[
        "submit", "download", &url, "x", "--range", "0-5", "--range", "5-9", "--json",
    ]);
    said.code(2);
    let many: Vec<String> = (0..501).map(|n| format!("--range={}-{}", n * 2, n * 2)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let said = host.cli(&[&["submit", "download", &url, "x"], many.as_slice()].concat());
    assert!(said.stderr.contains("BG_E_TOO_MANY_RANGES_IN_FILE") || said.stderr.contains("at most 500"));
}

#[test]
fn b87_a_server_without_ranges_is_a_named_error_and_writes_nothing() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.route("/f", Behaviour::IgnoresRange(Remote::new(body(MIB, 22))));
    let id = host.download(&url, &["--range", "10-19"]);
    host.wait_state(&id, "error");
    assert_eq!(
        host.object(&["job", "error", &id])["name"],
        "BG_E_INSUFFICIENT_RANGE_SUPPORT"
    );
    let past = web.route("/g", Behaviour::Serve(Remote::new(body(100, 23))));
    let id = host.download_to(&past, &host.path("g"), &["--range", "90-109"]);
    host.wait_state(&id, "error");
    assert_eq!(host.object(&["job", "error", &id])["name"], "BG_E_INVALID_RANGE");
}

/// Four connections: each may fetch its own 8 MiB again.
#[test]
fn p9_segments_outlive_a_kill_and_fetch_at_most_8_mib_each_again() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote::new(body(48 * MIB + 3, 24));
    let url = web.route("/f", slow(&remote));
    let id = host.download(&url, &["--segments", "4"]);
    wait_bytes(&host, &id, 16 * MIB);
    host.kill9();
    let before = web.requests("/f").len();
    let sent = web.sent("/f");
    assert!(sent < remote.body.len() as u64, "it was killed in the middle");
    assert_eq!(before, 5, "one byte that tells the size, then four connections");
    web.route("/f", Behaviour::Serve(remote.clone()));
    host.start();
    host.wait_state(&id, "acknowledged");
    assert!(content(&host, "file.bin") == remote.body);
    let again = web.sent("/f") - remote.body.len() as u64;
    assert!(again <= 4 * 8 * MIB as u64, "{again} bytes were fetched again");
    for request in &web.requests("/f")[before..] {
        assert_eq!(request.if_range(), remote.etag.as_deref());
        let (first, last) = request.span().unwrap();
        assert!(
            first > 0 && last.is_some(),
            "each goes on within its segment: {request:?}"
        );
    }
}

#[test]
fn j75_segments_of_two_versions_are_never_put_together() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let (old, new) = (Remote::new(body(32 * MIB, 25)), Remote::new(body(32 * MIB, 26)));
    let url = web.route("/f", slow(&old));
    let id = host.download(&url, &["--segments", "3"]);
    wait_bytes(&host, &id, 8 * MIB);
    host.kill9();
    web.route("/f", Behaviour::Serve(new.clone()));
    host.start();
    let job = host.wait_state(&id, "acknowledged");
    assert!(content(&host, "file.bin") == new.body);
    assert_eq!(job["files"][0]["restarts"], 1, "and that is told (B-94)");
    let shown = host.cli(&["job", "show", &id]).code(0).stdout;
    assert!(shown.contains("completed, begun anew 1×"), "{shown}");
}
