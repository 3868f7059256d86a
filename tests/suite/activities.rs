//! Activities through the real program: made, shown, paused, kept over a kill; and what is refused.

use sexton_tests::host::TestHost;

use crate::host;

const CONFIG: &str = r#"
[activity.slow]
pool = "shared"
concurrency = 2
max_queued = 5
handler = "pager"
[plugin.pager]
"#;

/// A line of a job set: a call in an activity.
fn call(activity: &str) -> String {
    format!(
        r#"{{"kind": "batch", "batch": {{"work": {{"command": {{"argv": ["/bin/true"]}}}}, "activity": "{activity}"}}}}"#
    )
}

fn show(host: &TestHost, name: &str) -> serde_json::Value {
    host.cli(&["activity", "show", name, "--json"]).code(0).object()
}

#[test]
fn c01_an_activity_is_frozen_when_it_is_made_and_kept_over_a_kill() {
    let mut host = host(CONFIG);
    host.start();
    let made = [
        "activity",
        "create",
        "nightly",
        "--inherit",
        "slow",
        "--max-queued",
        "7",
        "--window",
    ];
    let made = host.cli(&[&made[..], &["mon 22:00-06:00"]].concat()).code(0);
    assert_eq!(made.stdout.trim(), "nightly");
    let before = show(&host, "nightly");
    assert_eq!(before["spec"]["concurrency"], 2, "inherited");
    assert_eq!(before["spec"]["max_queued"], 7);
    assert_eq!(before["spec"]["handler"], "pager");
    assert_eq!(before["spec"]["window"][0], "mon 22:00-06:00");
    let twice = host.cli(&["activity", "create", "nightly"]).code(2);
    assert!(twice.stderr.contains("already"), "{}", twice.stderr);
    host.cli(&["activity", "pause", "nightly", "slow"]).code(0);
    host.kill9();
    host.start();
    let after = show(&host, "nightly");
    assert_eq!(after["digest"], before["digest"]);
    assert_eq!(after["created"], before["created"]);
    assert_eq!(after["paused"], true);
    assert_eq!(show(&host, "slow")["paused"], true);
    let said = host.cli(&["activity", "resume", "slow"]).code(0);
    assert_eq!(said.stdout.trim(), "slow open");
    let listed = host.cli(&["activity", "list"]).code(0);
    assert!(listed.stdout.contains("mon 22:00-06:00"), "{}", listed.stdout);
    assert_eq!(listed.stdout.lines().count(), 3);
}

#[test]
fn c03_what_cannot_be_is_said_with_its_key_and_made_is_nothing() {
    let mut host = host(CONFIG);
    host.start();
    for (args, code, words) in [
        (vec!["x", "--pool", "none"], 2, "`pool`"),
        (
            vec!["x", "--pool", "single", "--concurrency", "2"],
            2,
            "`concurrency`",
        ),
        (vec!["x", "--inherit", "nobody"], 2, "`nobody`"),
        (vec!["x", "--handler", "nobody"], 2, "no plugin `nobody`"),
        (vec!["x", "--window", "noon"], 2, "22:00-06:00"),
    ] {
        let said = host
            .cli(&[&["activity", "create"], &args[..]].concat())
            .code(code);
        assert!(said.stderr.contains(words), "{args:?}: {}", said.stderr);
    }
    host.cli(&["activity", "show", "x"]).code(5);
    let lint = host
        .cli(&["activity", "create", "wide", "--concurrency", "1000"])
        .code(0);
    assert!(lint.stderr.contains("warning:"), "{}", lint.stderr);
}

#[test]
fn c88_a_call_to_an_activity_that_is_not_there_is_an_error_at_once() {
    let mut host = host(CONFIG);
    host.start();
    std::fs::write(host.path("jobs.jsonl"), call("nobody")).unwrap();
    let said = host.cli(&["submit", "-f", "jobs.jsonl"]).code(2);
    let words = "there is no activity `nobody`";
    assert!(said.stderr.contains(words), "{}", said.stderr);
    assert!(host.list(&["job", "list"]).is_empty());
}
