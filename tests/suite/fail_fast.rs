//! FailFast: the literal reading of an unrecoverable failure, its record, and the way out of its
//! loop; and that deaths by other hands are charged to nobody.

use serde_json::Value;
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::{Ending, TestHost};
use sexton_tests::web::Web;

use crate::host;

const SIGABRT: i32 = 6;

/// `moody` decides about errors; `table` is its table, `top` comes before.
fn config(top: &str, table: &str) -> String {
    format!(
        "{top}\n[plugin.moody]\n{table}\n[[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\"]\ndecide = true\n"
    )
}

fn started(config: &str) -> (Web, TestHost) {
    let (web, mut host) = (Web::start(), host(config));
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    (web, host)
}

const PANIC: &str = "on_failure = \"fail-fast\"\nconfig = { mood = \"panic\" }";

/// The reports so far.
fn reports(host: &TestHost, dir: &str) -> Vec<Value> {
    let Ok(entries) = std::fs::read_dir(host.path(dir)) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    paths.into_iter().map(read).collect()
}

#[test]
fn c32_the_process_dies_and_leaves_a_report() {
    let (web, mut host) = started(&config("", PANIC));
    let job = host.download(&web.denied(), &[]);
    let died = Ending {
        code: None,
        signal: Some(SIGABRT),
    };
    assert_eq!(host.ended(), died);
    let reports = reports(&host, "state/reports");
    assert_eq!(reports.len(), 1);
    let report = &reports[0];
    assert_eq!(
        (&report["job"], &report["plugin"]),
        (&job.as_str().into(), &"moody".into())
    );
    assert!(
        report["delivery"].is_string() && report["pid"].is_number(),
        "{report:#}"
    );
    let failure = &report["failure"];
    assert_eq!(
        (&failure["class"], &failure["attempt"]),
        (&"trap".into(), &1.into())
    );
    assert!(
        failure["last_words"].as_str().unwrap().contains("moody panics"),
        "{report:#}"
    );
    assert_eq!(failure["digest"].as_str().unwrap().len(), 64);
    assert!(!failure["frames"].as_array().unwrap().is_empty());
    assert!(host.log().contains("FailFast"));
    let checked = host.cli(&["db", "check"]).code(0);
    assert!(checked.stdout.contains("good"));
}

#[test]
fn a_supervisors_restart_cannot_loop() {
    let top = "[fail_fast]\nmode = \"exit\"\nreport_dir = \"last-words\"";
    let (web, mut host) = started(&config(top, PANIC));
    let job = host.download(&web.denied(), &[]);
    let exited = Ending {
        code: Some(70),
        signal: None,
    };
    assert_eq!(host.ended(), exited);
    // The delivery is due at once and ends the host a second time: it is parked.
    host.spawn(&[]);
    assert_eq!(host.ended(), exited);
    let reports = reports(&host, "last-words");
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0]["delivery"], reports[1]["delivery"]);
    host.start();
    let parked = host.wait_delivery(&job, "moody", "poison");
    assert_eq!(
        (&parked["id"], &parked["attempt"]),
        (&reports[0]["delivery"], &2.into())
    );
    assert_eq!(host.job(&job)["state"], "error");
    let status = host.object(&["status"]);
    assert!(
        status["fail_fast"]["last_report"]
            .as_str()
            .unwrap()
            .contains("last-words"),
        "{status:#}"
    );
    // Mended and replayed, it is a delivery like any other.
    host.configure(&config(top, "config = { mood = \"cancel\" }"));
    host.cli(&["reload"]).code(0);
    host.cli(&["delivery", "replay", "--all"]).code(0);
    host.wait_state(&job, "cancelled");
}

#[test]
fn c36_handler_failures_can_be_ignored_for_one_start() {
    let (web, mut host) = started(&config("", PANIC));
    let job = host.download(&web.denied(), &[]);
    assert_eq!(host.ended().signal, Some(SIGABRT));
    host.start_with(&["--ignore-handler-failures"]);
    let dead = host.wait_delivery(&job, "moody", "dead");
    assert!(
        dead["result"]
            .as_str()
            .unwrap()
            .contains("--ignore-handler-failures"),
        "{dead:#}"
    );
    assert_eq!(host.object(&["status"])["fail_fast"]["ignored"], true);
}

#[test]
fn only_the_class_that_says_so_ends_the_process() {
    let table =
        "on_failure = \"dead-letter\"\non = { trap = \"fail-fast\" }\nconfig = { mood = \"permanent\" }";
    let (web, mut host) = started(&config("", table));
    let url = web.denied();
    let first = host.download(&url, &[]);
    host.wait_delivery(&first, "moody", "dead");
    host.configure(&config("", &table.replace("\"permanent\"", "\"wild\"")));
    host.cli(&["reload"]).code(0);
    let second = host.download(&url, &[]);
    assert_eq!(host.ended().signal, Some(SIGABRT));
    assert_eq!(reports(&host, "state/reports")[0]["job"], second);
}

#[test]
fn verdicts_of_others_are_kept_and_running_calls_are_made_again() {
    let top = "[fail_fast]\nmode = \"exit\"\n\
        [plugin.slow]\nlimits = { deadline = \"30s\" }\nconfig = { mood = \"slow\", delay_ms = 20000 }\n\
        [[subscribe]]\nplugin = \"slow\"\nevents = [\"job-error\"]";
    let quiet = "on_failure = \"fail-fast\"\nconfig = { mood = \"ok\" }";
    let (web, mut host) = started(&config(top, quiet));
    host.plugin("slow", guests::bytes(MOODY));
    host.wait_serving("slow");
    let url = web.denied();
    let first = host.download(&url, &[]);
    let running = host.wait_delivery(&first, "slow", "running");
    host.wait_delivery(&first, "moody", "settled");
    host.configure(&config(top, PANIC));
    host.cli(&["reload"]).code(0);
    let _ = host.download(&url, &[]);
    assert_eq!(host.ended().code, Some(70));
    host.configure(&config(&top.replace("20000", "0"), quiet));
    host.start();
    let again = host.wait_delivery(&first, "slow", "settled");
    assert_eq!(
        (&again["id"], &again["attempt"], &again["charged"]),
        (&running["id"], &2.into(), &1.into())
    );
}

#[test]
fn a_kill_during_a_call_charges_nobody_and_the_call_is_made_again() {
    let slow = "on_failure = \"fail-fast\"\nlimits = { deadline = \"30s\" }\nconfig = { mood = \"slow\", delay_ms = 20000 }";
    let (web, mut host) = started(&config("", slow));
    let job = host.download(&web.denied(), &[]);
    let running = host.wait_delivery(&job, "moody", "running");
    assert_eq!(running["attempt"], 1);
    host.kill9();
    // Without its component the delivery waits, and can be looked at.
    host.cli(&["plugin", "remove", "moody"]).code(0);
    host.configure(&config(
        "",
        "on_failure = \"fail-fast\"\nconfig = { mood = \"ok\" }",
    ));
    host.start();
    let waiting = host.wait_delivery(&job, "moody", "pending");
    assert_eq!((&waiting["id"], &waiting["attempt"]), (&running["id"], &1.into()));
    assert_eq!(waiting["charged"], 0, "{waiting:#}");
    host.plugin("moody", guests::bytes(MOODY));
    let settled = host.wait_delivery(&job, "moody", "settled");
    assert_eq!((&settled["id"], &settled["attempt"]), (&running["id"], &2.into()));
    assert_eq!(reports(&host, "state/reports"), Vec::<Value>::new());
}

#[test]
fn a_decision_and_its_acknowledgement_come_together_or_not_at_all() {
    for (slow, mended, state) in [
        ("complete-then-slow", "complete", "acknowledged"),
        ("cancel-then-slow", "cancel", "cancelled"),
    ] {
        let table =
            format!("limits = {{ deadline = \"30s\" }}\nconfig = {{ mood = \"{slow}\", delay_ms = 20000 }}");
        let (web, mut host) = started(&config("[log]\nfilter = \"info,sexton=debug\"", &table));
        let job = host.download(&web.denied(), &[]);
        host.wait_delivery(&job, "moody", "running");
        // The guest says so right before it decides.
        host.wait_log(&format!(
            "job-error attempt 1 of {}: {slow}",
            host.deliveries(&[])[0]["id"].as_str().unwrap()
        ));
        host.kill9();
        host.cli(&["plugin", "remove", "moody"]).code(0);
        host.configure(&config("", &format!("config = {{ mood = \"{mended}\" }}")));
        host.start();
        let neither = host.job(&job);
        assert_eq!(
            (&neither["state"], &neither["intent"]),
            (&"error".into(), &Value::Null)
        );
        host.wait_delivery(&job, "moody", "pending");
        host.plugin("moody", guests::bytes(MOODY));
        host.wait_state(&job, state);
        let both = host.wait_delivery(&job, "moody", "settled");
        assert_eq!(both["result"], "acknowledged");
        // And it stays: nothing is called twice.
        host.kill9();
        host.start();
        assert_eq!(host.job(&job)["state"], state);
        assert_eq!(
            host.wait_delivery(&job, "moody", "settled")["attempt"],
            both["attempt"]
        );
    }
}
