//! Stores of other versions: older ones are brought up, newer ones are left alone.

use super::*;

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let mut bench = Bench::new(&[]).await;
    bench.store.take().unwrap().close().await;
    let path = bench.dir.path().join("state/sexton.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let newer = open(bench.dir.path(), &bench.clock).await;
    assert!(matches!(newer, Err(StoreError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn an_older_store_is_brought_up_with_its_jobs() {
    let mut bench = Bench::new(&[]).await;
    let job = bench.submit().await;
    bench.store.take().unwrap().close().await;
    // What the first version wrote had none of these.
    let db = rusqlite::Connection::open(bench.dir.path().join("state/sexton.db")).unwrap();
    db.execute_batch(
        "ALTER TABLE files DROP COLUMN plan;
         ALTER TABLE files DROP COLUMN session;
         DROP INDEX jobs_runnable;
         DROP INDEX jobs_by_host;
         DROP INDEX jobs_held;
         DROP INDEX jobs_in_lane;
         DROP TABLE activities;
         DROP TABLE dependencies;
         ALTER TABLE jobs DROP COLUMN waits;
         ALTER TABLE jobs DROP COLUMN turn;
         ALTER TABLE jobs DROP COLUMN held;
         ALTER TABLE jobs DROP COLUMN active_ms;
         ALTER TABLE jobs DROP COLUMN active_since;
         CREATE INDEX jobs_runnable ON jobs (priority, seq, host)
             WHERE state = 'queued' AND intent IS NULL AND due IS NULL;
         CREATE INDEX jobs_by_host ON jobs (priority, host, seq)
             WHERE state = 'queued' AND intent IS NULL AND due IS NULL;
         ALTER TABLE jobs DROP COLUMN reply_total;
         ALTER TABLE jobs DROP COLUMN reply_transferred;
         DROP TABLE destinations;
         ALTER TABLE jobs DROP COLUMN pool;
         ALTER TABLE jobs DROP COLUMN call;
         DROP TABLE query_tally;
         DROP TABLE objects;
         DROP TABLE watch_rows;
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(db);
    bench.store = Some(open(bench.dir.path(), &bench.clock).await.unwrap());
    let run = bench.run().await;
    assert_eq!(run.job.id, job.id);
    assert!(run.files[0].plan.is_plain());
}
