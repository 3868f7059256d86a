//! Components come and go while the host runs: good ones serve at once, bad ones are refused with a
//! sentence and never take a good one with them.

use std::io::Write;

use serde_json::Value;
use sexton_tests::guests::{self, MINIMAL, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;
use sexton_tests::web::Web;

use crate::host;

/// `moody` is told of errors, and is well.
const MOODY_OK: &str = "[[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\"]\n";

fn started(config: &str, component: Option<&str>) -> (Web, TestHost) {
    let (web, mut host) = (Web::start(), host(config));
    if let Some(path) = component {
        host.plugin("moody", guests::bytes(path));
    }
    host.start();
    if component.is_some() {
        host.wait_serving("moody");
    }
    (web, host)
}

/// A job in error, and its settled delivery to `moody`.
fn called(host: &TestHost, web: &Web) -> Value {
    let job = host.download(&web.denied(), &[]);
    host.wait_delivery(&job, "moody", "settled")
}

/// Waits until something is wrong with the plugin's file, and returns the sentence.
fn problem(host: &TestHost, name: &str) -> String {
    let is_refused = |plugin: &Value| {
        plugin["problem"]
            .as_str()
            .is_some_and(|why| !why.starts_with("absent"))
    };
    let plugin = host.wait_plugin(name, is_refused);
    plugin["problem"].as_str().unwrap().to_owned()
}

#[test]
fn hh01_a_dropped_component_is_loaded_live_and_called() {
    let (web, host) = started(MOODY_OK, None);
    assert!(
        host.plugin_view("moody").unwrap()["problem"]
            .as_str()
            .unwrap()
            .starts_with("absent")
    );
    let job = host.download(&web.denied(), &[]);
    host.plugin("moody", guests::bytes(MOODY));
    // What waited for it is delivered.
    host.wait_delivery(&job, "moody", "settled");
}

#[test]
fn hh02_what_changed_while_no_host_ran_is_seen_at_start() {
    let (web, mut host) = started(MOODY_OK, Some(MOODY));
    host.plugin("other", guests::bytes(MINIMAL));
    host.wait_serving("other");
    assert_eq!(host.term().code, Some(0));
    host.unplug("other");
    host.plugin("moody", guests::marked(MOODY, "second"));
    host.start();
    let serving = host.wait_serving("moody");
    assert_eq!(called(&host, &web)["digest"], serving["digest"]);
    assert_eq!(host.plugin_view("other"), None);
    // Asked for, a look comes at once and its answer is the outcome.
    host.plugin("third", guests::bytes(MINIMAL));
    let seen = host.list(&["plugin", "reload"]);
    assert!(
        seen.iter()
            .any(|plugin| plugin["name"] == "third" && plugin["serving"] == true),
        "{seen:#?}"
    );
}

#[test]
fn hh03_a_half_written_file_is_not_loaded_until_it_is_whole() {
    let (_web, host) = started(MOODY_OK, None);
    let bytes = guests::bytes(MOODY);
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let mut file = std::fs::File::create(host.path("plugins/moody.wasm")).unwrap();
    file.write_all(first).unwrap();
    file.sync_all().unwrap();
    assert!(
        problem(&host, "moody").contains("ends in the middle"),
        "{}",
        problem(&host, "moody")
    );
    assert_eq!(host.plugin_view("moody").unwrap()["serving"], false);
    file.write_all(rest).unwrap();
    drop(file);
    assert_eq!(host.wait_serving("moody")["problem"], Value::Null);
}

#[test]
fn hh04_new_calls_go_to_the_new_component() {
    let (web, host) = started(MOODY_OK, Some(MOODY));
    let old = host.wait_serving("moody")["digest"].clone();
    assert_eq!(called(&host, &web)["digest"], old);
    host.plugin("moody", guests::marked(MOODY, "second"));
    let new = host.wait_plugin("moody", |plugin| plugin["digest"] != old)["digest"].clone();
    assert_eq!(called(&host, &web)["digest"], new);
    // Told with both digests (HH-08).
    let line = format!("digest={} was={}", new.as_str().unwrap(), old.as_str().unwrap());
    assert!(host.log().contains(&line), "{line}");
}

#[test]
fn hh04_a_swap_makes_waiting_deliveries_due_and_lets_running_calls_end() {
    let slow = "[plugin.moody]\non_failure = { initial = \"1h\", max = \"1h\" }\n\
        limits = { deadline = \"20s\" }\n\
        [plugin.moody.config]\nmood = \"transient\"\ndelay_ms = 3000\n\"mood.on-ended\" = \"slow\"\n\
        [[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\", \"on-ended\"]\n";
    let (web, host) = started(slow, Some(MOODY));
    let waiting = host.download(&web.denied(), &[]);
    eventually("the first call has failed", || {
        host.deliveries(&["--job", &waiting])
            .iter()
            .any(|one| one["attempt"] == 1 && one["state"] == "pending")
    });
    let old = host.wait_serving("moody")["digest"].clone();
    let running = host.download_to(&web.good(), &host.path("good"), &["--wait"]);
    host.wait_delivery(&running, "moody", "running");
    host.plugin("moody", guests::bytes(MINIMAL));
    // The new one cancels nothing (it observes, and is refused); what counts is that it was called now.
    let new = host.wait_plugin("moody", |plugin| plugin["digest"] != old)["digest"].clone();
    eventually("the waiting delivery is made by the new component", || {
        let all = host.deliveries(&["--job", &waiting]);
        all.iter().any(|one| one["attempt"] == 2 && one["digest"] == new)
    });
    assert_eq!(host.wait_delivery(&running, "moody", "settled")["digest"], old);
}

#[test]
fn hh04_garbage_leaves_the_last_good_one_serving_even_after_a_restart() {
    let (web, mut host) = started(MOODY_OK, Some(MOODY));
    let good = host.wait_serving("moody")["digest"].clone();
    host.plugin("moody", "no component at all");
    for turn in 0..2 {
        assert!(
            problem(&host, "moody").contains("text, not WebAssembly"),
            "{turn}"
        );
        let plugin = host.plugin_view("moody").unwrap();
        assert_eq!((&plugin["serving"], &plugin["digest"]), (&true.into(), &good));
        assert_eq!(plugin["refused_digest"].as_str().unwrap().len(), 64);
        assert_eq!(called(&host, &web)["digest"], good);
        let listed = host.cli(&["plugin", "list"]).code(0);
        assert!(listed.stdout.contains("last good"), "{listed:?}");
        let degraded = host.object(&["status"])["degraded"].to_string();
        assert!(degraded.contains("moody"), "{degraded}");
        host.restart();
    }
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_plugin("moody", |plugin| {
        plugin["problem"].is_null() && plugin["serving"] == true
    });
}

#[test]
fn hh05_of_many_swaps_in_a_row_the_last_one_serves() {
    let (web, host) = started(MOODY_OK, Some(MOODY));
    let first = host.wait_serving("moody")["digest"].clone();
    for turn in 0..8 {
        host.plugin("moody", guests::marked(MOODY, &format!("turn {turn}")));
    }
    host.plugin("last", guests::marked(MOODY, "turn 7"));
    let last = host.wait_serving("last")["digest"].clone();
    assert_ne!(first, last);
    host.wait_plugin("moody", |plugin| plugin["digest"] == last);
    assert_eq!(called(&host, &web)["digest"], last);
}

#[test]
fn hh06_removing_unloads_and_deliveries_wait() {
    let (web, host) = started(MOODY_OK, Some(MOODY));
    assert_eq!(host.cli(&["plugin", "remove", "moody"]).code(0).stderr, "");
    host.wait_plugin("moody", |plugin| plugin["serving"] == false);
    let job = host.download(&web.denied(), &[]);
    host.wait_state(&job, "error");
    let waiting = host.wait_delivery(&job, "moody", "pending");
    assert_eq!(waiting["attempt"], 0);
    let status = host.object(&["status"]);
    assert_eq!(status["waiting"][0]["plugin"], "moody");
    assert_eq!(status["waiting"][0]["deliveries"], 1);
    assert!(status["waiting"][0]["reason"].is_string(), "{status:#}");
    assert!(status["degraded"].to_string().contains("absent"), "{status:#}");
    let said = host.cli(&["status"]).code(0).stdout;
    assert!(said.contains("1 for moody"), "{said}");
    host.cli(&["plugin", "remove", "moody"]).code(5);
    host.plugin("moody", guests::bytes(MOODY));
    assert_eq!(host.wait_delivery(&job, "moody", "settled")["id"], waiting["id"]);
}

#[test]
fn hh06_a_folder_that_vanishes_unloads_nothing() {
    let (web, mut host) = started(MOODY_OK, Some(MOODY));
    std::fs::rename(host.path("plugins"), host.path("elsewhere")).unwrap();
    host.wait_log("the plugin folder is gone");
    called(&host, &web);
    // Nor does it across a restart.
    host.restart();
    host.wait_serving("moody");
    called(&host, &web);
    std::fs::rename(host.path("elsewhere"), host.path("plugins")).unwrap();
    let _ = host.cli(&["plugin", "reload"]).code(0);
    host.unplug("moody");
    host.wait_plugin("moody", |plugin| plugin["serving"] == false);
}

#[test]
fn hh07_what_is_no_plugin_is_left_alone() {
    let (_web, host) = started("", None);
    for name in [
        "plugins/.hidden.wasm",
        "plugins/a.wasm~",
        "plugins/b.wasm.part",
        "plugins/c.tmp",
        "outside.wasm",
    ] {
        std::fs::write(host.path(name), guests::bytes(MINIMAL)).unwrap();
    }
    std::fs::create_dir(host.path("plugins/dir.wasm")).unwrap();
    std::os::unix::fs::symlink(host.path("outside.wasm"), host.path("plugins/leaves.wasm")).unwrap();
    host.plugin("Bad Name", guests::bytes(MINIMAL));
    host.plugin("good", guests::bytes(MINIMAL));
    host.wait_serving("good");
    let names: Vec<_> = host
        .list(&["plugin", "list"])
        .iter()
        .map(|plugin| plugin["name"].clone())
        .collect();
    assert_eq!(names, ["good"]);
    host.wait_log("leaves the plugin folder");
    host.wait_log("Bad Name.wasm");
}

#[test]
fn hv03_job_control_that_is_not_granted_is_refused_by_name() {
    let config = format!("[plugin.moody]\ngrant = {{ job_control = false }}\n{MOODY_OK}");
    let (web, host) = started(&config, None);
    host.plugin("moody", guests::bytes(MOODY));
    eventually("it is refused", || {
        problem(&host, "moody").contains("grant.job_control = false")
    });
    assert!(problem(&host, "moody").contains("job-control"));
    // Granted, it serves without being copied again.
    host.configure(MOODY_OK);
    host.wait_serving("moody");
    called(&host, &web);
    // And taken away, it stops.
    host.configure(&config);
    host.wait_plugin("moody", |plugin| plugin["serving"] == false);
}

#[test]
fn an_idle_component_is_told_what_to_write() {
    let deaf = "[[subscribe]]\nplugin = \"deaf\"\nevents = [\"on-ended\"]\n";
    let (_web, host) = started(deaf, None);
    host.plugin("alone", guests::bytes(MINIMAL));
    // Subscribed, but only to what it does not export.
    host.plugin("deaf", guests::bytes(MINIMAL));
    let alone = host.wait_serving("alone")["hint"].clone();
    for words in [
        "idle: no subscription",
        "[[subscribe]]",
        "plugin = \"alone\"",
        "\"job-error\"",
    ] {
        assert!(alone.as_str().unwrap().contains(words), "{words}: {alone}");
    }
    let deaf = host.wait_serving("deaf")["hint"].clone();
    assert!(
        deaf.as_str()
            .is_some_and(|hint| hint.starts_with("idle") && hint.contains("job-error")),
        "{deaf}"
    );
    let listed = host.cli(&["plugin", "list"]).code(0);
    assert_eq!(listed.stdout.matches("idle").count(), 2, "{listed:?}");
}
