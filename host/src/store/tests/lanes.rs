//! Lanes of batch work in the store: their order, their queues, what is kept of activities.

use super::*;
use crate::job::{ActivityName, ActivitySpec, BatchSpec, CommandSpec, LaneOrder, Work};
use crate::store::Lanes;

fn name(lane: &str) -> ActivityName {
    lane.parse().unwrap()
}

pub(super) fn call(lane: &str) -> NewJob {
    let mut new = of_kind(JobKind::Batch);
    new.spec.batch = Some(Box::new(BatchSpec {
        activity: Some(name(lane)),
        ..BatchSpec::new(Work::Command(CommandSpec::default()))
    }));
    new
}

impl Bench {
    async fn lane(&self, lane: &str, spec: ActivitySpec) {
        let lanes = Lanes([(name(lane), Arc::new(spec))].into());
        self.store().set_lanes(Arc::new(lanes)).await.unwrap();
    }

    async fn call(&self, lane: &str) -> Job {
        self.store().submit(call(lane)).await.unwrap().job
    }

    async fn take(&self, busy: &[(&str, usize)]) -> Vec<Run> {
        let busy_lanes = busy.iter().map(|(lane, n)| (crate::store::lane(&name(lane)), *n));
        let ask = ClaimJobs {
            batch: 10,
            busy_lanes: busy_lanes.collect(),
            ..ClaimJobs::default()
        };
        self.store().claim_jobs(ask).await.unwrap()
    }
}

#[tokio::test]
async fn c05_a_full_queue_refuses_and_says_how_long_it_is() {
    let bench = Bench::new(&[]).await;
    let two = ActivitySpec {
        max_queued: 2,
        ..ActivitySpec::default()
    };
    bench.lane("nightly", two).await;
    bench.call("nightly").await;
    bench.call("nightly").await;
    let refused = bench.store().submit(call("nightly")).await.unwrap_err();
    let StoreError::Rejected { code, queued, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!((code, queued), (Code(0x8000_4029), 2));
    // One that runs waits no longer; one that is back does.
    let run = bench.take(&[]).await.remove(0);
    bench.call("nightly").await;
    bench.store().report(run.id(), Command::Yield).await.unwrap();
    assert!(bench.store().submit(call("nightly")).await.is_err());
    bench.call("other").await;
}

#[tokio::test]
async fn c06_what_was_refused_leaves_nothing_behind() {
    let bench = Bench::new(&[]).await;
    let one = ActivitySpec {
        max_queued: 1,
        ..ActivitySpec::default()
    };
    bench.lane("nightly", one).await;
    // Not even those of its list that had a place.
    let list = vec![call("other"), call("nightly"), call("nightly")];
    assert!(bench.store().submit_many(list).await.is_err());
    let all = bench.store().jobs(JobFilter::default()).await.unwrap();
    assert!(all.is_empty(), "{all:?}");
    bench.call("nightly").await;
    let mut keyed = call("nightly");
    keyed.key = Some("k".to_owned());
    assert!(bench.store().submit(keyed.clone()).await.is_err());
    bench.lane("nightly", ActivitySpec::default()).await;
    let now = bench.store().submit(keyed).await.unwrap();
    assert!(now.created, "the key was not used up");
}

#[tokio::test]
async fn a_strict_lane_begins_its_first_calls_as_many_as_it_is_wide() {
    let bench = Bench::new(&[]).await;
    let wide = ActivitySpec {
        concurrency: 2,
        order: LaneOrder::Strict,
        ..ActivitySpec::default()
    };
    bench.lane("nightly", wide).await;
    let jobs = [
        bench.call("nightly").await,
        bench.call("nightly").await,
        bench.call("nightly").await,
    ];
    bench.store().command(jobs[0].id, Command::Suspend).await.unwrap();
    let runs = bench.take(&[]).await;
    let ids: Vec<_> = runs.iter().map(|run| run.job.id).collect();
    assert_eq!(ids, [jobs[1].id], "the first keeps its place");
    assert!(bench.take(&[("nightly", 1)]).await.is_empty());
    bench.store().command(jobs[0].id, resume()).await.unwrap();
    let runs = bench.take(&[("nightly", 1)]).await;
    assert_eq!(runs[0].job.id, jobs[0].id);
    assert_eq!(runs.len(), 1);
}

#[tokio::test]
async fn a_lane_that_stands_hides_no_other() {
    let bench = Bench::new(&[]).await;
    let first = bench.call("stands").await;
    bench
        .store()
        .submit_many(vec![call("stands"); 600])
        .await
        .unwrap();
    bench.store().command(first.id, Command::Suspend).await.unwrap();
    let others = (0..20).map(|n| call(&format!("lane-{n}")));
    bench.store().submit_many(others.collect()).await.unwrap();
    let mut taken = 0;
    while taken < 20 {
        let runs = bench.take(&[]).await;
        assert!(!runs.is_empty(), "{taken} of 20");
        taken += runs.len();
    }
    assert!(bench.take(&[]).await.is_empty());
}

#[tokio::test]
async fn activities_are_kept() {
    let mut bench = Bench::new(&[]).await;
    let row = ActivityRow {
        name: name("nightly"),
        spec: Some(ActivitySpec {
            max_queued: 5,
            window: vec!["mon 22:00-06:00".parse().unwrap()],
            ..ActivitySpec::default()
        }),
        created: bench.clock.now(),
        paused: false,
    };
    bench.store().keep_activity(row.clone()).await.unwrap();
    let paused = ActivityRow { paused: true, ..row };
    bench.store().keep_activity(paused.clone()).await.unwrap();
    bench.call("nightly").await;
    bench.crash().await;
    let (rows, waiting) = bench.store().activities().await.unwrap();
    assert_eq!(rows, [paused]);
    assert_eq!(waiting, BTreeMap::from([("activity/nightly".to_owned(), 1)]));
}
