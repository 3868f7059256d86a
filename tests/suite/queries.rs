//! Queries: real providers are asked by the real program, and a real component is the sink. What it is told, in
//! which order, how often, and what becomes of it when it is slow, fails, or the host dies.

mod components;
mod errors;
mod postgres;
mod providers;
mod pull;
mod sink;
mod watch;

use std::path::Path;

use serde_json::Value;
use sexton_tests::guests::{self, SINK};
use sexton_tests::host::TestHost;

use crate::host;

/// The sink hears of everything; `plugin` is what its table says, `query` what `[query]` says.
fn config(plugin: &str, query: &str) -> String {
    format!(
        "[query]\n{query}\n[plugin.sink]\n{plugin}\n[[subscribe]]\nplugin = \"sink\"\nkind = \"query\"\n\
         events = [\"on-object-ready\", \"on-progress\", \"on-object-put\", \"on-completed\", \"on-ended\"]\n"
    )
}

/// A running host with a sink that serves.
fn with_sink(plugin: &str, query: &str) -> TestHost {
    let mut host = host(&config(plugin, query));
    host.plugin("sink", guests::bytes(SINK));
    host.start();
    host.wait_serving("sink");
    host
}

/// Submits a query and returns its job's id.
#[track_caller]
fn ask(host: &TestHost, provider: &str, text: &str, more: &[&str]) -> String {
    let args = [&["submit", "query", "--provider", provider, text], more].concat();
    host.cli(&args).code(0).stdout.trim_end().to_owned()
}

/// So many numbers, from 1.
fn numbers(count: u32) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n"
    )
}

/// One that never ends.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n";

/// A database file in the folder, made by these statements.
fn database(host: &TestHost, statements: &str) -> String {
    let path = host.path("data.db");
    change(&path, statements);
    format!("sqlite:{}", path.display())
}

fn change(path: &Path, statements: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(statements).unwrap();
}

/// What the sink logged of a word, such as `completed`, about a job of this name.
fn heard(host: &TestHost, word: &str, name: &str) -> Vec<String> {
    let begins = format!("sink {word} {name} ");
    let log = host.log();
    let lines = log.lines().filter_map(|line| line.split_once(&begins));
    lines.map(|(_, rest)| rest.to_owned()).collect()
}

/// Waits until the sink was told of the end, and returns what it was told then.
fn completed(host: &TestHost, name: &str) -> String {
    host.wait_log(&format!("sink completed {name} "));
    host.wait_log(&format!("sink ended {name} "));
    let mut all = heard(host, "completed", name);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Deliveries of an event of one job.
fn of_event(host: &TestHost, job: &str, event: &str) -> Vec<Value> {
    let all = host.deliveries(&["--job", job, "--limit", "1000"]);
    all.into_iter()
        .filter(|delivery| delivery["event"] == event)
        .collect()
}
