//! What goes wrong with a query: both shapes of the error, and the place in its text.

use super::{ask, completed, database, with_sink};

#[test]
fn w41_a_syntax_error_has_both_shapes_and_its_place() {
    let host = with_sink("", "");
    let file = database(&host, "CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT);");
    for provider in [file.as_str(), "sexton", "system"] {
        let name = format!("bad-{}", provider.split(':').next().unwrap());
        let job = ask(
            &host,
            provider,
            "Select * From ?????",
            &["--name", &name, "--context", "x"],
        );
        let said = completed(&host, &name);
        assert!(
            said.starts_with("code=80041017 class=StatusClass::Failed"),
            "{said}"
        );
        assert!(
            said.contains(&format!("error=true operation=ExecQuery provider={provider}")),
            "{said}"
        );
        let error = host.object(&["job", "error", &job]);
        assert_eq!(error["name"], "WBEM_E_INVALID_QUERY", "{error:#}");
        let extended = &error["extended"];
        assert_eq!(extended["operation"], "ExecQuery");
        assert_eq!(extended["parameter_info"], "Select * From ?????");
        assert_eq!(extended["provider_name"], provider);
        assert_eq!(extended["status_code"], "0x80041017");
        assert_eq!(extended["position"], 14, "{error:#}");
        assert_eq!(extended["provider"]["error_code"], "SQLITE_ERROR");
        assert_eq!(extended["provider"]["severity"], "functional");
        let shown = host.cli(&["job", "error", &job]).code(0).stdout;
        let lines: Vec<&str> = shown.lines().collect();
        let text = lines
            .iter()
            .position(|line| *line == "line 1: Select * From ?????")
            .unwrap();
        assert_eq!(lines[text + 1].find('^'), lines[text].find("?????"), "{shown}");
        let job = host.job(&job);
        assert_eq!(
            (&job["state"], &job["outcome"]),
            (&"acknowledged".into(), &"failed".into())
        );
    }
}

#[test]
fn w44_the_error_can_be_read_again_and_again_also_after_a_restart() {
    let mut host = with_sink("", "");
    let job = ask(&host, "sqlite:/no/such/file.db", "SELECT 1", &["--name", "lost"]);
    completed(&host, "lost");
    let first = host.object(&["job", "error", &job]);
    assert_eq!(first["name"], "WBEM_E_NOT_FOUND", "{first:#}");
    assert_eq!(first["extended"]["provider"]["severity"], "minor");
    host.restart();
    assert_eq!(host.object(&["job", "error", &job]), first);
}

#[test]
fn w21_a_query_that_takes_too_long_is_over() {
    let host = with_sink("", "deadline = \"200ms\"");
    let job = ask(&host, "system", super::ENDLESS, &["--name", "late"]);
    let said = completed(&host, "late");
    assert!(
        said.starts_with("code=a05e0003 class=StatusClass::Failed"),
        "{said}"
    );
    assert_eq!(host.object(&["job", "error", &job])["name"], "SX_E_DEADLINE");
}

#[test]
fn what_writes_is_refused_and_what_is_locked_is_tried_again() {
    let host = with_sink("", "");
    let file = database(&host, "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);");
    let out = host.path("copy.db");
    for (n, text) in [
        "DELETE FROM t".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        format!("ATTACH '{}' AS other", out.display()),
        format!("VACUUM INTO '{}'", out.display()),
        "PRAGMA user_version = 7".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("write-{n}-");
        ask(&host, &file, text, &["--name", &name]);
        let said = completed(&host, &name);
        assert!(said.contains("class=StatusClass::Failed"), "{text}: {said}");
    }
    assert!(!out.exists());
    let lock = rusqlite::Connection::open(host.path("data.db")).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let job = ask(
        &host,
        &file,
        "SELECT n FROM t",
        &["--name", "locked", "--retry-delay", "100ms"],
    );
    let shown = host.wait_state(&job, "transient-error");
    assert_eq!(shown["error"]["name"], "WBEM_E_SERVER_TOO_BUSY");
    lock.execute_batch("COMMIT").unwrap();
    assert!(completed(&host, "locked").contains("code=00000000 class=StatusClass::Ok delivered=1"));
}
