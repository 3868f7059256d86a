//! Many jobs at once: submitted from a file whole or not at all, listed, narrowed and sorted.

use std::io::Write;
use std::process::Stdio;

use sexton_tests::host::TestHost;
use sexton_tests::web::Web;

use crate::host;

/// A set of `n` jobs of one file each from `url`, suspended.
fn set(n: usize, url: &str) -> String {
    let mut text = "[defaults]\nsuspended = true\n".to_owned();
    for i in 0..n {
        let priority = ["low", "high"][i % 2];
        text.push_str(&format!(
            "\n[[job]]\nname = \"n{i:05}\"\npriority = \"{priority}\"\nlabels = {{ half = \"{}\" }}\nfiles = [{{ remote = \"{url}\", local = \"out/{i}\" }}]\n",
            i % 2
        ));
    }
    text
}

fn submit(host: &TestHost, text: &str, more: &[&str]) -> sexton_tests::output::Output {
    std::fs::write(host.path("jobs.toml"), text).unwrap();
    host.cli(&[&["submit", "-f", "jobs.toml"], more].concat())
}

fn names(host: &TestHost, filter: &[&str]) -> Vec<String> {
    let jobs = host.list(&[&["job", "list"], filter].concat());
    jobs.iter()
        .map(|job| job["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn ten_thousand_jobs_of_one_file_are_one_request_and_are_listed() {
    let mut host = host("");
    host.start();
    std::fs::create_dir(host.path("out")).unwrap();
    let said = submit(&host, &set(10_000, "http://127.0.0.1:1/x"), &[]).code(0);
    assert_eq!(said.stdout.lines().count(), 10_000, "an id a line");
    let all = host.cli(&["job", "list", "--limit", "10000"]).code(0);
    assert_eq!(all.stdout.lines().count(), 10_001, "and a header");
    assert!(
        all.stderr.contains("10000 jobs: 10000 suspended"),
        "{}",
        all.stderr
    );
    let first = host.cli(&["job", "list"]).code(0);
    assert!(
        first.stderr.contains("100 of 10000 jobs: 10000 suspended"),
        "{}",
        first.stderr
    );
    assert_eq!(names(&host, &["--name", "n09999"]), ["n09999"]);
    assert_eq!(
        names(&host, &["--sort", "name", "--limit", "2"]),
        ["n00000", "n00001"]
    );
    let late = names(
        &host,
        &["--label", "half=1", "--sort", "name", "--reverse", "--limit", "2"],
    );
    assert_eq!(late, ["n09999", "n09997"]);
    let one = names(
        &host,
        &[
            "--local",
            "out/4711",
            "--kind",
            "download",
            "--priority",
            "high",
            "--host",
            "127.0.0.1",
        ],
    );
    assert_eq!(one, ["n04711"]);
    let too_many = submit(&host, &set(10_001, "http://127.0.0.1:1/x"), &[]).code(2);
    assert!(
        too_many.stderr.contains("10001 jobs; at most 10000"),
        "{too_many:?}"
    );
}

#[test]
fn b120_one_bad_job_keeps_all_others_out_and_each_is_named_with_its_place() {
    let mut host = host("");
    host.start();
    std::fs::create_dir(host.path("out")).unwrap();
    let good = set(2, "http://127.0.0.1:1/x");
    let lines = good.lines().count();
    let said = submit(
        &host,
        &format!("{good}\n[[job]]\ncolour = 1\n\n[[job]]\nname = \"no\"\nretry_delay = \"soon\"\n"),
        &[],
    )
    .code(2);
    for place in [
        format!("jobs.toml:{}:1: unknown field `colour`", lines + 3),
        format!("jobs.toml:{}:1: ", lines + 7),
    ] {
        assert!(said.stderr.contains(&place), "{place}: {said:?}");
    }
    // What only the host can tell is told by place too, all at once.
    let said = submit(&host, &format!("{good}\n[[job]]\nfiles = [{{ remote = \"gopher://h/x\", local = \"y\" }}]\n\n[[job]]\nhandler = \"nobody\"\n"), &[]).code(2);
    for (line, words) in [(2, "gopher"), (5, "there is no plugin `nobody`")] {
        let place = format!("jobs.toml:{}:1: ", lines + line);
        let told = said.stderr.lines().find(|told| told.starts_with(&place));
        assert!(
            told.is_some_and(|told| told.contains(words)),
            "{place}{words}: {said:?}"
        );
    }
    assert!(names(&host, &[]).is_empty(), "nothing was submitted");
}

#[test]
fn b154_a_set_is_waited_for_and_its_failures_are_named() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let job = |name: &str, url: &str| {
        format!(
            "{{\"name\": \"{name}\", \"files\": [{{\"remote\": \"{url}\", \"local\": \"{name}.bin\"}}]}}\n"
        )
    };
    let mut set: String = (0..60).map(|n| job(&format!("good{n}"), &web.good())).collect();
    let mut child = host
        .command()
        .args(["submit", "-f", "-", "--wait"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(set.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert_eq!(String::from_utf8(said.stdout).unwrap().lines().count(), 60);
    for n in 0..60 {
        assert_eq!(
            std::fs::read(host.path(format!("good{n}.bin"))).unwrap(),
            b"good bytes"
        );
    }
    set = job("fine", &web.good()) + &job("bad", &web.denied());
    let said = submit(&host, &set, &["--wait"]).code(1);
    assert!(
        said.stderr.contains("(bad) error: ") && said.stderr.contains("1 of 2 jobs failed"),
        "{said:?}"
    );
}

#[test]
fn d20_lists_are_narrowed_by_error_state_and_time() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let bad = host.download(&web.denied(), &["--name", "bad"]);
    host.download(&web.good(), &["--name", "good", "--wait"]);
    host.wait_state(&bad, "error");
    for (filter, found) in [
        (&["--error", "HTTP_403"][..], &["bad"][..]),
        (&["--error", "0x80190194"], &[]),
        (&["--remote", "/good.bin"], &["good"]),
        (&["--since", "1h"], &["good", "bad"]),
        (&["--until", "1h"], &[]),
        (
            &["--since", "2000-01-01T00:00:00Z", "--sort", "state"],
            &["bad", "good"],
        ),
        (&["--before", &bad], &[]),
        (&["--reverse"], &["bad", "good"]),
        (&["--name", "B*"], &["bad"]),
    ] {
        assert_eq!(names(&host, filter), found, "{filter:?}");
    }
    host.cli(&["job", "list", "--error", "404"]).code(2);
    host.cli(&["job", "list", "--since", "yesterday"]).code(2);
}
