//! What a sink is told: objects, progress, the end.

use std::sync::Arc;

use sexton_tests::poll::{eventually, until};

use super::{ENDLESS, ask, completed, heard, numbers, of_event, with_sink};

#[test]
fn w11_objects_come_in_batches_before_the_one_completion() {
    let host = with_sink("", "");
    let job = ask(
        &host,
        "system",
        &numbers(2_500),
        &["--name", "many", "--context", "c"],
    );
    let said = completed(&host, "many");
    assert!(
        said.contains("code=00000000 class=StatusClass::Ok delivered=2500 dropped=0 error=false"),
        "{said}"
    );
    let batches = heard(&host, "objects", "many");
    let shapes: Vec<String> = batches
        .iter()
        .map(|line| line.split(" context").next().unwrap().to_owned())
        .collect();
    let shape = |index, rows| format!("run=1 index={index} change=ObjectChange::Result rows={rows}");
    assert_eq!(shapes, [shape(0, 1_000), shape(1, 1_000), shape(2, 500)]);
    let log = host.log();
    let last = log.rfind("sink objects many").unwrap();
    assert!(
        last < log.find("sink completed many").unwrap(),
        "nothing comes after the end"
    );
    for (event, count) in [("on-object-ready", 3), ("on-completed", 1), ("on-ended", 1)] {
        assert_eq!(of_event(&host, &job, event).len(), count, "{event}");
    }
    let job = host.job(&job);
    assert_eq!(
        (&job["state"], &job["outcome"]),
        (&"acknowledged".into(), &"succeeded".into())
    );
}

#[test]
fn w10_a_query_that_is_refused_never_reaches_the_sink() {
    let host = with_sink("", "");
    for (provider, text) in [
        ("no-such:thing", "SELECT 1"),
        ("postgres://user:s3cret@localhost/db", "SELECT 1"),
        ("system", "  "),
    ] {
        let said = host
            .cli(&["submit", "query", "--provider", provider, text])
            .code(2);
        assert!(!said.stderr.contains("s3cret"), "{said:?}");
    }
    let own = format!("sqlite:{}", host.path("state/sexton.db").display());
    host.cli(&["submit", "query", "--provider", &own, "SELECT 1"])
        .code(6);
    assert!(host.deliveries(&[]).is_empty());
}

#[test]
fn w12_completion_comes_once_with_no_object_at_all() {
    let host = with_sink("", "");
    ask(&host, "system", "SELECT 1 WHERE false", &["--name", "none"]);
    assert!(completed(&host, "none").contains("delivered=0 dropped=0"));
    assert!(heard(&host, "objects", "none").is_empty());
}

#[test]
fn t12_there_is_no_progress_unless_it_is_asked_for() {
    let host = with_sink("config = { delay_ms = 150 }", "");
    let silent = ask(&host, "system", &numbers(9_000), &["--name", "silent"]);
    let loud = ask(
        &host,
        "system",
        &numbers(9_000),
        &["--name", "loud", "--progress"],
    );
    completed(&host, "silent");
    completed(&host, "loud");
    assert!(heard(&host, "progress", "silent").is_empty());
    assert!(of_event(&host, &silent, "on-progress").is_empty());
    // Coalesced: one row, however often it was told.
    assert_eq!(of_event(&host, &loud, "on-progress").len(), 1);
    let told = heard(&host, "progress", "loud");
    assert!(
        !told.is_empty() && told.iter().all(|line| line.starts_with("done=")),
        "{told:?}"
    );
}

#[test]
fn t13_the_context_comes_back_unchanged_with_every_event() {
    let host = with_sink("", "");
    let context = "ticket=42; \u{e9}\u{65e5} {\"a\": [1]}";
    ask(
        &host,
        "system",
        &numbers(1_500),
        &["--name", "echo", "--progress", "--context", context],
    );
    completed(&host, "echo");
    for (word, least) in [("objects", 2), ("completed", 1), ("ended", 1)] {
        let told = heard(&host, word, "echo");
        assert!(told.len() >= least, "{word}");
        assert!(
            told.iter()
                .all(|line| line.contains(&format!("context={context}"))),
            "{told:?}"
        );
    }
}

#[test]
fn t14_a_slow_sink_misses_objects_but_never_the_end() {
    let host = with_sink("config = { delay_ms = 300 }", "drop_after = \"0s\"");
    let job = ask(&host, "system", &numbers(20_000), &["--name", "slow"]);
    let said = completed(&host, "slow");
    assert!(
        said.starts_with("code=00040010 class=StatusClass::Warning"),
        "{said}"
    );
    let number = |key: &str| -> u64 {
        let (_, rest) = said.split_once(&format!("{key}=")).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let (delivered, dropped) = (number("delivered"), number("dropped"));
    assert_eq!(delivered + dropped, 20_000);
    assert!(delivered >= 4_000 && dropped > 0, "{said}");
    let told = of_event(&host, &job, "on-object-ready").len() as u64;
    assert_eq!(told * 1_000, delivered, "what is counted is what was handed over");
    assert_eq!(host.job(&job)["outcome"], "succeeded");
}

#[test]
fn w81_the_provider_waits_for_a_sink_that_is_only_slow() {
    let host = with_sink("config = { delay_ms = 50 }", "drop_after = \"1d\"");
    let job = ask(&host, "system", &numbers(12_000), &["--name", "patient"]);
    let most = until("the sink has as much before it as it may", || {
        let open = of_event(&host, &job, "on-object-ready");
        let open = open.iter().filter(|one| one["state"] != "settled").count();
        (open >= 4 || !heard(&host, "completed", "patient").is_empty()).then_some(open)
    });
    assert!(most <= 4, "{most} outstanding");
    assert!(completed(&host, "patient").contains("delivered=12000 dropped=0"));
    assert_eq!(of_event(&host, &job, "on-object-ready").len(), 12);
}

#[test]
fn w51_a_cancelled_query_is_completed_with_the_code_for_it() {
    let host = with_sink("", "");
    let job = ask(&host, "system", ENDLESS, &["--name", "endless"]);
    host.wait_state(&job, "connecting");
    host.cli(&["job", "cancel", &job]).code(0);
    let said = completed(&host, "endless");
    assert!(
        said.starts_with("code=80041032 class=StatusClass::Failed"),
        "{said}"
    );
    assert!(said.contains("error=true"), "{said}");
    let shown = host.job(&job);
    assert_eq!(
        (&shown["state"], &shown["error"]["code"]),
        (&"cancelled".into(), &"0x80041032".into())
    );
    assert!(shown["error"]["at"].as_str().unwrap() > "2020", "{shown}");
}

#[test]
fn w52_a_cancel_ends_what_the_provider_does() {
    let host = with_sink("", "");
    let job = ask(&host, "system", ENDLESS, &["--name", "endless"]);
    host.wait_state(&job, "connecting");
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", host.pid().as_raw_nonzero())).unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "query").count()
    };
    eventually("the provider works", || threads() == 1);
    host.cli(&["job", "cancel", &job]).code(0);
    eventually("the provider's thread has ended", || threads() == 0);
}

#[test]
fn t11_a_cancel_that_races_the_end_leads_to_one_completion() {
    let host = Arc::new(with_sink("", ""));
    let jobs: Vec<(String, String)> = (0..12)
        .map(|n| {
            let name = format!("race-{n}-");
            let job = ask(&host, "system", &numbers(1_000 * n), &["--name", &name]);
            let (canceller, id) = (Arc::clone(&host), job.clone());
            // It may have ended already: then the cancel is refused, which is as good.
            std::thread::spawn(move || canceller.cli(&["job", "cancel", &id]))
                .join()
                .unwrap();
            (name, job)
        })
        .collect();
    for (name, job) in jobs {
        let said = completed(&host, &name);
        let outcome = host.job(&job)["outcome"].clone();
        let wanted = if outcome == "cancelled" {
            "code=80041032"
        } else {
            "code=00000000"
        };
        assert!(said.starts_with(wanted), "{outcome}: {said}");
        assert_eq!(of_event(&host, &job, "on-completed").len(), 1);
        assert_eq!(of_event(&host, &job, "on-ended").len(), 1);
    }
}

#[test]
fn t15_a_partial_result_is_no_failure() {
    let host = with_sink("", "");
    let job = ask(
        &host,
        "system",
        &numbers(50),
        &["--name", "part", "--limit", "10"],
    );
    let said = completed(&host, "part");
    assert!(
        said.contains("code=00040010 class=StatusClass::Warning delivered=10"),
        "{said}"
    );
    assert!(said.contains("error=false"), "{said}");
    assert_eq!(host.job(&job)["outcome"], "succeeded");
    ask(&host, "system", &numbers(10), &["--name", "all", "--limit", "10"]);
    assert!(completed(&host, "all").contains("code=00000000 class=StatusClass::Ok delivered=10"));
}

#[test]
fn cx01_a_query_ends_whatever_its_sink_does() {
    let host = with_sink("config = { mood = \"fail\" }", "");
    let job = ask(&host, "system", &numbers(10), &["--name", "deaf"]);
    completed(&host, "deaf");
    assert_eq!(host.job(&job)["outcome"], "succeeded");
    let objects = of_event(&host, &job, "on-object-ready");
    assert_eq!(objects[0]["state"], "dead", "{objects:#?}");
    // W-20: without any sink it ends all the same.
    host.unplug("sink");
    host.wait_plugin("sink", |plugin| plugin["serving"] == false);
    let alone = ask(&host, "system", &numbers(10), &[]);
    host.wait_state(&alone, "acknowledged");
}

#[test]
fn w12_sigkill_in_the_middle_leaves_one_completion_for_every_query() {
    let mut host = with_sink("config = { delay_ms = 20 }", "");
    let mut jobs: Vec<(String, String)> = Vec::new();
    for round in 0..4 {
        for n in 0..6_u32 {
            let name = format!("kill-{round}-{n}-");
            let job = ask(&host, "system", &numbers(3_000 * (n + 1)), &["--name", &name]);
            jobs.push((name, job));
        }
        let (_, last) = &jobs[jobs.len() - 1 - round];
        eventually("something was told of it", || {
            !host.deliveries(&["--job", last]).is_empty()
        });
        host.kill9();
        host.start();
    }
    for (name, job) in &jobs {
        eventually(&format!("{name} is completed"), || {
            let ends = of_event(&host, job, "on-completed");
            ends.len() == 1 && ends[0]["state"] == "settled"
        });
        assert_eq!(of_event(&host, job, "on-ended").len(), 1, "{name}");
        // A call may be made again after a kill, but of one delivery.
        let said = heard(&host, "completed", name);
        let first = said.first().unwrap();
        assert!(said.iter().all(|one| one == first), "{said:?}");
        assert_eq!(host.job(job)["outcome"], "succeeded");
    }
}

#[test]
fn w50_what_was_found_and_not_handed_over_is_withdrawn_by_a_cancel() {
    let host = with_sink("config = { delay_ms = 400 }", "");
    let job = ask(&host, "system", &numbers(1_000_000), &["--name", "cut"]);
    eventually("a batch is being handed over", || {
        of_event(&host, &job, "on-object-ready").len() >= 4
    });
    host.cli(&["job", "cancel", &job]).code(0);
    let said = completed(&host, "cut");
    assert!(said.starts_with("code=80041032"), "{said}");
    let batches = of_event(&host, &job, "on-object-ready");
    let withdrawn = batches.iter().filter(|one| one["result"] == "withdrawn").count();
    assert!(withdrawn > 0, "{batches:#?}");
    assert!(
        said.contains(&format!(
            "delivered={} dropped={}",
            (batches.len() - withdrawn) * 1_000,
            withdrawn * 1_000
        )),
        "{said}"
    );
}
