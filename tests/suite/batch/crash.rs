//! What the end of the host means for commands that run: none outlives it, and what becomes of their jobs
//! is what was said when they were submitted (C-34, C-45, C-46).

use sexton_tests::host::Ending;
use sexton_tests::poll::{eventually, until};

use super::{TWO_SLEEPERS, error, is_alive, pids, started};

#[test]
fn t10_no_command_outlives_a_host_that_is_killed() {
    let mut host = started("");
    let job = host.shell(&[], TWO_SLEEPERS);
    let pids = pids(&host, "pids", 2);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    host.kill9();
    eventually("child and grandchild are gone", || {
        pids.iter().all(|pid| !is_alive(*pid))
    });
    host.start();
    let error = error(&host, &job);
    assert_eq!(error["name"], "SX_E_INTERRUPTED");
    let job = host.job(&job);
    assert_eq!((&job["attempt"], &job["call"]["crashes"]), (&1.into(), &1.into()));
}

#[test]
fn a_reaper_that_was_killed_is_replaced() {
    let mut host = started("[batch]\nslots = 4\n");
    let first = host.shell(&[], "echo $$ >> first; sleep 1000");
    let one = pids(&host, "first", 1);
    kill(reaper(host.pid().as_raw_nonzero().get()).expect("it runs"));
    host.shell(&[], TWO_SLEEPERS);
    let two = pids(&host, "pids", 2);
    let gone = host.shell(&["--wait"], "true");
    eventually("there is another", || {
        reaper(host.pid().as_raw_nonzero().get()).is_some()
    });
    host.kill9();
    eventually("all are gone", || {
        one.iter().chain(&two).all(|pid| !is_alive(*pid))
    });
    host.start();
    assert_eq!(error(&host, &first)["name"], "SX_E_INTERRUPTED");
    assert_eq!(host.job(&gone)["outcome"], "succeeded");
}

/// The child of a host that ends its commands.
fn reaper(host: i32) -> Option<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{host}/task")).ok()?;
    let children = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<i32> = children
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    children.into_iter().find(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("reap-children") && is_alive(*pid)
    })
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn c45_a_call_that_may_be_run_again_is() {
    let mut host = started("");
    let job = host.shell(
        &["--on-host-crash", "rerun"],
        "echo $$ >> pids; [ $SEXTON_ATTEMPT = 2 ] || sleep 1000",
    );
    pids(&host, "pids", 1);
    host.kill9();
    host.start();
    let ended = host.wait_state(&job, "acknowledged");
    assert_eq!(
        (&ended["outcome"], &ended["attempt"]),
        (&"succeeded".into(), &2.into())
    );
}

#[test]
fn cj07_a_call_that_runs_at_crash_after_crash_is_not_run_again() {
    let mut host = started("[batch]\non_host_crash = \"rerun\"\n");
    let job = host.shell(&[], "echo $$ >> pids; sleep 1000");
    let other = host.shell(&["--on-host-crash", "error"], "sleep 1000");
    pids(&host, "pids", 1);
    host.wait_state(&other, "transferring");
    host.kill9();
    host.start();
    pids(&host, "pids", 2);
    host.kill9();
    host.start();
    assert_eq!(error(&host, &job)["name"], "SX_E_HOST_CRASH");
    assert_eq!(host.job(&job)["call"]["dead"], "host-crash");
    assert_eq!(
        error(&host, &other)["name"],
        "SX_E_INTERRUPTED",
        "it ran at one crash only"
    );
    host.restart();
    assert_eq!(host.job(&job)["attempt"], 2, "nothing has run it again");
    host.cli(&["job", "requeue", &job]).code(0);
    pids(&host, "pids", 3);
    assert_eq!(host.job(&job)["call"]["dead"], serde_json::Value::Null);
}

#[test]
fn a_drain_gives_commands_time_and_is_no_crash() {
    let mut host = started("");
    let short = host.shell(&[], "echo $$ >> short; until [ -e go ]; do sleep 0.05; done");
    pids(&host, "short", 1);
    host.signal(rustix::process::Signal::TERM);
    host.wait_log("draining");
    std::fs::write(host.path("go"), "").unwrap();
    assert_eq!(
        host.ended(),
        Ending {
            code: Some(0),
            signal: None
        }
    );
    host.start();
    assert_eq!(host.wait_state(&short, "acknowledged")["outcome"], "succeeded");
}

#[test]
fn what_does_not_end_in_the_drain_is_ended_and_was_interrupted() {
    let mut host = crate::host("");
    // The harness writes `[host]` first; a key of it may follow at once.
    let text = std::fs::read_to_string(host.path("sexton.toml")).unwrap();
    std::fs::write(
        host.path("sexton.toml"),
        text.replace("[host]\n", "[host]\ndrain = \"1s\"\n"),
    )
    .unwrap();
    host.start();
    let stubborn = format!("trap '' TERM; {TWO_SLEEPERS}; {TWO_SLEEPERS}");
    let job = host.shell(&[], &stubborn);
    let pids = pids(&host, "pids", 2);
    assert_eq!(host.term().code, Some(0));
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    host.start();
    assert_eq!(error(&host, &job)["name"], "SX_E_INTERRUPTED");
    until("it is no crash", || {
        host.job(&job)["call"]["crashes"].is_null().then_some(())
    });
}

#[test]
fn t10_a_kill_in_any_state_loses_no_call_and_the_end_of_each_is_told_once() {
    use sexton_tests::guests::{self, MOODY};
    let config = "[[subscribe]]\nplugin = \"moody\"\nevents = [\"on-ended\"]\nkind = \"batch\"\n";
    let mut host = started(config);
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_serving("moody");
    let resting = host.batch(&["--suspended"], &["true"]);
    let waiting = host.batch(&["--retry-levels", "1"], &["false"]);
    let failed = host.batch(&[], &["false"]);
    let running = host.shell(&["--on-host-crash", "rerun"], "sleep 1000");
    host.wait_state(&waiting, "transient-error");
    error(&host, &failed);
    host.wait_state(&running, "transferring");
    let due = host.job(&waiting)["due"].clone();
    host.kill9();
    host.start();
    assert_eq!(host.wait_state(&running, "transferring")["attempt"], 2);
    assert_eq!(host.job(&resting)["state"], "suspended");
    assert_eq!(
        (&host.job(&waiting)["state"], &host.job(&waiting)["due"]),
        (&"transient-error".into(), &due)
    );
    for job in [&resting, &waiting, &failed, &running] {
        host.cli(&["job", "cancel", job]).code(0);
        host.wait_state(job, "cancelled");
        host.wait_delivery(job, "moody", "settled");
    }
}
