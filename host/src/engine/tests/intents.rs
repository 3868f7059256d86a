//! `complete` and `cancel`: committed first, carried out after the run has ended, tried again, given
//! up in the open.

use std::time::Duration;

use super::scene::{Scene, Work, new_job};
use crate::clock::until;
use crate::job::{Command, ErrorContext, EventKind, Intent, JobState, Outcome};
use crate::store::{NewJob, Store};

#[tokio::test]
async fn a_running_job_is_cancelled_after_its_run_has_ended() {
    let mut scene = Scene::new().await;
    let stubborn = Work::Stubborn(Box::new(Work::Finish));
    scene.runner.script("x", vec![stubborn]);
    scene.start();
    let job = scene.submit("x").await;
    scene.runs(job.id, 1).await;
    scene.command(job.id, Command::Cancel).await;
    let other = scene.submit("other").await;
    scene.is(other.id, JobState::Acknowledged).await;
    assert_eq!(scene.store.job(job.id).await.unwrap().state, JobState::Suspended);
    scene.runner.open();
    let ended = scene.is(job.id, JobState::Cancelled).await;
    assert_eq!(ended.outcome, Some(Outcome::Cancelled));
    assert_eq!(scene.events(job.id).await, [EventKind::OnEnded]);
    let beside: Vec<bool> = scene
        .runner
        .file_work()
        .iter()
        .map(|(_, running)| *running)
        .collect();
    assert_eq!(beside, [false, false], "never beside the run");
}

#[tokio::test]
async fn file_work_is_tried_four_times_with_growing_waits() {
    let mut scene = Scene::new().await;
    *scene.runner.file_faults.lock().unwrap() = 3;
    scene.start();
    let start = scene.clock.now();
    let job = scene.submit("x").await;
    scene.becomes(job.id, JobState::Acknowledged).await;
    let tries: Vec<Duration> = scene
        .runner
        .file_work()
        .iter()
        .map(|(at, _)| at.since(start))
        .collect();
    assert_eq!(tries.len(), 4);
    // Time goes by in steps of a tenth of a second.
    let waits: Vec<u128> = tries
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis() / 500)
        .collect();
    assert_eq!(waits, [1, 2, 4], "half a second, doubling");
}

#[tokio::test]
async fn b45_what_cannot_be_completed_is_an_error_of_the_local_file_and_can_be_completed_again() {
    let mut scene = Scene::new().await;
    *scene.runner.file_faults.lock().unwrap() = 4;
    scene.start();
    let job = scene.submit("x").await;
    let failed = scene.becomes(job.id, JobState::Error).await;
    assert_eq!(failed.error.unwrap().context, ErrorContext::LocalFile);
    assert_eq!(failed.intent, None);
    assert_eq!(scene.events(job.id).await, [EventKind::JobError]);
    scene.command(job.id, Command::Complete).await;
    let ended = scene.is(job.id, JobState::Acknowledged).await;
    assert_eq!(ended.outcome, Some(Outcome::Succeeded));
    assert_eq!(scene.runner.file_work().len(), 5);
    let told = scene.events(job.id).await;
    assert_eq!(told, [EventKind::JobError, EventKind::OnEnded]);
}

#[tokio::test]
async fn more_intents_than_are_carried_out_at_once_all_end() {
    let mut scene = Scene::new().await;
    let mut jobs = Vec::new();
    for _ in 0..150 {
        let job = scene.submit("x").await;
        jobs.push(scene.command(job.id, Command::Cancel).await);
    }
    scene.start();
    for job in jobs {
        scene.is(job.id, JobState::Cancelled).await;
    }
}

#[tokio::test]
async fn a_retry_that_is_due_does_not_bring_back_a_job_that_is_being_cancelled() {
    let mut scene = Scene::new().await;
    scene.runner.script("x", vec![Work::Transient(None)]);
    *scene.runner.file_faults.lock().unwrap() = 3;
    scene.start();
    let job = scene.submit("x").await;
    scene.is(job.id, JobState::TransientError).await;
    let cancelling = scene.command(job.id, Command::Cancel).await;
    assert_eq!(cancelling.due, None);
    scene.clock.advance(Duration::from_secs(5));
    scene.becomes(job.id, JobState::Cancelled).await;
    assert_eq!(scene.runner.runs_of(job.id), 1);
}

#[tokio::test]
async fn b46_a_cancel_with_patience_holds_up_nobody_and_ends_when_that_is_over() {
    const MANY: u32 = 200;
    let (patience, moment) = (Duration::from_secs(24 * 3600), Duration::from_secs(1));
    let mut scene = Scene::new().await;
    *scene.runner.patience.lock().unwrap() = Some(patience);
    *scene.runner.file_faults.lock().unwrap() = MANY;
    let asleep = || NewJob {
        suspended: true,
        ..new_job("x")
    };
    let mut jobs = Vec::new();
    for _ in 0..MANY {
        let job = scene.store.submit(asleep()).await.unwrap().job;
        jobs.push(scene.command(job.id, Command::Cancel).await);
    }
    scene.start();
    let tries = |count| {
        let runner = &scene.runner;
        async move { until("tried", || runner.file_work().len() == count as usize).await }
    };
    tries(MANY).await;
    // More of them wait than are looked at once, and yet the next is found.
    let other = scene.store.submit(asleep()).await.unwrap().job;
    scene.command(other.id, Command::Cancel).await;
    scene.is(other.id, JobState::Cancelled).await;
    *scene.runner.file_faults.lock().unwrap() = u32::MAX;
    scene.clock.advance(patience - moment);
    tries(2 * MANY + 1).await;
    for job in &jobs {
        let job = scene.store.job(job.id).await.unwrap();
        assert_eq!(
            (job.state, job.intent),
            (JobState::Suspended, Some(Intent::Cancel))
        );
    }
    scene.clock.advance(moment);
    for job in &jobs {
        let ended = scene.is(job.id, JobState::Cancelled).await;
        assert_eq!((ended.outcome, ended.error), (Some(Outcome::Cancelled), None));
    }
}
