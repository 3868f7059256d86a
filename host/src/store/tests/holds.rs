//! What the store keeps of why a job does not run, and of how long it has run.

use super::*;
use crate::job::HoldReason;
use crate::store::{Hold, HoldJobs, is_loopback, remote_host};

fn lost() -> HoldJobs {
    HoldJobs {
        holds: vec![Hold {
            reason: HoldReason::Network,
            levels: Priority::ALL.to_vec(),
            description: "gone".into(),
        }],
        network_returned: false,
    }
}

#[tokio::test]
async fn b61_a_host_that_died_counts_until_its_last_commit() {
    let mut bench = Bench::new(&[]).await;
    bench.submit().await;
    bench.run().await;
    bench.clock.advance(Duration::from_secs(40));
    // The last sign of life, and no end of the run.
    bench.store.take().unwrap().close().await;
    bench.clock.advance(Duration::from_secs(5000));
    bench.store = Some(open(bench.dir.path(), &bench.clock).await.unwrap());
    bench.clock.advance(Duration::from_secs(5000));
    let run = bench.run().await;
    assert_eq!((run.job.attempt, run.active), (2, Duration::from_secs(40)));
    bench.clock.advance(Duration::from_secs(2));
    bench.store().report(run.id(), Command::Yield).await.unwrap();
    assert_eq!(bench.run().await.active, Duration::from_secs(42));
}

#[tokio::test]
async fn b31_a_hold_survives_a_crash_and_is_found_again() {
    let mut bench = Bench::new(&[]).await;
    let job = bench.submit().await;
    assert!(!bench.store().hold_jobs(lost()).await.unwrap());
    bench.crash().await;
    let held = bench.store().job(job.id).await.unwrap();
    assert_eq!(held.state, JobState::TransientError);
    assert!(!bench.store().hold_jobs(lost()).await.unwrap());
    assert_eq!(bench.store().job(job.id).await.unwrap().revision, held.revision);
    assert!(!bench.store().hold_jobs(HoldJobs::default()).await.unwrap());
    assert_eq!(bench.store().job(job.id).await.unwrap().state, JobState::Queued);
}

/// Between a look at the network and a claim jobs may come; and as many more as have room for.
#[tokio::test]
async fn b31_what_came_since_the_last_look_is_held_and_not_taken() {
    let bench = Bench::new(&[]).await;
    let far: Vec<JobId> = {
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(bench.submit().await.id);
        }
        ids
    };
    let mut local = new_job();
    local.files[0].remote = "file:///srv/x".to_owned();
    let near = bench.store().submit(local).await.unwrap().job;
    let ask = ClaimJobs {
        holds: lost().holds,
        ..ask_jobs()
    };
    let runs = bench.store().claim_jobs(ask).await.unwrap();
    let taken: Vec<JobId> = runs.iter().map(|run| run.job.id).collect();
    assert_eq!(taken, [near.id], "the others do not keep it from its slot");
    for id in far {
        let job = bench.store().job(id).await.unwrap();
        assert_eq!((job.state, job.attempt), (JobState::TransientError, 0));
    }
}

#[tokio::test]
async fn b31_the_store_and_the_engine_agree_on_what_is_near() {
    let bench = Bench::new(&[]).await;
    for (remote, near) in [
        ("http://127.0.0.1/x", true),
        ("http://127.9.9.9:81/x", true),
        ("http://[::1]:80/x", true),
        ("https://LOCALHOST/x", true),
        ("file:///srv/x", true),
        ("http://localhost.example.com/x", false),
        ("http://12.7.0.1/x", false),
        ("http://[::2]/x", false),
    ] {
        assert_eq!(is_loopback(&remote_host(remote)), near, "{remote}");
        let mut new = new_job();
        new.files[0].remote = remote.to_owned();
        let job = bench.store().submit(new).await.unwrap().job;
        bench.store().hold_jobs(lost()).await.unwrap();
        let state = bench.store().job(job.id).await.unwrap().state;
        assert_eq!(state == JobState::Queued, near, "{remote}");
    }
}
