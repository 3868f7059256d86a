//! Who is told of what, and in which order, while registrations and flags change.

use super::*;
use crate::job::{JobChange, NotifyFlag, Priority};

/// Routes to the job's own handler alone, as its flags say.
struct Own;

impl Router for Own {
    fn routes(&self, job: &Job, event: EventKind) -> Vec<Route> {
        let own = job.spec.handler.clone().filter(|_| job.spec.tells_own(event));
        let routes = own.map(|plugin| Route {
            plugin,
            role: Role::Decider,
        });
        routes.into_iter().collect()
    }
}

async fn bench() -> Bench {
    let bench = Bench::new(&[]).await;
    let none = BTreeMap::new();
    bench.store().set_router(Arc::new(Own), none).await.unwrap();
    bench
}

fn handler(name: &str) -> JobChange {
    JobChange {
        handler: Some(name.to_owned()),
        ..JobChange::default()
    }
}

fn flags(flags: &[NotifyFlag]) -> JobChange {
    JobChange {
        notify: Some(Some(flags.iter().copied().collect())),
        ..JobChange::default()
    }
}

impl Bench {
    async fn registers(&self, job: &Job, registration: JobChange) -> Job {
        let command = Command::Change(Box::new(registration));
        self.store().command(job.id, command).await.unwrap()
    }

    /// A job with `a` as its handler, and these flags.
    async fn told(&self, of: &[NotifyFlag]) -> Job {
        let job = self.submit().await;
        self.registers(&job, handler("a")).await;
        self.registers(&job, flags(of)).await
    }

    /// The events that `plugin` is told of now, each call acknowledged.
    async fn hears(&self, plugin: &str) -> Vec<EventKind> {
        let mut heard = Vec::new();
        loop {
            let ask = ask_deliveries(&[plugin]);
            let claims = self.store().claim_deliveries(ask).await.unwrap();
            if claims.is_empty() {
                return heard;
            }
            for claim in claims {
                heard.push(claim.delivery.event);
                self.settle(&claim, acknowledged(vec![])).await.unwrap();
            }
        }
    }

    async fn transferred(&self, run: &Run) {
        let at = self.clock.now();
        self.store().report(run.id(), Command::Connected).await.unwrap();
        self.whole(run).await;
        let finished = Command::Finished { at, files: 1 };
        self.store().report(run.id(), finished).await.unwrap();
    }

    /// The first file is here.
    pub(super) async fn whole(&self, run: &Run) {
        let file = FileStatus {
            bytes_total: Some(5),
            bytes_transferred: 5,
            validator: Some("\"v\"".to_owned()),
            transferred: true,
            ..run.files[0].clone()
        };
        let checkpoint = FileCheckpoint::from(file);
        self.store().checkpoint(run.id(), checkpoint).await.unwrap();
    }
}

#[tokio::test]
async fn b99_an_error_that_may_pass_calls_nobody_until_its_time_is_over() {
    let bench = Bench::new(&[DECIDES]).await;
    let job = bench.submit().await;
    let run = bench.run().await;
    let transient = Command::TransientError {
        error: error(503, 1, bench.clock.now()),
        retry_after: None,
    };
    bench.store().report(run.id(), transient).await.unwrap();
    assert!(bench.claims().await.is_empty());
    bench.clock.advance(Profile::Sexton.no_progress(Priority::Normal));
    let at = bench.clock.now();
    let job = bench
        .store()
        .command(job.id, Command::RetryDue { at })
        .await
        .unwrap();
    assert_eq!(job.state, JobState::Error);
    let claim = bench.claims().await.remove(0);
    assert_eq!(claim.delivery.event, EventKind::JobError);
    assert_eq!(claim.error.unwrap().code, Code::NO_PROGRESS);
}

#[tokio::test]
async fn b98_flags_say_which_events_the_own_handler_hears_of() {
    for (of, heard) in [
        (
            vec![NotifyFlag::FileTransferred, NotifyFlag::JobTransferred],
            vec![EventKind::FileTransferred, EventKind::JobTransferred],
        ),
        (vec![NotifyFlag::JobError], vec![]),
        (vec![NotifyFlag::Disable, NotifyFlag::JobTransferred], vec![]),
    ] {
        let bench = bench().await;
        let job = bench.told(&of).await;
        bench.transferred(&bench.run().await).await;
        let waits = bench.store().job(job.id).await.unwrap().intent.is_none();
        assert_eq!(
            waits,
            !heard.is_empty(),
            "with nobody to be told it completes at once"
        );
        assert_eq!(bench.hears("a").await, heard, "{of:?}");
    }
}

#[tokio::test]
async fn b98_flags_that_are_taken_back_withdraw_what_waits() {
    let bench = bench().await;
    let job = bench.told(&[NotifyFlag::JobTransferred]).await;
    bench.transferred(&bench.run().await).await;
    let job = bench.registers(&job, flags(&[NotifyFlag::Disable])).await;
    assert_eq!(job.intent, Some(Intent::Complete), "nobody is left to wait for");
    assert_eq!(bench.hears("a").await, []);
}

#[tokio::test]
async fn b103_a_handler_that_is_set_after_the_event_is_told_and_again_when_set_anew() {
    let bench = bench().await;
    let job = bench.failed().await;
    assert_eq!(bench.hears("a").await, []);
    bench.registers(&job, handler("a")).await;
    let first = bench.claims().await.remove(0);
    assert_eq!(first.delivery.event, EventKind::JobError);
    assert_eq!(first.error.as_ref().unwrap().code, Code::http(403));
    bench.settle(&first, acknowledged(vec![])).await.unwrap();
    assert_eq!(bench.hears("a").await, []);
    bench.registers(&job, handler("a")).await;
    let again = bench.claims().await.remove(0);
    assert_eq!(
        again.delivery.id, first.delivery.id,
        "the handler can tell the repeat"
    );
    bench.settle(&again, acknowledged(vec![])).await.unwrap();
    // What is past is not told: the job is no longer there.
    bench.store().command(job.id, resume()).await.unwrap();
    bench.registers(&job, handler("a")).await;
    assert_eq!(bench.hears("a").await, []);
}

#[tokio::test]
async fn b111_the_last_handler_that_was_set_is_the_only_one_told() {
    let bench = bench().await;
    let job = bench.submit().await;
    bench.registers(&job, handler("a")).await;
    let run = bench.run().await;
    let error = error(403, run.job.attempt, bench.clock.now());
    bench
        .store()
        .report(run.id(), Command::FatalError { error })
        .await
        .unwrap();
    bench.registers(&job, handler("b")).await;
    assert_eq!(bench.hears("a").await, [], "no call and no message");
    assert_eq!(bench.hears("b").await, [EventKind::JobError]);
    let cleared = JobChange {
        handler: Some(String::new()),
        ..JobChange::default()
    };
    bench.registers(&job, cleared).await;
    bench.store().command(job.id, Command::Cancel).await.unwrap();
    let outcome = Outcome::Cancelled;
    bench
        .store()
        .command(job.id, Command::IntentDone { outcome })
        .await
        .unwrap();
    assert_eq!(bench.hears("b").await, [], "cleared");
}

#[tokio::test]
async fn b112_the_name_of_the_handler_outlives_the_host_and_waits_for_its_component() {
    let mut bench = bench().await;
    let job = bench.submit().await;
    bench.registers(&job, handler("a")).await;
    bench.crash().await;
    bench
        .store()
        .set_router(Arc::new(Own), BTreeMap::new())
        .await
        .unwrap();
    let run = bench.run().await;
    let error = error(403, run.job.attempt, bench.clock.now());
    bench
        .store()
        .report(run.id(), Command::FatalError { error })
        .await
        .unwrap();
    assert_eq!(bench.hears("b").await, [], "`a` does not serve");
    assert_eq!(bench.hears("a").await, [EventKind::JobError]);
}

#[tokio::test]
async fn b106_modifications_tell_of_state_property_and_progress_but_not_of_the_ends_of_a_run() {
    let bench = bench().await;
    let own = JobChange {
        notify_interval_ms: Some(0),
        ..flags(&[NotifyFlag::JobModification])
    };
    let job = bench.submit().await;
    bench.registers(&job, handler("a")).await;
    bench.registers(&job, own).await;
    let told = [EventKind::JobModification];
    assert_eq!(bench.hears("a").await, told, "a property");
    let run = bench.run().await;
    assert_eq!(bench.hears("a").await, told, "the state");
    bench.whole(&run).await;
    assert_eq!(bench.hears("a").await, told, "progress");
    let error = error(403, run.job.attempt, bench.clock.now());
    bench
        .store()
        .report(run.id(), Command::FatalError { error })
        .await
        .unwrap();
    assert_eq!(bench.hears("a").await, [], "not the change to `error`");
    let priority = Command::SetPriority(Priority::Low);
    bench.store().command(job.id, priority).await.unwrap();
    assert_eq!(bench.hears("a").await, told, "a property of a job in `error`");
    bench.store().command(job.id, resume()).await.unwrap();
    let run = bench.run().await;
    bench.store().report(run.id(), Command::Connected).await.unwrap();
    assert_eq!(bench.hears("a").await, told);
    let at = bench.clock.now();
    let finished = Command::Finished { at, files: 1 };
    bench.store().report(run.id(), finished).await.unwrap();
    assert_eq!(bench.hears("a").await, [], "nor the change to `transferred`");
}

#[tokio::test]
async fn b107_a_file_is_told_before_its_job_and_the_end_of_a_run_overtakes_changes() {
    let bench = bench().await;
    let all = [
        NotifyFlag::JobModification,
        NotifyFlag::FileTransferred,
        NotifyFlag::JobTransferred,
    ];
    bench.told(&all).await;
    // The change waits for its interval, or for the file's turn.
    assert_eq!(bench.hears("a").await, [EventKind::JobModification]);
    bench.transferred(&bench.run().await).await;
    let first = bench.claims().await;
    assert_eq!(first.len(), 1, "one at a time");
    assert_eq!(first[0].delivery.event, EventKind::FileTransferred);
    bench.clock.advance(Duration::from_secs(1));
    assert!(bench.claims().await.is_empty(), "the rest waits for it");
    bench.settle(&first[0], acknowledged(vec![])).await.unwrap();
    let rest = [EventKind::JobTransferred, EventKind::JobModification];
    assert_eq!(
        bench.hears("a").await,
        rest,
        "what is news after it is told after it"
    );
}

#[tokio::test]
async fn b108_only_a_failure_has_a_file_told_again_and_a_file_fetched_anew_is_told_anew() {
    let bench = bench().await;
    let job = bench.told(&[NotifyFlag::FileTransferred]).await;
    let run = bench.run().await;
    bench.whole(&run).await;
    let claim = bench.claims().await.remove(0);
    let next = AfterFailure::Retry {
        due: bench.clock.now(),
        stage: Stage::Handler,
    };
    let fails = failed(FailureClass::ErrorTransient, &claim, next);
    bench.settle(&claim, fails).await.unwrap();
    assert_eq!(bench.hears("a").await, [EventKind::FileTransferred], "again");
    assert_eq!(bench.hears("a").await, [], "and no more");
    bench.store().command(job.id, Command::Suspend).await.unwrap();
    bench.store().command(job.id, resume()).await.unwrap();
    let run = bench.run().await;
    bench.whole(&run).await;
    assert_eq!(bench.hears("a").await, [], "it was whole before");
}

#[tokio::test]
async fn b110_each_job_has_its_own_interval_between_changes() {
    let bench = bench().await;
    let job = bench.told(&[NotifyFlag::JobModification]).await;
    let interval = JobChange {
        notify_interval_ms: Some(30_000),
        ..JobChange::default()
    };
    assert_eq!(bench.hears("a").await.len(), 1);
    bench.registers(&job, interval).await;
    bench.clock.advance(Duration::from_millis(29_999));
    assert_eq!(bench.hears("a").await, [], "not before 30 s");
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.hears("a").await.len(), 1);
    let default = Job::clone(&bench.submit().await);
    assert_eq!(default.spec.notify_interval, Duration::from_millis(500));
}

#[tokio::test]
async fn b104_whatever_a_handler_may_decide_commits_with_its_acknowledgement() {
    let later = JobChange {
        retry_delay_ms: Some(77_000),
        ..JobChange::default()
    };
    for (decision, state, intent) in [
        (resume(), JobState::Queued, None),
        (Command::Suspend, JobState::Suspended, None),
        (Command::Cancel, JobState::Error, Some(Intent::Cancel)),
        (Command::Complete, JobState::Error, Some(Intent::Complete)),
        (Command::SetPriority(Priority::Low), JobState::Error, None),
        (Command::Change(Box::new(later)), JobState::Error, None),
    ] {
        let mut bench = Bench::new(&[DECIDES]).await;
        let job = bench.failed().await;
        let claim = bench.claims().await.remove(0);
        let verdict = acknowledged(vec![decision.clone()]);
        bench.settle(&claim, verdict).await.unwrap();
        bench.crash().await;
        let job = bench.store().job(job.id).await.unwrap();
        assert_eq!((job.state, job.intent), (state, intent), "{decision:?}");
        let low = matches!(decision, Command::SetPriority(_));
        assert_eq!(job.priority == Priority::Low, low);
        let slow = matches!(decision, Command::Change(_));
        assert_eq!(job.spec.retry.initial == Duration::from_secs(77), slow);
    }
}
