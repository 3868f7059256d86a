//! One `PUT` or `POST`: whole or again.

use std::io::Write;
use std::time::Duration;

use sexton_tests::poll::eventually;
use sexton_tests::server::Behaviour;
use sexton_tests::web::Web;

use super::{LONG, MIB, error, sender, status, takes, takes_slowly, wait_bytes};

#[test]
fn a_file_is_put_and_posted_byte_for_byte() {
    let web = Web::start();
    let (host, bytes) = sender("", 3 * MIB + 5);
    std::fs::write(host.path("empty"), "").unwrap();
    for (protocol, verb) in [("put", "PUT"), ("post", "POST")] {
        for (file, bytes) in [("sent.bin", bytes.as_slice()), ("empty", &[])] {
            let path = format!("/{protocol}/{file}");
            let url = web.route(&path, takes());
            let id = host.upload(file, &url, &["--protocol", protocol, "--wait"]);
            let requests = web.requests(&path);
            assert_eq!(requests.len(), 1);
            assert_eq!(requests[0].method, verb);
            assert_eq!(
                requests[0].header("content-length"),
                Some(bytes.len().to_string().as_str())
            );
            assert!(requests[0].body == bytes, "{path}");
            let job = host.job(&id);
            assert_eq!(
                (&job["kind"], &job["outcome"]),
                (&"upload".into(), &"succeeded".into())
            );
            assert_eq!(job["bytes_transferred"], bytes.len());
            assert_eq!(job["files"][0]["completed"], true);
            assert!(job.get("reply").is_none(), "an upload has none");
        }
    }
}

#[test]
fn a_server_that_is_down_gets_the_file_again_when_it_is_back() {
    let web = Web::start();
    let (host, bytes) = sender("", MIB);
    let url = web.route("/f", Behaviour::Sequence(vec![status(503, &[]), takes()]));
    host.upload(
        "sent.bin",
        &url,
        &["--protocol", "put", "--retry-delay", "100ms", "--wait"],
    );
    let requests = web.requests("/f");
    assert_eq!(requests.len(), 2);
    assert!(requests[1].body == bytes);
}

#[test]
fn a_killed_host_sends_a_plain_file_again_from_its_first_byte() {
    let web = Web::start();
    let (mut host, bytes) = sender("", LONG);
    let url = web.route("/f", takes_slowly());
    let id = host.upload("sent.bin", &url, &["--protocol", "put"]);
    wait_bytes(&host, &id, MIB);
    host.kill9();
    assert!(
        web.requests("/f")[0].body.len() < bytes.len(),
        "it was killed in the middle"
    );
    web.route("/f", takes());
    host.start();
    host.wait_state(&id, "acknowledged");
    let requests = web.requests("/f");
    assert!(requests.last().unwrap().body == bytes);
}

#[test]
fn b93_a_file_that_changes_while_it_is_sent_stops_the_job() {
    let web = Web::start();
    let (host, mut bytes) = sender("", LONG);
    let url = web.route("/f", takes_slowly());
    let id = host.upload("sent.bin", &url, &["--protocol", "put"]);
    wait_bytes(&host, &id, MIB);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(host.path("sent.bin"))
        .unwrap();
    file.write_all(b"more").unwrap();
    let error = error(&host, &id);
    assert_eq!(error["name"], "BG_E_LOCAL_FILE_CHANGED");
    assert_eq!(
        (&error["context"], &error["leg"]),
        (&"local-file".into(), &"upload".into())
    );
    eventually("the server has seen the end of it", || {
        web.requests("/f")[0].body.len() < bytes.len()
    });
    // Whoever resumes it has seen that: it is sent as it is now.
    web.route("/f", takes());
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    bytes.extend_from_slice(b"more");
    assert!(web.requests("/f").last().unwrap().body == bytes);
}

#[test]
fn b93_a_file_that_changed_between_two_runs_stops_the_job() {
    let web = Web::start();
    let (host, bytes) = sender("", LONG);
    let url = web.route("/f", takes_slowly());
    let id = host.upload("sent.bin", &url, &["--protocol", "put"]);
    wait_bytes(&host, &id, MIB);
    host.cli(&["job", "suspend", &id]).code(0);
    // As large as before, and put in the place of the first.
    let other: Vec<u8> = bytes.iter().rev().copied().collect();
    std::fs::write(host.path("other"), other).unwrap();
    std::fs::rename(host.path("other"), host.path("sent.bin")).unwrap();
    host.cli(&["job", "resume", &id]).code(0);
    assert_eq!(error(&host, &id)["name"], "BG_E_LOCAL_FILE_CHANGED");
    assert_eq!(web.requests("/f").len(), 1, "nothing of it was sent");
}

#[test]
fn a_server_that_takes_no_more_bytes_is_left_and_asked_again() {
    let web = Web::start();
    let (host, bytes) = sender("[transfer]\nidle_timeout = \"1s\"\n", LONG);
    let url = web.route("/f", Behaviour::Sequence(vec![Behaviour::Hang, takes()]));
    let id = host.upload("sent.bin", &url, &["--protocol", "put", "--retry-delay", "100ms"]);
    let job = host.wait_state(&id, "acknowledged");
    assert_eq!(job["error_count"], 1);
    assert!(web.requests("/f")[1].body == bytes);
}

#[test]
fn b137_an_application_may_think_longer_than_a_line_may_be_silent() {
    let web = Web::start();
    let (host, bytes) = sender("[transfer]\nidle_timeout = \"1s\"\n", 1000);
    let thinks = Behaviour::Take {
        // One wait, after the whole body.
        pace: Some((1000, Duration::from_secs(2))),
        until: None,
        then: Box::new(takes()),
    };
    let url = web.route("/f", thinks);
    let id = host.upload("sent.bin", &url, &["--protocol", "post"]);
    let job = host.wait_state(&id, "acknowledged");
    assert_eq!(job["error_count"], 0);
    assert!(web.requests("/f")[0].body == bytes);
}

#[test]
fn b145_a_redirect_is_not_followed_with_a_file() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    let elsewhere = web.route("/elsewhere", takes());
    let url = web.route("/f", Behaviour::Redirect(elsewhere));
    let id = host.upload("sent.bin", &url, &["--protocol", "put"]);
    assert_eq!(error(&host, &id)["name"], "HTTP_302");
    assert_eq!(web.requests("/elsewhere").len(), 0);
}

#[test]
fn b85_a_refusal_of_the_file_names_the_upload_leg() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    let url = web.route("/f", status(403, &[]));
    let id = host.upload("sent.bin", &url, &["--protocol", "put"]);
    let error = error(&host, &id);
    assert_eq!(error["name"], "HTTP_403");
    assert_eq!(
        (&error["context"], &error["leg"]),
        (&"remote-file".into(), &"upload".into())
    );
    let said = error["description"].as_str().unwrap();
    assert!(
        said.starts_with("cannot send ") && said.contains("sent.bin"),
        "{said}"
    );
}

#[test]
fn auto_asks_once_and_puts_or_posts() {
    let web = Web::start();
    let (host, bytes) = sender("", 1000);
    for (options, verb) in [
        (status(404, &[]), "PUT"),
        (status(405, &[]), "PUT"),
        (status(200, &[("Allow", "GET, PUT, POST")]), "PUT"),
        (status(200, &[("Allow", "OPTIONS, POST")]), "POST"),
        // tus, but without the extension that makes new uploads.
        (
            status(204, &[("Tus-Resumable", "1.0.0"), ("Tus-Extension", "checksum")]),
            "PUT",
        ),
    ] {
        let script = vec![status(503, &[]), options, status(503, &[]), takes()];
        let url = web.route("/f", Behaviour::Sequence(script));
        let before = web.requests("/f").len();
        host.upload("sent.bin", &url, &["--retry-delay", "100ms", "--wait"]);
        let requests = web.requests("/f").split_off(before);
        let verbs: Vec<_> = requests.iter().map(|request| request.method.as_str()).collect();
        assert_eq!(verbs, ["OPTIONS", "OPTIONS", verb, verb]);
        assert!(requests[3].body == bytes);
    }
}

#[test]
fn b139_an_upload_is_not_completed_in_part() {
    let web = Web::start();
    let (host, bytes) = sender("", LONG);
    let url = web.route("/f", takes_slowly());
    let id = host.upload("sent.bin", &url, &["--protocol", "put"]);
    wait_bytes(&host, &id, MIB);
    let refused = host.cli(&["job", "complete", &id, "--json"]).code(5);
    assert!(
        refused.stderr.contains("a part of it cannot be completed"),
        "{refused:?}"
    );
    let job = host.wait_state(&id, "acknowledged");
    assert_eq!(job["outcome"], "succeeded");
    assert!(web.requests("/f")[0].body == bytes);
}
