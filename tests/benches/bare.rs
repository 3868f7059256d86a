//! The bare SQLite group-commit loop: what any durable queue on this disk could do at best.
//!
//! Producers submit, each waiting for its commit; one thread writes whatever waits in one transaction,
//! and with it the second and the third durable state of the jobs before. No law, no events, no
//! scheduler.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use crate::bench::Bench;
use crate::measure::rate;

/// Jobs accepted in one transaction at most: the host's own number.
const BATCH: usize = 1_024;

/// One job to be accepted.
struct Submit {
    row: i64,
    done: oneshot::Sender<()>,
}

/// What was committed and goes on in the next transaction.
#[derive(Default)]
struct UnderWay {
    queued: Vec<i64>,
    running: Vec<i64>,
}

/// Rate of `count` jobs by `producers`, from the first submit to the last end.
pub async fn jobs(bench: &Bench, producers: usize, count: usize) -> f64 {
    let folder = bench.folder();
    let mut db = table(&folder.path().join("bare.db")).expect("a table can be made");
    let (queue, mut submits) = mpsc::channel(4_096);
    let writer = std::thread::spawn(move || {
        let mut under_way = UnderWay::default();
        while write(&mut db, &mut submits, &mut under_way).expect("it can be committed") {}
    });
    let each = count / producers;
    let start = Instant::now();
    for producer in 0..producers {
        tokio::spawn(produce(queue.clone(), producer * each, each));
    }
    drop(queue);
    let ended = tokio::task::spawn_blocking(|| writer.join());
    let ended = ended.await.expect("a thread can be waited for");
    ended.expect("the writer does not panic");
    rate(each * producers, start)
}

async fn produce(queue: mpsc::Sender<Submit>, first: usize, count: usize) {
    for row in first..first + count {
        let (done, told) = oneshot::channel();
        let row = row as i64;
        assert!(queue.send(Submit { row, done }).await.is_ok(), "the writer lives");
        told.await.expect("the writer answers");
    }
}

/// The least that a queue needs, with the settings of the host's own store.
fn table(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.execute_batch(
        "CREATE TABLE jobs (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, owner TEXT NOT NULL, \
         state TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL, spec TEXT NOT NULL) STRICT; \
         CREATE INDEX runnable ON jobs (seq) WHERE state = 'queued';",
    )?;
    Ok(db)
}

/// Writes what waits in one transaction, then answers; false when there is nothing left and nobody
/// who could ask any more.
fn write(
    db: &mut Connection,
    submits: &mut mpsc::Receiver<Submit>,
    under_way: &mut UnderWay,
) -> rusqlite::Result<bool> {
    let mut batch = Vec::with_capacity(BATCH);
    if under_way.queued.is_empty() && under_way.running.is_empty() {
        if submits.blocking_recv_many(&mut batch, BATCH) == 0 {
            return Ok(false);
        }
    } else {
        while let (true, Ok(submit)) = (batch.len() < BATCH, submits.try_recv()) {
            batch.push(submit);
        }
    }
    let transaction = db.transaction()?;
    {
        let mut insert =
            transaction.prepare_cached("INSERT INTO jobs VALUES (?1, ?2, 'uid-0', 'queued', ?1, ?1, ?3)")?;
        for submit in &batch {
            let id = (submit.row as u128).to_be_bytes();
            insert.execute(params![submit.row, id, r#"{"name":"nothing"}"#])?;
        }
        let mut update =
            transaction.prepare_cached("UPDATE jobs SET state = ?2, modified = ?1 WHERE seq = ?1")?;
        for (rows, state) in [(&under_way.queued, "running"), (&under_way.running, "done")] {
            for row in rows {
                update.execute(params![row, state])?;
            }
        }
    }
    transaction.commit()?;
    under_way.running = std::mem::take(&mut under_way.queued);
    for submit in batch {
        under_way.queued.push(submit.row);
        // A producer that has gone is no matter of ours.
        let _ = submit.done.send(());
    }
    Ok(true)
}
