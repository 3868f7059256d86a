//! P2 and P3: durable jobs of nothing, without and with a handler, beside the bare store loop.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, params};
use tokio::runtime::Runtime;

use crate::bench::Bench;
use crate::house::{House, Work, job};
use crate::measure::{Contestant, Rounds, in_turn, rate};
use crate::report::{Report, Row};

/// Who submits at the same time, each waiting for its job to be durable before the next.
const PRODUCERS: usize = 64;
/// Rounds of each contestant.
const ROUNDS: usize = 5;

/// Runs P2.
pub fn run(bench: &Bench) -> Report {
    let (jobs, runtime) = (size(bench), runtime());
    let mut contestants: [Contestant<'_>; 2] = [
        Box::new(|| bare_loop(bench, jobs)),
        Box::new(|| runtime.block_on(durable_jobs(bench, Work::Succeeds, jobs))),
    ];
    let [bare, host] = &in_turn(ROUNDS, &mut contestants)[..] else {
        unreachable!("two contestants")
    };
    let ratio = host.ratio_to(bare);
    let mut report = Report::default();
    report.row(
        told(&format!("{jobs} jobs of nothing, {PRODUCERS} producers"), host)
            .beside(ratio, "bare loop")
            .must("≥ 0.6 × bare loop", ratio >= 0.6),
    );
    report.row(told("peer: the bare SQLite group-commit loop", bare));
    report.note(format!(
        "every job is submitted, claimed, finished and completed, each step durable before the next; \
         the bare loop writes a row three times, {PRODUCERS} jobs of each step in one transaction. Median of {ROUNDS} rounds; \
         ratios are medians of the ratios of neighbouring rounds."
    ));
    report
}

/// Runs P3.
pub fn with_handler(bench: &Bench) -> Report {
    let (jobs, runtime) = (size(bench), runtime());
    let mut contestants: [Contestant<'_>; 2] = [
        Box::new(|| runtime.block_on(durable_jobs(bench, Work::Succeeds, jobs))),
        Box::new(|| runtime.block_on(durable_jobs(bench, Work::Fails, jobs))),
    ];
    let [without, with] = &in_turn(ROUNDS, &mut contestants)[..] else {
        unreachable!("two contestants")
    };
    let ratio = with.ratio_to(without);
    let mut report = Report::default();
    report.row(
        told(&format!("{jobs} jobs, each calls a handler that decides"), with)
            .beside(ratio, "P2")
            .must("≥ 0.5 × P2", ratio >= 0.5),
    );
    report.row(told("the same without the call (P2)", without));
    report.note(
        "every job fails, its `on-error` is written with the failure, claimed, called in a fresh \
         instance, and settled together with its decision to cancel, which is then carried out.",
    );
    report
}

fn told(what: &str, rounds: &Rounds) -> Row {
    Row::new(what).number(rounds.median(), "jobs/s")
}

fn size(bench: &Bench) -> usize {
    bench.pick(40_000, 1_000)
}

fn runtime() -> Runtime {
    Runtime::new().expect("threads can be started")
}

/// Rate of `jobs` jobs from the first submit to the last end, on a new store.
async fn durable_jobs(bench: &Bench, work: Work, jobs: usize) -> f64 {
    let house = House::open(bench, work).await;
    let each = jobs / PRODUCERS;
    let start = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let store = Arc::clone(&house.store);
            tokio::spawn(async move {
                for _ in 0..each {
                    store.submit(job()).await.expect("a job is accepted");
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.expect("a producer does not panic");
    }
    let total = each * PRODUCERS;
    house.ended(total as u64).await;
    let rate = rate(total, start);
    house.close().await;
    rate
}

/// What any store on this disk and this SQLite could do: jobs that go through three durable states,
/// as many of them in one transaction as there are producers waiting for it.
fn bare_loop(bench: &Bench, jobs: usize) -> f64 {
    let folder = bench.folder();
    let mut db = bare_table(&folder.path().join("bare.db")).expect("a table can be made");
    let waves = jobs / PRODUCERS;
    let start = Instant::now();
    // Each transaction accepts one wave, starts the one before and ends the one before that.
    for wave in 0..waves + 2 {
        bare_wave(&mut db, wave, waves).expect("a transaction can be committed");
    }
    rate(waves * PRODUCERS, start)
}

/// The least that a queue needs, with the settings of the host's own store.
fn bare_table(path: &Path) -> rusqlite::Result<Connection> {
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

fn bare_wave(db: &mut Connection, wave: usize, waves: usize) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    let rows = |wave: usize| (wave * PRODUCERS..(wave + 1) * PRODUCERS).map(|row| row as i64);
    if wave < waves {
        let mut insert =
            transaction.prepare_cached("INSERT INTO jobs VALUES (?1, ?2, 'uid-0', 'queued', ?1, ?1, ?3)")?;
        for row in rows(wave) {
            let id = (row as u128).to_be_bytes();
            insert.execute(params![row, id, r#"{"name":"nothing"}"#])?;
        }
    }
    for (state, behind) in [("running", 1), ("done", 2)] {
        let Some(wave) = wave.checked_sub(behind).filter(|wave| *wave < waves) else {
            continue;
        };
        let mut update =
            transaction.prepare_cached("UPDATE jobs SET state = ?2, modified = ?1 WHERE seq = ?1")?;
        for row in rows(wave) {
            update.execute(params![row, state])?;
        }
    }
    transaction.commit()
}
