//! When and how fast transfers run, through the whole program: who has the slot, what holds a job and says so,
//! what a reload changes for those that run, and where a job's own limits end it.

use serde_json::Value;
use sexton_tests::host::TestHost;
use sexton_tests::poll::until;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use crate::host;

const STOPPED: &str = "[transfer.bandwidth]\nbackground = '0'\n";

/// A body that comes no further than its first half until it is asked for again.
fn half(web: &Web, path: &str) -> String {
    let remote = Remote::new(vec![7; 1 << 20]);
    let stall = Behaviour::Stall {
        remote: remote.clone(),
        after: 1 << 19,
    };
    web.route(path, Behaviour::Sequence(vec![stall, Behaviour::Serve(remote)]))
}

/// The job, once it waits for this.
fn waits(host: &TestHost, id: &str, reason: &str) -> Value {
    until(&format!("job {id} waits for {reason}"), || {
        let job = host.job(id);
        (job["waits"]["reason"] == reason).then_some(job)
    })
}

fn get(host: &TestHost, url: &str, name: &str, more: &[&str]) -> String {
    host.download_to(url, &host.path(name), more)
}

#[test]
fn bp04_a_job_that_waits_says_what_for_since_when_and_what_ends_it() {
    let (web, mut host) = (Web::start(), host("[transfer]\nslots = 1\n"));
    host.start();
    let first = get(&host, &half(&web, "/first"), "first", &["--no-progress", "91d"]);
    host.wait_state(&first, "transferring");
    assert!(host.job(&first)["waits"].is_null(), "it runs");
    let second = get(&host, &web.good(), "second", &[]);
    let waiting = waits(&host, &second, "slot");
    assert_eq!(waiting["state"], "queued");
    let why = &waiting["waits"];
    assert!(why["since"].is_string() && why["until"].is_null(), "{why}");
    assert!(why["ends"].as_str().unwrap().contains("slot is free"), "{why}");
    let list = host.cli(&["job", "list"]).code(0).stdout;
    assert!(list.contains("queued (slot)"), "{list}");
    let show = host.cli(&["job", "show", &second]).code(0).stdout;
    assert!(
        show.contains("waits for") && show.contains("slot, since"),
        "{show}"
    );

    let retry = Behaviour::Status(503, Vec::new());
    let url = web.route("/retry", retry);
    let third = get(
        &host,
        &url,
        "third",
        &["--priority", "foreground", "--retry-delay", "1h"],
    );
    let waiting = waits(&host, &third, "retry");
    assert_eq!(waiting["waits"]["until"], waiting["due"]);
}

#[test]
fn b25_a_higher_priority_takes_the_slot_of_a_running_transfer_which_goes_on_later() {
    let (web, mut host) = (Web::start(), host("[transfer]\nslots = 1\n"));
    host.start();
    let low = get(&host, &half(&web, "/low"), "low", &["--priority", "low"]);
    host.wait_state(&low, "transferring");
    let high = get(&host, &web.good(), "high", &["--priority", "high"]);
    host.wait_state(&high, "acknowledged");
    let ended = host.wait_state(&low, "acknowledged");
    assert_eq!((&ended["error_count"], &ended["attempt"]), (&0.into(), &2.into()));
    let requests = web.requests("/low");
    assert!(requests[1].span().is_some(), "it went on from where it stood");
}

#[test]
fn b72_a_bandwidth_of_zero_holds_background_jobs_until_a_reload_lifts_it() {
    let (web, mut host) = (Web::start(), host(STOPPED));
    host.start();
    let held = get(&host, &web.good(), "held", &[]);
    let job = waits(&host, &held, "bandwidth");
    assert_eq!(
        (&job["state"], &job["error"]["code"], &job["error_count"]),
        (&"transient-error".into(), &"0x8020003E".into(), &0.into())
    );
    // B-71: foreground jobs pay no heed to it.
    get(&host, &web.good(), "now", &["--priority", "foreground", "--wait"]);
    host.configure("");
    host.wait_state(&held, "acknowledged");
    // And a transfer that runs is stopped by it.
    let running = get(&host, &half(&web, "/half"), "running", &[]);
    host.wait_state(&running, "transferring");
    host.configure(STOPPED);
    waits(&host, &running, "bandwidth");
    host.configure("");
    let ended = host.wait_state(&running, "acknowledged");
    assert_eq!(ended["error_count"], 0);
}

#[test]
fn b72_a_new_rate_takes_effect_on_a_transfer_that_runs() {
    let limited = "[transfer.bandwidth]\nlow = '2kbps'\n";
    let (web, mut host) = (Web::start(), host(limited));
    host.start();
    // At this rate it would take more than two hours.
    let url = web.route("/slow", Behaviour::Serve(Remote::new(vec![1; 2 << 20])));
    let slow = get(&host, &url, "slow", &["--priority", "low"]);
    host.wait_state(&slow, "transferring");
    get(&host, &url, "other", &["--wait"]);
    assert_eq!(
        host.job(&slow)["state"],
        "transferring",
        "only its level is limited"
    );
    host.configure("");
    assert_eq!(host.wait_state(&slow, "acknowledged")["attempt"], 1);
}

#[test]
fn bp08_a_job_has_its_own_rate_whatever_its_priority() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.route("/f", Behaviour::Serve(Remote::new(vec![1; 2 << 20])));
    let limited = ["--priority", "foreground", "--limit-rate", "2kbps"];
    let slow = get(&host, &url, "slow", &limited);
    host.wait_state(&slow, "transferring");
    get(&host, &url, "other", &["--wait", "--priority", "foreground"]);
    let job = host.job(&slow);
    assert_eq!(
        (&job["state"], &job["limits"]["rate"]),
        (&"transferring".into(), &250.into())
    );
    host.cli(&["job", "cancel", &slow]).code(0);
}

#[test]
fn b29_without_a_network_transfers_wait_and_with_it_every_transient_error_is_tried() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let later = Behaviour::Sequence(vec![
        Behaviour::Status(503, Vec::new()),
        Behaviour::Serve(Remote::new("later")),
    ]);
    let retry = get(
        &host,
        &web.route("/later", later),
        "retry",
        &["--retry-delay", "1h"],
    );
    host.wait_state(&retry, "transient-error");
    host.configure("[transfer]\nnetwork = 'down'\n");
    host.cli(&["reload"]).code(0);
    // TEST-NET-1: nothing is sent to it, for there is no network.
    let far = get(&host, "http://192.0.2.1/x", "far", &[]);
    let job = waits(&host, &far, "network");
    assert_eq!(
        (&job["error"]["code"], &job["error_count"]),
        (&"0x80200010".into(), &0.into())
    );
    // B-31: what stays on this machine needs no network.
    get(&host, &web.good(), "near", &["--wait"]);
    assert_eq!(host.job(&retry)["state"], "transient-error");
    host.cli(&["job", "cancel", &far]).code(0);
    host.configure("");
    host.wait_state(&retry, "acknowledged");
}

#[test]
fn b76_a_cap_ends_a_body_of_known_and_of_unknown_length() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote::new(vec![3; 300_000]);
    let known = web.route("/known", Behaviour::Serve(remote.clone()));
    let unknown = Behaviour::NoLength {
        remote: remote.clone(),
        chunked: true,
    };
    let unknown = web.route("/unknown", unknown);
    for (index, url) in [known, unknown].iter().enumerate() {
        let id = get(&host, url, &format!("over{index}"), &["--max-bytes", "299999B"]);
        let job = host.wait_state(&id, "error");
        assert_eq!(job["error"]["code"], "0x80200064", "{job}");
        let id = get(&host, url, &format!("under{index}"), &["--max-bytes", "300000B"]);
        host.wait_state(&id, "acknowledged");
    }
    let refused = host.cli(&["submit", "download", &web.good(), "--max-bytes", "0B"]);
    let refused = refused.code(2);
    assert!(refused.stderr.contains("0x80200063"), "{}", refused.stderr);
}

#[test]
fn b60_a_no_progress_time_out_beyond_the_inactivity_one_is_warned_of() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.good();
    for (limit, warned) in [("90d", false), ("91d", true)] {
        let to = host.path(limit);
        let line = [
            "submit",
            "download",
            &url,
            to.to_str().unwrap(),
            "--no-progress",
            limit,
        ];
        let said = host.cli(&line).code(0);
        assert_eq!(
            said.stderr.contains("longer than the 90 days"),
            warned,
            "{}",
            said.stderr
        );
    }
}
