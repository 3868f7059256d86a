//! How many jobs run at once.

use super::scene::{Scene, Work, new_job, until};
use crate::job::{FileSpec, JobState, Priority};
use crate::store::{NewJob, Store};

fn held() -> Vec<Work> {
    vec![Work::Stubborn(Box::new(Work::Finish))]
}

fn from(host: &str) -> NewJob {
    NewJob {
        files: vec![FileSpec::new(format!("http://{host}/x"), "/tmp/x")],
        ..new_job("x")
    }
}

#[tokio::test]
async fn b22_background_jobs_have_so_many_slots_and_each_is_used_again() {
    let mut scene = Scene::new().await;
    scene.settings.slots = 2;
    scene.runner.script("x", held());
    let mut jobs = Vec::new();
    for host in ["a", "b", "c", "d", "e"] {
        jobs.push(scene.store.submit(from(host)).await.unwrap().job);
    }
    scene.start();
    until("two run", || scene.runner.running() == 2).await;
    let first: Vec<_> = scene.runner.began().iter().map(|run| run.job).collect();
    assert_eq!(first, [jobs[0].id, jobs[1].id], "oldest first");
    scene.runner.open();
    for job in jobs {
        scene.is(job.id, JobState::Acknowledged).await;
    }
    assert_eq!(scene.runner.most_of_all(), 2);
}

#[tokio::test]
async fn one_remote_host_has_its_share_and_keeps_no_other_waiting() {
    let mut scene = Scene::new().await;
    scene.settings.slots = 3;
    scene.settings.slots_per_host = 1;
    scene.runner.script("x", held());
    let mut jobs = Vec::new();
    for host in ["a", "a", "a", "b"] {
        jobs.push(scene.store.submit(from(host)).await.unwrap().job);
    }
    scene.start();
    until("two run", || scene.runner.running() == 2).await;
    let first: Vec<_> = scene.runner.began().iter().map(|run| run.job).collect();
    assert_eq!(first, [jobs[0].id, jobs[3].id]);
    scene.runner.open();
    for job in jobs {
        scene.is(job.id, JobState::Acknowledged).await;
    }
    assert_eq!(scene.runner.most_of_all(), 2);
}

#[tokio::test]
async fn b68_foreground_jobs_run_beside_full_slots() {
    let mut scene = Scene::new().await;
    scene.settings.slots = 1;
    scene.runner.script("x", held());
    let background = scene.store.submit(from("a")).await.unwrap().job;
    let waiting = scene.store.submit(from("b")).await.unwrap().job;
    scene.start();
    scene.runs(background.id, 1).await;
    let now = NewJob {
        priority: Priority::Foreground,
        ..from("a")
    };
    let many = scene.store.submit_many(vec![now; 70]).await.unwrap();
    until("all of them run", || scene.runner.running() == 71).await;
    assert_eq!(scene.runner.runs_of(waiting.id), 0);
    scene.runner.open();
    scene.is(waiting.id, JobState::Acknowledged).await;
    for one in many {
        scene.is(one.job.id, JobState::Acknowledged).await;
    }
}
