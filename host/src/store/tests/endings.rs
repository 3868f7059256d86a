//! Jobs that end by themselves, or stay, when a handler could not be told.

use super::*;

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
