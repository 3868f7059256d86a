//! The command line as it is parsed, and what is printed.

use clap::{CommandFactory, Parser};
use serde_json::json;

use super::*;
use crate::api::view::{DeliveryRecord, JobView, PluginView, StatusView, Timestamp};

/// What `print` writes to stdout and stderr through a pipe, at a fixed time.
fn printed(print: impl FnOnce(&mut Output<'_>)) -> (String, String) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let now = Timestamp::from_millis(1_700_000_060_000);
    print(&mut Output::plain(&mut stdout, &mut stderr, now));
    (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

pub(super) fn job(change: serde_json::Value) -> JobView {
    let mut job = json!({
        "id": "018bcfe5-6800-7000-8000-000000000001", "name": "f\u{1b}[2J.bin", "description": "", "owner": "uid-0",
        "kind": "download", "state": "transferring", "intent": null, "outcome": null, "priority": "normal",
        "revision": 3, "attempt": 1, "error_count": 0, "bytes_total": 4096, "bytes_transferred": 1024,
        "files_total": 1, "files_transferred": 0, "created": "2023-11-14T22:13:20Z",
        "modified": "2023-11-14T22:13:20Z", "transferred": null, "due": null, "profile": "sexton", "hold": false,
        "handler": null, "labels": {}, "context": "", "error": null,
    });
    for (key, value) in change.as_object().unwrap() {
        job[key] = value.clone();
    }
    serde_json::from_value(job).unwrap()
}

fn task(line: &[&str]) -> Task {
    Args::try_parse_from(std::iter::once(&"sexton").chain(line))
        .unwrap_or_else(|error| panic!("{error}"))
        .command
        .task()
}

#[test]
fn the_command_line_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn commands_are_sorted_by_who_carries_them_out() {
    for local in [
        &["run", "--config", "x.toml", "--ignore-handler-failures"][..],
        &["init", "dir"],
        &["config", "check"],
        &["demo", "--stay"],
        &["db", "check"],
        &["completions", "bash"],
        &["compile-component", "in", "out"],
        &["plugin", "add", "webhook"],
        &["plugin", "remove", "webhook", "--purge"],
    ] {
        assert!(matches!(task(local), Task::Local(_)), "{local:?}");
    }
    let id = "018bcfe5-6800-7000-8000-000000000001";
    for client in [
        &["submit", "download", "http://h/f", "--wait", "--label", "a=b=c"][..],
        &["job", "list", "--state", "error", "--state", "queued", "--json"],
        &["job", "resume", id, id, "--after", "5m"],
        &["job", "set", id, "--priority", "high"],
        &["plugin", "list"],
        &["delivery", "replay", "--all"],
        &["status", "--socket", "s"],
    ] {
        assert!(matches!(task(client), Task::Client(_)), "{client:?}");
    }
}

#[test]
fn a_list_of_nothing_is_not_asked_for() {
    for list in ["job", "delivery"] {
        let line = ["sexton", list, "list", "--limit", "0"];
        let mistake = Args::try_parse_from(line).unwrap_err().to_string();
        assert!(mistake.contains("0 is not in 1.."), "{mistake}");
    }
}

#[test]
fn a_notify_command_takes_all_that_follows() {
    let line = [
        "submit",
        "download",
        "http://h/f",
        "--notify-command",
        "mail",
        "-s",
        "x y",
        "--json",
    ];
    let Task::Client(ClientCommand::Submit(SubmitArgs {
        command: Some(SubmitCommand::Download(args)),
        ..
    })) = task(&line)
    else {
        panic!("not a submission");
    };
    assert_eq!(args.options.notify_command, ["mail", "-s", "x y", "--json"]);
}

#[test]
fn mistakes_are_refused() {
    for bad in [
        &["job", "show", "x"][..],
        &["job", "list", "--state", "erorr"],
        &["job", "cancel"],
        &["submit", "download", "http://h/f", "--suspended", "--wait"],
        &["submit", "download", "http://h/f", "--label", "x"],
        &["delivery", "purge", "--all", "--plugin", "p"],
        &["submit", "download", "http://h/f", "--retry-delay", "5"],
    ] {
        let line = std::iter::once(&"sexton").chain(bad);
        assert!(Args::try_parse_from(line).is_err(), "{bad:?}");
    }
}

#[test]
fn a_list_of_jobs_is_aligned_and_escaped() {
    let jobs = [
        job(json!({})),
        job(json!({"state": "acknowledged", "outcome": "partial", "kind": "batch", "name": "b"})),
        job(json!({"state": "suspended", "intent": "cancel", "bytes_total": null, "bytes_transferred": 0})),
    ];
    let (stdout, _) = printed(|output| {
        let table = jobview::table(&jobs, output.now());
        output.table(&table).unwrap();
    });
    assert_eq!(
        stdout,
        "ID                                    KIND      STATE                  PROGRESS            CREATED    NAME\n\
         018bcfe5-6800-7000-8000-000000000001  download  transferring           1.0 KiB of 4.0 KiB  1m 0s ago  f\\u{1b}[2J.bin\n\
         018bcfe5-6800-7000-8000-000000000001  batch     finished, partial      1.0 KiB of 4.0 KiB  1m 0s ago  b\n\
         018bcfe5-6800-7000-8000-000000000001  download  suspended, cancelling  -                   1m 0s ago  f\\u{1b}[2J.bin\n"
    );
}

#[test]
fn a_hostile_job_is_shown_without_a_control_character() {
    let hostile = "x\u{1b}]0;pwned\u{7}\r\u{9b}31m";
    let job = job(json!({
        "name": hostile, "description": hostile, "context": format!("{hostile}\n{hostile}"),
        "labels": {hostile: hostile}, "state": "error", "notify_command": [hostile],
        "files": [{"index": 0, "remote": hostile, "local": hostile, "temporary": null, "bytes_total": null,
            "bytes_transferred": 0, "transferred": false, "completed": false}],
        "error": {"code": "0x80190193", "name": "HTTP_403", "context": "remote-file", "description": hostile,
            "context_description": hostile, "file": {"index": 0, "remote": hostile, "local": hostile},
            "protocol": hostile, "leg": "download", "attempt": 1, "at": "2023-11-14T22:13:20Z"},
    }));
    let (stdout, stderr) = printed(|output| {
        jobview::show(&job, output).unwrap();
        let failed = follow::verdict(&job, output).unwrap_err();
        assert_eq!(failed.exit(), ExitStatus::Failed);
        output.complain(&failed);
        output.object(&job).unwrap();
    });
    let seen = format!("{stdout}{stderr}");
    assert!(!seen.contains(|c: char| c.is_control() && c != '\n'), "{seen:?}");
    assert!(stdout.contains("code         0x80190193 HTTP_403"), "{stdout}");
    assert!(stderr.contains("  cause: x\\u{1b}]0;pwned"), "{stderr}");
    assert!(stderr.contains("hint: `sexton job error 018bcfe5"), "{stderr}");
}

#[test]
fn what_counts_as_success() {
    for (state, outcome, exit) in [
        ("acknowledged", json!("succeeded"), ExitStatus::Done),
        ("acknowledged", json!("partial"), ExitStatus::Done),
        ("acknowledged", json!("failed"), ExitStatus::Failed),
        ("cancelled", json!("cancelled"), ExitStatus::Failed),
        ("error", json!(null), ExitStatus::Failed),
        ("transferred", json!(null), ExitStatus::Done),
    ] {
        let job = job(json!({"state": state, "outcome": outcome}));
        printed(|output| {
            let status = follow::verdict(&job, output).unwrap_or_else(|error| error.exit());
            assert_eq!(status, exit, "{state} {outcome}");
        });
    }
}

#[test]
fn a_delivery_shows_its_failures() {
    let delivery: DeliveryRecord = serde_json::from_value(json!({
        "id": "018bcfe5-6800-7000-8000-000000000002", "event_id": "e", "seq": 7, "event": "job-error",
        "job": "018bcfe5-6800-7000-8000-000000000001", "owner": "uid-0", "plugin": "pager", "role": "decider",
        "state": "dead", "stage": "handler", "attempt": 3, "charged": 2, "host_faults": 0, "rounds": 0, "due": null,
        "created": "2023-11-14T22:13:20Z", "ended": null, "result": "failed 2 times", "digest": "ab",
        "last_failure": {"class": "trap", "code": "0xA05E0006", "message": "unreachable\u{1b}[0m",
            "last_words": "one\ntwo\u{7}", "frames": ["f", "g"], "peak_memory": 65536, "attempt": 3,
            "at": "2023-11-14T22:13:20Z", "duration_ms": 12},
    }))
    .unwrap();
    let (stdout, _) = printed(|output| delivery::show(&delivery, output).unwrap());
    assert!(
        stdout.contains("attempt 3\nclass        trap\ncode         0xA05E0006 SX_E_TRAP\n"),
        "{stdout}"
    );
    assert!(
        stdout.contains("last words   one\n             two\\u{7}\n"),
        "{stdout}"
    );
    let (stdout, _) = printed(|output| {
        let table = delivery::table(&[delivery], output.now());
        output.table(&table).unwrap();
    });
    assert!(stdout.ends_with("trap: unreachable\\u{1b}[0m\n"), "{stdout}");
}

#[test]
fn status_and_plugins_say_what_needs_attention() {
    let status: StatusView = serde_json::from_value(json!({
        "version": "0.1.0", "pid": 42, "started": "2023-11-14T22:13:20Z", "uptime_ms": 60000, "state": "running",
        "counts": {"jobs": {"queued": 2, "error": 1}, "deliveries": {}},
        "waiting": [{"plugin": "pager", "deliveries": 3, "reason": "absent"}], "degraded": ["disk full"],
        "config_file": null, "config_problem": "line 3: no\nline 4: no",
        "fail_fast": {"mode": "abort", "ignored": true, "crash_limit": 2, "report_dir": "r", "last_report": null},
    }))
    .unwrap();
    let (stdout, _) = printed(|output| status::tell(&status, output).unwrap());
    assert_eq!(
        stdout,
        "host          running (0.1.0, pid 42)\n\
         up            1m 0s, since 2023-11-14T22:13:20.000Z (1m 0s ago)\n\
         jobs          2 queued, 1 error\n\
         deliveries    none\n\
         fail fast     abort, parks after 2, ignored for this start\n\
         waiting       3 for pager (absent)\n\
         degraded      disk full\n\
         not in force  line 3: no\n\
         \x20             line 4: no\n"
    );
    let plugin: PluginView = serde_json::from_value(json!({
        "name": "pager", "digest": "0123456789abcdef", "size": 2048, "interfaces": ["job-callback"], "serving": true,
        "problem": null, "refused_digest": null,
        "subscriptions": [{"event": "job-error", "kind": "transfer", "role": "decider"}], "hint": null,
    }))
    .unwrap();
    let (stdout, _) = printed(|output| {
        plugin::tell(&[plugin], output).unwrap();
    });
    assert_eq!(
        stdout,
        "NAME   STATE    SIZE     DIGEST        HANDLES\n\
         pager  serving  2.0 KiB  0123456789ab  transfer job-error (decides)\n"
    );
}

#[tokio::test]
async fn no_host_is_said_with_the_socket_and_what_to_do() {
    let client = Client::new("/nonexistent/control.sock");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut output = Output::plain(&mut stdout, &mut stderr, Timestamp::default());
    let result = dispatch(ClientCommand::Status, &client, &mut output).await;
    assert_eq!(output.finish(result), ExitStatus::NoHost);
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(
        stderr.starts_with("error: no host answers at the socket /nonexistent/control.sock\n  cause: "),
        "{stderr}"
    );
    assert!(stderr.contains("hint: start one with `sexton run`"), "{stderr}");
}

#[test]
fn a_reader_that_went_away_is_met_with_silence() {
    struct Gone;
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (mut stdout, mut stderr) = (Gone, Vec::new());
    let mut output = Output::plain(&mut stdout, &mut stderr, Timestamp::default());
    let result = output.line("data").map(|()| ExitStatus::Done);
    assert_eq!(output.finish(result), ExitStatus::Done);
    assert!(stderr.is_empty());
}

#[test]
fn completions_are_written_for_every_shell() {
    use clap::ValueEnum;
    for shell in clap_complete::Shell::value_variants() {
        let mut script = Vec::new();
        completions(*shell, &mut script).unwrap();
        assert!(!script.is_empty());
    }
}
