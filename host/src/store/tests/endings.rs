//! Jobs that end by themselves, or stay, when a handler could not be told.

use super::*;

async fn finished(bench: &Bench) -> Job {
    bench.submit().await;
    let run = bench.run().await;
    let at = bench.clock.now();
    let report = bench.store().report(run.id(), Command::Finished { at, files: 1 });
    report.await.unwrap()
}

/// The batch failed, and its two handlers are called.
async fn failed_batch(bench: &Bench) -> (JobId, Vec<Claim>) {
    let new = NewJob {
        kind: JobKind::Batch,
        files: Vec::new(),
        ..new_job()
    };
    let job = bench.store().submit(new).await.unwrap().job;
    let run = bench.run().await;
    let error = error(500, run.job.attempt, bench.clock.now());
    let report = bench.store().report(run.id(), Command::FatalError { error });
    report.await.unwrap();
    (job.id, bench.claims().await)
}

fn dead() -> AfterFailure {
    AfterFailure::Dead { why: "no".into() }
}

#[tokio::test]
async fn a_job_whose_handler_is_parked_at_a_start_completes_all_the_same() {
    let mut bench = Bench::new(&[(EventKind::JobTransferred, "a", Role::Decider)]).await;
    let job = finished(&bench).await;
    for _ in 0..6 {
        assert_eq!(bench.claims().await.len(), 1);
        bench.crash().await;
    }
    let told = &bench.store().deliveries(DeliveryFilter::default()).await.unwrap()[0];
    assert_eq!(told.state, DeliveryState::Poison);
    let job = bench.store().job(job.id).await.unwrap();
    assert_eq!(job.intent, Some(Intent::Complete), "nobody else is to be told");
}

#[tokio::test]
async fn a_batch_with_a_dead_letter_stays_in_error_whichever_handler_was_last() {
    for dead_first in [true, false] {
        let routes = ["a", "b"].map(|plugin| (EventKind::OnError, plugin, Role::Observer));
        let bench = Bench::new(&routes).await;
        let (job, claims) = failed_batch(&bench).await;
        let dies = failed(FailureClass::Trap, &claims[0], dead());
        let mut verdicts = vec![(&claims[0], dies), (&claims[1], acknowledged(vec![]))];
        if !dead_first {
            verdicts.reverse();
        }
        for (claim, verdict) in verdicts {
            bench.settle(claim, verdict).await.unwrap();
        }
        assert_eq!(bench.store().job(job).await.unwrap().state, JobState::Error);
        bench.store().purge(DeliveryFilter::default()).await.unwrap();
        let job = bench.store().job(job).await.unwrap();
        assert_eq!(
            job.outcome,
            Some(Outcome::Failed),
            "purged, it is told as far as it can be"
        );
    }
}

/// What the store would have to lose for it: the handler of an earlier failure keeps ending the host while
/// that of the last one is done, so the batch ends at a start, before anybody can be told.
#[tokio::test]
async fn the_end_of_a_batch_that_a_start_decides_is_told_all_the_same() {
    let told_first = (EventKind::OnError, "a", Role::Observer);
    let told_last = (EventKind::OnError, "b", Role::Observer);
    let of_the_end = (EventKind::OnEnded, "b", Role::Observer);
    let mut bench = Bench::new(&[told_first, of_the_end]).await;
    let (job, stuck) = failed_batch(&bench).await;
    assert_eq!(stuck.len(), 1);
    bench.store().command(job, resume()).await.unwrap();
    bench.route(&[told_last, of_the_end], &[]).await;
    let run = bench.run().await;
    let error = error(500, run.job.attempt, bench.clock.now());
    bench
        .store()
        .report(run.id(), Command::FatalError { error })
        .await
        .unwrap();
    let last = bench.claims().await.remove(0);
    assert_eq!(last.delivery.plugin.as_str(), "b");
    bench.settle(&last, acknowledged(vec![])).await.unwrap();
    for _ in 0..5 {
        bench.crash().await;
        bench.route(&[told_last, of_the_end], &[]).await;
        assert_eq!(bench.claims().await.len(), 1, "the first one is called again");
    }
    bench.crash().await;
    bench.route(&[told_last, of_the_end], &[]).await;
    let ended = bench.store().job(job).await.unwrap();
    assert_eq!(ended.outcome, Some(Outcome::Failed));
    let end = bench.claims().await.remove(0);
    assert_eq!(
        (end.delivery.event, end.outcome),
        (EventKind::OnEnded, Some(Outcome::Failed))
    );
}
