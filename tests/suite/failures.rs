//! Every way in which a handler fails is told apart, recorded with its last words, and harms nobody
//! else.

use serde_json::Value;
use sexton_tests::guests::{self, MINIMAL, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::web::Web;

use crate::host;

/// A mood for every call, short limits, and the dead letters after the first failure.
fn config(mood: &str) -> String {
    format!(
        "[plugin.moody]\non_failure = \"dead-letter\"\n\
         limits = {{ deadline = \"500ms\", memory = \"16MiB\" }}\nconfig = {{ mood = \"{mood}\" }}\n\
         [[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\"]\ndecide = true\n"
    )
}

/// A host whose `moody` is in this mood, a job in error, and what became of its delivery.
fn told(mood: &str, state: &str) -> (TestHost, String, Value) {
    let (web, mut host) = (Web::start(), host(&config(mood)));
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    let job = host.download(&web.denied(), &[]);
    let delivery = host.wait_delivery(&job, "moody", state);
    (host, job, delivery)
}

/// The record of the only failure, having checked what all records hold.
fn failure(mood: &str, class: &str) -> Value {
    let (host, job, delivery) = told(mood, "dead");
    let record = delivery["last_failure"].clone();
    assert_eq!(record["class"], class, "{record:#}");
    assert_eq!(delivery["attempts"], Value::Array(vec![record.clone()]));
    assert_eq!((&record["attempt"], &delivery["charged"]), (&1.into(), &1.into()));
    let serving = host.wait_serving("moody");
    assert_eq!(record["digest"], serving["digest"]);
    assert!(!record["message"].as_str().unwrap().is_empty());
    assert!(!record["code"].as_str().unwrap().is_empty());
    // The job is as it was, and the plugin still serves.
    assert_eq!(host.job(&job)["state"], "error");
    record
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

#[test]
fn a_returned_failure_is_permanent_or_transient() {
    let record = failure("permanent", "error-permanent");
    assert_eq!(
        (text(&record, "code"), text(&record, "message")),
        ("0x80070057", "moody will not")
    );
    let record = failure("transient", "error-transient");
    assert_eq!(text(&record, "message"), "moody does not feel like it");
}

#[test]
fn hx01_a_panic_is_a_trap_with_its_last_words_and_frames() {
    let record = failure("panic", "trap");
    assert!(text(&record, "last_words").contains("moody panics"), "{record:#}");
    assert!(text(&record, "message").contains("panicked"), "{record:#}");
    let frames = record["frames"].as_array().unwrap();
    assert!(
        !frames.is_empty() && frames.iter().all(|frame| !frame.as_str().unwrap().contains("0x")),
        "{record:#}"
    );
}

#[test]
fn hx02_a_stack_overflow_is_a_trap_and_says_so() {
    let record = failure("overflow", "trap");
    assert!(text(&record, "message").contains("stack overflow"), "{record:#}");
}

#[test]
fn hx03_a_wild_pointer_is_a_trap_and_no_stack_overflow() {
    let record = failure("wild", "trap");
    assert!(!text(&record, "message").contains("stack overflow"), "{record:#}");
    assert!(text(&record, "message").contains("out of bounds"), "{record:#}");
}

#[test]
fn hx04_hx05_a_loop_and_a_sleep_end_at_the_same_deadline() {
    for mood in ["loop", "sleep"] {
        let record = failure(mood, "timeout");
        assert_eq!(text(&record, "limit"), "deadline 500ms");
        let took = record["duration_ms"].as_u64().unwrap();
        assert!((450..5_000).contains(&took), "{mood} took {took} ms");
    }
}

#[test]
fn hx06_allocating_without_end_dies_of_the_memory_limit() {
    let record = failure("alloc", "memory");
    assert_eq!(text(&record, "limit"), "memory 16 MiB");
    let peak = record["peak_memory"].as_u64().unwrap();
    assert!((8 << 20..=16 << 20).contains(&peak), "{peak}");
}

#[test]
fn hx07_exit_is_a_failure_whatever_its_code() {
    for mood in ["exit0", "exit1"] {
        let record = failure(mood, "exit");
        assert!(text(&record, "message").contains("never exits"), "{record:#}");
    }
}

#[test]
fn hx08_a_huge_message_is_cut() {
    let record = failure("huge-message", "error-permanent");
    let length = text(&record, "message").len();
    assert!((100..64 << 10).contains(&length), "{length}");
}

#[test]
fn hx09_floods_are_swallowed_and_the_call_is_good() {
    for mood in ["flood-stdout", "flood-log"] {
        // Not a matter of milliseconds: twenty megabytes pass through.
        let config = config(mood).replace("500ms", "30s");
        let (web, mut host) = (Web::start(), host(&config));
        host.plugin("moody", guests::bytes(MOODY));
        host.start();
        let job = host.download(&web.denied(), &[]);
        let delivery = host.wait_delivery(&job, "moody", "settled");
        assert_eq!(delivery["result"], "acknowledged");
        assert!(
            host.log().len() < 4 << 20,
            "{mood} wrote {} bytes of log",
            host.log().len()
        );
    }
}

#[test]
fn what_a_guest_says_can_neither_paint_nor_forge() {
    let (host, ..) = told("escape", "settled");
    host.wait_log("forged");
    let log = host.log();
    assert!(!log.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("ERROR forged")), "{log}");
}

#[test]
fn without_grants_a_guest_reaches_nothing() {
    let (host, ..) = told("probe", "settled");
    host.wait_log("probe connect");
    let log = host.log();
    assert!(log.contains("probe env: 0") && !log.contains("reached"), "{log}");
}

#[test]
fn what_was_decided_before_a_failure_leaves_no_trace() {
    for (mood, class) in [
        ("cancel-then-panic", "trap"),
        ("cancel-then-transient", "error-transient"),
    ] {
        let (host, job, delivery) = told(mood, "dead");
        assert_eq!(delivery["last_failure"]["class"], class);
        let job = host.job(&job);
        assert_eq!(
            (&job["state"], &job["intent"], &job["outcome"]),
            (&"error".into(), &Value::Null, &Value::Null)
        );
    }
}

#[test]
fn state_written_before_a_failure_leaves_no_trace() {
    let (web, mut host) = (Web::start(), host(&config("state-then-panic")));
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    let url = web.denied();
    let first = host.download(&url, &[]);
    host.wait_delivery(&first, "moody", "dead");
    host.configure(&config("state-count"));
    host.wait_log("the configuration was applied");
    let second = host.download(&url, &[]);
    host.wait_delivery(&second, "moody", "settled");
    host.wait_log("count 1");
    assert!(!host.log().contains("count 2"));
}

#[test]
fn a_neighbour_works_meanwhile() {
    let neighbour = "[[subscribe]]\nplugin = \"good\"\nevents = [\"job-error\"]\ndecide = true\n";
    for mood in ["loop", "panic", "alloc"] {
        let bad = config(mood).replace("decide = true\n", "").replace("500ms", "3s");
        let (web, mut host) = (Web::start(), host(&format!("{bad}{neighbour}")));
        host.plugin("moody", guests::bytes(MOODY));
        host.plugin("good", guests::bytes(MINIMAL));
        host.start();
        let url = web.denied();
        // As many as keep every place of the bad one taken.
        let jobs: Vec<_> = (0..5).map(|_| host.download(&url, &[])).collect();
        for job in &jobs {
            host.wait_delivery(job, "good", "settled");
            host.wait_state(job, "cancelled");
        }
        let settled = host.deliveries(&["--plugin", "moody", "--state", "settled"]);
        assert_eq!(settled, Vec::<Value>::new());
    }
}
