//! Lanes of batch work: who begins when, and what keeps calls from beginning.

use std::sync::Arc;
use std::time::Duration;

use super::scene::{Scene, Work, new_job, resume, until};
use crate::job::{
    Activity, ActivitySpec, BatchSpec, CallLadder, Command, Job, JobId, JobKind, JobState, LaneOrder,
    Priority,
};
use crate::store::{Lanes, NewJob, Store};

const LONG: Duration = Duration::from_secs(3600);

/// A call in the lane `lane`, which does what the script of `name` says.
fn call(name: &str, lane: &str) -> NewJob {
    let mut new = NewJob {
        kind: JobKind::Batch,
        files: Vec::new(),
        ..new_job(name)
    };
    let work = crate::job::Work::Command(crate::job::CommandSpec::default());
    new.spec.batch = Some(Box::new(BatchSpec {
        activity: Some(lane.parse().unwrap()),
        // A call that fails waits on it for its next try.
        retry: Some(CallLadder::default()),
        ..BatchSpec::new(work)
    }));
    new
}

fn spec(concurrency: u32, order: LaneOrder) -> ActivitySpec {
    ActivitySpec {
        concurrency,
        order,
        ..ActivitySpec::default()
    }
}

impl Scene {
    async fn activity(&self, name: &str, spec: ActivitySpec, paused: bool) {
        let spec = Arc::new(spec);
        let name: crate::job::ActivityName = name.parse().unwrap();
        let lanes = Lanes([(name.clone(), Arc::clone(&spec))].into());
        self.store.set_lanes(Arc::new(lanes)).await.unwrap();
        let created = None;
        let one = Activity {
            spec,
            paused,
            created,
        };
        self.activities.send_replace(Arc::new([(name, one)].into()));
    }

    async fn call(&self, name: &str) -> Job {
        self.store.submit(call(name, "nightly")).await.unwrap().job
    }

    /// A call of another lane has run, so that the engine has had its chance with all that came before.
    async fn another_lane_has_run(&self) {
        let other = self.store.submit(call("other", "other")).await.unwrap().job;
        self.is(other.id, JobState::Acknowledged).await;
    }

    /// Runs of these jobs, as they began.
    fn began_of(&self, jobs: &[JobId]) -> Vec<JobId> {
        let began = self.runner.began();
        began
            .iter()
            .map(|run| run.job)
            .filter(|job| jobs.contains(job))
            .collect()
    }
}

#[tokio::test]
async fn t17_a_lane_of_width_one_keeps_its_order_without_overlap_also_across_a_restart() {
    let mut scene = Scene::new().await;
    for name in ["a", "b", "c", "d"] {
        scene
            .runner
            .script(name, vec![Work::Held(Box::new(Work::Finish))]);
    }
    let mut jobs = Vec::new();
    // Neither level nor a clock that was set back changes it.
    for (name, priority) in [
        ("a", Priority::Low),
        ("b", Priority::High),
        ("c", Priority::Foreground),
    ] {
        let new = NewJob {
            priority,
            ..call(name, "nightly")
        };
        jobs.push(scene.store.submit(new).await.unwrap().job.id);
    }
    scene.start();
    scene.runs(jobs[0], 1).await;
    scene.another_lane_has_run().await;
    assert_eq!(scene.runner.runs_of(jobs[1]) + scene.runner.runs_of(jobs[2]), 0);
    scene.drain().await;
    scene.is(jobs[0], JobState::Queued).await;
    scene.start();
    jobs.push(scene.call("d").await.id);
    scene.runs(jobs[0], 2).await;
    scene.runner.open();
    for job in &jobs {
        scene.is(*job, JobState::Acknowledged).await;
    }
    let began = scene.began_of(&jobs);
    assert_eq!(began, [jobs[0], jobs[0], jobs[1], jobs[2], jobs[3]]);
}

#[tokio::test]
async fn c64_a_call_that_waits_for_its_retry_or_is_suspended_holds_up_a_strict_lane() {
    let mut scene = Scene::new().await;
    scene
        .runner
        .script("fails", vec![Work::Transient(Some(LONG)), Work::Finish]);
    scene.start();
    let first = scene.call("fails").await;
    let second = scene.call("b").await;
    let waits = scene.is(first.id, JobState::TransientError).await;
    scene.another_lane_has_run().await;
    assert_eq!(scene.runner.runs_of(second.id), 0);
    scene.command(first.id, Command::Suspend).await;
    scene.another_lane_has_run().await;
    assert_eq!(scene.runner.runs_of(second.id), 0);
    assert!(waits.due.is_some());
    scene.command(first.id, resume()).await;
    scene.is(second.id, JobState::Acknowledged).await;
    assert_eq!(scene.runner.runs_of(first.id), 2);
}

#[tokio::test]
async fn c64_a_call_that_has_failed_for_good_holds_up_nobody() {
    let mut scene = Scene::new().await;
    scene.runner.script("fails", vec![Work::Fatal]);
    scene.start();
    let mut first = call("fails", "nightly");
    first.spec.hold = true;
    let first = scene.store.submit(first).await.unwrap().job;
    let second = scene.call("b").await;
    scene.is(second.id, JobState::Acknowledged).await;
    scene.is(first.id, JobState::Error).await;
}

#[tokio::test]
async fn c08_calls_of_a_wider_lane_run_beside_each_other_and_no_more_of_them() {
    let mut scene = Scene::new().await;
    scene
        .activity("nightly", spec(2, LaneOrder::SkipAhead), false)
        .await;
    scene.runner.script("a", vec![Work::Held(Box::new(Work::Finish))]);
    scene.start();
    let jobs = [
        scene.call("a").await,
        scene.call("a").await,
        scene.call("a").await,
    ];
    until("two", || scene.runner.running() == 2).await;
    scene.another_lane_has_run().await;
    assert_eq!(scene.runner.runs_of(jobs[2].id), 0);
    scene.runner.open();
    scene.is(jobs[2].id, JobState::Acknowledged).await;
}

#[tokio::test]
async fn others_go_past_a_call_that_waits_where_the_order_says_so() {
    let mut scene = Scene::new().await;
    scene
        .activity("nightly", spec(1, LaneOrder::SkipAhead), false)
        .await;
    scene.runner.script("fails", vec![Work::Transient(Some(LONG))]);
    scene.start();
    let first = scene.call("fails").await;
    let second = scene.call("b").await;
    scene.is(second.id, JobState::Acknowledged).await;
    scene.is(first.id, JobState::TransientError).await;
}

#[tokio::test]
async fn a_paused_activity_begins_nothing_until_it_is_resumed() {
    let mut scene = Scene::new().await;
    scene.activity("nightly", ActivitySpec::default(), true).await;
    scene.start();
    let job = scene.call("a").await;
    scene.another_lane_has_run().await;
    assert_eq!(scene.runner.runs_of(job.id), 0);
    scene.activity("nightly", ActivitySpec::default(), false).await;
    let ran = scene.is(job.id, JobState::Acknowledged).await;
    assert_eq!(ran.attempt, 1, "waiting was no attempt");
}

#[tokio::test]
async fn c86_calls_begin_in_the_hours_of_their_activity() {
    let mut scene = Scene::new().await;
    let zone = jiff::tz::TimeZone::system();
    let now = jiff::Timestamp::from_millisecond(scene.clock.now().as_millis()).unwrap();
    let in_an_hour = now.to_zoned(zone).time() + jiff::SignedDuration::from_hours(1);
    let hours = format!(
        "{:02}:00-{:02}:30",
        in_an_hour.hour(),
        (in_an_hour.hour() + 2) % 24
    );
    let nightly = ActivitySpec {
        window: vec![hours.parse().unwrap()],
        ..ActivitySpec::default()
    };
    let (open, opens) = nightly.window[0].at(scene.clock.now(), &jiff::tz::TimeZone::system());
    assert!(!open);
    scene.activity("nightly", nightly, false).await;
    scene.start();
    let job = scene.call("a").await;
    scene.another_lane_has_run().await;
    assert_eq!(scene.runner.runs_of(job.id), 0);
    scene.go_to(opens.unwrap()).await;
    let ran = scene.is(job.id, JobState::Acknowledged).await;
    assert_eq!(scene.runner.began().last().unwrap().at, opens.unwrap());
    assert_eq!(ran.attempt, 1);
}

#[tokio::test]
async fn c56_no_call_begins_while_memory_is_short_and_none_is_charged() {
    let mut scene = Scene::new().await;
    *scene.memory.lock().unwrap() = 0.049;
    scene.start();
    let job = scene.call("a").await;
    // Transfers go on.
    let transfer = scene.submit("t").await;
    scene.is(transfer.id, JobState::Acknowledged).await;
    scene.clock.advance(Duration::from_secs(1));
    let transfer = scene.submit("t").await;
    scene.is(transfer.id, JobState::Acknowledged).await;
    assert_eq!(scene.runner.runs_of(job.id), 0);
    *scene.memory.lock().unwrap() = 0.05;
    let ran = scene.becomes(job.id, JobState::Acknowledged).await;
    assert_eq!((ran.attempt, ran.error_count), (1, 0));
}
