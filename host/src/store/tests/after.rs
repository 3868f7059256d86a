//! Jobs that wait for others.

use super::*;
use crate::job::{After, JobId, WantedEnd};

fn after(ends: &[(JobId, WantedEnd)]) -> NewJob {
    let mut new = new_job();
    let each = ends.iter().map(|(job, wants)| After {
        job: *job,
        wants: *wants,
        met: false,
    });
    new.spec.after = each.collect();
    new
}

impl Bench {
    async fn submit_after(&self, ends: &[(JobId, WantedEnd)]) -> Job {
        self.store().submit(after(ends)).await.unwrap().job
    }

    async fn runnable(&self) -> Vec<Run> {
        self.store().claim_jobs(ask_jobs()).await.unwrap()
    }

    /// Runs the only runnable job to this end.
    async fn ends(&self, outcome: Outcome) {
        let runs = self.runnable().await;
        assert_eq!(runs.len(), 1, "one is runnable");
        let at = self.clock.now();
        let finished = Command::Finished { at, files: 1 };
        self.store().report(runs[0].id(), finished).await.unwrap();
        self.done(runs[0].job.id, outcome).await;
    }

    /// The engine has carried its intent out.
    async fn done(&self, job: JobId, outcome: Outcome) -> Job {
        let done = Command::IntentDone { outcome };
        self.store().command(job, done).await.unwrap()
    }
}

#[tokio::test]
async fn a_job_runs_once_all_it_waits_for_have_ended_as_wanted_also_over_a_crash() {
    let mut bench = Bench::new(&[]).await;
    let first = bench.submit().await;
    let last = bench
        .submit_after(&[(first.id, WantedEnd::Succeeded), (first.id, WantedEnd::Any)])
        .await;
    let second = bench.submit_after(&[(first.id, WantedEnd::Any)]).await;
    let both = bench
        .submit_after(&[(last.id, WantedEnd::Succeeded), (second.id, WantedEnd::Succeeded)])
        .await;
    bench.ends(Outcome::Succeeded).await;
    bench.crash().await;
    let runs = bench.runnable().await;
    let ids: Vec<JobId> = runs.iter().map(|run| run.job.id).collect();
    assert_eq!(ids, [last.id, second.id]);
    for run in runs {
        assert!(bench.runnable().await.is_empty(), "both must have ended");
        let at = bench.clock.now();
        let finished = Command::Finished { at, files: 1 };
        bench.store().report(run.id(), finished).await.unwrap();
        bench.done(run.job.id, Outcome::Succeeded).await;
    }
    assert_eq!(bench.runnable().await[0].job.id, both.id);
}

#[tokio::test]
async fn what_can_no_longer_run_is_cancelled_and_says_why_and_so_on() {
    let bench = Bench::new(&[]).await;
    let first = bench.submit().await;
    let never = bench.submit_after(&[(first.id, WantedEnd::Succeeded)]).await;
    let mends = bench.submit_after(&[(first.id, WantedEnd::Failed)]).await;
    let chained = bench.submit_after(&[(never.id, WantedEnd::Failed)]).await;
    bench.store().command(first.id, Command::Cancel).await.unwrap();
    assert!(bench.runnable().await.is_empty(), "it has not ended yet");
    bench.done(first.id, Outcome::Cancelled).await;
    let told = bench.store().job(never.id).await.unwrap();
    assert_eq!(told.intent, Some(Intent::Cancel));
    let why = told.error.unwrap();
    assert_eq!(why.code, Code::ABORT);
    let id = first.id.to_string();
    assert!(
        why.description.contains(&id) && why.description.contains("cancelled"),
        "{}",
        why.description
    );
    assert_eq!(bench.runnable().await[0].job.id, mends.id);
    let ended = bench.done(never.id, Outcome::Cancelled).await;
    assert_eq!(ended.state, JobState::Cancelled);
    assert!(ended.error.is_some(), "an ended job keeps it");
    assert_eq!(bench.runnable().await[0].job.id, chained.id);
}

#[tokio::test]
async fn an_end_that_has_come_is_looked_up_and_a_wrong_or_unknown_one_is_refused() {
    let bench = Bench::new(&[]).await;
    let ended = bench.submit().await;
    bench.ends(Outcome::Succeeded).await;
    let wrong = bench
        .store()
        .submit(after(&[(ended.id, WantedEnd::Failed)]))
        .await;
    let StoreError::Refused(refusal) = wrong.unwrap_err() else {
        panic!("it is refused")
    };
    assert_eq!(refusal.code, Code::INVALID_STATE);
    let unknown = after(&[(JobId::fresh(), WantedEnd::Any)]);
    let unknown = bench.store().submit(unknown).await.unwrap_err();
    assert!(matches!(unknown, StoreError::NotFound { .. }));
    assert_eq!(bench.store().jobs(JobFilter::default()).await.unwrap().len(), 1);
    let at_once = bench.submit_after(&[(ended.id, WantedEnd::Succeeded)]).await;
    assert_eq!(bench.runnable().await[0].job.id, at_once.id);
}
