//! A configuration that changes under load: good files apply live, bad ones change nothing, and no job that was
//! accepted loses its end, or hears of it twice.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::output::Output;
use sexton_tests::poll::{eventually, until};
use sexton_tests::web::Web;

use crate::host;

/// Jobs that stream in; every third is denied and cancelled by its handler.
const JOBS: usize = 36;
/// What every good file says: `ledger` ends what is denied, and counts what has ended.
const LEDGER: &str = "config = { 'mood.job-error' = 'cancel', 'mood.on-ended' = 'state-count' }\n\
    [[subscribe]]\nplugin = 'ledger'\nevents = ['job-error', 'on-ended']\ndecide = true\n";
const GUEST: &str = "[[subscribe]]\nplugin = 'guest'\nevents = ['job-transferred', 'on-ended']\n";

/// What somebody does to the file.
enum Edit {
    /// Replaced by rename.
    Replaced(String),
    /// Written in place.
    InPlace(String),
    Deleted,
}

/// One change, and what `status` says afterwards: nothing, or these words.
type Step = (Edit, Option<&'static str>, bool);

fn good(policy: &str, guest: bool) -> String {
    let guest = if guest { GUEST } else { "" };
    format!("[plugin.ledger]\non_failure = {policy}\n{LEDGER}{guest}")
}

/// The last of each says whether `guest` is subscribed then.
fn steps(head: &str) -> Vec<Step> {
    let whole = format!("{head}{}", good("'queued'", true));
    let half = whole[..whole.find("state-count").unwrap()].to_owned();
    vec![
        (Edit::Replaced(good("{ attempts = 9 }", true)), None, true),
        (
            Edit::Replaced("[plugin.ledger\n".into()),
            Some("this is not TOML"),
            true,
        ),
        (Edit::Replaced(good("'queued'", false)), None, false),
        (
            Edit::Replaced(format!("{}[hots]\ncalls = 1\n", good("'bits'", true))),
            Some("unknown section `hots`"),
            false,
        ),
        (Edit::InPlace(half), Some("this is not TOML"), false),
        (Edit::InPlace(String::new()), Some("it is empty"), false),
        (Edit::InPlace(whole), None, true),
        (Edit::Deleted, Some("there is no such file"), true),
        (Edit::Replaced(good("'bits'", true)), None, true),
    ]
}

/// The file may be gone, so the socket is named.
fn cli(host: &TestHost, args: &[&str]) -> Output {
    let socket = host.path("control.sock");
    host.cli(&[&["--socket", socket.to_str().unwrap()], args].concat())
}

fn edit(host: &TestHost, step: &Step) {
    let file = host.path("sexton.toml");
    match &step.0 {
        Edit::Replaced(text) => host.configure(text),
        Edit::InPlace(text) => std::fs::write(&file, text).unwrap(),
        Edit::Deleted => std::fs::remove_file(&file).unwrap(),
    }
    until("status tells of the change", || {
        let status = cli(host, &["status", "--json"]).code(0).object();
        let plugins = cli(host, &["plugin", "list", "--json"]).code(0).lines();
        let guest = plugins.iter().find(|plugin| plugin["name"] == "guest").unwrap();
        let subscribed = !guest["subscriptions"].as_array().unwrap().is_empty();
        let as_told = match (step.1, status["config_problem"].as_str()) {
            (None, None) => true,
            (Some(words), Some(problem)) => problem.contains(words),
            _ => false,
        };
        (as_told && subscribed == step.2).then_some(())
    });
    // Refused files do not become good by asking again.
    if step.1.is_some() {
        let _ = cli(host, &["reload"]).code(3);
    }
}

fn submit(host: &TestHost, url: &str, index: usize) -> String {
    let to = host.path(format!("file{index}"));
    let said = cli(host, &["submit", "download", url, to.to_str().unwrap()]).code(0);
    said.stdout.trim_end().to_owned()
}

/// Deliveries of `on-ended` for a job, to one plugin.
fn ends<'d>(all: &'d [Value], job: &str, plugin: &str) -> Vec<&'d Value> {
    all.iter()
        .filter(|one| one["job"] == job && one["plugin"] == plugin && one["event"] == "on-ended")
        .collect()
}

#[test]
fn files_good_and_bad_under_load_lose_nothing() {
    let web = Web::start();
    let mut host = host(&good("'bits'", true));
    host.plugin("ledger", guests::bytes(MOODY));
    host.plugin("guest", guests::bytes(MOODY));
    host.start();
    host.wait_serving("ledger");
    host.wait_serving("guest");
    let written = std::fs::read_to_string(host.path("sexton.toml")).unwrap();
    let head = written.split("[plugin").next().unwrap().to_owned();
    let (edited, enough) = (AtomicBool::new(false), AtomicBool::new(false));
    let host = &host;
    let jobs: Vec<String> = std::thread::scope(|scope| {
        let submitting = scope.spawn(|| {
            let mut jobs = Vec::new();
            // There is load as long as the file changes.
            while jobs.len() < JOBS || !edited.load(Ordering::SeqCst) {
                let url = if jobs.len().is_multiple_of(3) {
                    web.denied()
                } else {
                    web.good()
                };
                jobs.push(submit(host, &url, jobs.len()));
                assert!(!enough.load(Ordering::SeqCst), "an edit failed");
            }
            jobs
        });
        let editing = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for step in steps(&head) {
                edit(host, &step);
            }
        }));
        enough.store(editing.is_err(), Ordering::SeqCst);
        edited.store(true, Ordering::SeqCst);
        let jobs = submitting.join();
        if let Err(why) = editing {
            std::panic::resume_unwind(why);
        }
        jobs.unwrap()
    });
    every_job_has_one_end(host, &jobs);
}

fn every_job_has_one_end(host: &TestHost, jobs: &[String]) {
    assert_eq!(
        jobs.iter().collect::<BTreeSet<_>>().len(),
        jobs.len(),
        "ids are unique"
    );
    eventually("every end was told to the ledger", || {
        let told = host.deliveries(&["--plugin", "ledger", "--state", "settled", "--limit", "1000"]);
        jobs.iter().all(|job| !ends(&told, job, "ledger").is_empty())
    });
    let all = host.deliveries(&["--limit", "1000"]);
    for (index, job) in jobs.iter().enumerate() {
        let state = host.job(job)["state"].clone();
        let expected = if index.is_multiple_of(3) {
            "cancelled"
        } else {
            "acknowledged"
        };
        assert_eq!(state, expected, "job {index}");
        assert_eq!(ends(&all, job, "ledger").len(), 1, "job {index}");
        assert!(ends(&all, job, "guest").len() <= 1, "job {index}");
    }
    let last = format!("count {}", jobs.len());
    host.wait_log(&last);
    let more = format!("count {}", jobs.len() + 1);
    assert!(!host.log().contains(&more), "an end was counted twice");
}

/// A job in error, whose decider is `old`, waits for its retry; then `new` is made the decider.
#[test]
fn a_job_has_one_decider_also_when_another_one_is_configured() {
    let web = Web::start();
    let told = |old: &str, old_decides: bool, new: &str| {
        let mut text = String::new();
        for (plugin, mood, decide) in [("old", old, old_decides), ("new", new, !old_decides)] {
            text += &format!("[plugin.{plugin}]\non_failure = 'bits'\nconfig = {{ mood = '{mood}' }}\n");
            text +=
                &format!("[[subscribe]]\nplugin = '{plugin}'\nevents = ['job-error']\ndecide = {decide}\n");
        }
        text
    };
    // Neither is done with the event: it could not be decided by one that has been told already.
    let mut host = host(&told("transient", true, "transient"));
    host.plugin("old", guests::bytes(MOODY));
    host.plugin("new", guests::bytes(MOODY));
    host.start();
    let job = host.download(&web.denied(), &[]);
    until("the decider fails and waits", || {
        let old = host.deliveries(&["--job", &job, "--plugin", "old"]);
        old.first()
            .filter(|one| one["attempt"].as_u64() > Some(0))
            .map(drop)
    });
    // The old one would cancel now if it were asked to decide; the new one never comes to an end with it.
    host.configure(&told("cancel", false, "transient"));
    let _ = host.cli(&["reload"]).code(0);
    let tried = |host: &TestHost| {
        let old = host.deliveries(&["--job", &job, "--plugin", "old"]).remove(0);
        let denied = old["last_failure"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (old["role"].as_str().unwrap().to_owned(), denied)
    };
    until("the old one is told that it only observes", || {
        let (role, message) = tried(&host);
        assert_eq!(
            host.job(&job)["state"],
            "error",
            "it was not for the old one to end"
        );
        (role == "observer" && message.contains("observ")).then_some(())
    });
    let open = host.deliveries(&["--job", &job]);
    let deciders = open
        .iter()
        .filter(|one| one["role"] == "decider" && one["state"] == "pending");
    assert!(deciders.count() <= 1, "{open:#?}");
}
