//! Batch work: commands run as they were submitted, end with codes that say how, print what can be read,
//! and outlive nobody; what a crash, a drain and a handler mean for them (COM+ `IServiceCall`,
//! `IAsyncErrorNotify`).

mod components;
mod crash;
mod final_retry;
mod logs;
mod on_error;
mod retries;
mod sync;

use serde_json::Value;
use sexton_tests::host::TestHost;
use sexton_tests::poll::until;

use crate::host;

fn started(config: &str) -> TestHost {
    let mut host = host(config);
    host.start();
    host
}

/// What a job printed on standard output, and on standard error.
fn printed(host: &TestHost, job: &str) -> (String, String) {
    let said = host.cli(&["job", "logs", job]).code(0);
    (said.stdout, said.stderr)
}

/// Waits for the error of a job that rests in it.
fn error(host: &TestHost, job: &str) -> Value {
    host.wait_state(job, "error")["error"].clone()
}

/// The process ids that a command writes into a file, as many as there are lines.
fn pids(host: &TestHost, file: &str, count: usize) -> Vec<i32> {
    until("the process ids", || {
        let text = std::fs::read_to_string(host.path(file)).ok()?;
        let pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() == count).then_some(pids)
    })
}

fn is_alive(pid: i32) -> bool {
    // A zombie is dead: whoever should wait for it may be init's business.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// A command and a child of it that sleep, and tell who they are.
const TWO_SLEEPERS: &str = "echo $$ >> pids; sleep 1000 & echo $! >> pids; wait";

#[test]
fn c07_a_command_runs_with_its_arguments_environment_directory_and_input() {
    let mut host = host("");
    host.variable("SECRET_OF_THE_HOST", "no");
    host.start();
    std::fs::create_dir(host.path("work")).unwrap();
    std::fs::write(host.path("in"), "line one\nline two\n").unwrap();
    let script = "pwd; echo \"$1|$2\"; cat; env | cut -d= -f1 | sort | grep -v '^_$\\|^PWD$\\|^SHLVL$\\|^OLDPWD$'; echo $GREETING";
    let job = host.batch(
        &[
            "--wait",
            "--dir",
            "work",
            "--stdin",
            "in",
            "--env",
            "GREETING=a b=c",
        ],
        &["sh", "-c", script, "sh", "a b", "$HOME;*"],
    );
    let (out, err) = printed(&host, &job);
    assert_eq!(err, "");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[0],
        host.path("work").canonicalize().unwrap().to_str().unwrap()
    );
    assert_eq!(lines[1], "a b|$HOME;*", "no shell of ours has read it");
    assert_eq!(lines[2..4], ["line one", "line two"]);
    assert_eq!(lines.last(), Some(&"a b=c"));
    let names = &lines[4..lines.len() - 1];
    for expected in ["GREETING", "PATH", "SEXTON_ATTEMPT", "SEXTON_JOB_ID"] {
        assert!(names.contains(&expected), "{expected} is not in {names:?}");
    }
    for name in names {
        let known = [
            "GREETING",
            "PATH",
            "HOME",
            "LANG",
            "USER",
            "TMPDIR",
            "TZ",
            "SEXTON_ATTEMPT",
            "SEXTON_JOB_ID",
        ];
        assert!(known.contains(name), "{name} came from the host");
    }
    let job = host.job(&job);
    assert_eq!(
        (&job["state"], &job["outcome"]),
        (&"acknowledged".into(), &"succeeded".into())
    );
    assert_eq!(
        job["batch"]["work"]["command"]["env"]["GREETING"], "…",
        "values may be secret"
    );
    assert_eq!(job["batch"]["work"]["command"]["stdin"], "18 bytes");
}

#[test]
fn c07_without_input_there_is_nothing_to_read_and_input_need_not_be_read() {
    let host = started("");
    let job = host.batch(&["--wait"], &["cat"]);
    assert_eq!(printed(&host, &job), (String::new(), String::new()));
    std::fs::write(host.path("in"), "x".repeat(1 << 20)).unwrap();
    host.batch(&["--wait", "--stdin", "in"], &["true"]);
    let counted = host.batch(&["--wait", "--stdin", "in"], &["wc", "-c"]);
    assert_eq!(printed(&host, &counted).0.trim(), "1048576");
}

#[test]
fn c07_every_way_to_fail_has_its_code_and_the_last_words() {
    let host = started("");
    std::fs::write(host.path("no-program"), "not a program").unwrap();
    let plain = host.path("no-program");
    let plain = plain.to_str().unwrap();
    let cases: [(&[&str], &[&str], &str, &str); 7] = [
        (
            &[],
            &["sh", "-c", "echo one; echo two >&2; exit 3"],
            "SX_E_EXIT_STATUS",
            "`sh` ended with status 3: two",
        ),
        (
            &[],
            &["sh", "-c", "echo bye; kill -SEGV $$"],
            "SX_E_SIGNAL",
            "`sh` was ended by SIGSEGV",
        ),
        (
            &["--deadline", "100ms"],
            &["sleep", "1000"],
            "SX_E_DEADLINE",
            "`sleep` did not end within its deadline",
        ),
        (&[], &["no-such-program-at-all"], "SX_E_SPAWN", "ERRNO_2"),
        (&[], &[plain], "SX_E_SPAWN", "ERRNO_13"),
        (&["--dir", "gone"], &["true"], "SX_E_SPAWN", "it cannot start in"),
        (
            &["--finish-within", "100ms"],
            &["sleep", "1000"],
            "SX_E_EXPIRED",
            "was not finished when it had to be",
        ),
    ];
    for (options, argv, code, words) in cases {
        let job = host.batch(options, argv);
        let error = error(&host, &job);
        assert_eq!(error["name"], code, "{argv:?}: {error:#}");
        assert!(
            error["description"].as_str().unwrap().contains(words),
            "{error:#}"
        );
        assert_eq!(error["context"], "remote-application");
    }
}

#[test]
fn c84_what_comes_too_late_is_not_begun() {
    let host = started("");
    let job = host.batch(&["--suspended", "--start-within", "1ms"], &["touch", "begun"]);
    host.cli(&["job", "resume", &job]).code(0);
    assert_eq!(error(&host, &job)["name"], "SX_E_EXPIRED");
    assert!(!host.path("begun").exists());
}

#[test]
fn what_ignores_its_deadline_is_killed_with_all_its_children() {
    let host = started("");
    let stubborn = format!("trap '' TERM; {TWO_SLEEPERS}; {TWO_SLEEPERS}");
    let job = host.shell(&["--deadline", "300ms"], &stubborn);
    let pids = pids(&host, "pids", 2);
    assert_eq!(error(&host, &job)["name"], "SX_E_DEADLINE");
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}

#[test]
fn nothing_of_its_group_outlives_a_command_that_ends_well() {
    let host = started("");
    let job = host.shell(&["--wait"], "sleep 1000 & echo $! > pids; exit 0");
    let [left] = pids(&host, "pids", 1)[..] else {
        unreachable!()
    };
    assert!(!is_alive(left));
    assert_eq!(host.job(&job)["outcome"], "succeeded");
}

#[test]
fn a_command_is_suspended_and_cancelled_with_its_children() {
    let host = started("");
    let job = host.shell(&[], TWO_SLEEPERS);
    let first = pids(&host, "pids", 2);
    host.cli(&["job", "suspend", &job]).code(0);
    until("they are gone", || {
        first.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
    std::fs::remove_file(host.path("pids")).unwrap();
    host.cli(&["job", "resume", &job]).code(0);
    let second = pids(&host, "pids", 2);
    host.cli(&["job", "cancel", &job]).code(0);
    assert_eq!(host.wait_state(&job, "cancelled")["attempt"], 2);
    assert!(second.iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn c38_what_cannot_be_run_is_refused_at_once() {
    let host = started("");
    for (line, words) in [
        (&["submit", "batch"][..], "required"),
        (&["submit", "batch", "--", ""], "no program"),
        (&["submit", "batch", "--env", "=x", "--", "true"], "KEY=VALUE"),
        (&["submit", "batch", "--deadline", "0s", "--", "true"], "deadline"),
        (
            &["submit", "batch", "--retry-levels", "11", "--", "true"],
            "levels",
        ),
        (
            &["submit", "batch", "--on-error", "nobody", "--", "true"],
            "no plugin `nobody`",
        ),
        (
            &["submit", "batch", "--stdin", "not-there", "--", "true"],
            "not-there",
        ),
    ] {
        let said = host.cli(line).code(2);
        assert!(said.stderr.contains(words), "{words}: {said:?}");
    }
    assert!(host.list(&["job", "list"]).is_empty());
}
