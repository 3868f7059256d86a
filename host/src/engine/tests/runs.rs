//! From claim to end: success, retries, errors, and decisions while a job runs.

use std::time::Duration;

use super::scene::{Scene, Work, new_job, resume, until};
use crate::job::{Code, Command, EventKind, JobKind, JobState, Outcome};
use crate::store::{Fault, NewJob, Store, Verb};

fn stubborn(then: Work) -> Work {
    Work::Stubborn(Box::new(then))
}

#[tokio::test]
async fn a_job_runs_and_completes_by_itself_with_one_terminal_notification() {
    let mut scene = Scene::new().await;
    scene.start();
    let job = scene.submit("x").await;
    let ended = scene.is(job.id, JobState::Acknowledged).await;
    assert_eq!(ended.outcome, Some(Outcome::Succeeded));
    assert_eq!(ended.attempt, 1);
    assert_eq!(scene.events(job.id).await, [EventKind::OnEnded]);
    assert_eq!(scene.runner.file_work().len(), 1);
}

#[tokio::test]
async fn b28_transient_errors_are_retried_at_the_exact_times() {
    let mut scene = Scene::new().await;
    let wish = Some(Duration::from_secs(33));
    let passing = [None, None, None, wish].map(Work::Transient);
    scene
        .runner
        .script("x", passing.into_iter().chain([Work::Finish]).collect());
    scene.start();
    let job = scene.submit("x").await;
    for (run, seconds) in [(1, 5), (2, 10), (3, 20), (4, 33)] {
        let waiting = scene
            .job(job.id, "waiting for its retry", |job| {
                job.state == JobState::TransientError && job.attempt == run
            })
            .await;
        let due = waiting.due.unwrap();
        assert_eq!(due.since(scene.clock.now()), Duration::from_secs(seconds));
        scene.go_to(due).await;
        scene.runs(job.id, run as usize + 1).await;
        assert_eq!(scene.runner.began()[run as usize].at, due);
    }
    scene.is(job.id, JobState::Acknowledged).await;
    assert_eq!(
        scene.events(job.id).await,
        [EventKind::OnEnded],
        "no job-error for what passes"
    );
}

#[tokio::test]
async fn a_fatal_error_stops_the_job_and_tells_its_handler_once() {
    let mut scene = Scene::new().await;
    scene.runner.script("x", vec![Work::Fatal, Work::Finish]);
    scene.start();
    let job = scene.submit("x").await;
    let failed = scene.is(job.id, JobState::Error).await;
    assert_eq!(failed.error.unwrap().code, Code::http(503));
    assert_eq!(scene.events(job.id).await, [EventKind::JobError]);
    scene.command(job.id, resume()).await;
    scene.is(job.id, JobState::Acknowledged).await;
}

#[tokio::test]
async fn a_suspended_run_is_asked_to_stop_and_its_end_does_not_count() {
    let mut scene = Scene::new().await;
    scene.runner.script("x", vec![Work::Deaf(Box::new(Work::Finish))]);
    scene.start();
    let job = scene.submit("x").await;
    scene.runs(job.id, 1).await;
    scene.command(job.id, Command::Suspend).await;
    until("stopped", || scene.runner.running() == 0).await;
    scene.drain().await;
    assert_eq!(scene.store.job(job.id).await.unwrap().state, JobState::Suspended);
}

#[tokio::test]
async fn a_resumed_job_runs_again_only_after_its_earlier_run_has_ended() {
    let mut scene = Scene::new().await;
    scene
        .runner
        .script("x", vec![stubborn(Work::Finish), Work::Finish]);
    scene.start();
    let job = scene.submit("x").await;
    scene.runs(job.id, 1).await;
    scene.command(job.id, Command::Suspend).await;
    scene.command(job.id, resume()).await;
    scene
        .job(job.id, "claimed again", |job| {
            job.state == JobState::Connecting && job.attempt == 2
        })
        .await;
    assert_eq!(scene.runner.runs_of(job.id), 1);
    scene.runner.open();
    scene.is(job.id, JobState::Acknowledged).await;
    assert_eq!(scene.runner.runs_of(job.id), 2);
    assert_eq!(scene.runner.most_of_one(), 1, "never two at once");
}

#[tokio::test]
async fn a_job_suspended_again_while_it_waits_for_its_earlier_run_does_not_run() {
    let mut scene = Scene::new().await;
    scene
        .runner
        .script("x", vec![stubborn(Work::Finish), Work::Finish]);
    scene.start();
    let job = scene.submit("x").await;
    scene.runs(job.id, 1).await;
    scene.command(job.id, Command::Suspend).await;
    scene.command(job.id, resume()).await;
    scene.job(job.id, "claimed again", |job| job.attempt == 2).await;
    scene.command(job.id, Command::Suspend).await;
    // Another job's whole life lets the engine hear of it.
    let other = scene.submit("other").await;
    scene.is(other.id, JobState::Acknowledged).await;
    scene.runner.open();
    until("stopped", || scene.runner.running() == 0).await;
    scene.drain().await;
    assert_eq!(scene.runner.runs_of(job.id), 1);
    assert_eq!(scene.store.job(job.id).await.unwrap().state, JobState::Suspended);
}

/// A claim takes what was committed while it waited; the changes of that are heard only after it.
#[tokio::test]
async fn a_change_from_before_its_claim_does_not_stop_a_run() {
    let mut scene = Scene::new().await;
    for name in ["x", "y"] {
        scene
            .runner
            .script(name, vec![Work::Held(Box::new(Work::Finish))]);
    }
    scene.start();
    let settled = scene.submit("first").await;
    scene.is(settled.id, JobState::Acknowledged).await;
    scene
        .store
        .fail(Verb::ClaimJobs, Fault::Slow(Duration::from_millis(200)), 2);
    let x = scene.submit("x").await;
    let y = scene.submit("y").await;
    scene.runs(x.id, 1).await;
    scene.runs(y.id, 1).await;
    // Another job's whole life lets the engine hear of all that came before.
    let other = scene.submit("other").await;
    scene.is(other.id, JobState::Acknowledged).await;
    scene.runner.open();
    for job in [x, y] {
        let ended = scene.is(job.id, JobState::Acknowledged).await;
        assert_eq!(
            ended.attempt, 1,
            "one run each, not stopped by its own submission"
        );
    }
}

#[tokio::test]
async fn a_change_from_before_its_claim_does_not_lose_a_run_that_waits() {
    let mut scene = Scene::new().await;
    scene
        .runner
        .script("x", vec![stubborn(Work::Finish), Work::Finish]);
    scene.start();
    let job = scene.submit("x").await;
    scene.runs(job.id, 1).await;
    scene
        .store
        .fail(Verb::ClaimJobs, Fault::Slow(Duration::from_millis(200)), 2);
    scene.submit("trigger").await;
    scene.command(job.id, Command::Suspend).await;
    scene.command(job.id, resume()).await;
    scene.job(job.id, "claimed again", |job| job.attempt == 2).await;
    scene.runner.open();
    scene.is(job.id, JobState::Acknowledged).await;
    assert_eq!(scene.runner.most_of_one(), 1);
}

#[tokio::test]
async fn missed_changes_are_looked_up() {
    let mut scene = Scene::new().await;
    scene.runner.script("x", vec![Work::UntilStopped]);
    scene
        .runner
        .script("y", vec![stubborn(Work::Finish), Work::Finish]);
    scene.start();
    let (x, y) = (scene.submit("x").await, scene.submit("y").await);
    scene.runs(x.id, 1).await;
    scene.runs(y.id, 1).await;
    // While the engine waits for a claim, more is committed than it can be told of.
    scene
        .store
        .fail(Verb::ClaimJobs, Fault::Slow(Duration::from_secs(2)), 1);
    let trigger = scene.submit("trigger").await;
    scene.command(x.id, Command::Suspend).await;
    let many = NewJob {
        suspended: true,
        ..new_job("many")
    };
    scene.store.submit_many(vec![many; 5_000]).await.unwrap();
    scene.is(trigger.id, JobState::Acknowledged).await;
    until("stopped", || scene.runner.running() == 1).await;
    assert_eq!(scene.store.job(x.id).await.unwrap().state, JobState::Suspended);
    scene.runner.open();
    let undisturbed = scene.is(y.id, JobState::Acknowledged).await;
    assert_eq!(undisturbed.attempt, 1);
}

#[tokio::test]
async fn a_drain_gives_back_what_runs() {
    let mut scene = Scene::new().await;
    scene.runner.script("x", vec![Work::UntilStopped]);
    scene
        .runner
        .script("y", vec![stubborn(Work::Finish), Work::Finish]);
    scene.start();
    let (x, y) = (scene.submit("x").await, scene.submit("y").await);
    scene.runs(x.id, 1).await;
    scene.runs(y.id, 1).await;
    scene.command(y.id, Command::Suspend).await;
    scene.command(y.id, resume()).await;
    scene.job(y.id, "claimed again", |job| job.attempt == 2).await;
    scene.runner.open();
    scene.drain().await;
    assert_eq!(scene.store.job(x.id).await.unwrap().state, JobState::Queued);
    let y = scene.store.job(y.id).await.unwrap();
    assert!(!y.state.is_running(), "nobody runs it any more: {}", y.state);
    assert_eq!(scene.runner.running(), 0);
}

#[tokio::test]
async fn a_job_that_no_runner_can_run_fails_and_can_be_cancelled() {
    let mut scene = Scene::new().await;
    scene.start();
    let new = NewJob {
        kind: JobKind::Upload,
        ..new_job("x")
    };
    let job = scene.store.submit(new).await.unwrap().job;
    let failed = scene.is(job.id, JobState::Error).await;
    assert_eq!(failed.error.unwrap().code, Code::NOTIMPL);
    scene.command(job.id, Command::Cancel).await;
    scene.is(job.id, JobState::Cancelled).await;
}
