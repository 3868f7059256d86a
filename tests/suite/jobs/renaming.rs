//! Files of a job that are fetched from elsewhere.

use super::*;

#[test]
fn b52_a_prefix_leads_a_failed_job_to_another_server() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let good = web.good();
    let id = host.download(&web.denied(), &[]);
    host.wait_state(&id, "error");
    let from = web.url("/denied");
    let none = host
        .cli(&["job", "replace-prefix", &id, &from.to_uppercase(), "http://x/"])
        .code(0);
    assert!(none.stderr.contains("nothing changed"), "{none:?}");
    let changed = host.object(&[
        "job",
        "replace-prefix",
        &id,
        &from,
        good.strip_suffix(".bin").unwrap(),
    ]);
    assert_eq!(
        (&changed["changed"], &changed["job"]["state"]),
        (&1.into(), &"error".into())
    );
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(std::fs::read(host.path("file.bin")).unwrap(), b"good bytes");
    host.cli(&["job", "replace-prefix", NOBODY, "a", "b"]).code(5);
}

/// A job that has half of a file and is suspended.
fn half(web: &Web, host: &TestHost, bytes: &[u8]) -> String {
    let remote = Remote::new(bytes.to_vec());
    let url = web.route(
        "/half",
        Behaviour::Stall {
            remote,
            after: 5 * MIB,
        },
    );
    let id = host.download(&url, &[]);
    eventually("half of it is durable", || {
        host.job(&id)["bytes_transferred"].as_u64().unwrap() >= 4 * MIB as u64
    });
    host.cli(&["job", "suspend", &id]).code(0);
    id
}

#[test]
fn b130_the_same_file_elsewhere_is_gone_on_with_also_after_a_crash() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let bytes = body(8 * MIB, 5);
    let id = half(&web, &host, &bytes);
    let url = web.route("/moved", Behaviour::Serve(Remote::new(bytes.clone())));
    let said = host.cli(&["job", "set-remote", &id, "0", &url]).code(0);
    assert!(said.stderr.contains("job resume"), "{said:?}");
    host.kill9();
    host.start();
    assert_eq!(
        host.job(&id)["files"][0]["remote"],
        url.as_str(),
        "it was answered, so it is kept"
    );
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(std::fs::read(host.path("file.bin")).unwrap(), bytes);
    assert!(
        web.sent("/moved") <= 4 * MIB as u64,
        "what was here was not fetched again"
    );
}

#[test]
fn b130_another_file_elsewhere_is_fetched_from_its_first_byte() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = half(&web, &host, &body(8 * MIB, 6));
    let other = body(7 * MIB, 7);
    let url = web.route("/other", Behaviour::Serve(Remote::new(other.clone())));
    host.cli(&["job", "set-remote", &id, "0", &url]).code(0);
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(std::fs::read(host.path("file.bin")).unwrap(), other);
    host.cli(&["job", "set-remote", &id, "7", &url]).code(5);
}
