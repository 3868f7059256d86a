//! The ladder of a call through the real program; its exact times are the law's own tests.

use serde_json::Value;
use sexton_tests::guests::{self, MOODY};

use super::{error, started};

const FAST: [&str; 6] = [
    "--retry-levels",
    "2",
    "--retry-base",
    "100ms",
    "--retry-tries",
    "2",
];

#[test]
fn c72_a_call_climbs_its_ladder_and_its_handler_is_told_once_at_the_end() {
    let host = started("[plugin.moody]\nconfig = { mood = \"ok\" }\n");
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_serving("moody");
    let job = host.shell(
        &[&FAST[..], &["--on-error", "moody"]].concat(),
        "echo run >> runs; exit 3",
    );
    host.wait_state(&job, "acknowledged");
    let told = &host.deliveries(&["--job", &job])[1];
    assert_eq!(told["attempt"], 1);
    let runs = std::fs::read_to_string(host.path("runs")).unwrap();
    assert_eq!(runs.lines().count(), 5, "once, and twice at each of two levels");
    let all = host.deliveries(&["--job", &job]);
    assert_eq!(all.iter().filter(|one| one["event"] == "on-error").count(), 1);
    assert_eq!(host.job(&job)["error_count"], 5);
}

#[test]
fn c72_a_call_that_succeeds_on_its_way_up_has_succeeded() {
    let host = started("[batch]\nretry = { base = \"100ms\" }\n");
    let job = host.shell(&["--wait"], "[ $SEXTON_ATTEMPT = 3 ]");
    let ended = host.job(&job);
    assert_eq!(
        (&ended["outcome"], &ended["attempt"]),
        (&"succeeded".into(), &3.into())
    );
    assert_eq!(
        ended["batch"]["retry"]["levels"], 5,
        "what held when it was submitted is its own"
    );
}

#[test]
fn c72_while_it_waits_it_says_until_when() {
    let host = started("");
    let job = host.shell(&["--retry-levels", "1"], "exit 3");
    let waiting = host.wait_state(&job, "transient-error");
    assert!(waiting["due"].is_string(), "{waiting:#}");
    assert_eq!(waiting["error"]["name"], "SX_E_EXIT_STATUS");
    assert_eq!(host.deliveries(&[]), Vec::<Value>::new());
}

#[test]
fn c74_what_cannot_be_started_is_not_tried_again() {
    let host = started("");
    let job = host.batch(&FAST, &["no-such-program-at-all"]);
    error(&host, &job);
    assert_eq!(host.job(&job)["attempt"], 1);
}
