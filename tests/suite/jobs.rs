//! Jobs as people make and change them: files added while others are fetched, properties set, names
//! replaced, and what is said where that cannot be.

mod properties;
mod renaming;

use std::time::Duration;

use sexton_tests::host::TestHost;
use sexton_tests::output::Output;
use sexton_tests::poll::eventually;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use crate::download::body;
use crate::host;

const MIB: usize = 1 << 20;

/// No job has this id.
const NOBODY: &str = "019b0000-0000-7000-8000-000000000000";

fn create(host: &TestHost, more: &[&str]) -> String {
    let said = host.cli(&[&["job", "create"], more].concat()).code(0);
    said.stdout.trim_end().to_owned()
}

fn add(host: &TestHost, id: &str, url: &str, name: &str) -> Output {
    let to = host.path(name);
    host.cli(&["job", "add", id, url, to.to_str().unwrap()])
}

/// A refusal with this code, as the command line tells it.
#[track_caller]
fn refused(said: Output, exit: i32, code: &str) -> String {
    let said = said.code(exit);
    assert!(said.stderr.contains(code), "{code}: {said:?}");
    said.stderr
}

#[test]
fn b01_the_host_names_jobs_and_labels_may_repeat() {
    let mut host = host("");
    host.start();
    let ids: Vec<String> = (0..2).map(|_| create(&host, &["--name", "twin"])).collect();
    assert_ne!(ids[0], ids[1]);
    for id in &ids {
        assert_eq!(id.len(), 36, "128 bits");
        assert_eq!(host.job(id)["name"], "twin");
    }
}

#[test]
fn b02_a_created_job_is_suspended_empty_and_normal() {
    let mut host = host("");
    host.start();
    let job = host.job(&create(&host, &[]));
    assert_eq!(
        (&job["state"], &job["priority"]),
        (&"suspended".into(), &"normal".into())
    );
    for field in [
        "bytes_total",
        "bytes_transferred",
        "files_total",
        "files_transferred",
    ] {
        assert_eq!(job[field], 0, "{field}");
    }
}

#[test]
fn b43_an_empty_job_is_not_resumed() {
    let mut host = host("");
    host.start();
    let id = create(&host, &[]);
    let said = refused(host.cli(&["job", "resume", &id]), 5, "0x80200003 BG_E_EMPTY");
    assert!(
        said.contains("hint: as it stands it takes: complete, cancel"),
        "{said}"
    );
    assert_eq!(host.job(&id)["state"], "suspended");
}

#[test]
fn b20_a_job_is_made_given_a_file_and_resumed() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = create(&host, &[]);
    let said = add(&host, &id, &web.good(), "a.bin").code(0);
    assert!(said.stderr.contains("job resume"), "{said:?}");
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(std::fs::read(host.path("a.bin")).unwrap(), b"good bytes");
}

#[test]
fn b42_a_file_added_while_another_is_fetched_arrives_and_costs_that_one_nothing() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let bytes = body(6 * MIB, 3);
    let url = web.route(
        "/slow",
        Behaviour::Slow {
            remote: Remote::new(bytes.clone()),
            chunk: 256 << 10,
            delay: Duration::from_millis(40),
        },
    );
    let id = host.download(&url, &[]);
    host.wait_state(&id, "transferring");
    add(&host, &id, &web.good(), "more.bin").code(0);
    assert_eq!(host.job(&id)["state"], "transferring", "what runs goes on");
    let job = host.wait_state(&id, "acknowledged");
    assert_eq!(
        (&job["files_transferred"], &job["outcome"]),
        (&2.into(), &"succeeded".into())
    );
    assert_eq!(std::fs::read(host.path("file.bin")).unwrap(), bytes);
    assert_eq!(std::fs::read(host.path("more.bin")).unwrap(), b"good bytes");
    assert_eq!(web.requests("/slow").len(), 1, "no byte was asked for twice");
}

#[test]
fn b120_a_list_of_files_with_a_bad_one_adds_none() {
    let mut host = host("");
    host.start();
    let id = create(&host, &[]);
    let list = |second: &str| {
        let text = format!(
            "[[file]]\nremote = \"http://127.0.0.1:1/a\"\nlocal = \"a\"\n\n[[file]]\nremote = \"{second}\"\nlocal = \"b\"\n"
        );
        std::fs::write(host.path("files.toml"), text).unwrap();
        host.cli(&["job", "add", &id, "-f", "files.toml"])
    };
    let said = list("gopher://h/b").code(2);
    assert!(
        said.stderr.contains("file 1 of the list") && said.stderr.contains("gopher"),
        "{said:?}"
    );
    assert_eq!(host.job(&id)["files_total"], 0);
    list("http://127.0.0.1:1/b").code(0);
    let job = host.job(&id);
    let locals: Vec<_> = job["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["local"].as_str().unwrap().to_owned())
        .collect();
    let wanted: Vec<_> = ["a", "b"]
        .iter()
        .map(|name| {
            host.path(name)
                .canonicalize()
                .unwrap_or(host.path("").canonicalize().unwrap().join(name))
        })
        .collect();
    assert_eq!(
        locals,
        wanted
            .iter()
            .map(|path| path.to_str().unwrap())
            .collect::<Vec<_>>(),
        "B-12"
    );
}

#[test]
fn b119_names_are_checked_when_a_file_is_added() {
    let mut host = host("");
    host.start();
    let id = create(&host, &[]);
    let long = format!("http://h/{}", "x".repeat(2200));
    refused(add(&host, &id, &long, "a"), 2, "0x80200021 BG_E_STRING_TOO_LONG");
    add(&host, &id, "gopher://h/a", "a").code(2);
    add(&host, &id, "http://h/a", "no/such/folder/a").code(2);
    assert_eq!(host.job(&id)["files_total"], 0);
}

#[test]
fn b36_a_transferred_job_takes_another_file_and_goes_on() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = host.download(&web.good(), &["--hold"]);
    let before = host.wait_state(&id, "transferred");
    assert!(before["transferred"].is_string());
    let said = add(
        &host,
        &id,
        &web.route("/more", Behaviour::Serve(Remote::new("more"))),
        "more.bin",
    )
    .code(0);
    assert!(said.stderr.contains("job resume"), "{said:?}");
    assert_eq!(host.job(&id)["transferred"], serde_json::Value::Null, "B-06");
    host.cli(&["job", "resume", &id]).code(0);
    eventually("both are here", || host.job(&id)["files_transferred"] == 2);
    host.wait_state(&id, "transferred");
    host.cli(&["job", "complete", "--require-all", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(std::fs::read(host.path("more.bin")).unwrap(), b"more");
    assert_eq!(web.requests("/good.bin").len(), 1);
}

#[test]
fn b09_a_file_is_completed_once_it_is_at_its_place() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = host.download(&web.good(), &["--hold"]);
    host.wait_state(&id, "transferred");
    let file = host.job(&id)["files"][0].clone();
    assert_eq!(
        (&file["transferred"], &file["completed"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        (&file["bytes_total"], &file["bytes_transferred"]),
        (&10.into(), &10.into())
    );
    assert!(!host.path("file.bin").exists());
    host.cli(&["job", "complete", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(host.job(&id)["files"][0]["completed"], true);
}

#[test]
fn bp10_a_refusal_names_the_state_and_what_the_job_takes() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = host.download(&web.denied(), &[]);
    host.wait_state(&id, "error");
    let said = refused(
        host.cli(&["job", "complete", "--require-all", &id]),
        5,
        "0x80200002",
    );
    for words in [
        "a job that is error",
        "0 of its 1 files are transferred",
        "resume, suspend, complete, cancel",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(host.job(&id)["state"], "error");
}

#[test]
fn b11_a_job_that_is_unknown_and_one_that_was_forgotten_are_not_found() {
    let mut host = host("");
    host.start();
    refused(host.cli(&["job", "show", NOBODY]), 5, "0x80200001 BG_E_NOT_FOUND");
    refused(host.cli(&["job", "take-ownership", NOBODY]), 5, "0x80200001");
}

#[test]
fn b15_the_owner_takes_a_job_again_without_loss() {
    let mut host = host("");
    host.start();
    let id = create(&host, &["--notify-command", "/bin/true"]);
    let before = host.job(&id);
    host.cli(&["job", "take-ownership", &id]).code(0);
    assert_eq!(host.job(&id), before);
}

#[test]
fn b56_the_error_object_is_there_in_error_and_not_before() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = host.download(&web.denied(), &["--suspended"]);
    refused(host.cli(&["job", "error", &id]), 5, "0x8020000F");
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "error");
    assert_eq!(host.object(&["job", "error", &id])["code"], "0x80190193");
}

#[test]
fn d05_the_error_object_outlives_the_host() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = host.download(&web.denied(), &["--profile", "delivery-optimization"]);
    host.wait_state(&id, "error");
    let error = host.object(&["job", "error", &id]);
    host.kill9();
    host.start();
    assert_eq!(host.object(&["job", "error", &id]), error);
}

#[test]
fn d19_a_job_survives_although_nobody_asked_for_it() {
    let mut host = host("");
    host.start();
    let id = create(&host, &["--profile", "delivery-optimization", "--name", "kept"]);
    let before = host.job(&id);
    host.kill9();
    host.start();
    assert_eq!(host.job(&id), before);
}

#[test]
fn b152_steps_are_logged_under_numbers_that_stay() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = host.download(&web.denied(), &[]);
    host.wait_state(&id, "error");
    host.cli(&["job", "set", &id, "--notify-command", "/bin/true"])
        .code(0);
    host.cli(&["job", "suspend", &id]).code(0);
    host.cli(&["job", "set-remote", &id, "0", &web.good()]).code(0);
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    let other = create(&host, &[]);
    host.cli(&["job", "cancel", &other]).code(0);
    host.wait_state(&other, "cancelled");
    let log = host.log();
    let has = |words: &[&str]| {
        log.lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    };
    for (event, step, job) in [
        ("event=3", "job created", &id),
        ("event=61", "job stopped with an error", &id),
        ("event=6", "job notify command set", &id),
        ("event=2", "job suspended", &id),
        ("event=1003", "job files renamed", &id),
        ("event=1", "job resumed", &id),
        ("event=60", "job transferred", &id),
        ("event=4", "job completed", &id),
        ("event=5", "job cancelled", &other),
    ] {
        assert!(has(&[&format!("{event} "), step, job]), "{event} {step}\n{log}");
    }
    assert!(
        has(&["event=61 ", &id, "0x80190193", "context=remote-file"]),
        "{log}"
    );
}
