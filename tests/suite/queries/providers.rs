//! The providers that are built in: the host itself, and the machine it runs on.

use serde_json::Value;
use sexton_tests::host::TestHost;
use sexton_tests::web::Web;

use super::with_sink;
use crate::host;

#[track_caller]
fn rows(host: &TestHost, provider: &str, text: &str) -> Vec<Value> {
    host.list(&["submit", "query", "--provider", provider, "--wait", text])
}

#[test]
fn w75_the_machine_is_there_as_tables() {
    let mut host = host("");
    host.start();
    let pid = host.pid().as_raw_nonzero();
    let own = rows(
        &host,
        "system",
        &format!("SELECT name, memory, command FROM processes WHERE pid = {pid}"),
    );
    assert_eq!(own.len(), 1, "{own:#?}");
    assert!(own[0]["memory"].as_i64().unwrap() > 0 && own[0]["command"].as_str().unwrap().contains("run"));
    let root = rows(&host, "system", "SELECT type FROM mounts WHERE path = '/'");
    assert!(!root.is_empty());
    let loopback = rows(
        &host,
        "system",
        "SELECT i.name FROM interfaces i JOIN addresses a ON a.interface = i.name WHERE a.address = '127.0.0.1'",
    );
    assert_eq!(loopback[0]["name"], "lo");
    assert_eq!(
        rows(&host, "system", "SELECT name FROM users WHERE uid = 0")[0]["name"],
        "root"
    );
    let counts = rows(
        &host,
        "system",
        "SELECT (SELECT total > available FROM memory) AS m, (SELECT cpus > 0 FROM load) AS l, (SELECT count(*) >= 0 FROM disks) AS d",
    );
    assert_eq!(
        (&counts[0]["m"], &counts[0]["l"], &counts[0]["d"]),
        (&1.into(), &1.into(), &1.into())
    );
}

#[test]
fn the_host_is_there_as_tables_and_its_secrets_are_not() {
    let (web, host) = (Web::start(), with_sink("", ""));
    let header = "Authorization: Bearer s3cret-token";
    let job = host.download(&web.denied(), &["--name", "fetch", "--header", header]);
    host.wait_state(&job, "error");
    let found = rows(
        &host,
        "sexton",
        "SELECT j.id, j.state, e.code, f.remote FROM jobs j JOIN errors e ON e.job = j.id JOIN files f ON f.job = j.id WHERE j.kind = 'download'",
    );
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (&found[0]["id"], &found[0]["state"]),
        (&job.as_str().into(), &"error".into())
    );
    assert_eq!(found[0]["code"], "0x80190193");
    let plugins = rows(&host, "sexton", "SELECT name, serving FROM plugins");
    assert_eq!(
        (&plugins[0]["name"], &plugins[0]["serving"]),
        (&"sink".into(), &1.into())
    );
    assert!(!rows(&host, "sexton", "SELECT * FROM deliveries").is_empty());
    for door in [
        "SELECT spec FROM main.job_data",
        "SELECT spec FROM job_data",
        "SELECT value FROM plugin_state",
        "SELECT sql FROM sqlite_temp_schema",
        "SELECT name FROM sqlite_schema",
        "WITH jobs AS (SELECT spec FROM main.job_data) SELECT * FROM jobs",
        "SELECT * FROM main.job_list",
        "PRAGMA database_list",
    ] {
        let said = host
            .cli(&[
                "submit",
                "query",
                "--provider",
                "sexton",
                "--wait",
                "--json",
                door,
            ])
            .code(1);
        assert!(!format!("{said:?}").contains("s3cret"), "{door}: {said:?}");
        assert!(said.stdout.is_empty(), "{door}: {said:?}");
    }
    for table in ["jobs", "files", "errors", "deliveries", "plugins"] {
        let all = rows(&host, "sexton", &format!("SELECT * FROM {table}"));
        assert!(!format!("{all:?}").contains("s3cret"), "{table}");
    }
}
