//! A store that fails: the engine goes on when it is mended, and nothing is lost or done twice.

use std::time::Duration;

use super::scene::{Scene, Work};
use crate::job::{Command, EventKind, JobState};
use crate::store::{Fault, Store, Verb};

#[tokio::test]
async fn each_verb_may_fail_for_a_while() {
    for verb in [
        Verb::ClaimJobs,
        Verb::Report,
        Verb::Intents,
        Verb::Command,
        Verb::Tick,
    ] {
        let mut scene = Scene::new().await;
        scene
            .runner
            .script("x", vec![Work::Transient(None), Work::Finish]);
        let job = scene.submit("x").await;

        scene.store.fail(verb, Fault::Before, 3);
        scene.start();
        let ended = scene.becomes(job.id, JobState::Acknowledged).await;
        assert_eq!(ended.attempt, 2, "{verb}");
        assert_eq!(scene.events(job.id).await, [EventKind::OnEnded], "{verb}");
    }
}

#[tokio::test]
async fn each_verb_may_be_done_though_it_failed() {
    for verb in [Verb::Report, Verb::Intents, Verb::Command, Verb::Tick] {
        let mut scene = Scene::new().await;
        scene
            .runner
            .script("x", vec![Work::Transient(None), Work::Finish]);
        let job = scene.submit("x").await;
        scene.store.fail(verb, Fault::After, 2);
        scene.start();
        let ended = scene.becomes(job.id, JobState::Acknowledged).await;
        assert_eq!(ended.attempt, 2, "{verb}");
        assert_eq!(ended.error_count, 1, "{verb}: counted once");
        assert_eq!(scene.events(job.id).await, [EventKind::OnEnded], "{verb}");
    }
}

#[tokio::test]
async fn jobs_of_a_claim_that_was_committed_though_it_failed_run_all_the_same() {
    let mut scene = Scene::new().await;
    scene
        .runner
        .script("held", vec![Work::Stubborn(Box::new(Work::Finish))]);
    scene.start();
    let held = scene.submit("held").await;
    scene.runs(held.id, 1).await;
    scene.store.fail(Verb::ClaimJobs, Fault::After, u32::MAX);
    let job = scene.submit("x").await;
    let start = scene.clock.now();
    while scene.store.job(job.id).await.unwrap().attempt < 3 {
        scene.clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    scene.store.mend();
    let ended = scene.becomes(job.id, JobState::Acknowledged).await;
    let passed = scene.clock.now().since(start).as_secs();
    assert!(
        u64::from(ended.attempt) <= passed + 2,
        "a store that goes on failing is asked once a second, not as fast as it answers"
    );
    assert_eq!(scene.runner.runs_of(job.id), 1, "the lost claims ran nothing");
    scene.runner.open();
    let held = scene.is(held.id, JobState::Acknowledged).await;
    assert_eq!(held.attempt, 1, "what runs is left alone");
}

#[tokio::test]
async fn a_run_that_ends_while_the_store_fails_is_told_later() {
    let mut scene = Scene::new().await;
    scene.start();
    scene.store.fail(Verb::Report, Fault::Before, u32::MAX);
    let job = scene.submit("x").await;
    scene.runs(job.id, 1).await;
    for _ in 0..5 {
        scene.clock.advance(Duration::from_secs(1));
        assert!(scene.store.job(job.id).await.unwrap().state.is_running());
    }
    scene.store.mend();
    let ended = scene.becomes(job.id, JobState::Acknowledged).await;
    assert_eq!(ended.attempt, 1);
}

#[tokio::test]
async fn an_intent_whose_end_cannot_be_told_is_carried_out_again() {
    let mut scene = Scene::new().await;
    let job = scene.submit("x").await;
    scene.command(job.id, Command::Cancel).await;
    scene.store.fail(Verb::Command, Fault::Before, 2);
    scene.start();
    scene.becomes(job.id, JobState::Cancelled).await;
    assert_eq!(scene.runner.file_work().len(), 3);
    assert_eq!(scene.events(job.id).await, [EventKind::OnEnded]);
}
