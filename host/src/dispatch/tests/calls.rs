//! Who is called when: acknowledgement, conflict, slots, order, plugins that come late, drain.

use std::time::Duration;

use super::scene::{Scene, resume, until};
use super::scripted::Say;
use crate::job::{Command, DeliveryState, EventKind, FailureClass, JobState, Priority};
use crate::store::Store;

#[tokio::test]
async fn an_acknowledgement_commits_what_was_decided() {
    let mut scene = Scene::one().await;
    scene.handlers.script("a", vec![Say::Decide(vec![resume()])]);
    let job = scene.failed().await;
    scene.start();
    let settled = scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!(settled.result.as_deref(), Some("acknowledged"));
    assert_eq!(scene.store.job(job.id).await.unwrap().state, JobState::Queued);
    let calls = scene.handlers.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].call.error, job.error);
    assert_eq!((calls[0].call.attempt, calls[0].call.stale), (1, false));
}

#[tokio::test]
async fn a_failed_call_commits_nothing_of_what_was_decided() {
    let mut scene = Scene::one().await;
    scene.handlers.script("a", vec![Say::Fail(FailureClass::Trap)]);
    let job = scene.failed().await;
    scene.start();
    scene.waits(job.id, 1).await;
    assert_eq!(scene.store.job(job.id).await.unwrap().revision, job.revision);
}

#[tokio::test]
async fn a_job_that_moved_meanwhile_is_shown_to_the_handler_afresh_uncharged() {
    let mut scene = Scene::one().await;
    let cancel = Say::Decide(vec![Command::Cancel]);
    scene.handlers.script(
        "a",
        vec![Say::Held(Box::new(Say::Decide(vec![resume()]))), cancel],
    );
    let job = scene.failed().await;
    scene.start();
    scene.calls(1).await;
    let raise = Command::SetPriority(Priority::High);
    scene.store.command(job.id, raise).await.unwrap();
    scene.handlers.open();
    let settled = scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!((settled.attempt, settled.charged), (2, 1));
    let calls = scene.handlers.calls();
    assert_eq!(calls[0].call.job.priority, Priority::Normal);
    assert_eq!(calls[1].call.job.priority, Priority::High, "a fresh view");
    let job = scene.store.job(job.id).await.unwrap();
    assert_eq!(
        job.intent,
        Some(crate::job::Intent::Cancel),
        "only the second decision counts"
    );
}

#[tokio::test]
async fn what_the_law_refuses_is_a_fault_of_the_host_and_called_again() {
    let mut scene = Scene::one().await;
    let not_for_handlers = Say::Decide(vec![Command::Start]);
    scene.handlers.script("a", vec![not_for_handlers, Say::Ack]);
    let job = scene.failed().await;
    scene.start();
    let waiting = scene.waits(job.id, 1).await;
    assert_eq!(waiting.last_failure.unwrap().class, FailureClass::HostFault);
    scene.go_to(waiting.due.unwrap()).await;
    scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!(scene.store.job(job.id).await.unwrap().state, JobState::Error);
}

#[tokio::test]
async fn b105_a_slow_plugin_has_four_calls_and_starves_no_other() {
    let mut scene = Scene::new(&[(EventKind::JobError, "a"), (EventKind::JobError, "b")]).await;
    scene.handlers.serve("a", &[EventKind::JobError], false);
    scene.handlers.serve("b", &[EventKind::JobError], false);
    let held = || Say::Held(Box::new(Say::Ack));
    scene.handlers.script("a", (0..7).map(|_| held()).collect());
    for _ in 0..7 {
        scene.failed().await;
    }
    scene.start();
    until("all of b", || scene.handlers.calls_of("b") == 7).await;
    until("four of a", || scene.handlers.calls_of("a") == 4).await;
    scene.handlers.open();
    until("all of a", || scene.handlers.calls_of("a") == 7).await;
    assert_eq!(scene.handlers.most("a"), 4);
    assert!(scene.handlers.most("b") <= 4);
}

#[tokio::test]
async fn the_global_limit_holds_and_is_shared() {
    let mut scene = Scene::new(&[(EventKind::JobError, "a"), (EventKind::JobError, "b")]).await;
    scene.settings.calls = 3;
    scene.handlers.serve("a", &[EventKind::JobError], false);
    scene.handlers.serve("b", &[EventKind::JobError], false);
    for plugin in ["a", "b"] {
        let held = (0..3).map(|_| Say::Held(Box::new(Say::Ack))).collect();
        scene.handlers.script(plugin, held);
    }
    for _ in 0..10 {
        scene.failed().await;
    }
    scene.start();
    scene.calls(3).await;
    scene.handlers.open();
    scene.calls(20).await;
    assert_eq!(scene.handlers.most_of_all(), 3);
    let first: Vec<_> = scene
        .handlers
        .calls()
        .iter()
        .take(8)
        .map(|seen| seen.plugin.clone())
        .collect();
    assert!(first.iter().any(|plugin| plugin == "b"), "{first:?}");
}

#[tokio::test]
async fn a_later_event_of_the_job_waits_for_the_earlier_and_other_jobs_do_not() {
    let mut scene = Scene::one().await;
    let script = vec![
        Say::Fail(FailureClass::Trap),
        Say::Fail(FailureClass::Trap),
        Say::Ack,
    ];
    scene.handlers.script("a", script);
    let job = scene.failed().await;
    scene.start();
    let first = scene.waits(job.id, 1).await;
    scene.store.command(job.id, resume()).await.unwrap();
    scene.fails().await;
    assert_eq!(scene.deliveries(job.id).await.len(), 2);
    let other = scene.failed().await;
    let due = scene.waits(other.id, 1).await.due.unwrap();
    assert_eq!(
        scene.handlers.calls().len(),
        2,
        "not the second event of the first job"
    );
    scene.go_to(first.due.unwrap().max(due)).await;
    scene.is(job.id, DeliveryState::Settled).await;
    scene.calls(5).await;
    let order: Vec<u64> = scene
        .handlers
        .calls()
        .iter()
        .filter(|seen| seen.call.job.id == job.id)
        .map(|seen| seen.call.seq)
        .collect();
    assert_eq!(order.len(), 3);
    assert!(order[0] == order[1] && order[1] < order[2], "{order:?}");
    assert!(
        scene.handlers.calls().iter().any(|seen| seen.call.stale),
        "B-103: made all the same"
    );
}

#[tokio::test]
async fn b158_a_function_that_is_not_exported_counts_as_acknowledged() {
    let mut scene = Scene::new(&[(EventKind::JobError, "a")]).await;
    scene.handlers.serve("a", &[EventKind::JobTransferred], false);
    let job = scene.failed().await;
    scene.start();
    scene.is(job.id, DeliveryState::Settled).await;
    assert!(scene.handlers.calls().is_empty());
}

#[tokio::test]
async fn a_plugin_that_comes_late_is_called_then() {
    let mut scene = Scene::new(&[(EventKind::JobError, "a"), (EventKind::JobError, "b")]).await;
    scene.handlers.serve("b", &[EventKind::JobError], false);
    let job = scene.failed().await;
    scene.start();
    scene.calls(1).await;
    let waiting = scene.deliveries(job.id).await.swap_remove(0);
    assert_eq!(
        (waiting.plugin.as_str(), waiting.state),
        ("a", DeliveryState::Pending)
    );
    scene.handlers.serve("a", &[EventKind::JobError], false);
    scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!(scene.handlers.calls_of("a"), 1);
}

#[tokio::test]
async fn the_first_plugin_of_all_may_come_late_too() {
    let mut scene = Scene::new(&[(EventKind::JobError, "a")]).await;
    scene.start();
    let job = scene.failed().await;
    scene.handlers.serve("a", &[EventKind::JobError], false);
    scene.is(job.id, DeliveryState::Settled).await;
}

#[tokio::test]
async fn a_retry_is_made_when_it_is_due_though_a_call_before_it_goes_on() {
    let routes = [(EventKind::JobError, "a"), (EventKind::JobError, "b")];
    let mut scene = Scene::new(&routes).await;
    for (_, plugin) in routes {
        scene.handlers.serve(plugin, &[EventKind::JobError], false);
    }
    scene.handlers.script("a", vec![Say::Held(Box::new(Say::Ack))]);
    scene.failed().await;
    let due = scene.clock.now().after(Duration::from_secs(60));
    scene.failed_before("b", due).await;
    scene.start();
    // From here nothing happens but the time.
    scene.calls(1).await;
    scene.go_to(due).await;
    until("called beside the other", || scene.handlers.calls_of("b") == 1).await;
    scene.handlers.open();
}

#[tokio::test]
async fn a_drain_lets_running_calls_end_and_settles_them() {
    let mut scene = Scene::one().await;
    let decide = Say::Decide(vec![resume()]);
    scene.handlers.script("a", vec![Say::Held(Box::new(decide))]);
    let job = scene.failed().await;
    scene.start();
    scene.calls(1).await;
    scene.stop();
    let later = scene.failed().await;
    scene.handlers.open();
    scene.ended().await;
    let settled = scene.deliveries(job.id).await.swap_remove(0);
    assert_eq!(settled.state, DeliveryState::Settled);
    assert_eq!(scene.store.job(job.id).await.unwrap().state, JobState::Queued);
    let untouched = scene.deliveries(later.id).await.swap_remove(0);
    assert_eq!(untouched.attempt, 0, "nothing is claimed any more");
}

#[tokio::test]
async fn b117_a_handler_is_never_called_about_a_job_while_it_is_being_called_about_it() {
    let routes = [(EventKind::JobError, "a"), (EventKind::OnEnded, "a")];
    let mut scene = Scene::new(&routes).await;
    scene
        .handlers
        .serve("a", &[EventKind::JobError, EventKind::OnEnded], false);
    scene.handlers.script("a", vec![Say::Held(Box::new(Say::Ack))]);
    let job = scene.failed().await;
    scene.start();
    scene.calls(1).await;
    scene.store.command(job.id, Command::Cancel).await.unwrap();
    let outcome = crate::job::Outcome::Cancelled;
    scene
        .store
        .command(job.id, Command::IntentDone { outcome })
        .await
        .unwrap();
    assert_eq!(scene.deliveries(job.id).await.len(), 2);
    // Another job's is made meanwhile, so a turn of the dispatcher has passed.
    scene.failed().await;
    scene.calls(2).await;
    assert_ne!(scene.handlers.calls()[1].call.job.id, job.id);
    scene.handlers.open();
    scene.calls(3).await;
    assert_eq!(scene.handlers.calls()[2].call.job.id, job.id);
}
