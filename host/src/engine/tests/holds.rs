//! What holds transfers: a network that is gone, a policy that stops them, the operator.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::scene::{Scene, Work, new_job, until};
use crate::config::{BandwidthConfig, NetworkMode, Rates, TransferRules, Window};
use crate::job::{Code, FileSpec, HoldReason, Hours, Job, JobKind, JobState, Priority};
use crate::store::{NewJob, Store};

const DISCONNECTED: Code = Code(0x8020_0010);
const BY_POLICY: Code = Code(0x8020_003E);

fn on(host: &str, priority: Priority) -> NewJob {
    NewJob {
        files: vec![FileSpec::new(format!("http://{host}/x"), "/tmp/x")],
        priority,
        ..new_job("x")
    }
}

fn stopping(background: Rates) -> Arc<TransferRules> {
    Arc::new(TransferRules {
        bandwidth: BandwidthConfig {
            rates: background,
            windows: Vec::new(),
        },
        ..TransferRules::default()
    })
}

const ZERO: Rates = Rates {
    background: Some(0),
    foreground: None,
    high: None,
    normal: None,
    low: None,
};

impl Scene {
    /// Runs go on until the gate opens.
    async fn held() -> Self {
        let scene = Self::new().await;
        scene.runner.script("x", vec![Work::Held(Box::new(Work::Finish))]);
        scene
    }

    async fn on(&self, host: &str, priority: Priority) -> Job {
        self.store.submit(on(host, priority)).await.unwrap().job
    }

    /// Held by this, without a count and without a time at which it would go on by itself.
    async fn is_held(&self, job: &Job, code: Code) -> Job {
        let held = self.job(job.id, "held", |job| {
            job.state == JobState::TransientError && job.error.as_ref().map(|error| error.code) == Some(code)
        });
        let held = held.await;
        assert_eq!((held.due, held.error_count, held.retries), (None, 0, 0));
        assert_eq!(held.no_progress_since, None, "no clock of its own begins");
        held
    }
}

#[tokio::test]
async fn b31_a_lost_network_holds_what_runs_and_what_waits_but_not_what_is_near() {
    let mut scene = Scene::held().await;
    scene.settings.slots = 3;
    scene.start();
    let far = [
        scene.on("far", Priority::Normal).await,
        scene.on("far", Priority::Foreground).await,
    ];
    let near = [
        scene.on("127.0.0.1:80", Priority::Normal).await,
        scene.on("localhost", Priority::High).await,
    ];
    for job in far.iter().chain(&near) {
        scene.runs(job.id, 1).await;
    }
    let waiting = scene.on("far", Priority::Low).await;
    scene.network.send_replace(false);
    for job in far.iter().chain([&waiting]) {
        scene.is_held(job, DISCONNECTED).await;
    }
    // Who comes now is held before it is taken.
    let late = scene.on("far", Priority::Normal).await;
    assert_eq!(scene.is_held(&late, DISCONNECTED).await.attempt, 0);
    until("those that are near run on alone", || scene.runner.running() == 2).await;
    scene.network.send_replace(true);
    scene.runner.open();
    for job in far.iter().chain(&near).chain([&waiting, &late]) {
        let ended = scene.is(job.id, JobState::Acknowledged).await;
        assert_eq!(ended.error_count, 0);
    }
    for job in near {
        assert_eq!(scene.runner.runs_of(job.id), 1, "never disturbed");
    }
}

#[tokio::test]
async fn b28_time_alone_does_not_end_a_hold() {
    let mut scene = Scene::held().await;
    scene.network.send_replace(false);
    scene.start();
    let job = scene.on("far", Priority::Normal).await;
    scene.is_held(&job, DISCONNECTED).await;
    for _ in 0..30 {
        scene.clock.advance(Duration::from_secs(86_400));
        let near = scene.on("127.0.0.1", Priority::Foreground).await;
        scene.runs(near.id, 1).await;
    }
    scene.is_held(&job, DISCONNECTED).await;
    assert_eq!(scene.runner.runs_of(job.id), 0);
}

#[tokio::test]
async fn b29_when_the_network_is_back_every_transient_error_is_tried_at_once() {
    let mut scene = Scene::new().await;
    scene.runner.script(
        "x",
        vec![Work::Transient(Some(Duration::from_secs(3600))), Work::Finish],
    );
    scene.start();
    let job = scene.on("127.0.0.1", Priority::Normal).await;
    let waiting = scene.is(job.id, JobState::TransientError).await;
    assert_eq!(waiting.error.unwrap().code, Code::http(503));
    scene.network.send_replace(false);
    let far = scene.on("far", Priority::Normal).await;
    scene.is_held(&far, DISCONNECTED).await;
    assert_eq!(scene.runner.runs_of(job.id), 1);
    scene.network.send_replace(true);
    scene.is(job.id, JobState::Acknowledged).await;
    assert_eq!(scene.runner.runs_of(job.id), 2);
}

#[tokio::test]
async fn b29_a_thousand_jobs_are_held_and_released_in_pieces() {
    let mut scene = Scene::new().await;
    scene.network.send_replace(false);
    scene.start();
    let many = scene
        .store
        .submit_many(vec![on("far", Priority::Normal); 1_200])
        .await
        .unwrap();
    for one in &many {
        scene.is_held(&one.job, DISCONNECTED).await;
    }
    scene.network.send_replace(true);
    for one in many {
        scene.is(one.job.id, JobState::Acknowledged).await;
    }
}

#[tokio::test]
async fn b31_the_operator_may_say_whether_there_is_a_network() {
    let mut scene = Scene::held().await;
    let says = |network| {
        Arc::new(TransferRules {
            network,
            ..TransferRules::default()
        })
    };
    scene.network.send_replace(false);
    scene.rules.send_replace(says(NetworkMode::Up));
    scene.start();
    let job = scene.on("far", Priority::Normal).await;
    scene.runs(job.id, 1).await;
    scene.network.send_replace(true);
    scene.rules.send_replace(says(NetworkMode::Down));
    scene.is_held(&job, DISCONNECTED).await;
}

#[tokio::test]
async fn b95_what_an_earlier_host_held_goes_on_where_nothing_holds_it_any_more() {
    let mut scene = Scene::held().await;
    scene.rules.send_replace(stopping(ZERO));
    scene.start();
    let job = scene.on("far", Priority::Normal).await;
    scene.is_held(&job, BY_POLICY).await;
    scene.drain().await;
    scene.rules.send_replace(Arc::default());
    scene.start();
    scene.runs(job.id, 1).await;
}

#[tokio::test]
async fn b72_a_bandwidth_of_zero_stops_background_jobs_until_it_is_changed() {
    let mut scene = Scene::held().await;
    scene.settings.slots = 2;
    scene.start();
    let running = scene.on("a", Priority::Normal).await;
    let low = scene.on("b", Priority::Low).await;
    let foreground = scene.on("c", Priority::Foreground).await;
    for job in [&running, &low, &foreground] {
        scene.runs(job.id, 1).await;
    }
    let waiting = scene.on("d", Priority::Low).await;
    scene.rules.send_replace(stopping(ZERO));
    for job in [&running, &low, &waiting] {
        scene.is_held(job, BY_POLICY).await;
    }
    assert_eq!(scene.runner.running(), 1, "B-71: foreground goes on");
    // Live: only the lowest level is stopped now.
    scene.rules.send_replace(stopping(Rates {
        low: Some(0),
        ..Rates::default()
    }));
    scene.runs(running.id, 2).await;
    scene.is_held(&low, BY_POLICY).await;
    scene.rules.send_replace(Arc::default());
    scene.runner.open();
    for job in [running, low, waiting, foreground] {
        assert_eq!(scene.is(job.id, JobState::Acknowledged).await.error_count, 0);
    }
}

#[tokio::test]
async fn b73_a_window_opens_and_closes_by_the_clock() {
    let mut scene = Scene::held().await;
    let now = jiff::Timestamp::from_millisecond(scene.clock.now().as_millis()).unwrap();
    let now = now.to_zoned(TimeZone::system());
    let at = |hours| {
        let later = now.checked_add(jiff::Span::new().hours(hours)).unwrap().time();
        Time::constant(later.hour(), 0, 0, 0)
    };
    let window = Window {
        hours: Hours {
            days: jiff::civil::Weekday::Monday.cycle_forward().take(7).collect(),
            from: at(1),
            to: at(2),
        },
        maintenance: false,
        rates: ZERO,
    };
    scene.rules.send_replace(Arc::new(TransferRules {
        bandwidth: BandwidthConfig {
            rates: Rates::default(),
            windows: vec![window],
        },
        ..TransferRules::default()
    }));
    scene.start();
    let job = scene.on("far", Priority::Normal).await;
    scene.runs(job.id, 1).await;
    let into_the_hour = scene.clock.now().as_millis() % 3_600_000;
    let left = Duration::from_millis(u64::try_from(3_600_000 - into_the_hour).unwrap());
    scene.clock.advance(left);
    scene.is_held(&job, BY_POLICY).await;
    scene.clock.advance(Duration::from_secs(3600));
    scene.runs(job.id, 2).await;
}

#[tokio::test]
async fn b75_the_operator_holds_background_transfers_with_a_reason() {
    let mut scene = Scene::held().await;
    scene.start();
    let job = scene.on("far", Priority::Normal).await;
    let foreground = scene.on("far", Priority::Foreground).await;
    scene.runs(job.id, 1).await;
    scene.runs(foreground.id, 1).await;
    for (reason, code) in [
        (HoldReason::Cost, 0x8020_0059),
        (HoldReason::Power, 0x8020_0067),
        (HoldReason::Operator, 0x8020_0070),
    ] {
        scene.rules.send_replace(Arc::new(TransferRules {
            hold: Some(reason),
            ..TransferRules::default()
        }));
        scene.is_held(&job, Code(code)).await;
    }
    assert_eq!(scene.runner.runs_of(foreground.id), 1);
    assert_eq!(scene.runner.running(), 1);
    scene.rules.send_replace(Arc::default());
    until("running again", || scene.runner.running() == 2).await;
}

#[tokio::test]
async fn b74_a_network_that_costs_holds_nothing_that_stays_on_this_machine() {
    let mut scene = Scene::held().await;
    scene.rules.send_replace(Arc::new(TransferRules {
        hold: Some(HoldReason::Cost),
        ..TransferRules::default()
    }));
    scene.start();
    let near = scene.on("[::1]:80", Priority::Normal).await;
    scene.runs(near.id, 1).await;
}

#[tokio::test]
async fn b31_only_transfers_need_a_network() {
    let mut scene = Scene::new().await;
    scene.network.send_replace(false);
    scene.start();
    let batch = NewJob {
        kind: JobKind::Batch,
        ..on("far", Priority::Normal)
    };
    let job = scene.store.submit(batch).await.unwrap().job;
    scene.runs(job.id, 1).await;
}
