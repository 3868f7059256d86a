//! The command line: what goes to stdout, what to stderr, and which exit code says what.

use std::process::Command;

use sexton_tests::guests::{self, MOODY};
use sexton_tests::output::run;
use sexton_tests::poll::eventually;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use crate::host;

/// No job has this id.
const NOBODY: &str = "019b0000-0000-7000-8000-000000000000";

#[test]
fn init_makes_what_run_starts_from_and_overwrites_nothing() {
    let mut host = host("");
    std::fs::remove_file(host.path("sexton.toml")).unwrap();
    let said = host.cli(&["init", "new"]).code(0);
    assert_eq!(said.stdout.trim_end(), "new/sexton.toml");
    let checked = host.cli(&["config", "check", "new/sexton.toml"]).code(0);
    assert!(checked.stdout.ends_with("sexton.toml: good\n"), "{checked:?}");
    std::fs::write(host.path("new/sexton.toml"), "# mine\n").unwrap();
    let refused = host.cli(&["init", "new"]).code(1);
    assert!(refused.stderr.contains("exists already"), "{refused:?}");
    assert!(refused.stderr.contains("hint:"), "{refused:?}");
    assert_eq!(
        std::fs::read_to_string(host.path("new/sexton.toml")).unwrap(),
        "# mine\n"
    );
    host.spawn(&["--config", "new/sexton.toml"]);
    host.wait_log(" ready: control ");
    assert!(host.path("new/control.sock").exists());
}

#[test]
fn exit_2_is_a_wrong_command_line() {
    let host = host("");
    for args in [
        &["job", "show", "not-an-id"][..],
        &["job", "list", "--state", "asleep"],
        &["submit", "download"],
        &["no-such-command"],
        &["delivery", "replay"],
    ] {
        let said = host.cli(args).code(2);
        assert!(said.stdout.is_empty() && !said.stderr.is_empty(), "{said:?}");
    }
    let said = host.cli(&["submit", "download", "no scheme", "x"]).code(2);
    assert!(said.stderr.contains("hint:"), "{said:?}");
}

#[test]
fn exit_3_is_a_bad_configuration_with_its_place() {
    let host = host("[transfer]\nslot = 3\n");
    for args in [&["config", "check"][..], &["run"]] {
        let said = host.cli(args).code(3);
        // Four lines of `[host]` and an empty one come before the two above.
        assert!(said.stderr.contains("sexton.toml:7:1"), "{said:?}");
        assert!(
            said.stderr.contains("slots"),
            "the nearest key is named: {said:?}"
        );
    }
}

#[test]
fn exit_4_is_no_host_at_the_socket() {
    let host = host("");
    for args in [
        &["status"][..],
        &["job", "list"],
        &["submit", "download", "http://127.0.0.1:1/x", "x"],
    ] {
        let said = host.cli(args).code(4);
        assert!(said.stdout.is_empty(), "{said:?}");
        assert!(
            said.stderr.contains("control.sock") && said.stderr.contains("hint:"),
            "{said:?}"
        );
    }
}

#[test]
fn exit_5_is_an_unknown_id_an_illegal_state_or_no_error_object() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let unknown = host.cli(&["job", "show", NOBODY]).code(5);
    assert!(unknown.stderr.contains(NOBODY), "{unknown:?}");
    host.cli(&["delivery", "show", NOBODY]).code(5);
    let id = host.download(&web.good(), &["--wait"]);
    let none = host.cli(&["job", "error", &id]).code(5);
    assert!(none.stdout.is_empty(), "{none:?}");
    assert!(
        none.stderr.contains("8020000F"),
        "the code says that there is none: {none:?}"
    );
    for verb in ["suspend", "resume", "cancel", "complete"] {
        let said = host.cli(&["job", verb, &id]).code(5);
        let words = format!("cannot {verb} a job that is acknowledged: it has ended; submit a new job");
        assert!(said.stderr.contains(&words), "{said:?}");
    }
}

#[test]
fn exit_7_is_a_store_that_another_host_holds() {
    let mut host = host("");
    host.start();
    for args in [&["run"][..], &["db", "check"]] {
        let said = host.cli(args).code(7);
        assert!(said.stderr.contains("hint:"), "{said:?}");
    }
    assert_eq!(host.term().code, Some(0));
    let said = host.cli(&["db", "check"]).code(0);
    assert!(said.stdout.ends_with(": good\n"), "{said:?}");
}

#[test]
fn submit_prints_the_id_and_nothing_else() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let to = host.path("a.bin");
    let said = host
        .cli(&["submit", "download", &web.good(), to.to_str().unwrap()])
        .code(0);
    assert_eq!(said.stderr, "");
    let id = said.stdout.strip_suffix('\n').unwrap();
    assert!(
        id.len() >= 32 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-'),
        "{said:?}"
    );
    assert_eq!(host.wait_state(id, "acknowledged")["outcome"], "succeeded");
    assert_eq!(std::fs::read(to).unwrap(), b"good bytes");
}

#[test]
fn json_is_one_object_or_one_on_each_line() {
    let (web, mut host) = (
        Web::start(),
        host("[[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\"]\n"),
    );
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    let submitted = host.object(&["submit", "download", &web.denied(), "a"]);
    assert_eq!(submitted["new"], true);
    let id = submitted["job"]["id"].as_str().unwrap();
    host.download(&web.good(), &["--wait"]);
    host.wait_state(id, "error");
    let jobs = host.list(&["job", "list"]);
    assert_eq!(jobs.len(), 2);
    // Newest first.
    assert_eq!(jobs[1]["id"], id);
    let in_error = host.list(&["job", "list", "--state", "error"]);
    assert_eq!((in_error.len(), &in_error[0]["id"]), (1, &jobs[1]["id"]));
    let job = host.object(&["job", "show", id]);
    for field in [
        "id",
        "kind",
        "state",
        "priority",
        "files_total",
        "error",
        "files",
        "created",
    ] {
        assert!(job.get(field).is_some(), "{field}: {job:#}");
    }
    assert_eq!(job["error"]["code"], host.object(&["job", "error", id])["code"]);
    assert_eq!(host.object(&["status"])["counts"]["jobs"]["error"], 1);
    assert_eq!(host.list(&["plugin", "list"]).len(), 1);
    let deliveries = host.deliveries(&[]);
    assert_eq!(
        (deliveries.len(), &deliveries[0]["event"]),
        (1, &"job-error".into())
    );
    let none: Vec<serde_json::Value> = Vec::new();
    assert_eq!(host.list(&["job", "list", "--state", "suspended"]), none);
}

#[test]
fn wait_ends_with_the_job_and_tells_how() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let failed = host
        .cli(&["submit", "download", &web.denied(), "a", "--wait"])
        .code(1);
    let id = failed.stdout.trim_end().to_owned();
    for words in [&id, "is in error", "cause:", "0x80190193", "hint:"] {
        assert!(failed.stderr.contains(words), "{words}: {failed:?}");
    }
    let good = host
        .cli(&["submit", "download", &web.good(), "b", "--wait"])
        .code(0);
    assert_eq!(good.stderr, "");
    let held = host
        .cli(&["submit", "download", &web.good(), "c", "--wait", "--hold"])
        .code(0);
    assert!(held.stderr.contains("job complete"), "{held:?}");
    assert!(!host.path("c").exists());
    host.cli(&["job", "cancel", &id]).code(0);
    let watched = host.cli(&["job", "watch", &id]).code(1);
    assert!(watched.stderr.contains("was cancelled"), "{watched:?}");
}

#[test]
fn a_key_submits_once_across_restarts() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.good();
    let first = host.download(&url, &["--key", "nightly"]);
    let again = host
        .cli(&["submit", "download", &url, "other", "--key", "nightly"])
        .code(0);
    assert_eq!(again.stdout.trim_end(), first);
    assert!(again.stderr.contains("key"), "{again:?}");
    host.restart();
    assert_eq!(host.download(&url, &["--key", "nightly"]), first);
    assert_ne!(host.download(&url, &["--key", "weekly"]), first);
    assert_eq!(host.list(&["job", "list"]).len(), 2);
}

#[test]
fn jobs_are_suspended_resumed_set_and_cancelled() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = host.download(&web.good(), &["--suspended"]);
    assert_eq!(host.job(&id)["state"], "suspended");
    let job = host.object(&["job", "set", &id, "--priority", "foreground"]);
    assert_eq!(job["priority"], "foreground");
    let said = host.cli(&["job", "suspend", &id]).code(0);
    assert!(said.stdout.starts_with(&id), "{said:?}");
    host.cli(&["job", "resume", &id, "--after", "1h"]).code(0);
    let waiting = host.job(&id);
    assert_eq!(waiting["state"], "queued");
    assert!(
        waiting["due"].is_string() || waiting["due"].is_number(),
        "{waiting:#}"
    );
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");

    let other = host.download_to(&web.denied(), &host.path("b"), &[]);
    host.wait_state(&other, "error");
    // One of several that cannot be done does not stop the rest.
    let said = host.cli(&["job", "cancel", &id, &other]).code(5);
    assert!(said.stderr.contains("acknowledged"), "{said:?}");
    assert_eq!(host.wait_state(&other, "cancelled")["outcome"], "cancelled");
}

#[test]
fn plain_output_has_no_colours_and_foreign_texts_cannot_paint() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.route("/x", Behaviour::Serve(Remote::new("x")));
    let name = "\u{1b}[31mred\u{1b}[0m\nforged";
    let id = host.download(&url, &["--name", name, "--wait"]);
    let mut coloured = Command::new(env!("CARGO_BIN_EXE_sexton-under-test"));
    coloured
        .env("SEXTON_CONFIG", host.path("sexton.toml"))
        .args(["job", "show", &id]);
    for said in [
        host.cli(&["job", "show", &id]),
        host.cli(&["job", "list"]),
        run(&mut coloured),
    ] {
        assert!(said.stdout.contains("\\u{1b}[31mred"), "{said:?}");
        assert!(
            !said.stdout.contains('\u{1b}') && !said.stdout.contains("\nforged"),
            "{said:?}"
        );
    }
    let json = host.cli(&["job", "show", &id, "--json"]).code(0);
    assert_eq!(json.object()["name"], name);
    assert!(!json.stdout.contains('\u{1b}'));
}

#[test]
fn the_tools_that_need_no_host() {
    let host = host("[transfer]\nslots = 3\n");
    let shown = host.cli(&["config", "show"]).code(0);
    assert!(shown.stdout.contains("slots = 3"), "{shown:?}");
    let schema = host.cli(&["config", "schema"]).code(0);
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert_eq!(schema["title"], "sexton.toml");
    assert!(
        host.cli(&["completions", "bash"])
            .code(0)
            .stdout
            .contains("sexton")
    );
    assert!(host.cli(&["--version"]).code(0).stdout.starts_with("sexton "));
    assert!(host.cli(&["--help"]).code(0).stdout.contains("Exit codes"));
}

#[test]
fn the_control_socket_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mut host = host("");
    host.start();
    let mode = std::fs::metadata(host.path("control.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // A socket left behind by a crash is no obstacle to the next start.
    host.kill9();
    assert!(host.path("control.sock").exists());
    host.start();
    eventually("the host answers", || host.cli(&["status"]).code == 0);
}

#[test]
fn json_is_spoken_without_a_host_too() {
    let host = host("[transfer]\nslots = 3\n");
    let made = host.object(&["init", "new"]);
    assert_eq!(
        (&made["config_file"], &made["plugin_dir"]),
        (&"new/sexton.toml".into(), &"new/plugins".into())
    );
    let checked = host.object(&["config", "check"]);
    assert_eq!(checked["good"], true);
    assert!(checked["config_file"].as_str().unwrap().ends_with("sexton.toml"));
    assert_eq!(host.object(&["config", "show"])["transfer"]["slots"], 3);
    let added = host.object(&["plugin", "add", "journal"]);
    assert_eq!(
        (&added["name"], &added["configured"]),
        (&"journal".into(), &false.into())
    );
    assert!(
        added["config"].as_str().unwrap().contains("[plugin.journal]"),
        "{added:#}"
    );
    let removed = host.object(&["plugin", "remove", "journal"]);
    assert_eq!(
        (&removed["removed"], &removed["keys_forgotten"]),
        (&true.into(), &serde_json::Value::Null)
    );
    let mut host = host;
    host.start();
    assert_eq!(host.term().code, Some(0));
    assert_eq!(host.object(&["db", "check"])["good"], true);
}

#[test]
fn plugin_add_copies_only_what_can_be_a_plugin() {
    let host = host("");
    for (name, bytes, words) in [
        (
            "script.wasm",
            &b"#!/bin/sh\necho hello\n"[..],
            "text, not WebAssembly",
        ),
        ("module.wasm", b"\0asm\x01\0\0\0", "core module, not a component"),
    ] {
        std::fs::write(host.path(name), bytes).unwrap();
        let refused = host.cli(&["plugin", "add", name]).code(1);
        assert!(refused.stderr.contains(words), "{refused:?}");
        assert!(!host.path("plugins").join(name).exists());
    }
    std::fs::write(host.path("moody.wasm"), guests::bytes(MOODY)).unwrap();
    host.cli(&["plugin", "add", "moody.wasm"]).code(0);
    assert!(host.path("plugins/moody.wasm").exists());
}

#[test]
fn completions_offer_no_hidden_command() {
    let host = host("");
    for shell in ["bash", "zsh", "fish"] {
        let script = host.cli(&["completions", shell]).code(0).stdout;
        assert!(script.contains("plugin") && script.contains("json"), "{shell}");
        assert!(!script.contains("compile-component"), "{shell} offers it");
    }
}
