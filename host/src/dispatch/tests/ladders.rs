//! When a failed delivery is made again, and what comes at the end.

use std::time::Duration;

use super::scene::{Scene, policies};
use super::scripted::Say;
use crate::job::EventKind;
use crate::job::{Backoff, DeliveryState, FailureClass, Ladder, Policy, Then, jitter_fraction};
use crate::plugin::Function;

fn ladder(attempts: Option<u32>, seconds: u64, age: u64, then: Then) -> Policy {
    Policy::Own(Ladder {
        attempts,
        backoff: Backoff {
            initial: Duration::from_secs(seconds),
            factor: 1.0,
            max: Duration::from_secs(seconds),
        },
        jitter: 0.0,
        age: Duration::from_secs(age),
        then,
    })
}

#[tokio::test]
async fn b101_bits_calls_again_until_it_succeeds_within_ten_percent_of_the_delay() {
    let mut scene = Scene::one().await;
    let mut script: Vec<Say> = (0..10).map(|_| Say::Fail(FailureClass::Trap)).collect();
    script.push(Say::Ack);
    scene.handlers.script("a", script);
    let job = scene.failed().await;
    scene.start();
    for attempt in 1..=10 {
        let waiting = scene.waits(job.id, attempt).await;
        let due = waiting.due.unwrap();
        let base = (1_u64 << (attempt - 1)).min(300) * 1000;
        let spread = 1.0 + 0.1 * (2.0 * jitter_fraction(waiting.id.as_bytes(), attempt) - 1.0);
        let expected = Duration::from_millis(base).mul_f64(spread).as_millis();
        let delay = due.since(scene.clock.now());
        assert_eq!(
            delay.as_millis(),
            expected,
            "attempt {attempt}: the same record, the same jitter"
        );
        let tenth = base / 10;
        assert!(
            delay.as_millis().abs_diff(u128::from(base)) <= u128::from(tenth),
            "{delay:?}"
        );
        scene.go_to(due).await;
        let calls = scene.calls(attempt as usize + 1).await;
        assert_eq!(calls[attempt as usize].at, due, "attempt {}", attempt + 1);
        assert_eq!(calls[attempt as usize].call.delivery, waiting.id, "the id stays");
    }
    let settled = scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!((settled.attempt, settled.charged), (11, 11));
}

async fn climb_queued(scene: &Scene, job: crate::job::JobId) {
    let minutes = [1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8, 16, 16, 16];
    for (attempt, minutes) in (1..).zip(minutes) {
        let due = scene.waits(job, attempt).await.due.unwrap();
        assert_eq!(due.since(scene.clock.now()), Duration::from_secs(60 * minutes));
        scene.go_to(due).await;
    }
}

#[tokio::test]
async fn c76_queued_ends_in_the_final_callback() {
    let mut scene = Scene::one().await.with_policy(Policy::Queued);
    scene.handlers.serve("a", &[EventKind::JobError], true);
    let mut script: Vec<Say> = (0..16).map(|_| Say::Fail(FailureClass::Timeout)).collect();
    script.push(Say::Ack);
    scene.handlers.script("a", script);
    let job = scene.failed().await;
    scene.start();
    climb_queued(&scene, job.id).await;
    scene.is(job.id, DeliveryState::Settled).await;
    let calls = scene.handlers.calls();
    assert_eq!(calls.len(), 17);
    assert_eq!(calls[15].function, Function::Event(EventKind::JobError));
    assert_eq!(calls[16].function, Function::Event(EventKind::FinalServerRetry));
}

#[tokio::test]
async fn queued_without_a_final_callback_ends_in_the_dead_letters() {
    let mut scene = Scene::one().await.with_policy(Policy::Queued);
    scene.handlers.script("a", vec![Say::Fail(FailureClass::Trap)]);
    let job = scene.failed().await;
    scene.start();
    climb_queued(&scene, job.id).await;
    let dead = scene.is(job.id, DeliveryState::Dead).await;
    assert!(dead.result.unwrap().contains("no final callback"));
    assert_eq!(scene.handlers.calls().len(), 16);
}

#[tokio::test]
async fn c74_a_permanent_error_under_queued_goes_to_the_final_callback_at_once_and_that_is_the_last() {
    let mut scene = Scene::one().await.with_policy(Policy::Queued);
    scene.handlers.serve("a", &[EventKind::JobError], true);
    scene
        .handlers
        .script("a", vec![Say::Fail(FailureClass::ErrorPermanent)]);
    let job = scene.failed().await;
    scene.start();
    let dead = scene.is(job.id, DeliveryState::Dead).await;
    assert!(dead.result.unwrap().contains("final callback failed too"));
    let functions: Vec<_> = scene.handlers.calls().iter().map(|seen| seen.function).collect();
    assert_eq!(
        functions,
        [
            Function::Event(EventKind::JobError),
            Function::Event(EventKind::FinalServerRetry)
        ]
    );
}

#[tokio::test]
async fn the_dead_letter_preset_keeps_the_first_failure_for_a_person() {
    let mut scene = Scene::one().await.with_policy(Policy::DeadLetter);
    scene.handlers.script("a", vec![Say::Fail(FailureClass::Memory)]);
    let job = scene.failed().await;
    scene.start();
    let dead = scene.is(job.id, DeliveryState::Dead).await;
    assert_eq!(dead.last_failure.unwrap().class, FailureClass::Memory);
    assert_eq!(scene.handlers.calls().len(), 1);
}

#[tokio::test]
async fn an_own_ladder_ends_after_its_attempts() {
    let policy = ladder(Some(3), 7, 1_000, Then::DeadLetter);
    let mut scene = Scene::one().await.with_policy(policy);
    scene.handlers.script("a", vec![Say::Fail(FailureClass::Exit)]);
    let job = scene.failed().await;
    scene.start();
    for attempt in 1..=2 {
        let due = scene.waits(job.id, attempt).await.due.unwrap();
        assert_eq!(due.since(scene.clock.now()), Duration::from_secs(7));
        scene.go_to(due).await;
    }
    let dead = scene.is(job.id, DeliveryState::Dead).await;
    assert_eq!(dead.attempt, 3);
    assert_eq!(dead.result.as_deref(), Some("failed 3 times"));
}

#[tokio::test]
async fn an_own_ladder_ends_when_the_event_is_too_old() {
    let policy = ladder(None, 4, 10, Then::DeadLetter);
    let mut scene = Scene::one().await.with_policy(policy);
    scene.handlers.script("a", vec![Say::Fail(FailureClass::Trap)]);
    let job = scene.failed().await;
    scene.start();
    for attempt in 1..=2 {
        let due = scene.waits(job.id, attempt).await.due.unwrap();
        scene.go_to(due).await;
    }
    let dead = scene.is(job.id, DeliveryState::Dead).await;
    assert_eq!(dead.attempt, 3, "at 0, 4 and 8 s; 12 s would be too late");
}

#[tokio::test]
async fn an_own_ladder_buries_a_permanent_error_unless_the_class_has_its_own() {
    let own = ladder(Some(9), 1, 1_000, Then::DeadLetter);
    let mut scene = Scene::one().await.with_policy(own.clone());
    scene
        .handlers
        .script("a", vec![Say::Fail(FailureClass::ErrorPermanent)]);
    let job = scene.failed().await;
    scene.start();
    assert_eq!(scene.is(job.id, DeliveryState::Dead).await.attempt, 1);

    let mut scene = Scene::one().await;
    scene.policies = policies(Some(Policy::DeadLetter), &[(FailureClass::ErrorPermanent, own)]);
    scene.handlers.script(
        "a",
        vec![
            Say::Fail(FailureClass::ErrorPermanent),
            Say::Fail(FailureClass::Trap),
        ],
    );
    let job = scene.failed().await;
    scene.start();
    let due = scene.waits(job.id, 1).await.due.unwrap();
    scene.go_to(due).await;
    let dead = scene.is(job.id, DeliveryState::Dead).await;
    assert_eq!(dead.attempt, 2, "the trap has the policy of all classes");
}

#[tokio::test]
async fn a_handlers_wish_is_honoured_up_to_an_hour() {
    let mut scene = Scene::one().await;
    let wish = |seconds| Say::Wish(FailureClass::ErrorTransient, Duration::from_secs(seconds));
    scene.handlers.script("a", vec![wish(7), wish(90_000), Say::Ack]);
    let job = scene.failed().await;
    scene.start();
    for (attempt, seconds) in [(1, 7), (2, 3600)] {
        let due = scene.waits(job.id, attempt).await.due.unwrap();
        assert_eq!(due.since(scene.clock.now()), Duration::from_secs(seconds));
        scene.go_to(due).await;
    }
    scene.is(job.id, DeliveryState::Settled).await;
}

#[tokio::test]
async fn overload_is_charged_to_nobody() {
    let mut scene = Scene::one()
        .await
        .with_policy(ladder(Some(1), 1, 1_000, Then::DeadLetter));
    let mut script: Vec<Say> = (0..20).map(|_| Say::Fail(FailureClass::Overload)).collect();
    script.push(Say::Ack);
    scene.handlers.script("a", script);
    let job = scene.failed().await;
    scene.start();
    for attempt in 1..=20 {
        let waiting = scene.waits(job.id, attempt).await;
        assert_eq!(waiting.charged, 0);
        scene.go_to(waiting.due.unwrap()).await;
    }
    assert_eq!(scene.is(job.id, DeliveryState::Settled).await.charged, 1);
}

#[tokio::test]
async fn five_faults_of_the_host_in_a_row_park_the_delivery() {
    let mut scene = Scene::one().await;
    scene
        .handlers
        .script("a", vec![Say::Fail(FailureClass::HostFault)]);
    let job = scene.failed().await;
    scene.start();
    for (attempt, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        let waiting = scene.waits(job.id, attempt).await;
        assert_eq!(
            waiting.due.unwrap().since(scene.clock.now()),
            Duration::from_secs(seconds)
        );
        assert_eq!(waiting.charged, 0);
        scene.go_to(waiting.due.unwrap()).await;
    }
    let parked = scene.is(job.id, DeliveryState::Poison).await;
    assert_eq!(parked.attempt, 5);
    assert!(parked.result.unwrap().contains("5 times in a row"));
}

#[tokio::test]
async fn c36_fail_fast_is_a_dead_letter_when_handler_failures_are_ignored() {
    let mut scene = Scene::one().await.with_policy(Policy::ComPlus);
    scene.policies.ignore_handler_failures = true;
    scene.handlers.script("a", vec![Say::Fail(FailureClass::Trap)]);
    let job = scene.failed().await;
    scene.start();
    let dead = scene.is(job.id, DeliveryState::Dead).await;
    assert!(dead.result.unwrap().contains("--ignore-handler-failures"));
}
