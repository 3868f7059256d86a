//! `on-error`: told once of a call that failed for good, with its verdict (C-30…C-35), and what a handler
//! that fails means.

use serde_json::Value;
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::{Ending, TestHost};
use sexton_tests::poll::until;

use super::{error, started};

/// A host with `moody` in this mood.
fn moody(top: &str, table: &str) -> TestHost {
    let host = started(&format!("{top}\n[plugin.moody]\n{table}\n"));
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_serving("moody");
    host
}

fn fails(host: &TestHost) -> String {
    host.shell(&["--on-error", "moody"], "echo $SEXTON_ATTEMPT >> runs; exit 3")
}

#[test]
fn c30_c31_the_own_handler_is_told_once_and_the_job_has_then_failed() {
    let host = moody("", "config = { mood = \"ok\" }");
    let job = fails(&host);
    let ended = host.wait_state(&job, "acknowledged");
    assert_eq!(ended["outcome"], "failed");
    let told = host.deliveries(&["--job", &job]);
    let events: Vec<&Value> = told.iter().rev().map(|one| &one["event"]).collect();
    assert_eq!(events, ["on-error", "on-ended"]);
    assert_eq!(told[1]["role"], "decider");
    assert_eq!(
        ended["error"]["name"], "SX_E_EXIT_STATUS",
        "a final job keeps its last error"
    );
}

#[test]
fn c31_a_handler_may_have_it_run_again() {
    let host = moody("", "config = { mood = \"resume\", delay_ms = \"0\" }");
    let job = host.shell(&["--on-error", "moody"], "[ $SEXTON_ATTEMPT = 3 ]");
    let ended = host.wait_state(&job, "acknowledged");
    assert_eq!(
        (&ended["outcome"], &ended["attempt"]),
        (&"succeeded".into(), &3.into())
    );
    let errors = host.deliveries(&["--job", &job]);
    assert_eq!(errors.iter().filter(|one| one["event"] == "on-error").count(), 2);
}

#[test]
fn c33_a_failed_call_without_a_handler_is_recorded_and_shown() {
    let host = started("");
    let job = host.shell(&[], "echo sorry >&2; exit 3");
    assert_eq!(error(&host, &job)["name"], "SX_E_EXIT_STATUS");
    assert!(host.cli(&["job", "error", &job]).code(0).stdout.contains("sorry"));
    assert_eq!(host.list(&["job", "list", "--state", "error"]).len(), 1);
    assert_eq!(
        host.cli(&["job", "list"]).code(0).stdout.matches("error").count(),
        1
    );
}

#[test]
fn c33_or_ends_the_host_where_that_is_asked_for() {
    let top = "[fail_fast]\nmode = \"exit\"\n[batch]\nunrecoverable = \"fail-fast\"\n";
    let mut host = moody(top, "config = { mood = \"ok\" }");
    let told = fails(&host);
    assert_eq!(
        host.wait_state(&told, "acknowledged")["outcome"],
        "failed",
        "its handler was told"
    );
    let job = host.shell(&[], "exit 3");
    assert_eq!(
        host.ended(),
        Ending {
            code: Some(70),
            signal: None
        }
    );
    let mut reports = std::fs::read_dir(host.path("state/reports")).unwrap();
    let report = std::fs::read_to_string(reports.next().unwrap().unwrap().path()).unwrap();
    assert!(
        report.contains(&job) && report.contains("has no handler"),
        "{report}"
    );
    host.start();
    assert_eq!(host.job(&job)["state"], "error", "and a restart cannot loop");
}

#[test]
fn t05_a_handler_that_returns_an_error_stops_the_host_with_the_coded_exit() {
    let mut host = moody(
        "[fail_fast]\nmode = \"exit\"\n",
        "config = { mood = \"permanent\" }",
    );
    let job = fails(&host);
    assert_eq!(
        host.ended(),
        Ending {
            code: Some(70),
            signal: None
        }
    );
    let mut reports = std::fs::read_dir(host.path("state/reports")).unwrap();
    let report = std::fs::read_to_string(reports.next().unwrap().unwrap().path()).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["job"], &report["plugin"]),
        (&job.as_str().into(), &"moody".into())
    );
    assert_eq!(report["failure"]["class"], "error-permanent");
    assert_eq!(
        report["failure"]["code"], "0x80070057",
        "E_INVALIDARG, as it said"
    );
    host.start();
    // The second of two is the last: it is parked, and the host stays up.
    assert_eq!(host.ended().code, Some(70));
    host.start();
    let parked = until("parked", || {
        host.deliveries(&["--job", &job])
            .into_iter()
            .find(|one| one["state"] == "poison")
    });
    assert_eq!(parked["event"], "on-error");
    assert_eq!(host.job(&job)["state"], "error", "what nobody handled stays");
}

/// The class and code of the one failure of a handler in this mood, whose call stays in `error`.
fn failure(mood: &str) -> (String, String) {
    let table = format!("on_failure = \"dead-letter\"\nconfig = {{ mood = \"{mood}\" }}");
    let host = moody("", &table);
    let job = fails(&host);
    let dead = host.wait_delivery(&job, "moody", "dead");
    assert_eq!(
        host.job(&job)["state"],
        "error",
        "C-33: it is not lost with its handler"
    );
    let text = |key: &str| dead["last_failure"][key].as_str().unwrap().to_owned();
    (text("class"), text("code"))
}

#[test]
fn t06_a_returned_error_is_kept_as_what_it_is() {
    assert_eq!(
        failure("permanent"),
        ("error-permanent".to_owned(), "0x80070057".to_owned())
    );
    assert_eq!(failure("transient").0, "error-transient");
}

#[test]
fn c35_a_trap_is_no_returned_error_and_harms_the_host_only_where_that_is_asked_for() {
    assert_eq!(failure("panic"), ("trap".to_owned(), "0xA05E0006".to_owned()));
}

#[test]
fn c36_a_handler_that_fails_at_every_start_has_an_escape() {
    let mut host = moody(
        "[fail_fast]\nmode = \"exit\"\n",
        "config = { mood = \"permanent\" }",
    );
    let job = fails(&host);
    assert_eq!(host.ended().code, Some(70));
    host.start_with(&["--ignore-handler-failures"]);
    host.wait_delivery(&job, "moody", "dead");
    assert_eq!(host.job(&job)["state"], "error");
}

#[test]
fn c34_a_fail_fast_takes_commands_along() {
    let mut host = moody(
        "[fail_fast]\nmode = \"exit\"\n",
        "config = { mood = \"permanent\" }",
    );
    host.shell(&[], super::TWO_SLEEPERS);
    let pids = super::pids(&host, "pids", 2);
    fails(&host);
    assert_eq!(host.ended().code, Some(70));
    until("they are gone", || {
        pids.iter().all(|pid| !super::is_alive(*pid)).then_some(())
    });
}

#[test]
fn c05_an_accepted_call_is_durable_before_its_id_is_told() {
    let mut host = started("");
    let job = host.batch(&["--suspended"], &["true"]);
    host.kill9();
    host.start();
    assert_eq!(host.job(&job)["state"], "suspended");
    host.cli(&["job", "resume", &job]).code(0);
    assert_eq!(host.wait_state(&job, "acknowledged")["outcome"], "succeeded");
}

#[test]
fn c06_a_failure_after_acceptance_goes_to_the_handler_and_not_to_the_submitter() {
    let host = moody("", "config = { mood = \"ok\" }");
    let said = host
        .cli(&["submit", "batch", "--on-error", "moody", "--", "false"])
        .code(0);
    assert_eq!(said.stderr, "");
    let job = said.stdout.trim_end();
    host.wait_state(job, "acknowledged");
    assert_eq!(host.deliveries(&["--job", job]).len(), 2);
}

#[test]
fn t03_a_call_that_was_refused_never_reaches_on_error() {
    let host = moody("", "config = { mood = \"ok\" }");
    host.cli(&[
        "submit",
        "batch",
        "--on-error",
        "moody",
        "--deadline",
        "0s",
        "--",
        "false",
    ])
    .code(2);
    let accepted = fails(&host);
    host.wait_state(&accepted, "acknowledged");
    let jobs = host.list(&["job", "list"]);
    assert_eq!(jobs.len(), 1, "a refused call leaves no record");
    assert_eq!(
        host.deliveries(&[]).len(),
        2,
        "on-error and on-ended of the accepted one"
    );
}
