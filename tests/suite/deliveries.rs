//! Deliveries: retried, buried, dug up again, made exactly once, and routed by the configuration as
//! it is now.

use std::path::Path;

use serde_json::Value;
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;
use sexton_tests::web::Web;

use crate::host;

/// `moody` with these lines in its table, told of these events.
fn moody(table: &str, events: &str, decide: bool) -> String {
    format!(
        "[plugin.moody]\n{table}\n[[subscribe]]\nplugin = \"moody\"\nevents = [{events}]\ndecide = {decide}\n"
    )
}

fn started(config: &str) -> (Web, TestHost) {
    let (web, mut host) = (Web::start(), host(config));
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    (web, host)
}

/// Replaces the configuration of a running host and waits until it is in force.
fn reconfigure(host: &TestHost, config: &str) {
    host.configure(config);
    let _ = host.cli(&["reload"]).code(0);
}

const DEAD_LETTER: &str = "on_failure = \"dead-letter\"\nconfig = { mood = \"permanent\" }";
const ERRORS: &str = "\"job-error\"";

#[test]
fn a_dead_letter_is_listed_shown_and_replayed_under_its_id() {
    let (web, mut host) = started(&moody(DEAD_LETTER, ERRORS, true));
    let job = host.download(&web.denied(), &[]);
    let dead = host.wait_delivery(&job, "moody", "dead");
    let id = dead["id"].as_str().unwrap();
    assert_eq!(host.deliveries(&["--state", "dead"]).len(), 1);
    let shown = host.cli(&["delivery", "show", id]).code(0).stdout;
    for words in [id, "error-permanent", "moody will not", "job-error", "0x80070057"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // Dead letters survive restarts.
    host.restart();
    assert_eq!(host.delivery(id), dead);
    reconfigure(&host, &moody("config = { mood = \"cancel\" }", ERRORS, true));
    assert_eq!(host.object(&["delivery", "replay", id])["count"], 1);
    let settled = host.wait_delivery(&job, "moody", "settled");
    assert_eq!((&settled["id"], &settled["attempt"]), (&dead["id"], &2.into()));
    assert_eq!(settled["attempts"].as_array().unwrap().len(), 1);
    host.wait_state(&job, "cancelled");
}

#[test]
fn a_dead_letter_is_purged_once() {
    let (web, host) = started(&moody(DEAD_LETTER, ERRORS, true));
    let url = web.denied();
    let jobs = [host.download(&url, &[]), host.download(&url, &[])];
    let dead = jobs.map(|job| host.wait_delivery(&job, "moody", "dead"));
    let id = dead[0]["id"].as_str().unwrap();
    host.cli(&["delivery", "purge"]).code(2);
    assert_eq!(host.object(&["delivery", "purge", id])["count"], 1);
    assert_eq!(host.object(&["delivery", "show", id])["result"], "purged");
    host.cli(&["delivery", "purge", id]).code(5);
    let left = host.deliveries(&["--state", "dead"]);
    assert_eq!((left.len(), &left[0]["id"]), (1, &dead[1]["id"]));
    assert_eq!(
        host.object(&["delivery", "purge", "--plugin", "moody"])["count"],
        1
    );
    assert_eq!(host.deliveries(&["--state", "dead"]), Vec::<Value>::new());
}

#[test]
fn a_failing_delivery_is_made_again_until_it_succeeds() {
    let ladder = "on_failure = { attempts = 5, initial = \"50ms\" }\n\
        config = { mood = \"fail-then-ok\", failures = 2 }";
    let (web, host) = started(&moody(ladder, ERRORS, true));
    let job = host.download(&web.denied(), &[]);
    let settled = host.wait_delivery(&job, "moody", "settled");
    assert_eq!((&settled["attempt"], &settled["charged"]), (&3.into(), &3.into()));
    let classes: Vec<_> = settled["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["class"])
        .collect();
    assert_eq!(classes, ["error-transient", "error-transient"]);
}

#[test]
fn a_ladder_ends_in_the_dead_letters() {
    let ladder = "on_failure = { attempts = 3, initial = \"20ms\" }\nconfig = { mood = \"transient\" }";
    let (web, host) = started(&moody(ladder, ERRORS, true));
    let job = host.download(&web.denied(), &[]);
    let dead = host.wait_delivery(&job, "moody", "dead");
    assert_eq!(dead["attempt"], 3);
    assert_eq!(host.job(&job)["state"], "error");
}

#[test]
fn on_ended_comes_exactly_once_whoever_ended_the_job() {
    let (web, mut host) = started(&moody("", "\"on-ended\"", false));
    let (good, denied) = (web.good(), web.denied());
    let succeeded = host.download(&good, &["--wait"]);
    let cancelled = host.download_to(&denied, &host.path("b"), &[]);
    host.wait_state(&cancelled, "error");
    host.cli(&["job", "cancel", &cancelled]).code(0);
    let completed = host.download_to(&good, &host.path("c"), &["--hold", "--wait"]);
    host.cli(&["job", "complete", &completed]).code(0);
    let partial = host.download_to(&denied, &host.path("d"), &[]);
    host.wait_state(&partial, "error");
    host.cli(&["job", "complete", &partial]).code(0);
    let jobs = [&succeeded, &cancelled, &completed, &partial];
    for job in jobs {
        let delivery = host.wait_delivery(job, "moody", "settled");
        assert_eq!(
            (&delivery["event"], &delivery["attempt"]),
            (&"on-ended".into(), &1.into())
        );
    }
    host.restart();
    reconfigure(&host, &moody("config = { a = 1 }", "\"on-ended\"", false));
    assert_eq!(host.deliveries(&[]).len(), jobs.len());
}

#[test]
fn a_job_completes_once_its_handlers_are_done() {
    let ladder = "on_failure = { attempts = 9, initial = \"50ms\" }\n\
        config = { mood = \"fail-then-ok\", failures = 2 }";
    let (web, host) = started(&moody(ladder, "\"job-transferred\"", true));
    let job = host.download(&web.good(), &["--wait"]);
    assert_eq!(host.job(&job)["outcome"], "succeeded");
    // The job was not completed before the third call.
    assert_eq!(host.wait_delivery(&job, "moody", "settled")["attempt"], 3);
}

#[test]
fn an_observers_requests_are_refused() {
    let table = "on_failure = \"dead-letter\"\nconfig = { mood = \"cancel\" }";
    let (web, host) = started(&moody(table, ERRORS, false));
    let job = host.download(&web.denied(), &[]);
    let dead = host.wait_delivery(&job, "moody", "dead");
    assert_eq!(
        (&dead["role"], &dead["last_failure"]["code"]),
        (&"observer".into(), &"0x80070005".into())
    );
    assert_eq!(host.job(&job)["state"], "error");
    // As the job's own handler it decides, whatever the subscription says.
    let own = host.download_to(&web.denied(), &host.path("own"), &["--handler", "moody"]);
    host.wait_state(&own, "cancelled");
}

#[test]
fn a_handler_resumes_a_job() {
    let (web, host) = started(&moody("config = { mood = \"resume\" }", ERRORS, true));
    let url = web.denied();
    let job = host.download(&url, &["--suspended"]);
    host.cli(&["job", "resume", &job]).code(0);
    eventually("it was asked for again and again", || {
        web.requests("/denied.bin").len() > 2
    });
    let good = sexton_tests::server::Remote::new("mended");
    web.route("/denied.bin", sexton_tests::server::Behaviour::Serve(good));
    host.wait_state(&job, "acknowledged");
    assert_eq!(std::fs::read(host.path("file.bin")).unwrap(), b"mended");
}

#[test]
fn a_subscription_added_later_is_told_once_of_what_is_in_error_now() {
    let (web, mut host) = started("");
    let job = host.download(&web.denied(), &[]);
    host.wait_state(&job, "error");
    assert_eq!(host.deliveries(&[]), Vec::<Value>::new());
    host.configure(&moody("config = { mood = \"ok\" }", ERRORS, true));
    let settled = host.wait_delivery(&job, "moody", "settled");
    reconfigure(
        &host,
        &moody("config = { mood = \"ok\", more = 1 }", ERRORS, true),
    );
    host.restart();
    let all = host.deliveries(&[]);
    assert_eq!(
        (all.len(), &all[0]["id"], &all[0]["attempt"]),
        (1, &settled["id"], &1.into())
    );
}

#[test]
fn a_bad_configuration_is_refused_whole_and_the_old_one_stays() {
    let good = moody("config = { mood = \"ok\" }", ERRORS, true);
    let (web, host) = started(&good);
    let bad = format!("{}[retention]\nfinished = 3\n", moody(DEAD_LETTER, ERRORS, true));
    host.configure(&bad);
    eventually("status tells of the bad file", || {
        let problem = host.object(&["status"])["config_problem"].clone();
        problem
            .as_str()
            .is_some_and(|why| why.contains("sexton.toml:") && why.contains("finished"))
    });
    let refused = host.cli(&["reload"]).code(3);
    assert!(refused.stderr.contains("sexton.toml:"), "{refused:?}");
    let job = host.download(&web.denied(), &[]);
    host.wait_delivery(&job, "moody", "settled");
    reconfigure(&host, &good);
    assert_eq!(host.object(&["status"])["config_problem"], Value::Null);
}

#[test]
fn a_change_right_after_the_ready_line_is_not_missed() {
    let mut host = host("");
    host.plugin("moody", guests::bytes(MOODY));
    for turn in 0..6 {
        let event = ["job-error", "on-ended"][turn % 2];
        host.start();
        // The watch of the file may begin before or after this.
        host.configure(&moody("", &format!("\"{event}\""), false));
        host.wait_plugin("moody", |plugin| plugin["subscriptions"][0]["event"] == event);
        host.kill9();
    }
}

#[test]
fn sighup_reads_the_configuration_again() {
    let (_web, host) = started("");
    host.signal(rustix::process::Signal::HUP);
    host.configure(&moody("", ERRORS, false));
    host.wait_plugin("moody", |plugin| {
        plugin["subscriptions"][0]["event"] == "job-error"
    });
}

#[test]
fn state_is_kept_across_calls_restarts_and_components_until_it_is_purged() {
    let (web, mut host) = started(&moody("config = { mood = \"state-count\" }", ERRORS, false));
    let url = web.denied();
    for count in 1..4 {
        let job = host.download(&url, &[]);
        host.wait_delivery(&job, "moody", "settled");
        host.wait_log(&format!("count {count}"));
    }
    host.restart();
    host.plugin("moody", guests::marked(MOODY, "newer"));
    host.wait_log("was=");
    let job = host.download(&url, &[]);
    host.wait_delivery(&job, "moody", "settled");
    host.wait_log("count 4");
    host.cli(&["plugin", "remove", "moody", "--purge"]).code(0);
    host.plugin("moody", guests::bytes(MOODY));
    let from = host.log().len();
    let job = host.download(&url, &[]);
    host.wait_delivery(&job, "moody", "settled");
    eventually("it counts from one", || host.log()[from..].contains("count 1"));
}

#[test]
fn a_decision_about_a_job_that_moved_is_made_again() {
    let slow = moody(
        "limits = { deadline = \"20s\" }\nconfig = { mood = \"cancel-then-slow\", delay_ms = 1500 }",
        ERRORS,
        true,
    );
    let (web, host) = started(&slow);
    let job = host.download(&web.denied(), &[]);
    host.wait_delivery(&job, "moody", "running");
    host.cli(&["job", "set", &job, "--priority", "high"]).code(0);
    assert_eq!(host.wait_state(&job, "cancelled")["priority"], "high");
    let settled = host.wait_delivery(&job, "moody", "settled");
    assert_eq!((&settled["attempt"], &settled["charged"]), (&2.into(), &1.into()));
    assert_eq!(settled["result"], "acknowledged");
}

#[test]
fn the_notify_command_runs_when_the_handler_fails() {
    let (web, host) = started(&moody("config = { mood = \"panic\" }", ERRORS, true));
    let mark = host.path("mark");
    let job = host.download(
        &web.denied(),
        &["--notify-command", "/usr/bin/touch", mark.to_str().unwrap()],
    );
    host.wait_delivery(&job, "moody", "settled");
    assert!(Path::new(&mark).exists());
}

#[test]
fn state_counts_every_call_of_many_at_once() {
    let (web, host) = started(&moody(
        "config = { mood = \"state-count\" }",
        "\"on-ended\"",
        false,
    ));
    let url = web.good();
    let jobs: Vec<_> = (0..30)
        .map(|number| host.download_to(&url, &host.path(format!("f{number}")), &[]))
        .collect();
    for job in &jobs {
        host.wait_delivery(job, "moody", "settled");
    }
    let from = host.log().len();
    let last = host.download(&url, &["--wait"]);
    host.wait_delivery(&last, "moody", "settled");
    eventually("the count is exact", || host.log()[from..].contains("count 31"));
}

#[test]
fn what_waits_for_a_plugin_that_is_gone_can_be_purged() {
    let (web, host) = started(&moody("", ERRORS, true));
    host.wait_serving("moody");
    host.cli(&["plugin", "remove", "moody"]).code(0);
    let url = web.denied();
    let jobs = [host.download(&url, &[]), host.download(&url, &[])];
    let waiting = jobs.map(|job| host.wait_delivery(&job, "moody", "pending"));
    // Nobody is asked to name what everybody else needs.
    host.cli(&["delivery", "purge", "--state", "pending"]).code(2);
    let id = waiting[0]["id"].as_str().unwrap();
    assert_eq!(host.object(&["delivery", "purge", id])["count"], 1);
    // Said of a plugin alone it means what is dead.
    let purge = ["delivery", "purge", "--plugin", "moody"];
    assert_eq!(host.object(&purge)["count"], 0);
    let pending = [&purge[..], &["--state", "pending"]].concat();
    assert_eq!(host.object(&pending)["count"], 1);
    assert_eq!(host.object(&["status"])["waiting"], Value::Array(Vec::new()));
    // While it serves, what is pending is about to be made.
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_serving("moody");
    let refused = host.cli(&pending).code(5);
    assert!(refused.stderr.contains("serves"), "{refused:?}");
}
