//! `job logs`: what a command printed is kept within its limit, apart by output and run, as long as its job.

use std::io::Read;
use std::process::Stdio;

use sexton_tests::poll::{eventually, until};

use super::{printed, started};

#[test]
fn outputs_are_apart_and_raw_when_piped() {
    let host = started("");
    let job = host.shell(&["--wait"], "printf 'a\\033[2Jb\\n'; printf 'c\\001\\n' >&2");
    assert_eq!(
        printed(&host, &job),
        ("a\u{1b}[2Jb\n".to_owned(), "c\u{1}\n".to_owned())
    );
    assert_eq!(
        host.cli(&["job", "logs", &job, "--stdout"]).code(0).stdout,
        "a\u{1b}[2Jb\n"
    );
    let stderr = host.cli(&["job", "logs", &job, "--stderr"]).code(0);
    assert_eq!((stderr.stdout.as_str(), stderr.stderr.as_str()), ("c\u{1}\n", ""));
    let lines = host.list(&["job", "logs", &job]);
    assert_eq!(lines[0]["stream"], "stdout");
    assert_eq!(lines[1]["text"], "c\u{1}\n");
}

#[test]
fn of_what_is_too_much_the_beginning_and_the_end_stay() {
    let host = started("[batch]\noutput = \"4KiB\"\n");
    let job = host.shell(&["--wait"], "seq 100000");
    let said = host.cli(&["job", "logs", &job]).code(0);
    assert!(said.stdout.starts_with("1\n2\n3\n"), "{:.40}", said.stdout);
    assert!(said.stdout.ends_with("\n99999\n100000\n"));
    assert!(said.stdout.len() <= 4096);
    let whole: usize = (1..=100_000)
        .map(|number: u32| number.to_string().len() + 1)
        .sum();
    let gap = whole - said.stdout.len();
    assert!(
        said.stderr.contains(&format!("… {gap} bytes were not kept …")),
        "{}",
        said.stderr
    );
}

#[test]
fn each_run_has_its_own() {
    let host = started("");
    let job = host.shell(&[], "echo run $SEXTON_ATTEMPT; exit 1");
    host.wait_state(&job, "error");
    host.cli(&["job", "resume", &job]).code(0);
    until("the second run", || {
        (host.wait_state(&job, "error")["attempt"] == 2).then_some(())
    });
    assert_eq!(printed(&host, &job).0, "run 2\n");
    assert_eq!(
        host.cli(&["job", "logs", &job, "--attempt", "1"]).code(0).stdout,
        "run 1\n"
    );
    assert_eq!(
        host.cli(&["job", "logs", &job, "--attempt", "3"]).code(0).stdout,
        ""
    );
}

#[test]
fn following_goes_on_until_the_job_rests() {
    let host = started("");
    let job = host.shell(&[], "echo one; until [ -e go ]; do sleep 0.05; done; echo two");
    let mut following = host
        .command()
        .args(["job", "logs", "-f", &job])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = following.stdout.take().unwrap();
    let mut first = [0; 4];
    out.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"one\n");
    std::fs::write(host.path("go"), "").unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "two\n");
    assert!(following.wait().unwrap().success());
}

#[test]
fn what_is_left_of_jobs_that_nobody_knows_is_swept_at_the_start() {
    let mut host = started("");
    let job = host.shell(&["--wait"], "echo kept");
    let stray = host.path("state/logs/018bcfe5-6800-7000-8000-000000000001");
    std::fs::create_dir(&stray).unwrap();
    host.restart();
    eventually("it is gone", || !stray.exists());
    assert_eq!(printed(&host, &job).0, "kept\n");
    host.cli(&["job", "logs", "018bcfe5-6800-7000-8000-000000000001"])
        .code(5);
}
