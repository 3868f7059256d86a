//! Watches (W-25): what is new since the last run, until they are cancelled.

use sexton_tests::poll::eventually;

use super::{ask, change, completed, database, heard, of_event, with_sink};

#[test]
fn w25_a_watch_tells_what_is_new_and_ends_only_by_a_cancel() {
    let mut host = with_sink("", "");
    let file = database(
        &host,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT); INSERT INTO orders VALUES (1, 'stuck'), (2, 'stuck');",
    );
    let path = host.path("data.db");
    let text = "SELECT id, state FROM orders ORDER BY id";
    let job = ask(
        &host,
        &file,
        text,
        &["--name", "w", "--every", "1s", "--by", "id", "--keep"],
    );
    let news = |host: &sexton_tests::host::TestHost| heard(host, "objects", "w");
    let told = |change: &str, rows: u32| format!("change=ObjectChange::{change} rows={rows}");
    eventually("the first news", || {
        news(&host).iter().any(|one| one.contains(&told("Appeared", 2)))
    });
    change(&path, "UPDATE orders SET state = 'done' WHERE id = 1;");
    eventually("a change", || {
        news(&host).iter().any(|one| one.contains(&told("Changed", 1)))
    });
    // What it remembers survives its host.
    host.kill9();
    change(
        &path,
        "DELETE FROM orders WHERE id = 2; INSERT INTO orders VALUES (3, 'new');",
    );
    host.start();
    eventually("one is gone", || {
        news(&host)
            .iter()
            .any(|one| one.contains(&told("Disappeared", 1)))
    });
    eventually("one is new", || {
        news(&host).iter().any(|one| one.contains(&told("Appeared", 1)))
    });
    // One run that fails does not end it.
    change(&path, "ALTER TABLE orders RENAME TO elsewhere;");
    let shown = host.wait_state(&job, "transient-error");
    assert_eq!(shown["error"]["extended"]["operation"], "ExecNotificationQuery");
    assert!(heard(&host, "completed", "w").is_empty());
    change(
        &path,
        "ALTER TABLE elsewhere RENAME TO orders; INSERT INTO orders VALUES (4, 'late');",
    );
    eventually("news after the error", || {
        news(&host).iter().any(|one| one.contains("Integer(4)"))
    });
    host.cli(&["job", "cancel", &job]).code(0);
    assert!(completed(&host, "w").starts_with("code=80041032"));
    assert_eq!(of_event(&host, &job, "on-completed").len(), 1);
    // What was told an instant before the kill is told again, with the same run and index.
    let batches: std::collections::BTreeSet<String> = news(&host).into_iter().collect();
    let kinds = ["Appeared rows=2", "Changed rows=1", "Disappeared rows=1"];
    for kind in kinds {
        let count = batches
            .iter()
            .filter(|one| one.contains(&format!("ObjectChange::{kind}")))
            .count();
        assert_eq!(count, 1, "{kind}: told once\n{batches:#?}");
    }
    let kept = host.list(&["job", "objects", &job]);
    assert_eq!(kept[0]["change"], "appeared");
    assert_eq!(kept[0]["object"]["id"], 1);
}
