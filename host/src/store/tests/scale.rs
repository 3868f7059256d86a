//! What must hold when there is very much of something: order, turns, pieces, clocks.

use super::bare::Bare;
use super::*;

const TELLS: (EventKind, &str, Role) = (EventKind::FileTransferred, "b", Role::Observer);

#[tokio::test]
async fn every_remote_host_has_its_turn_behind_a_saturated_one() {
    let bench = Bench::new(&[]).await;
    bench.store().submit_many(vec![new_job(); 300]).await.unwrap();
    let others = (0..600).map(|n| NewJob {
        files: vec![FileSpec::new(format!("http://host-{n}/x"), "/tmp/x")],
        ..new_job()
    });
    bench.store().submit_many(others.collect()).await.unwrap();
    let ask = ClaimJobs {
        busy_hosts: BTreeMap::from([("h:1".to_owned(), 6)]),
        ..ask_jobs()
    };
    let mut left = 600;
    while left > 0 {
        let runs = bench.store().claim_jobs(ask.clone()).await.unwrap();
        assert!(!runs.is_empty(), "{left} jobs have free slots and are not found");
        assert!(runs.iter().all(|run| run.files[0].remote != "http://h:1/x"));
        left -= runs.len();
    }
    assert!(bench.store().claim_jobs(ask).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_free_host_without_a_name_is_found_behind_a_saturated_one() {
    let bench = Bench::new(&[]).await;
    bench.store().submit_many(vec![new_job(); 300]).await.unwrap();
    let nameless = NewJob {
        files: vec![FileSpec::new("x", "/tmp/x")],
        ..new_job()
    };
    let nameless = bench.store().submit(nameless).await.unwrap().job;
    let runs = bench.store().claim_jobs(ask_jobs()).await.unwrap();
    assert_eq!(runs.len(), 7);
    assert!(runs.iter().any(|run| run.job.id == nameless.id));
}

#[tokio::test]
async fn every_pool_has_slots_of_its_own() {
    let bench = Bench::new(&[]).await;
    for kind in [JobKind::Download, JobKind::Batch, JobKind::Query] {
        let new = match kind {
            JobKind::Download => new_job(),
            other => of_kind(other),
        };
        bench.store().submit_many(vec![new; 10]).await.unwrap();
    }
    let ask = ClaimJobs {
        batch: 3,
        queries: 2,
        ..ask_jobs()
    };
    let runs = bench.store().claim_jobs(ask.clone()).await.unwrap();
    let count = |kind| runs.iter().filter(|run| run.job.kind == kind).count();
    let counts = [JobKind::Download, JobKind::Batch, JobKind::Query].map(count);
    assert_eq!(counts, [6, 3, 2]);
    let full = ClaimJobs {
        batch: 0,
        background: 0,
        foreground: 0,
        ..ask
    };
    let more = bench.store().claim_jobs(full).await.unwrap();
    assert_eq!(more.len(), 2);
    assert!(more.iter().all(|run| run.job.kind == JobKind::Query));
}

#[tokio::test]
async fn the_first_level_of_batch_work_waits_for_a_slot_too() {
    let bench = Bench::new(&[]).await;
    let level = |priority| NewJob {
        priority,
        ..of_kind(JobKind::Batch)
    };
    bench.store().submit(level(Priority::Normal)).await.unwrap();
    let first = bench.store().submit(level(Priority::Foreground)).await.unwrap();
    let ask = |batch| ClaimJobs { batch, ..ask_jobs() };
    assert!(bench.store().claim_jobs(ask(0)).await.unwrap().is_empty());
    let runs = bench.store().claim_jobs(ask(1)).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].job.id, first.job.id);
}

#[tokio::test]
async fn a_run_has_all_its_files_in_order_however_many() {
    let bench = Bench::new(&[]).await;
    let files = (0..500).map(|n| FileSpec::new(format!("http://h:1/{n}"), format!("/tmp/{n}")));
    let large = NewJob {
        files: files.collect(),
        ..new_job()
    };
    bench.store().submit(large).await.unwrap();
    let run = bench.run().await;
    let indexes: Vec<u32> = run.files.iter().map(|file| file.index).collect();
    assert_eq!(indexes, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn deliveries_of_a_saturated_owner_hide_no_other_owner() {
    let bench = Bench::new(&[DECIDES]).await;
    let mut bare = Bare::beside(&bench, &[DECIDES]);
    bare.write(|work| {
        for n in 0..1_501 {
            let owner = if n == 1_500 { "uid-7" } else { "uid-0" };
            work.submit(&NewJob {
                owner: owner.parse().unwrap(),
                ..new_job()
            })?;
            let at = work.now;
            let run = work.claim_jobs(&ask_jobs())?.remove(0);
            let error = error(403, 1, at);
            work.hear(run.id(), &Told::end(Command::FatalError { error }))?;
        }
        Ok(())
    });
    let ask = ClaimDeliveries {
        busy: busy("a", 4),
        ..ask_deliveries(&["a"])
    };
    let claims = bench.store().claim_deliveries(ask).await.unwrap();
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].delivery.owner.as_str(), "uid-7");
}

/// A job with three files told of, one delivery after the other.
async fn three_told(bench: &Bench) -> Vec<u64> {
    let file = |n: u32| FileSpec::new(format!("http://h:1/{n}"), format!("/tmp/{n}"));
    let job = NewJob {
        files: (0..3).map(file).collect(),
        ..new_job()
    };
    bench.store().submit(job).await.unwrap();
    let run = bench.run().await;
    for mut file in run.files.clone() {
        file.transferred = true;
        bench.store().checkpoint(run.id(), file.into()).await.unwrap();
    }
    let all = bench.store().deliveries(DeliveryFilter::default()).await.unwrap();
    let mut seqs: Vec<u64> = all.into_iter().map(|record| record.seq).collect();
    seqs.sort_unstable();
    seqs
}

async fn next_of_pair(bench: &Bench) -> Claim {
    let mut claims = bench.claims().await;
    assert_eq!(claims.len(), 1, "one of a pair at a time");
    claims.remove(0)
}

#[tokio::test]
async fn a_pair_is_told_in_order_through_retries_and_crashes() {
    let mut bench = Bench::new(&[TELLS]).await;
    let seqs = three_told(&bench).await;
    for seq in seqs {
        let claim = next_of_pair(&bench).await;
        let next = AfterFailure::Retry {
            due: bench.clock.now().after(Duration::from_secs(5)),
            stage: Stage::Handler,
        };
        let verdict = failed(FailureClass::Trap, &claim, next);
        bench.settle(&claim, verdict).await.unwrap();
        assert!(
            bench.claims().await.is_empty(),
            "the others wait behind the retry"
        );
        bench.clock.advance(Duration::from_secs(5));
        assert_eq!(next_of_pair(&bench).await.delivery.seq, seq);
        bench.crash().await;
        bench.route(&[TELLS], &[]).await;
        let again = next_of_pair(&bench).await;
        assert_eq!(again.delivery.seq, seq);
        bench.settle(&again, acknowledged(vec![])).await.unwrap();
    }
    assert!(bench.claims().await.is_empty());
}

#[tokio::test]
async fn a_replayed_delivery_comes_before_the_later_ones_of_its_pair() {
    let bench = Bench::new(&[TELLS, (EventKind::JobModification, "b", Role::Observer)]).await;
    let seqs = three_told(&bench).await;
    // The modification was first and blocks nobody.
    let claims = bench.claims().await;
    assert_eq!(claims.len(), 2);
    let (modified, first) = (&claims[0], &claims[1]);
    assert_eq!(first.delivery.seq, seqs[1]);
    bench.settle(modified, acknowledged(vec![])).await.unwrap();
    let dead = AfterFailure::Dead { why: "no".into() };
    let verdict = failed(FailureClass::Trap, first, dead);
    bench.settle(first, verdict).await.unwrap();
    let replayed = bench.store().replay(DeliveryFilter::default()).await.unwrap();
    assert_eq!(replayed, 1);
    for seq in &seqs[1..] {
        let claim = next_of_pair(&bench).await;
        assert_eq!(claim.delivery.seq, *seq);
        bench.settle(&claim, acknowledged(vec![])).await.unwrap();
    }
}

/// Jobs that rest in `error` and of which nobody has heard.
fn resting(bare: &mut Bare, n: usize) {
    bare.write(|work| {
        for _ in 0..n {
            work.submit(&new_job())?;
            let at = work.now;
            let run = work.claim_jobs(&ask_jobs())?.remove(0);
            let error = error(403, 1, at);
            work.hear(run.id(), &Told::end(Command::FatalError { error }))?;
        }
        Ok(())
    });
}

#[tokio::test]
async fn a_backfill_that_is_cut_off_goes_on_and_writes_each_row_once() {
    let mut bench = Bench::new(&[]).await;
    resting(&mut Bare::beside(&bench, &[]), 1_200);
    // One piece, then the host dies.
    let mut bare = Bare::beside(&bench, &[DECIDES]);
    let last = bare.write(|work| work.backfill(JobState::Error, 0));
    assert!(last.is_some(), "there is more");
    let written = bench.store().waiting().await.unwrap();
    assert_eq!(
        written.values().sum::<u64>(),
        500,
        "a piece holds the writer for no more"
    );
    drop(bare);
    bench.crash().await;
    bench.route(&[DECIDES], &[]).await;
    bench.route(&[DECIDES], &[]).await;
    let db = rusqlite::Connection::open(bench.dir.path().join("state/sexton.db")).unwrap();
    let once: (i64, i64, i64) = db
        .query_row(
            "SELECT count(*), count(DISTINCT job), count(DISTINCT event) FROM deliveries",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(once, (1_200, 1_200, 1_200));
}

#[tokio::test]
async fn a_renewal_reaches_all_that_wait_piece_by_piece() {
    let bench = Bench::new(&[]).await;
    let mut bare = Bare::beside(&bench, &[DECIDES]);
    resting(&mut bare, 1_100);
    let later = bench.clock.now().after(Duration::from_secs(900));
    bare.write(|work| {
        let all =
            "UPDATE deliveries SET due = ?1 + seq % 7, digest = CASE WHEN seq % 2 THEN 'd' ELSE 'e' END";
        Ok(work.db.execute(all, [later.as_millis()])?)
    });
    drop(bare);
    let renewed = BTreeMap::from([("a".parse().unwrap(), Some("e".to_owned()))]);
    let router = Arc::new(Fixed(vec![DECIDES]));
    bench.store().set_router(router, renewed).await.unwrap();
    let ask = ClaimDeliveries {
        limit: 2_000,
        per_pair: 2_000,
        ..ask_deliveries(&["a"])
    };
    let claims = bench.store().claim_deliveries(ask).await.unwrap();
    assert_eq!(claims.len(), 550, "those that were tried with another component");
    assert!(claims.iter().all(|claim| claim.delivery.digest == "d"));
}

#[tokio::test]
async fn replay_and_purge_reach_all_that_is_dead_piece_by_piece() {
    let bench = Bench::new(&[]).await;
    let mut bare = Bare::beside(&bench, &[DECIDES]);
    resting(&mut bare, 1_100);
    let bury = |bare: &mut Bare| {
        bare.write(|work| {
            let ask = ClaimDeliveries {
                limit: 2_000,
                per_pair: 2_000,
                ..ask_deliveries(&["a"])
            };
            for claim in work.claim_deliveries(&ask)? {
                let dead = AfterFailure::Dead { why: "no".into() };
                work.settle(&settlement(&claim, failed(FailureClass::Trap, &claim, dead)))?;
            }
            Ok(())
        });
    };
    bury(&mut bare);
    assert_eq!(
        bench.store().replay(DeliveryFilter::default()).await.unwrap(),
        1_100
    );
    bury(&mut bare);
    let some = DeliveryFilter {
        limit: 700,
        ..DeliveryFilter::default()
    };
    assert_eq!(bench.store().purge(some).await.unwrap(), 700);
    let counts = bench.store().counts().await.unwrap().deliveries;
    let expected = [(DeliveryState::Settled, 700), (DeliveryState::Dead, 400)];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[tokio::test]
async fn b63_a_clock_that_was_moved_back_stretches_no_wait() {
    let mut bench = Bench::new(&[DECIDES]).await;
    let job = bench.failed().await;
    let claim = bench.claims().await.remove(0);
    let next = AfterFailure::Retry {
        due: bench.clock.now().after(Duration::from_secs(60)),
        stage: Stage::Handler,
    };
    let verdict = failed(FailureClass::Trap, &claim, next);
    bench.settle(&claim, verdict).await.unwrap();
    let after = Duration::from_secs(30);
    let at = bench.clock.now();
    bench
        .store()
        .command(job.id, Command::Resume { after, at })
        .await
        .unwrap();
    bench.store.take().unwrap().close().await;

    let earlier = Timestamp::from_millis(bench.clock.now().as_millis() - 3_600_000);
    bench.clock = Clock::simulated(earlier);
    bench.store = Some(open(bench.dir.path(), &bench.clock).await.unwrap());
    let job = bench.store().job(job.id).await.unwrap();
    assert_eq!(job.due, Some(earlier.after(Duration::from_secs(30))));
    let delivery = bench.store().delivery(claim.delivery.id).await.unwrap();
    assert_eq!(delivery.due, Some(earlier.after(Duration::from_secs(60))));
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(bench.claims().await.len(), 1);
}

#[tokio::test]
async fn what_must_stay_is_not_in_the_way_of_what_may_go() {
    let bench = Bench::new(&[]).await;
    let mut bare = Bare::beside(&bench, &[(EventKind::OnEnded, "a", Role::Observer)]);
    let cancel = |work: &mut crate::store::writer::Work<'_>, n: usize| {
        for _ in 0..n {
            let id = work.submit(&new_job())?.job.id;
            work.command(id, &Command::Cancel)?;
            let outcome = Outcome::Cancelled;
            work.command(id, &Command::IntentDone { outcome })?;
        }
        Ok(())
    };
    bare.write(|work| cancel(work, 1_100));
    drop(bare);
    Bare::beside(&bench, &[]).write(|work| cancel(work, 700));
    let rule = RetentionRule {
        finished: None,
        failed: Some(Duration::from_secs(60)),
        dead: None,
    };
    bench.clock.advance(Duration::from_secs(61));
    let mut pieces = 1;
    while bench.store().tick(rule).await.unwrap() == Some(bench.clock.now()) {
        pieces += 1;
    }
    let jobs = bench.store().counts().await.unwrap().jobs;
    assert_eq!(
        jobs,
        BTreeMap::from([(JobState::Cancelled, 1_100)]),
        "those still to be told of"
    );
    assert!(
        pieces >= 4,
        "500 are looked at in one transaction, not {pieces} times fewer"
    );
    let next = bench.store().tick(rule).await.unwrap();
    assert!(
        next >= Some(bench.clock.now().after(Duration::from_secs(60))),
        "then it rests"
    );
}

#[tokio::test]
async fn pages_of_several_states_and_owners_are_what_filtering_everything_finds() {
    let bench = Bench::new(&[]).await;
    let mut all = Vec::new();
    for n in 0..60 {
        let new = NewJob {
            owner: format!("uid-{}", n % 2).parse().unwrap(),
            suspended: n % 3 == 0,
            ..new_job()
        };
        all.push(bench.store().submit(new).await.unwrap().job.id);
    }
    bench.store().claim_jobs(ask_jobs()).await.unwrap();
    let mut jobs = Vec::new();
    for id in all.into_iter().rev() {
        jobs.push(bench.store().job(id).await.unwrap());
    }
    let wanted = [JobState::Queued, JobState::Connecting, JobState::Suspended];
    for states in [
        vec![],
        wanted[..1].to_vec(),
        wanted[..2].to_vec(),
        wanted.to_vec(),
    ] {
        for owner in [None, Some("uid-1".parse().unwrap())] {
            let mut filter = JobFilter {
                states: states.clone(),
                owner: owner.clone(),
                before: None,
                limit: 7,
            };
            let mut paged = Vec::new();
            loop {
                let page = bench.store().jobs(filter.clone()).await.unwrap();
                let Some(last) = page.last() else { break };
                filter.before = Some(last.id);
                paged.extend(page);
            }
            let matching = jobs.iter().filter(|job| {
                (states.is_empty() || states.contains(&job.state))
                    && owner.as_ref().is_none_or(|owner| *owner == job.owner)
            });
            assert!(paged.iter().eq(matching), "{states:?} {owner:?}");
        }
    }
}
