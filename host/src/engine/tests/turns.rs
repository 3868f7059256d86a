//! Who makes room for whom, and who has the next turn.

use std::time::Duration;

use super::scene::{Scene, Work, new_job, resume, until};
use crate::job::{
    Code, Command, FileSpec, Job, JobSpec, JobState, LimitSpec, Priority, Profile, TransferSpec,
};
use crate::store::{NewJob, Store};

const SLICE: Duration = Duration::from_secs(300);
const MOMENT: Duration = Duration::from_millis(1);

fn level(name: &str, priority: Priority) -> NewJob {
    NewJob {
        priority,
        ..new_job(name)
    }
}

impl Scene {
    /// One slot, and runs that go on until the gate opens.
    async fn one_slot() -> Self {
        let mut scene = Self::new().await;
        scene.settings.slots = 1;
        for name in ["a", "b", "c"] {
            scene
                .runner
                .script(name, vec![Work::Held(Box::new(Work::Finish))]);
        }
        scene.start();
        scene
    }

    async fn put(&self, name: &str, priority: Priority) -> Job {
        self.store.submit(level(name, priority)).await.unwrap().job
    }

    /// Another job's whole life, so that the engine has heard of all that came before.
    async fn passes(&self) {
        let other = self.put("passing", Priority::Foreground).await;
        self.is(other.id, JobState::Acknowledged).await;
    }

    fn order(&self, jobs: &[&Job]) -> Vec<usize> {
        let began = self.runner.began();
        let place = |run: &super::scene::Began| jobs.iter().position(|job| job.id == run.job);
        began.iter().filter_map(place).collect()
    }
}

#[tokio::test]
async fn b25_a_higher_level_makes_a_lower_one_give_its_slot_back() {
    let scene = Scene::one_slot().await;
    let low = scene.put("a", Priority::Low).await;
    scene.runs(low.id, 1).await;
    let high = scene.put("b", Priority::High).await;
    scene.runs(high.id, 1).await;
    let waiting = scene.is(low.id, JobState::Queued).await;
    assert_eq!(
        (waiting.error_count, waiting.error),
        (0, None),
        "no error of its own"
    );
    scene.runner.open();
    for job in [&high, &low] {
        scene.is(job.id, JobState::Acknowledged).await;
    }
    assert_eq!(scene.order(&[&low, &high]), [0, 1, 0]);
    assert_eq!(scene.runner.most_of_all(), 1, "never two in one slot");
}

#[tokio::test]
async fn b68_nobody_makes_room_for_its_own_or_a_lower_level() {
    let scene = Scene::one_slot().await;
    let first = scene.put("a", Priority::Normal).await;
    scene.runs(first.id, 1).await;
    let equal = scene.put("b", Priority::Normal).await;
    let lower = scene.put("c", Priority::Low).await;
    scene.passes().await;
    assert_eq!(scene.order(&[&first, &equal, &lower]), [0]);
    scene.runner.open();
    for job in [&first, &equal, &lower] {
        assert_eq!(scene.is(job.id, JobState::Acknowledged).await.attempt, 1);
    }
    assert_eq!(scene.order(&[&first, &equal, &lower]), [0, 1, 2]);
}

#[tokio::test]
async fn b68_who_comes_first_waits_until_who_makes_room_has_stopped() {
    let mut scene = Scene::new().await;
    scene.settings.slots = 1;
    let stubborn = vec![Work::Stubborn(Box::new(Work::UntilStopped)), Work::Finish];
    scene.runner.script("a", stubborn);
    scene.start();
    let low = scene.put("a", Priority::Low).await;
    scene.runs(low.id, 1).await;
    let high = scene.put("b", Priority::High).await;
    scene.is(high.id, JobState::Connecting).await;
    scene.passes().await;
    assert_eq!(scene.runner.runs_of(high.id), 0);
    scene.runner.open();
    scene.is(high.id, JobState::Acknowledged).await;
    scene.is(low.id, JobState::Acknowledged).await;
    assert_eq!(scene.order(&[&low, &high]), [0, 1, 0]);
}

#[tokio::test]
async fn b68_room_is_made_on_the_remote_host_that_is_full() {
    let mut scene = Scene::new().await;
    scene.settings.slots = 3;
    scene.settings.slots_per_host = 1;
    scene.runner.script("a", vec![Work::Held(Box::new(Work::Finish))]);
    scene.start();
    let there = scene.put("a", Priority::Low).await;
    let elsewhere = NewJob {
        files: vec![FileSpec::new("http://other:1/x", "/tmp/x")],
        ..level("a", Priority::Low)
    };
    let elsewhere = scene.store.submit(elsewhere).await.unwrap().job;
    scene.runs(there.id, 1).await;
    scene.runs(elsewhere.id, 1).await;
    let high = scene.put("a", Priority::High).await;
    scene.runs(high.id, 1).await;
    scene.is(there.id, JobState::Queued).await;
    assert_eq!(scene.runner.running(), 2, "the other host's goes on");
    scene.runner.open();
    for job in [there, elsewhere, high] {
        scene.is(job.id, JobState::Acknowledged).await;
    }
}

#[tokio::test]
async fn b67_a_changed_level_counts_at_once() {
    let scene = Scene::one_slot().await;
    let running = scene.put("a", Priority::Normal).await;
    scene.runs(running.id, 1).await;
    let waiting = scene.put("b", Priority::Low).await;
    scene
        .command(waiting.id, Command::SetPriority(Priority::High))
        .await;
    scene.runs(waiting.id, 1).await;
    scene.is(running.id, JobState::Queued).await;
    // One that runs and becomes a foreground job needs no slot any more.
    scene
        .command(waiting.id, Command::SetPriority(Priority::Foreground))
        .await;
    scene.runs(running.id, 2).await;
    assert_eq!(scene.runner.running(), 2);
    scene.runner.open();
}

#[tokio::test]
async fn b69_a_time_slice_is_five_minutes_and_all_of_a_level_have_their_turn() {
    let scene = Scene::one_slot().await;
    let jobs = [
        scene.put("a", Priority::Normal).await,
        scene.put("b", Priority::Normal).await,
        scene.put("c", Priority::Normal).await,
    ];
    let jobs: Vec<&Job> = jobs.iter().collect();
    for (turn, expected) in [0, 1, 2, 0, 1].into_iter().enumerate() {
        until("its turn", || scene.order(&jobs).len() == turn + 1).await;
        assert_eq!(scene.order(&jobs).last(), Some(&expected), "turn {turn}");
        scene.clock.advance(SLICE - MOMENT);
        scene.passes().await;
        assert_eq!(scene.order(&jobs).len(), turn + 1, "not before its time");
        scene.clock.advance(MOMENT);
    }
    scene.runner.open();
    for job in jobs {
        let ended = scene.is(job.id, JobState::Acknowledged).await;
        assert_eq!(ended.error_count, 0);
    }
    assert_eq!(
        scene.runner.most_of_all(),
        2,
        "one of them, and the one that passes"
    );
}

#[tokio::test]
async fn b69_a_slice_ends_only_for_somebody_who_waits() {
    let scene = Scene::one_slot().await;
    let first = scene.put("a", Priority::Normal).await;
    scene.runs(first.id, 1).await;
    scene.clock.advance(SLICE * 3);
    scene.passes().await;
    assert_eq!(scene.is(first.id, JobState::Connecting).await.attempt, 1);
    let second = scene.put("b", Priority::Normal).await;
    scene.runs(second.id, 1).await;
    scene.is(first.id, JobState::Queued).await;
    scene.runner.open();
    scene.is(first.id, JobState::Acknowledged).await;
}

#[tokio::test]
async fn b69_what_would_have_to_begin_again_keeps_its_slot() {
    let scene = Scene::one_slot().await;
    let held = Work::Held(Box::new(Work::Finish));
    scene.runner.script("whole", vec![Work::Whole(Box::new(held))]);
    let whole = scene.put("whole", Priority::Normal).await;
    scene.runs(whole.id, 1).await;
    let waiting = scene.put("b", Priority::Normal).await;
    scene.clock.advance(SLICE * 2);
    scene.passes().await;
    assert_eq!(scene.runner.runs_of(waiting.id), 0);
    // A higher level comes first all the same.
    let high = scene.put("c", Priority::High).await;
    scene.runs(high.id, 1).await;
    scene.is(whole.id, JobState::Queued).await;
    scene.runner.open();
}

fn for_a_minute(name: &str) -> NewJob {
    let mut spec = JobSpec::new(name, Profile::Bits);
    spec.transfer = Some(Box::new(TransferSpec {
        limits: LimitSpec {
            max_time: Some(Duration::from_secs(60)),
            ..LimitSpec::DEFAULT
        },
        ..TransferSpec::DEFAULT
    }));
    NewJob {
        spec,
        ..new_job(name)
    }
}

#[tokio::test]
async fn b61_only_running_counts_towards_the_maximum_time_and_a_resume_begins_it_anew() {
    let mut scene = Scene::one_slot().await;
    let job = scene.store.submit(for_a_minute("a")).await.unwrap().job;
    scene.runs(job.id, 1).await;
    scene.clock.advance(Duration::from_secs(40));
    scene.drain().await;
    // Neither the time in the queue nor the end of the host begins it anew or counts.
    scene.clock.advance(Duration::from_secs(3600));
    scene.start();
    scene.runs(job.id, 2).await;
    scene.clock.advance(Duration::from_secs(20) - MOMENT);
    scene.passes().await;
    assert_eq!(scene.is(job.id, JobState::Connecting).await.attempt, 2);
    scene.clock.advance(MOMENT);
    let ended = scene.is(job.id, JobState::Error).await;
    assert_eq!(ended.error.unwrap().code, Code(0x8020_0054));
    assert_eq!(ended.error_count, 1);
    scene.command(job.id, resume()).await;
    scene.runs(job.id, 3).await;
    scene.clock.advance(Duration::from_secs(59));
    scene.passes().await;
    assert_eq!(scene.is(job.id, JobState::Connecting).await.attempt, 3);
    scene.runner.open();
    scene.is(job.id, JobState::Transferred).await;
}
