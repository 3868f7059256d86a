//! The end of a call whose ladder is used up: the final callback, dead letters and their return (C-75…C-81).

use serde_json::Value;
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::until;

use super::{error, started};

const LAST: &str = "[[subscribe]]\nplugin = \"moody\"\nevents = [\"final-server-retry\", \"final-client-retry\"]\ndecide = true\n";

/// A host with `moody`, which hears of the end of every call and is in this mood then.
fn asked(mood: &str) -> TestHost {
    let config = format!("{LAST}[plugin.moody]\nconfig = {{ mood = \"{mood}\" }}\n");
    let host = started(&config);
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_serving("moody");
    host
}

/// A call that fails twice: with one retry.
fn fails(host: &TestHost) -> String {
    let ladder = [
        "--retry-levels",
        "1",
        "--retry-base",
        "100ms",
        "--retry-tries",
        "1",
    ];
    host.shell(&ladder, "echo run >> runs; [ -e mended ]")
}

fn dead(host: &TestHost, job: &str) -> Value {
    until("it is a dead letter", || {
        let job = host.job(job);
        job["call"]["dead"].is_string().then_some(job)
    })
}

fn told(host: &TestHost, job: &str) -> Vec<String> {
    let mut all = host.deliveries(&["--job", job]);
    all.reverse();
    all.iter()
        .map(|one| one["event"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn c76_a_final_callback_that_succeeds_resolves_the_call() {
    let host = asked("ok");
    let job = fails(&host);
    let ended = host.wait_state(&job, "acknowledged");
    assert_eq!(
        (&ended["outcome"], &ended["attempt"]),
        (&"failed".into(), &2.into())
    );
    assert_eq!(told(&host, &job), ["final-server-retry"]);
}

#[test]
fn t09_a_final_callback_that_fails_and_none_at_all_lead_to_the_dead_letters() {
    let host = asked("permanent");
    let job = fails(&host);
    let lies = dead(&host, &job);
    assert_eq!(
        (&lies["state"], &lies["call"]["dead"]),
        (&"error".into(), &"exhausted".into())
    );
    assert_eq!(host.deliveries(&["--job", &job])[0]["state"], "dead");
    assert!(
        host.cli(&["job", "list"])
            .code(0)
            .stdout
            .contains("error, dead letter")
    );
    let alone = started("");
    let job = fails(&alone);
    assert_eq!(dead(&alone, &job)["call"]["dead"], "exhausted");
    assert_eq!(
        std::fs::read_to_string(alone.path("runs"))
            .unwrap()
            .lines()
            .count(),
        2
    );
}

#[test]
fn c75_the_final_handler_is_another_than_that_of_errors_and_comes_after_it() {
    let config = "[[subscribe]]\nplugin = \"first\"\nevents = [\"on-error\"]\ndecide = true\n\
                  [[subscribe]]\nplugin = \"last\"\nevents = [\"final-server-retry\"]\ndecide = true\n";
    let host = started(config);
    for name in ["first", "last"] {
        host.plugin(name, guests::bytes(MOODY));
        host.wait_serving(name);
    }
    let job = fails(&host);
    host.wait_state(&job, "acknowledged");
    let all = host.deliveries(&["--job", &job]);
    let who: Vec<_> = all
        .iter()
        .rev()
        .map(|one| (one["plugin"].as_str().unwrap(), one["event"].as_str().unwrap()))
        .collect();
    assert_eq!(who, [("first", "on-error"), ("last", "final-server-retry")]);
}

#[test]
fn c77_a_call_that_never_began_has_a_callback_of_its_own() {
    let host = asked("permanent");
    let gone = host.batch(&["--retry-levels", "1"], &["no-such-program-at-all"]);
    let late = host.batch(
        &["--retry-levels", "1", "--suspended", "--start-within", "1ms"],
        &["true"],
    );
    host.cli(&["job", "resume", &late]).code(0);
    for job in [gone, late] {
        assert_eq!(dead(&host, &job)["call"]["dead"], "never-started");
        assert_eq!(told(&host, &job), ["final-client-retry"]);
    }
}

#[test]
fn c79_what_the_final_handler_decides_is_done() {
    let host = asked("resume");
    let job = fails(&host);
    std::fs::write(host.path("mended"), "").unwrap();
    let ended = host.wait_state(&job, "acknowledged");
    assert_eq!(ended["outcome"], "succeeded");
}

#[test]
fn c81_every_dead_letter_is_queued_again_with_what_it_is_and_no_other_job() {
    let mut host = started("");
    let jobs = [fails(&host), fails(&host)];
    let plain = host.shell(&[], "[ -e mended ]");
    let before: Vec<Value> = jobs.iter().map(|job| dead(&host, job)).collect();
    error(&host, &plain);
    host.restart();
    assert_eq!(host.job(&jobs[0])["call"]["dead"], "exhausted", "C-80: it stays");
    std::fs::write(host.path("mended"), "").unwrap();
    assert_eq!(host.object(&["job", "requeue", "--all"])["count"], 2);
    for (job, before) in jobs.iter().zip(before) {
        let after = host.wait_state(job, "acknowledged");
        assert_eq!(after["outcome"], "succeeded");
        for kept in ["id", "owner", "created", "error_count", "name"] {
            assert_eq!(after[kept], before[kept], "{kept}");
        }
        assert_eq!(after["attempt"], 3, "its runs go on from those before");
    }
    assert_eq!(
        host.job(&plain)["state"],
        "error",
        "no dead letter, and not asked for"
    );
    host.cli(&["job", "requeue", &plain]).code(0);
    host.wait_state(&plain, "acknowledged");
    assert!(
        host.cli(&["job", "requeue", &plain])
            .code(5)
            .stderr
            .contains("requeue")
    );
}

#[test]
fn c80_nobody_is_asked_about_a_dead_letter_any_more() {
    let host = started("");
    let job = fails(&host);
    dead(&host, &job);
    host.configure(&format!(
        "{LAST}[plugin.moody]\n[[subscribe]]\nplugin = \"moody\"\nevents = [\"on-error\"]\n"
    ));
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_serving("moody");
    let later = fails(&host);
    host.wait_state(&later, "acknowledged");
    assert_eq!(told(&host, &job), Vec::<String>::new());
    assert_eq!(host.job(&job)["call"]["dead"], "exhausted");
}
