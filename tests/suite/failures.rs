//! A handler that fails leaves no trace of what it decided, and harms nobody else. How each way of
//! failing is recorded: `hostile`.

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
