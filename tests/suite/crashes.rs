//! The host dies at any moment, again and again: nothing accepted is lost, nothing is invented, and
//! what handlers decide happens once.

use std::time::Duration;

use serde_json::Value;
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::{eventually, until};
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use crate::host;

const JOBS: usize = 40;

/// Every ending is counted in the handler's state, by several calls at once: `increment` reads and writes.
/// Every completion waits for a call that takes long enough to be interrupted.
const COUNTING: &str = "[plugin.moody]\nconfig = { mood = \"state-count\" }\n\
    [[subscribe]]\nplugin = \"moody\"\nevents = [\"on-ended\"]\n\
    [plugin.slow]\nconfig = { mood = \"slow\", delay_ms = 30 }\n\
    [[subscribe]]\nplugin = \"slow\"\nevents = [\"job-transferred\"]\ndecide = true\n";

fn ended(host: &TestHost) -> usize {
    let ended = host.list(&["job", "list", "--state", "acknowledged"]);
    assert!(
        ended.iter().all(|job| job["outcome"] == "succeeded"),
        "{ended:#?}"
    );
    ended.len()
}

#[test]
fn what_was_accepted_ends_exactly_once_however_often_the_host_dies() {
    let (web, mut host) = (Web::start(), host(COUNTING));
    host.plugin("moody", guests::bytes(MOODY));
    host.plugin("slow", guests::bytes(MOODY));
    host.start();
    let remote = Remote::new(vec![7; 300_000]);
    let url = web.route(
        "/f",
        Behaviour::Slow {
            remote: remote.clone(),
            chunk: 100_000,
            delay: Duration::from_millis(20),
        },
    );
    let place = |number: usize| format!("file-{number}");
    let jobs: Vec<String> = (0..JOBS)
        .map(|number| host.download_to(&url, &host.path(place(number)), &[]))
        .collect();
    // Each death comes a little later in the work than the one before. Five: a call that is under way
    // at six deaths in a row is parked as poison by law, and on a slow machine one may be.
    for death in 1..=5 {
        until("some more have ended", || {
            (ended(&host) >= death * 4).then_some(())
        });
        host.kill9();
        host.start();
    }
    eventually("all have ended", || ended(&host) == JOBS);
    for (number, job) in jobs.iter().enumerate() {
        assert!(
            std::fs::read(host.path(place(number))).unwrap() == remote.body,
            "file {number}"
        );
        assert_eq!(host.wait_delivery(job, "moody", "settled")["event"], "on-ended");
        assert_eq!(
            host.wait_delivery(job, "slow", "settled")["event"],
            "job-transferred"
        );
    }
    assert_eq!(host.deliveries(&["--limit", "1000"]).len(), 2 * JOBS);
    // A call may have run twice; its write to the state was committed once.
    let from = host.log().len();
    let last = host.download(&url, &["--wait"]);
    host.wait_delivery(&last, "moody", "settled");
    let count = format!("count {}", JOBS + 1);
    eventually("the count is exact", || host.log()[from..].contains(&count));
    assert_eq!(host.term().code, Some(0));
    host.cli(&["db", "check"]).code(0);
}

#[test]
fn a_submission_that_was_answered_survives_the_next_instant() {
    let (web, mut host) = (Web::start(), host(""));
    let url = web.good();
    let mut jobs = Vec::new();
    for turn in 0..5 {
        host.start();
        jobs.push(host.download_to(&url, &host.path(format!("file-{turn}")), &[]));
        host.kill9();
    }
    host.start();
    for job in &jobs {
        assert_eq!(host.wait_state(job, "acknowledged")["outcome"], "succeeded");
    }
    let none: Vec<Value> = Vec::new();
    assert_eq!(host.list(&["job", "list", "--state", "error"]), none);
    assert_eq!(host.list(&["job", "list"]).len(), jobs.len());
}
