//! Pulling instead of being told (W-02…W-06, CJ-10).

use sexton_tests::host::TestHost;
use sexton_tests::poll::until;

use super::{ENDLESS, ask, numbers};
use crate::host;

fn started() -> TestHost {
    let mut host = host("");
    host.start();
    host
}

const TWO: &str = "SELECT 1 AS id, 'a,b' AS name UNION ALL SELECT 2, NULL";

#[test]
fn cj10_what_is_pushed_can_be_pulled_in_every_form() {
    let host = started();
    let pull = |more: &[&str]| {
        let args = [&["submit", "query", "--provider", "system", "--wait", TWO], more].concat();
        host.cli(&args).code(0).stdout
    };
    assert_eq!(pull(&[]), "id  name\n--  ----\n1   a,b\n2\n");
    assert_eq!(pull(&["--csv"]), "id,name\n1,\"a,b\"\n2,\n");
    assert_eq!(
        pull(&["--json"]),
        "{\"id\":1,\"name\":\"a,b\"}\n{\"id\":2,\"name\":null}\n"
    );
}

#[test]
fn w01_who_waits_gets_everything_and_the_status_of_the_end() {
    let host = started();
    let all = host
        .cli(&[
            "submit",
            "query",
            "--provider",
            "system",
            "--wait",
            "--csv",
            &numbers(3_456),
        ])
        .code(0);
    let wanted: Vec<String> = std::iter::once("i".to_owned())
        .chain((1..=3_456).map(|n| n.to_string()))
        .collect();
    assert_eq!(all.stdout.lines().collect::<Vec<_>>(), wanted);
    let failed = host
        .cli(&[
            "submit",
            "query",
            "--provider",
            "system",
            "--wait",
            "SELECT nothing",
        ])
        .code(1);
    assert!(
        failed.stdout.is_empty() && failed.stderr.contains("WBEM_E_INVALID_QUERY"),
        "{failed:?}"
    );
}

#[test]
fn w02_kept_objects_are_paged_through_after_the_end() {
    let mut host = started();
    let job = ask(&host, "system", &numbers(2_500), &["--keep"]);
    host.wait_state(&job, "acknowledged");
    host.restart();
    let page = host.list(&["job", "objects", &job, "--offset", "995", "--limit", "10"]);
    let found: Vec<i64> = page.iter().map(|object| object["i"].as_i64().unwrap()).collect();
    assert_eq!(found, (996..=1_005).collect::<Vec<_>>());
    let last = host.list(&["job", "objects", &job, "--offset", "2499"]);
    assert_eq!(last.len(), 1);
    assert_eq!(
        host.list(&["job", "objects", &job, "--limit", "2500"]).len(),
        2_500
    );
    // What nobody asked to keep is not kept.
    let forgotten = ask(&host, "system", "SELECT 1", &[]);
    host.wait_state(&forgotten, "acknowledged");
    assert!(host.list(&["job", "objects", &forgotten]).is_empty());
}

#[test]
fn w06_whoever_stops_pulling_cancels_the_query() {
    let host = started();
    for (detach, wanted) in [(false, "cancelled"), (true, "connecting")] {
        let name = if detach { "left" } else { "dropped" };
        let mut command = host.command();
        command.args([
            "submit",
            "query",
            "--provider",
            "system",
            "--wait",
            "--name",
            name,
            ENDLESS,
        ]);
        if detach {
            command.arg("--detach");
        }
        let mut child = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let job = until("the query runs", || {
            let all = host.list(&["job", "list"]);
            let job = all.into_iter().find(|job| job["name"] == name)?;
            (job["state"] == "connecting").then(|| job["id"].as_str().unwrap().to_owned())
        });
        // Until it listens for it, an interrupt ends it as it ends anything.
        let listens = format!("/proc/{}/status", child.id());
        until("it listens for the interrupt", || {
            let status = std::fs::read_to_string(&listens).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
            (caught & 0b10 != 0).then_some(())
        });
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert_eq!(host.job(&job)["state"], wanted);
        if detach {
            host.cli(&["job", "cancel", &job]).code(0);
        }
    }
}

#[test]
fn w82_what_goes_beyond_what_is_kept_makes_the_answer_partial() {
    let mut host = host("[query]\nkeep = \"20KiB\"\n");
    host.start();
    let job = ask(&host, "system", &numbers(5_000), &["--keep"]);
    host.wait_state(&job, "acknowledged");
    let kept = host.list(&["job", "objects", &job, "--limit", "5000"]).len();
    assert!(kept > 0 && kept < 5_000, "{kept}");
}
