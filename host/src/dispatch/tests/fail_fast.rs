//! What is still kept when a handler ends the process.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::scene::{Scene, until};
use super::scripted::Say;
use crate::fail_fast::Ending;
use crate::job::{DeliveryState, EventKind, FailureClass, Policy};
use crate::store::{Fault, Verb};

#[tokio::test]
async fn a_verdict_that_came_before_a_fail_fast_is_kept() {
    let routes = [(EventKind::JobError, "a"), (EventKind::JobError, "b")];
    let mut scene = Scene::new(&routes).await.with_policy(Policy::FailFast);
    for (_, plugin) in routes {
        scene.handlers.serve(plugin, &[EventKind::JobError], false);
    }
    scene.ending = Ending::Held;
    let fatal = Say::Held(Box::new(Say::Fail(FailureClass::Trap)));
    scene.handlers.script("a", vec![fatal]);
    // What `b` says reaches the store long after what `a` says.
    let slow = Fault::Slow(Duration::from_millis(700));
    scene.store.fail(Verb::Settle, slow, 1);
    let job = scene.failed().await;
    // Its thread is held at the end, so it is not one of ours.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(scene.dispatcher().run(CancellationToken::new()));
    until("`b` has said something", || scene.store.left(Verb::Settle) == 0).await;
    scene.handlers.open();
    let reports = scene.dir.path().join("reports");
    until("the process would end", || {
        std::fs::read_dir(&reports).is_ok_and(|mut found| found.next().is_some())
    })
    .await;
    let told = scene.deliveries(job.id).await;
    let state = |plugin: &str| {
        told.iter()
            .find(|one| one.plugin.as_str() == plugin)
            .unwrap()
            .state
    };
    assert_eq!(state("b"), DeliveryState::Settled);
    assert_eq!(
        state("a"),
        DeliveryState::Pending,
        "called again by the next start"
    );
    runtime.shutdown_background();
}
