//! The bare SQLite group-commit loop: what any durable queue on this disk could do at best.
//!
//! Producers take jobs through three durable states, each waiting for its commit; one thread writes
//! whatever waits in one transaction. No law, no events, no scheduler.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use crate::bench::Bench;
use crate::measure::rate;

/// Steps in one transaction at most: the host's own number.
const BATCH: usize = 1_024;

/// One durable step of one job.
struct Step {
    row: i64,
    state: &'static str,
    done: oneshot::Sender<()>,
}

/// Rate of `count` jobs by `producers`.
pub async fn jobs(bench: &Bench, producers: usize, count: usize) -> f64 {
    let folder = bench.folder();
    let mut db = table(&folder.path().join("bare.db")).expect("a table can be made");
    let (queue, mut steps) = mpsc::channel(4_096);
    let writer = std::thread::spawn(move || {
        while write(&mut db, &mut steps)
            .expect("a transaction can be committed")
            .is_continue()
        {}
    });
    let each = count / producers;
    let start = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|producer| tokio::spawn(produce(queue.clone(), producer * each, each)))
        .collect();
    drop(queue);
    for task in tasks {
        task.await.expect("a producer does not panic");
    }
    let rate = rate(each * producers, start);
    writer.join().expect("the writer does not panic");
    rate
}

async fn produce(queue: mpsc::Sender<Step>, first: usize, count: usize) {
    for row in first..first + count {
        for state in ["queued", "running", "done"] {
            let (done, told) = oneshot::channel();
            let step = Step {
                row: row as i64,
                state,
                done,
            };
            assert!(queue.send(step).await.is_ok(), "the writer lives");
            told.await.expect("the writer answers");
        }
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

/// Writes what waits in one transaction, then answers; the end when nobody can ask any more.
fn write(db: &mut Connection, steps: &mut mpsc::Receiver<Step>) -> rusqlite::Result<ControlFlow<()>> {
    let mut batch = Vec::with_capacity(BATCH);
    if steps.blocking_recv_many(&mut batch, BATCH) == 0 {
        return Ok(ControlFlow::Break(()));
    }
    let transaction = db.transaction()?;
    {
        let mut insert =
            transaction.prepare_cached("INSERT INTO jobs VALUES (?1, ?2, 'uid-0', ?3, ?1, ?1, ?4)")?;
        let mut update =
            transaction.prepare_cached("UPDATE jobs SET state = ?2, modified = ?1 WHERE seq = ?1")?;
        for step in &batch {
            if step.state == "queued" {
                let id = (step.row as u128).to_be_bytes();
                insert.execute(params![step.row, id, step.state, r#"{"name":"nothing"}"#])?;
            } else {
                update.execute(params![step.row, step.state])?;
            }
        }
    }
    transaction.commit()?;
    for step in batch {
        // A producer that has gone is no matter of ours.
        let _ = step.done.send(());
    }
    Ok(ControlFlow::Continue(()))
}
