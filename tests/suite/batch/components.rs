//! Components that do batch work: `service-call.on-call` (C-07), by the real program.

use serde_json::Value;
use sexton_tests::guests::{self, WORKER};
use sexton_tests::host::TestHost;

use super::{error, printed, started};

/// A host whose `worker` serves, with what else stands in the file.
fn worker(config: &str) -> TestHost {
    let host = started(config);
    host.plugin("worker", guests::bytes(WORKER));
    host.wait_serving("worker");
    host
}

fn call(host: &TestHost, input: &str, more: &[&str]) -> String {
    let args = [&["submit", "call", "worker", "--input", input], more].concat();
    host.cli(&args).code(0).stdout.trim_end().to_owned()
}

#[test]
fn c07_a_component_is_called_with_its_input_and_its_answer_is_kept() {
    let host = worker("");
    let job = call(&host, "echo a b\nc", &["--wait"]);
    assert_eq!(printed(&host, &job).0, "a b\nc");
    let listed = host.list(&["plugin", "list"]);
    assert_eq!(listed[0]["interfaces"], serde_json::json!(["service-call"]));
    assert!(listed[0]["hint"].is_null(), "nothing need be routed to it");
}

#[test]
fn c07_what_a_call_writes_to_its_state_commits_with_its_end() {
    let host = worker("");
    for calls in ["1", "2"] {
        let job = call(&host, "count", &["--wait"]);
        assert_eq!(printed(&host, &job).0, calls);
    }
    let failed = call(&host, "count not", &[]);
    assert_eq!(error(&host, &failed)["description"], "not");
    let job = call(&host, "count", &["--wait"]);
    assert_eq!(
        printed(&host, &job).0,
        "3",
        "what a failed call had written is not kept"
    );
}

#[test]
fn c35_what_a_component_returns_is_told_apart_from_how_it_dies() {
    let host = worker("");
    let returned = error(&host, &call(&host, "fail at that", &["--name", "n"]));
    assert_eq!(
        (&returned["name"], &returned["description"]),
        (&"E_FAIL".into(), &"n failed: at that".into())
    );
    let trapped = error(&host, &call(&host, "trap", &[]));
    assert_eq!(trapped["name"], "SX_E_TRAP", "{trapped:#}");
    let late = error(&host, &call(&host, "spin", &["--deadline", "300ms"]));
    assert_eq!(late["name"], "SX_E_DEADLINE", "{late:#}");
}

#[test]
fn c07_a_call_that_takes_long_keeps_no_handler_waiting() {
    // One call into a handler at a time.
    let config = "calls = 1\n";
    let host = worker(config);
    host.plugin("moody", guests::bytes(guests::MOODY));
    host.wait_serving("moody");
    let spins = call(&host, "spin", &[]);
    host.wait_state(&spins, "transferring");
    let failed = host.shell(&["--on-error", "moody"], "exit 1");
    let ended = host.wait_state(&failed, "acknowledged");
    assert_eq!(ended["outcome"], "failed");
    assert_eq!(host.job(&spins)["state"], "transferring");
    host.cli(&["job", "cancel", &spins]).code(0);
    host.wait_state(&spins, "cancelled");
}

#[test]
fn c77_a_component_that_is_not_there_is_said_so() {
    let host = started("");
    let job: Value = error(&host, &call(&host, "echo", &[]));
    assert_eq!(job["name"], "SX_E_SPAWN");
    let why = job["description"].as_str().unwrap();
    assert!(why.contains("`worker`") && why.contains("plugin list"), "{why}");
}
