//! The notify command (B-102, B-114…B-116, B-159).

use std::path::PathBuf;
use std::time::Duration;

use super::scene::{Scene, resume, text, until};
use super::scripted::Say;
use crate::job::{Backoff, DeliveryState, FailureClass, Job, JobSpec, Ladder, Policy, Profile, Then};
use crate::store::{Stage, Store};

/// A job whose notify command is this shell script with the file `out` as its argument.
async fn failed(scene: &Scene, script: &str) -> (Job, PathBuf) {
    let path = scene.dir.path().join("notify.sh");
    std::fs::write(&path, script).unwrap();
    let out = scene.dir.path().join("out");
    let words = ["/bin/sh", path.to_str().unwrap(), out.to_str().unwrap()];
    let spec = JobSpec {
        notify_command: words.map(str::to_owned).into(),
        ..JobSpec::new("x", Profile::Sexton)
    };
    (scene.failed_with(spec).await, out)
}

fn traps() -> Vec<Say> {
    vec![Say::Fail(FailureClass::Trap)]
}

#[tokio::test]
async fn b116_it_runs_instead_of_retries_and_settles_with_status_0() {
    let mut scene = Scene::one().await;
    scene.handlers.script("a", traps());
    let script =
        "echo $SEXTON_JOB_ID $SEXTON_DELIVERY_ID $SEXTON_EVENT $SEXTON_JOB_STATE $SEXTON_ERROR_CODE > $1";
    let (job, out) = failed(&scene, script).await;
    scene.start();
    let settled = scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!(scene.handlers.calls().len(), 1, "no retry");
    let expected = format!("{} {} job-error error 0x80190193\n", job.id, settled.id);
    assert_eq!(text(&out), expected);
}

#[tokio::test]
async fn of_the_hosts_environment_it_gets_little() {
    // Set by cargo for every test.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let mut scene = Scene::one().await;
    scene.handlers.script("a", traps());
    let (job, out) = failed(&scene, "echo ${CARGO_MANIFEST_DIR:-none} ${PATH:+path} > $1").await;
    scene.start();
    scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!(text(&out), "none path\n");
}

#[tokio::test]
async fn b115_it_does_not_run_when_the_handler_acknowledges() {
    let mut scene = Scene::one().await;
    let (job, out) = failed(&scene, "echo > $1").await;
    scene.start();
    scene.is(job.id, DeliveryState::Settled).await;
    assert!(!out.exists());
}

#[tokio::test]
async fn b102_both_fail_ten_rounds_then_a_person_decides() {
    let mut scene = Scene::one().await;
    scene.handlers.script("a", traps());
    let (job, out) = failed(&scene, "echo round >> $1; exit 3").await;
    scene.start();
    for round in 1..=9 {
        let waiting = scene
            .delivery(job.id, "waiting for the next round", |one| {
                one.state == DeliveryState::Pending && one.rounds == round && one.stage == Stage::Handler
            })
            .await;
        let due = waiting.due.unwrap();
        assert_eq!(
            due.since(scene.clock.now()),
            job.spec.retry.initial,
            "the minimum retry delay"
        );
        scene.go_to(due).await;
    }
    let dead = scene.is(job.id, DeliveryState::Dead).await;
    assert!(dead.result.unwrap().contains("10 rounds"));
    assert_eq!(scene.handlers.calls().len(), 10);
    assert_eq!(text(&out).lines().count(), 10);
}

#[tokio::test]
async fn b102_a_handler_that_recovers_ends_the_rounds() {
    let mut scene = Scene::one().await;
    scene
        .handlers
        .script("a", vec![Say::Fail(FailureClass::Trap), Say::Ack]);
    let (job, out) = failed(&scene, "echo round >> $1; kill -9 $$").await;
    scene.start();
    let waiting = scene
        .delivery(job.id, "waiting for the next round", |one| one.rounds == 1)
        .await;
    assert!(waiting.last_failure.unwrap().message.contains("signal"));
    scene.go_to(waiting.due.unwrap()).await;
    scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!(text(&out).lines().count(), 1);
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_a_failed_round() {
    let mut scene = Scene::one().await;
    scene.handlers.script("a", traps());
    let spec = JobSpec {
        notify_command: vec!["/nonexistent/program".to_owned()],
        ..JobSpec::new("x", Profile::Sexton)
    };
    let job = scene.failed_with(spec).await;
    scene.start();
    let waiting = scene
        .delivery(job.id, "waiting for the next round", |one| one.rounds == 1)
        .await;
    assert_eq!(waiting.last_failure.unwrap().code, crate::job::Code::SX_SPAWN);
}

#[tokio::test]
async fn a_ladder_that_names_the_command_is_climbed_before() {
    let policy = Policy::Own(Ladder {
        attempts: Some(2),
        backoff: Backoff {
            initial: Duration::from_secs(3),
            factor: 1.0,
            max: Duration::from_secs(3),
        },
        jitter: 0.0,
        age: Duration::from_secs(1_000),
        then: Then::NotifyCommand,
    });
    let mut scene = Scene::one().await.with_policy(policy);
    scene.handlers.script("a", traps());
    let (job, out) = failed(&scene, "echo > $1").await;
    scene.start();
    let waiting = scene.waits(job.id, 1).await;
    assert_eq!(waiting.stage, Stage::Handler);
    assert!(!out.exists());
    scene.go_to(waiting.due.unwrap()).await;
    scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!(scene.handlers.calls().len(), 2);
    assert!(out.exists());
}

#[tokio::test]
async fn b115_a_job_that_went_on_meanwhile_has_its_handler_called_instead() {
    let mut scene = Scene::one().await;
    let held = Say::Held(Box::new(Say::Fail(FailureClass::Trap)));
    scene.handlers.script("a", vec![held, Say::Ack]);
    let (job, out) = failed(&scene, "echo > $1").await;
    scene.start();
    scene.calls(1).await;
    scene.store.command(job.id, resume()).await.unwrap();
    scene.handlers.open();
    scene.is(job.id, DeliveryState::Settled).await;
    assert_eq!(scene.handlers.calls().len(), 2);
    assert!(scene.handlers.calls()[1].call.stale);
    assert!(!out.exists());
}

/// Whether the process runs; a zombie that nobody reaps does not.
fn runs(pid: &str) -> bool {
    let stat = text(&PathBuf::from(format!("/proc/{}/stat", pid.trim())));
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

#[tokio::test]
async fn nothing_that_it_started_outlives_it() {
    let mut scene = Scene::one().await;
    scene.handlers.script("a", traps());
    let (job, out) = failed(&scene, "sleep 600 & echo $! > $1").await;
    scene.start();
    scene.is(job.id, DeliveryState::Settled).await;
    let pid = text(&out);
    assert!(!pid.is_empty());
    until("killed", || !runs(&pid)).await;
}

#[tokio::test]
async fn nothing_that_it_started_outlives_a_drain() {
    let mut scene = Scene::one().await;
    scene.settings.drain = Duration::from_millis(50);
    scene.handlers.script("a", traps());
    let (job, out) = failed(&scene, "sleep 600 & echo $! > $1; wait").await;
    scene.start();
    until("started", || !text(&out).is_empty()).await;
    let pid = text(&out);
    assert!(runs(&pid));
    scene.stop();
    scene.ended().await;
    until("killed", || !runs(&pid)).await;
    let left = scene.deliveries(job.id).await.swap_remove(0);
    assert_eq!(left.state, DeliveryState::Running, "made again at the next start");
}
