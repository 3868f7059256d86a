//! Jobs, files, timers, and the store as a whole.

use super::*;

#[tokio::test]
async fn a_key_returns_the_first_job() {
    let bench = Bench::new(&[]).await;
    let keyed = NewJob {
        key: Some("k".into()),
        ..new_job()
    };
    let first = bench.store().submit(keyed.clone()).await.unwrap();
    let second = bench.store().submit(keyed).await.unwrap();
    assert!(first.created && !second.created);
    assert_eq!(first.job.id, second.job.id);
    let other = NewJob {
        key: Some("k".into()),
        owner: "uid-1".parse().unwrap(),
        ..new_job()
    };
    assert!(
        bench.store().submit(other).await.unwrap().created,
        "keys are per owner"
    );
}

#[tokio::test]
async fn b16_the_limit_of_open_jobs_is_per_owner_and_falls_when_jobs_end() {
    let bench = Bench::new(&[]).await;
    let bits = NewJob {
        spec: JobSpec::new("x", Profile::Bits),
        ..new_job()
    };
    let first = bench.store().submit(bits.clone()).await.unwrap().job;
    bench.store().submit_many(vec![bits.clone(); 59]).await.unwrap();
    let refused = bench.store().submit(bits.clone()).await.unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::Limit {
                code: Code::TOO_MANY_JOBS_PER_USER,
                ..
            }
        ),
        "{refused}"
    );
    bench.store().command(first.id, Command::Cancel).await.unwrap();
    bench
        .store()
        .command(
            first.id,
            Command::IntentDone {
                outcome: Outcome::Cancelled,
            },
        )
        .await
        .unwrap();
    bench.store().submit(bits).await.unwrap();
}

#[tokio::test]
async fn a_second_host_on_the_directory_is_refused() {
    let bench = Bench::new(&[]).await;
    let second = open(bench.dir.path(), &bench.clock).await;
    assert!(matches!(second, Err(StoreError::Locked { .. })));
}

#[tokio::test]
async fn a_store_that_was_not_closed_says_so() {
    let mut bench = Bench::new(&[]).await;
    assert!(!bench.store().was_unclean(), "the first start");
    bench.store.take().unwrap().close().await;
    bench.store = Some(open(bench.dir.path(), &bench.clock).await.unwrap());
    assert!(!bench.store().was_unclean());
    // As after a kill: the database as it is, and no note of a close.
    let db = rusqlite::Connection::open(bench.dir.path().join("state/sexton.db")).unwrap();
    bench.store.take().unwrap().close().await;
    db.execute("DELETE FROM meta WHERE key = 'closed'", []).unwrap();
    bench.store = Some(open(bench.dir.path(), &bench.clock).await.unwrap());
    assert!(bench.store().was_unclean());
}

#[tokio::test]
async fn j28_a_stale_run_is_refused() {
    let bench = Bench::new(&[]).await;
    let job = bench.submit().await;
    let run = bench.run().await;
    bench.store().command(job.id, Command::Suspend).await.unwrap();
    bench.store().command(job.id, resume()).await.unwrap();
    let second = bench.run().await;
    assert_eq!(second.id().attempt, run.id().attempt + 1);
    let late = bench
        .store()
        .report(
            run.id(),
            Command::Finished {
                at: bench.clock.now(),
                files: 1,
            },
        )
        .await;
    assert!(matches!(late, Err(StoreError::Fenced)));
}

#[tokio::test]
async fn timers_fire_and_the_next_is_told() {
    let bench = Bench::new(&[]).await;
    let job = bench.submit().await;
    let run = bench.run().await;
    let error = error(503, 1, bench.clock.now());
    bench
        .store()
        .report(
            run.id(),
            Command::TransientError {
                error,
                retry_after: None,
            },
        )
        .await
        .unwrap();
    let keep = RetentionRule {
        finished: None,
        failed: None,
        dead: None,
    };
    let next = bench.store().tick(keep).await.unwrap();
    assert_eq!(
        next,
        Some(bench.clock.now().after(Duration::from_secs(5))),
        "B-57"
    );
    bench.clock.advance(Duration::from_secs(5));
    bench.store().tick(keep).await.unwrap();
    assert_eq!(bench.store().job(job.id).await.unwrap().state, JobState::Queued);
}

#[tokio::test]
async fn b62_inactive_jobs_are_cancelled_and_ended_ones_forgotten() {
    let bench = Bench::new(&[]).await;
    let job = bench.failed().await;
    let keep = RetentionRule {
        finished: Some(Duration::from_secs(3600)),
        failed: Some(Duration::from_secs(3600)),
        dead: None,
    };
    bench.clock.advance(Duration::from_secs(89 * 86_400));
    bench.store().tick(keep).await.unwrap();
    assert_eq!(bench.store().job(job.id).await.unwrap().intent, None);
    bench.clock.advance(Duration::from_secs(86_400));
    bench.store().tick(keep).await.unwrap();
    assert_eq!(
        bench.store().job(job.id).await.unwrap().intent,
        Some(Intent::Cancel)
    );
    bench
        .store()
        .command(
            job.id,
            Command::IntentDone {
                outcome: Outcome::Cancelled,
            },
        )
        .await
        .unwrap();
    bench.clock.advance(Duration::from_secs(3600));
    bench.store().tick(keep).await.unwrap();
    assert!(matches!(
        bench.store().job(job.id).await,
        Err(StoreError::NotFound { .. })
    ));
}

#[tokio::test]
async fn b07_progress_is_summed_by_difference() {
    let bench = Bench::new(&[]).await;
    let file = |n: u32| FileSpec::new(format!("http://h/{n}"), format!("/tmp/{n}"));
    let job = bench
        .store()
        .submit(NewJob {
            files: vec![file(0), file(1)],
            ..new_job()
        })
        .await
        .unwrap()
        .job;
    let run = bench.run().await;
    let mut first = run.files[0].clone();
    first.bytes_total = Some(10);
    first.bytes_transferred = 4;
    bench
        .store()
        .checkpoint(run.id(), first.clone().into())
        .await
        .unwrap();
    assert_eq!(
        bench.store().job(job.id).await.unwrap().progress.bytes_total,
        None,
        "B-07: one size is unknown"
    );
    first.bytes_transferred = 10;
    first.transferred = true;
    bench.store().checkpoint(run.id(), first.into()).await.unwrap();
    let second = crate::job::FileStatus {
        bytes_total: Some(5),
        ..run.files[1].clone()
    };
    bench.store().checkpoint(run.id(), second.into()).await.unwrap();
    let progress = bench.store().job(job.id).await.unwrap().progress;
    assert_eq!((progress.bytes_total, progress.bytes_transferred), (Some(15), 10));
    assert_eq!((progress.files_total, progress.files_transferred), (2, 1));
}

#[tokio::test]
async fn what_a_run_tells_at_once_is_all_recorded_or_nothing() {
    let bench = Bench::new(&[]).await;
    let file = FileSpec::new("http://h/0", "/tmp/0");
    let new = NewJob {
        files: vec![file],
        ..new_job()
    };
    let job = bench.store().submit(new).await.unwrap().job;
    let run = bench.run().await;
    let mut whole = run.files[0].clone();
    (whole.bytes_total, whole.bytes_transferred, whole.transferred) = (Some(4), 4, true);
    let told = Told {
        connected: true,
        files: vec![whole.into()],
        end: Some(Command::Finished {
            at: bench.clock.now(),
            files: 1,
        }),
        ..Told::default()
    };
    let stale = RunId {
        attempt: run.id().attempt + 1,
        ..run.id()
    };
    let refused = bench.store().tell(stale, told.clone()).await;
    assert!(matches!(refused, Err(StoreError::Fenced)));
    let before = bench.store().job(job.id).await.unwrap();
    assert_eq!(
        (before.state, before.progress.bytes_transferred),
        (JobState::Connecting, 0)
    );

    let after = bench.store().tell(run.id(), told).await.unwrap();
    assert_eq!(
        (after.state, after.intent),
        (JobState::Transferred, Some(Intent::Complete))
    );
    assert_eq!(
        (after.progress.bytes_total, after.progress.files_transferred),
        (Some(4), 1)
    );

    let end = Command::IntentDone {
        outcome: Outcome::Succeeded,
    };
    let refused = bench.store().end_intent(job.id, vec![0], Command::Start).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))));
    let files = bench.store().files(job.id, 0, 9).await.unwrap();
    assert!(
        files[0].transferred && !files[0].completed,
        "a refusal records nothing"
    );
    bench.store().end_intent(job.id, vec![0], end).await.unwrap();
    assert!(bench.store().files(job.id, 0, 9).await.unwrap()[0].completed);
}

#[tokio::test]
async fn b08_the_progress_of_a_reply_is_its_own_and_durable() {
    let mut bench = Bench::new(&[]).await;
    let job = bench.submit().await;
    let reply = |bytes_total, bytes_transferred| {
        Some(crate::job::ReplyProgress {
            bytes_total,
            bytes_transferred,
        })
    };
    // None, begun, its size known, some of it here; and none again when the upload is begun anew.
    for now in [
        None,
        reply(None, 0),
        reply(Some(9), 0),
        reply(Some(9), 5),
        None,
        reply(Some(9), 9),
    ] {
        let run = bench.run().await;
        let checkpoint = FileCheckpoint {
            reply: now,
            ..run.files[0].clone().into()
        };
        bench.store().checkpoint(run.id(), checkpoint).await.unwrap();
        assert_eq!(bench.store().job(job.id).await.unwrap().reply, now);
        // What is told over a start of the host, which gives the job back.
        bench.store.take().unwrap().close().await;
        bench.store = Some(open(bench.dir.path(), &bench.clock).await.unwrap());
        let job = bench.store().job(job.id).await.unwrap();
        assert_eq!((job.reply, job.progress.bytes_transferred), (now, 0));
    }
}

#[tokio::test]
async fn b59_bytes_of_a_reply_stop_the_no_progress_clock() {
    let bench = Bench::new(&[]).await;
    let job = bench.submit().await;
    let run = bench.run().await;
    let failed = Command::TransientError {
        error: error(503, run.job.attempt, bench.clock.now()),
        retry_after: None,
    };
    bench.store().report(run.id(), failed).await.unwrap();
    let due = Command::RetryDue {
        at: bench.clock.now(),
    };
    bench.store().command(job.id, due).await.unwrap();
    let run = bench.run().await;
    // That it has begun is no progress yet.
    for (bytes_transferred, runs) in [(0, true), (1, false)] {
        let checkpoint = FileCheckpoint {
            reply: Some(crate::job::ReplyProgress {
                bytes_total: None,
                bytes_transferred,
            }),
            ..run.files[0].clone().into()
        };
        bench.store().checkpoint(run.id(), checkpoint).await.unwrap();
        let job = bench.store().job(job.id).await.unwrap();
        assert_eq!((job.no_progress_since.is_some(), job.retries > 0), (runs, runs));
    }
}

#[tokio::test]
async fn group_commit_answers_everyone_and_refusals_harm_nobody() {
    let bench = Bench::new(&[]).await;
    let store = bench.store.as_ref().unwrap();
    let job = bench.submit().await;
    store.command(job.id, Command::Cancel).await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..200 {
        tasks.push(async move {
            if n % 3 == 0 {
                store.command(job.id, resume()).await.map(drop)
            } else {
                store.submit(new_job()).await.map(drop)
            }
        });
    }
    let results = futures::future::join_all(tasks).await;
    let refused = results
        .iter()
        .filter(|r| matches!(r, Err(StoreError::Refused(_))))
        .count();
    assert_eq!(refused, 67);
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 133);
    assert_eq!(store.counts().await.unwrap().jobs.values().sum::<u64>(), 134);
}

#[tokio::test]
async fn a_fault_after_the_commit_is_seen_as_failure_and_the_key_makes_the_repeat_safe() {
    let mut bench = Bench::new(&[]).await;
    let faulty = FaultStore::new(Arc::new(bench.store.take().unwrap()));
    faulty.fail(Verb::Submit, Fault::After, 1);
    let keyed = NewJob {
        key: Some("once".into()),
        ..new_job()
    };
    assert!(matches!(
        faulty.submit(keyed.clone()).await,
        Err(StoreError::Backend(_))
    ));
    let again = faulty.submit(keyed).await.unwrap();
    assert!(!again.created, "it had been accepted");
}

#[tokio::test]
async fn a_verb_that_breaks_its_transaction_fails_alone() {
    let bench = Bench::new(&[]).await;
    let store = bench.store();
    bench.submit().await;
    let run = bench.run().await;
    // A number that the store cannot keep, told by a runner among a crowd of sound verbs.
    let mut file = run.files[0].clone();
    file.bytes_total = Some(u64::MAX);
    let bad = store.checkpoint(run.id(), file.into());
    let good: Vec<_> = (0..50).map(|_| store.submit(new_job())).collect();
    let (bad, good) = futures::future::join(bad, futures::future::join_all(good)).await;
    assert!(matches!(bad, Err(StoreError::Backend(_))));
    assert!(good.iter().all(Result::is_ok));
    assert_eq!(store.counts().await.unwrap().jobs.values().sum::<u64>(), 51);
}

#[tokio::test]
async fn a_list_over_the_limit_is_refused_whole_and_harms_nobody() {
    let bench = Bench::new(&[]).await;
    let bits = NewJob {
        spec: JobSpec::new("x", Profile::Bits),
        ..new_job()
    };
    let many = bench.store().submit_many(vec![bits; 61]);
    let other = NewJob {
        owner: "uid-7".parse().unwrap(),
        ..new_job()
    };
    let (many, other) = futures::future::join(many, bench.store().submit(other)).await;
    assert!(matches!(many, Err(StoreError::Limit { .. })));
    assert!(other.is_ok());
    assert_eq!(
        bench.store().counts().await.unwrap().jobs.values().sum::<u64>(),
        1
    );
}

#[tokio::test]
async fn bp02_retention_keeps_up_with_any_number() {
    let bench = Bench::new(&[]).await;
    let many = bench.store().submit_many(vec![new_job(); 1200]).await.unwrap();
    for submitted in many {
        let id = submitted.job.id;
        bench.store().command(id, Command::Cancel).await.unwrap();
        let done = Command::IntentDone {
            outcome: Outcome::Cancelled,
        };
        bench.store().command(id, done).await.unwrap();
    }
    let rule = RetentionRule {
        finished: None,
        failed: Some(Duration::from_secs(60)),
        dead: None,
    };
    bench.clock.advance(Duration::from_secs(61));
    while bench.store().tick(rule).await.unwrap() == Some(bench.clock.now()) {}
    assert!(bench.store().counts().await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn jobs_of_a_saturated_host_hide_nobody() {
    let bench = Bench::new(&[]).await;
    bench.store().submit_many(vec![new_job(); 1500]).await.unwrap();
    let file = FileSpec::new("http://other/x", "/tmp/y");
    let other = NewJob {
        files: vec![file],
        ..new_job()
    };
    let other = bench.store().submit(other).await.unwrap().job;
    let runs = bench.store().claim_jobs(ask_jobs()).await.unwrap();
    assert_eq!(runs.len(), 7, "six of one host, one of the other");
    assert!(runs.iter().any(|run| run.job.id == other.id));
}

fn exclusive(local: &str, exclusive: bool) -> NewJob {
    let mut new = new_job();
    new.files = vec![crate::job::FileSpec::new("http://h/x", local)];
    let mut transfer = crate::job::TransferSpec::default();
    transfer.placing.exclusive = exclusive;
    new.spec.transfer = Some(Box::new(transfer));
    new
}

#[tokio::test]
async fn b19_a_destination_that_a_job_has_for_itself_is_refused_to_the_next() {
    let bench = Bench::new(&[]).await;
    let first = bench.store().submit(exclusive("/d/x", true)).await.unwrap().job;
    let refused = bench.store().submit(exclusive("/d/x", true)).await.unwrap_err();
    assert!(refused.to_string().contains(&first.id.to_string()), "{refused}");
    bench.store().submit(exclusive("/d/y", true)).await.unwrap();
    let many = vec![exclusive("/d/z", true), exclusive("/d/z", true)];
    assert!(bench.store().submit_many(many).await.is_err(), "all or nothing");
    bench.store().submit(exclusive("/d/z", true)).await.unwrap();
    // BITS's own way is to look at nothing (B-19): who does not ask is not asked.
    bench.store().submit(exclusive("/d/x", false)).await.unwrap();
    bench.store().command(first.id, Command::Cancel).await.unwrap();
    let outcome = Outcome::Cancelled;
    let done = Command::IntentDone { outcome };
    bench.store().command(first.id, done).await.unwrap();
    bench.store().submit(exclusive("/d/x", true)).await.unwrap();
}

#[tokio::test]
async fn d12_what_the_submitter_knows_of_the_size_counts_from_the_start() {
    let bench = Bench::new(&[]).await;
    let mut new = new_job();
    let mut file = crate::job::FileSpec::new("http://h/x", "/d/x");
    file.plan.size = Some(1000);
    new.files = vec![file.clone(), file.clone()];
    let job = bench.store().submit(new.clone()).await.unwrap().job;
    assert_eq!(job.progress.bytes_total, Some(2000));
    file.plan.size = None;
    new.files.push(file);
    let unknown = bench.store().submit(new).await.unwrap().job;
    assert_eq!(unknown.progress.bytes_total, None);
    let stored = bench.store().job(job.id).await.unwrap();
    assert_eq!(stored.progress.bytes_total, Some(2000));
    let files = bench.store().files(job.id, 0, 10).await.unwrap();
    assert_eq!(files[1].bytes_total, Some(1000));
}

#[tokio::test]
async fn d08_a_job_of_delivery_optimization_is_kept_for_thirty_days() {
    let bench = Bench::new(&[]).await;
    let mut new = new_job();
    (new.spec, new.suspended) = (JobSpec::new("x", Profile::DeliveryOptimization), true);
    let id = bench.store().submit(new).await.unwrap().job.id;
    let keep = RetentionRule {
        finished: None,
        failed: None,
        dead: None,
    };
    for (days, intent) in [(29, None), (1, Some(Intent::Cancel))] {
        bench.clock.advance(Duration::from_secs(days * 86_400));
        bench.store().tick(keep).await.unwrap();
        assert_eq!(
            bench.store().job(id).await.unwrap().intent,
            intent,
            "after {days} more days"
        );
    }
}

#[test]
fn hosts_are_counted_with_their_port() {
    assert_eq!(
        super::super::remote_host("https://u@Example.com/x"),
        "example.com:443"
    );
    assert_eq!(super::super::remote_host("http://[::1]:81/x"), "[::1]:81");
    assert_eq!(super::super::remote_host("x"), "");
}
