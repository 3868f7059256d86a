//! A store that fails: no verdict is lost, and nothing is applied twice.

use std::time::Duration;

use super::scene::{Scene, resume};
use super::scripted::Say;
use crate::job::{DeliveryState, EventKind, FailureClass, JobId, JobState};
use crate::store::{DeliveryRecord, Fault, Store, Verb};

/// Lets simulated time go by until the delivery is over.
async fn over(scene: &Scene, job: JobId) -> DeliveryRecord {
    for _ in 0..5_000 {
        let delivery = scene.deliveries(job).await.swap_remove(0);
        if delivery.state.is_over() {
            return delivery;
        }
        scene.clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never over: {:?}", scene.deliveries(job).await)
}

#[tokio::test]
async fn a_claim_that_fails_is_made_again() {
    let mut scene = Scene::one().await;
    scene.store.fail(Verb::ClaimDeliveries, Fault::Before, 3);
    let job = scene.failed().await;
    scene.start();
    let settled = over(&scene, job.id).await;
    assert_eq!((settled.state, settled.attempt), (DeliveryState::Settled, 1));
}

#[tokio::test]
async fn a_claim_that_was_committed_though_it_failed_is_given_back_uncharged() {
    let mut scene = Scene::new(&[(EventKind::JobError, "a"), (EventKind::JobError, "b")]).await;
    scene.handlers.serve("a", &[EventKind::JobError], false);
    scene.handlers.script("a", vec![Say::Held(Box::new(Say::Ack))]);
    let held = scene.failed().await;
    scene.start();
    scene.calls(1).await;
    scene.store.fail(Verb::ClaimDeliveries, Fault::After, u32::MAX);
    let job = scene.failed().await;
    let start = scene.clock.now();
    while scene.deliveries(job.id).await.swap_remove(0).attempt < 3 {
        scene.clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    scene.store.mend();
    let settled = over(&scene, job.id).await;
    assert_eq!((settled.state, settled.charged), (DeliveryState::Settled, 1));
    let passed = scene.clock.now().since(start).as_secs();
    assert!(
        u64::from(settled.attempt) <= passed + 2,
        "a store that goes on failing is asked once a second, not as fast as it answers"
    );
    let running = scene.deliveries(held.id).await.swap_remove(0);
    assert_eq!(
        running.state,
        DeliveryState::Running,
        "what is under way is left alone"
    );
    scene.handlers.open();
    assert_eq!(over(&scene, held.id).await.attempt, 1);
    assert_eq!(
        scene.handlers.calls_of("a"),
        2,
        "the lost claim had called nobody"
    );
}

#[tokio::test]
async fn a_verdict_waits_until_the_store_is_mended() {
    let mut scene = Scene::one().await;
    scene.handlers.script("a", vec![Say::Decide(vec![resume()])]);
    scene.store.fail(Verb::Settle, Fault::Before, 3);
    let job = scene.failed().await;
    scene.start();
    assert_eq!(over(&scene, job.id).await.state, DeliveryState::Settled);
    assert_eq!(scene.handlers.calls().len(), 1, "the handler is not asked again");
    assert_eq!(scene.store.job(job.id).await.unwrap().state, JobState::Queued);
}

#[tokio::test]
async fn a_verdict_that_was_committed_though_it_failed_counts_once() {
    let mut scene = Scene::one().await;
    scene.handlers.script("a", vec![Say::Decide(vec![resume()])]);
    scene.store.fail(Verb::Settle, Fault::After, 1);
    let job = scene.failed().await;
    scene.start();
    assert_eq!(over(&scene, job.id).await.state, DeliveryState::Settled);
    // The repeat is fenced; the end of the dispatcher waits for it.
    scene.stop();
    let clock = scene.clock.clone();
    let time_goes_by = async {
        loop {
            clock.advance(Duration::from_millis(100));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = scene.ended() => {}
        () = time_goes_by => {}
    }
    assert_eq!(scene.handlers.calls().len(), 1);
    let after = scene.store.job(job.id).await.unwrap();
    assert_eq!(
        (after.state, after.revision),
        (JobState::Queued, job.revision + 1)
    );
}

#[tokio::test]
async fn a_failure_that_was_committed_though_it_failed_is_one_attempt() {
    let mut scene = Scene::one().await;
    scene
        .handlers
        .script("a", vec![Say::Fail(FailureClass::Trap), Say::Ack]);
    scene.store.fail(Verb::Settle, Fault::After, 1);
    let job = scene.failed().await;
    scene.start();
    let settled = over(&scene, job.id).await;
    assert_eq!((settled.attempt, settled.charged), (2, 2));
    assert_eq!(scene.handlers.calls().len(), 2);
}

#[tokio::test]
async fn looking_ahead_goes_on_after_a_fault() {
    let mut scene = Scene::one().await;
    scene
        .handlers
        .script("a", vec![Say::Fail(FailureClass::Trap), Say::Ack]);
    let job = scene.failed().await;
    scene.store.fail(Verb::ClaimDeliveries, Fault::Before, 2);
    scene.start();
    assert_eq!(over(&scene, job.id).await.state, DeliveryState::Settled);
}
