//! What is granted ends where the grant ends: folders at their edge, requests at their origin, their
//! size and the call's deadline.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use sexton_tests::guests::{self, ASKER, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::receiver::Receiver;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use super::moods::is_up;
use crate::host;

/// A folder to grant, with links out of it, and a secret beside it.
fn folder(host: &TestHost) {
    fs::create_dir_all(host.path("granted/sub")).unwrap();
    fs::write(host.path("granted/inside.txt"), "inside").unwrap();
    fs::write(host.path("secret.txt"), "secret").unwrap();
    for (link, to) in [
        ("link-to-file", "../secret.txt".into()),
        ("link-to-dir", "..".into()),
        ("link-absolute", host.path("secret.txt")),
        ("link-via-link", "link-to-dir/secret.txt".into()),
    ] {
        symlink(to, host.path("granted").join(link)).unwrap();
    }
}

/// What a guest could do with `dirs` granted, line by line.
fn probed(dirs: &str) -> (TestHost, String) {
    let config = format!(
        "[plugin.moody]\nconfig = {{ mood = \"probe-dir\" }}\ngrant = {{ dirs = [{dirs}] }}\n\
         [[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\"]\n"
    );
    let (web, mut host) = (Web::start(), host(&config));
    folder(&host);
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    let job = host.download(&web.denied(), &[]);
    host.wait_delivery(&job, "moody", "settled");
    host.wait_log("probe escape: absolute");
    let log = host.log();
    for line in log.lines().filter(|line| line.contains("probe escape")) {
        assert!(!line.contains("reached"), "{line}");
    }
    assert_eq!(fs::read_to_string(host.path("secret.txt")).unwrap(), "secret");
    for stolen in ["stolen.txt", "made", "granted/stolen.txt", "granted/hard.txt"] {
        assert!(!host.path(stolen).exists(), "{stolen}");
    }
    (host, log)
}

#[test]
fn a_granted_folder_ends_at_its_edge() {
    let (host, log) = probed("\"granted:rw\"");
    assert!(log.contains("probe inside: read: reached 6"));
    assert!(log.contains("probe inside: write: reached"));
    assert!(host.path("granted/written.txt").exists());
    let (host, log) = probed("\"granted\"");
    assert!(log.contains("probe inside: read: reached 6"));
    assert!(!log.contains("probe inside: write: reached"));
    assert!(!host.path("granted/written.txt").exists());
    let (_, log) = probed("");
    assert!(!log.contains("reached"));
}

/// The tables of an `asker` that is granted `origin` and asks there for `path`.
pub(super) fn asker(name: &str, origin: &str, path: &str, more: &str) -> String {
    let authority = origin.strip_prefix("http://").unwrap();
    format!(
        "[plugin.{name}]\n{more}config = {{ authority = \"{authority}\", path = \"{path}\", body_mb = {} }}\n\
         [[subscribe]]\nplugin = \"{name}\"\nevents = [\"job-error\"]\n",
        if name == "uploads" { 2 } else { 0 }
    )
}

#[test]
fn requests_end_at_their_origin_their_size_and_their_deadline() {
    let (web, elsewhere) = (Web::start(), Receiver::start(&[204]));
    let origin = format!("http://{}", web.address());
    let grant = format!("on_failure = \"dead-letter\"\ngrant = {{ http = [\"{origin}\"] }}\n");
    let patient = format!("{grant}limits = {{ deadline = \"300ms\" }}\n");
    web.route("/hang", Behaviour::Hang);
    web.route("/headers", Behaviour::EndlessHeaders);
    web.route(
        "/stall",
        Behaviour::Stall {
            remote: Remote::new("stall".repeat(100)),
            after: 10,
        },
    );
    web.route("/large", Behaviour::Serve(Remote::new(vec![b'x'; 5 << 20])));
    web.route(
        "/redirect",
        Behaviour::Redirect(format!("{}/evil", elsewhere.origin())),
    );
    web.route("/upload", Behaviour::Hang);
    let config = [
        asker("hangs", &origin, "/hang", &patient),
        asker("stalls", &origin, "/stall", &patient),
        asker("babbles", &origin, "/headers", &grant),
        asker("downloads", &origin, "/large", &grant),
        asker("uploads", &origin, "/upload", &grant),
        asker("elsewhere", &elsewhere.origin(), "/evil", &grant),
        asker("redirected", &origin, "/redirect", &grant),
    ];
    let mut host = host(&config.concat());
    let names = [
        "hangs",
        "stalls",
        "babbles",
        "downloads",
        "uploads",
        "elsewhere",
        "redirected",
    ];
    for name in names {
        host.plugin(name, guests::bytes(ASKER));
    }
    host.start();
    let pid = host.pid();
    let job = host.download(&web.denied(), &[]);
    for (name, class, words) in [
        ("hangs", "timeout", "deadline 300ms"),
        ("stalls", "timeout", "deadline 300ms"),
        ("babbles", "error-permanent", "Http"),
        (
            "downloads",
            "error-permanent",
            "body size exceeds limit: 4194304 bytes",
        ),
        ("uploads", "error-permanent", "HttpProtocolError"),
        ("elsewhere", "error-permanent", "HttpRequestDenied"),
    ] {
        let record = host.wait_delivery(&job, name, "dead")["last_failure"].clone();
        let said = record["message"].as_str().unwrap();
        assert!(
            record["class"] == class && said.contains(words),
            "{name}: {record:#}"
        );
    }
    // The guest is only told that its request broke off.
    host.wait_log("HttpRequestBodySize(Some(1048576))");
    // A redirect is an answer like any other: whoever asked must ask again, and is denied then.
    let answered = host.wait_delivery(&job, "redirected", "settled");
    assert_eq!(answered["last_failure"], Value::Null);
    host.wait_log("answered 302");
    assert!(elsewhere.posts().is_empty(), "{:?}", elsewhere.posts());
    is_up(&host, pid);
}

#[test]
fn a_plugins_state_ends_at_its_limit() {
    let config = "[plugin.moody]\non_failure = \"dead-letter\"\nconfig = { mood = \"hoard\" }\n\
        limits = { deadline = \"30s\" }\n\
        [[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\"]\n";
    let (web, mut host) = (Web::start(), host(config));
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    let url = web.denied();
    // Seven megabytes and a bit a call: nine fit into 64 MiB, the tenth does not.
    for _ in 0..9 {
        let job = host.download(&url, &[]);
        host.wait_delivery(&job, "moody", "settled");
    }
    let job = host.download(&url, &[]);
    let record = host.wait_delivery(&job, "moody", "dead")["last_failure"].clone();
    assert_eq!(
        (&record["class"], &record["message"]),
        (&"error-transient".into(), &"the plugin's state is full".into())
    );
}
