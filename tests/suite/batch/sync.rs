//! `submit batch --sync` and `--wait`: who waits for a call (C-04).

use sexton_tests::guests::{self, MOODY};

use super::started;

#[test]
fn c04_an_awaited_call_prints_what_it_prints_and_exits_as_it_did() {
    let host = started("");
    let said = host
        .cli(&[
            "submit",
            "batch",
            "--sync",
            "--",
            "sh",
            "-c",
            "echo out; echo err >&2",
        ])
        .code(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("out\n", "err\n"));
    let said = host
        .cli(&["submit", "batch", "--sync", "--", "sh", "-c", "echo out; exit 7"])
        .code(1);
    assert_eq!(said.stdout, "out\n");
    assert!(said.stderr.contains("ended with status 7"), "{said:?}");
}

#[test]
fn t04_its_failure_never_reaches_on_error() {
    let config = "[[subscribe]]\nplugin = \"moody\"\nevents = [\"on-error\", \"on-ended\"]\nkind = \"batch\"\n[batch]\nunrecoverable = \"fail-fast\"\nretry = {}\n";
    let host = started(config);
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_serving("moody");
    host.cli(&["submit", "batch", "--sync", "--", "false"]).code(1);
    let job = host.list(&["job", "list"])[0]["id"].as_str().unwrap().to_owned();
    let ended = host.wait_delivery(&job, "moody", "settled");
    assert_eq!(ended["event"], "on-ended", "told of the end, not of the error");
    let job = host.job(&job);
    assert_eq!(
        (&job["state"], &job["outcome"]),
        (&"acknowledged".into(), &"failed".into())
    );
    assert_eq!(job["attempt"], 1);
}

#[test]
fn who_waits_for_an_ordinary_call_learns_how_it_ended() {
    let host = started("");
    host.cli(&["submit", "batch", "--wait", "--", "true"]).code(0);
    let failed = host.cli(&["submit", "batch", "--wait", "--", "false"]).code(1);
    assert!(failed.stderr.contains("SX_E_EXIT_STATUS"), "{failed:?}");
}
