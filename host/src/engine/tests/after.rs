//! A job that waits for another begins when that ends, by itself.

use super::scene::{Scene, Work, new_job};
use crate::job::{After, Command, Job, JobState, Outcome, WantedEnd};
use crate::store::Store;

impl Scene {
    async fn after(&self, job: &Job, wants: WantedEnd) -> Job {
        let mut new = new_job("b");
        new.spec.after = vec![After {
            job: job.id,
            wants,
            met: false,
        }];
        self.store.submit(new).await.unwrap().job
    }
}

#[tokio::test]
async fn a_job_begins_when_the_one_it_waits_for_has_ended() {
    let mut scene = Scene::new().await;
    scene.runner.script("a", vec![Work::Held(Box::new(Work::Finish))]);
    scene.start();
    let first = scene.submit("a").await;
    let second = scene.after(&first, WantedEnd::Succeeded).await;
    scene.runs(first.id, 1).await;
    let other = scene.submit("c").await;
    scene.is(other.id, JobState::Acknowledged).await;
    assert_eq!(scene.runner.runs_of(second.id), 0);
    scene.runner.open();
    scene.is(second.id, JobState::Acknowledged).await;
    let order: Vec<_> = scene.runner.began().iter().map(|run| run.job).collect();
    assert_eq!(order, [first.id, other.id, second.id]);
}

#[tokio::test]
async fn a_job_that_can_no_longer_begin_is_cancelled() {
    let mut scene = Scene::new().await;
    scene.runner.script("a", vec![Work::Fatal]);
    scene.start();
    let first = scene.submit("a").await;
    let second = scene.after(&first, WantedEnd::Succeeded).await;
    scene.is(first.id, JobState::Error).await;
    assert_eq!(
        scene.store.job(second.id).await.unwrap().state,
        JobState::Queued,
        "an error can be mended"
    );
    scene.command(first.id, Command::Cancel).await;
    let ended = scene.is(second.id, JobState::Cancelled).await;
    assert_eq!(ended.outcome, Some(Outcome::Cancelled));
    assert!(ended.error.is_some());
    assert_eq!(scene.runner.runs_of(second.id), 0);
}
