//! The scene of these tests: a store in a temporary directory, a clock that is moved by hand, and a
//! dispatcher over scripted handlers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::{DispatchSettings, Dispatcher, Handlers, Policies};
use super::scripted::{Scripted, Seen, failure};
pub(super) use crate::clock::until;
use crate::clock::{Clock, POLL, POLLS};
use crate::config::PluginConfig;
use crate::fail_fast::{Children, Ending, FailFast};
use crate::job::{
    Code, Command, DeliveryState, ErrorContext, ErrorInfo, EventKind, FailureClass, FileSpec, Job, JobId,
    JobKind, JobSpec, Policy, Priority, Profile, Role, Route, Router, Timestamp,
};
use crate::store::{
    AfterFailure, ClaimDeliveries, ClaimJobs, DeliveryFilter, DeliveryRecord, FaultStore, NewJob, Settlement,
    SqliteOptions, SqliteStore, Stage, Store, Verdict,
};

/// Every plugin hears of these events; the first decides.
struct Everyone(Vec<(EventKind, &'static str)>);

impl Router for Everyone {
    fn routes(&self, _: &Job, event: EventKind) -> Vec<Route> {
        let matching = self.0.iter().filter(|(kind, _)| *kind == event);
        let roles = std::iter::once(Role::Decider).chain(std::iter::repeat(Role::Observer));
        matching
            .zip(roles)
            .map(|((_, plugin), role)| Route {
                plugin: plugin.parse().unwrap(),
                role,
            })
            .collect()
    }
}

pub(super) struct Scene {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: Clock,
    pub(super) store: Arc<FaultStore>,
    pub(super) handlers: Arc<Scripted>,
    pub(super) policies: Policies,
    pub(super) settings: DispatchSettings,
    pub(super) ending: Ending,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Scene {
    /// `a` serves `job-error` and is subscribed to it.
    pub(super) async fn one() -> Self {
        let scene = Self::new(&[(EventKind::JobError, "a")]).await;
        scene.handlers.serve("a", &[EventKind::JobError], false);
        scene
    }

    pub(super) async fn new(routes: &[(EventKind, &'static str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Timestamp::from_millis(1_700_000_000_000));
        let options = SqliteOptions {
            state_dir: dir.path().join("state"),
            clock: clock.clone(),
            force: false,
        };
        let store = SqliteStore::open(options).await.unwrap();
        let routes = Everyone(routes.to_vec());
        store
            .set_router(Arc::new(routes), std::collections::BTreeMap::new())
            .await
            .unwrap();
        Self {
            dir,
            handlers: Arc::new(Scripted::new(&clock)),
            clock,
            store: Arc::new(FaultStore::new(Arc::new(store))),
            policies: Policies::new(BTreeMap::new(), 2),
            settings: DispatchSettings {
                calls: 64,
                calls_per_plugin: 4,
                drain: Duration::from_secs(20),
            },
            ending: Ending::Abort,
            stop: CancellationToken::new(),
            task: None,
        }
    }

    /// `a` has this policy.
    pub(super) fn with_policy(mut self, policy: Policy) -> Self {
        self.policies = policies(Some(policy), &[]);
        self
    }

    pub(super) fn start(&mut self) {
        self.task = Some(tokio::spawn(self.dispatcher().run(self.stop.clone())));
    }

    /// The dispatcher, for a runtime of its own.
    pub(super) fn dispatcher(&self) -> Dispatcher {
        Dispatcher::new(
            Arc::clone(&self.store) as Arc<dyn Store>,
            Arc::clone(&self.handlers) as Arc<dyn Handlers>,
            Arc::new(RwLock::new(self.policies.clone())),
            self.clock.clone(),
            self.settings,
            FailFast {
                ending: self.ending,
                report_dir: self.dir.path().join("reports"),
                children: Children::default(),
            },
        )
    }

    /// Asks the dispatcher to end; [`Scene::ended`] waits for it.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) async fn ended(&mut self) {
        self.task.take().unwrap().await.unwrap();
    }

    /// A job that has failed for good; its handlers are due.
    pub(super) async fn failed(&self) -> Job {
        self.failed_with(JobSpec::new("x", Profile::Sexton)).await
    }

    pub(super) async fn failed_with(&self, spec: JobSpec) -> Job {
        let new = NewJob {
            owner: "uid-0".parse().unwrap(),
            kind: JobKind::Download,
            priority: Priority::Normal,
            spec,
            files: vec![FileSpec::new("http://h:1/x", "/tmp/x")],
            key: None,
            suspended: false,
        };
        self.store.submit(new).await.unwrap();
        self.fails().await
    }

    /// The next runnable job fails for good.
    pub(super) async fn fails(&self) -> Job {
        let ask = ClaimJobs {
            background: 1,
            foreground: 0,
            busy_hosts: BTreeMap::new(),
            per_host: 100,
            yielding: Vec::new(),
            holds: Vec::new(),
            batch: 0,
            queries: 0,
            lease: Duration::from_secs(30),
            ..ClaimJobs::default()
        };
        let run = self.store.claim_jobs(ask).await.unwrap().remove(0);
        let error = ErrorInfo {
            code: Code::http(403),
            context: ErrorContext::RemoteFile,
            description: "no".into(),
            file: None,
            protocol: None,
            leg: None,
            attempt: run.job.attempt,
            at: self.clock.now(),
            extended: None,
        };
        self.store
            .report(run.id(), Command::FatalError { error })
            .await
            .unwrap()
    }

    /// An earlier start has called `plugin`, which failed; it is called again at `due`.
    pub(super) async fn failed_before(&self, plugin: &str, due: Timestamp) {
        let ask = ClaimDeliveries {
            limit: 1,
            serving: [plugin.parse().unwrap()].into(),
            busy: BTreeMap::new(),
            per_pair: 1,
            lease: Duration::from_secs(30),
        };
        let claim = self.store.claim_deliveries(ask).await.unwrap().remove(0);
        let settlement = Settlement {
            delivery: claim.delivery.id,
            attempt: claim.delivery.attempt,
            revision: claim.job.revision,
            digest: "d".to_owned(),
            state_reads: Vec::new(),
            verdict: Verdict::Failed {
                record: failure(FailureClass::Trap, claim.delivery.attempt, None),
                next: AfterFailure::Retry {
                    due,
                    stage: Stage::Handler,
                },
            },
        };
        self.store.settle(settlement).await.unwrap();
        // Changes are told after their verb is answered: with the next verb's answer they are told.
        let told = self.store.next_delivery(BTreeSet::new(), due).await;
        assert_eq!(told.unwrap(), None);
    }

    /// The deliveries of `job`, oldest first.
    pub(super) async fn deliveries(&self, job: JobId) -> Vec<DeliveryRecord> {
        let filter = DeliveryFilter {
            job: Some(job),
            ..DeliveryFilter::default()
        };
        let mut found = self.store.deliveries(filter).await.unwrap();
        found.reverse();
        found
    }

    /// The first delivery of `job`, once it is so.
    pub(super) async fn delivery(
        &self,
        job: JobId,
        what: &str,
        so: impl Fn(&DeliveryRecord) -> bool,
    ) -> DeliveryRecord {
        let mut last = None;
        for _ in 0..POLLS {
            let first = self.deliveries(job).await.swap_remove(0);
            if so(&first) {
                return first;
            }
            last = Some(first);
            tokio::time::sleep(POLL).await;
        }
        panic!("never {what}: {last:?}")
    }

    /// The delivery once attempt `attempt` of it is over and the next is due.
    pub(super) async fn waits(&self, job: JobId, attempt: u32) -> DeliveryRecord {
        let what = format!("waiting after attempt {attempt}");
        self.delivery(job, &what, |one| {
            one.state == DeliveryState::Pending && one.attempt == attempt
        })
        .await
    }

    pub(super) async fn is(&self, job: JobId, state: DeliveryState) -> DeliveryRecord {
        self.delivery(job, state.as_str(), |one| one.state == state).await
    }

    /// Moves the clock to just before `due`, then to it.
    pub(super) async fn go_to(&self, due: Timestamp) {
        let left = due.since(self.clock.now());
        let moment = Duration::from_millis(1);
        self.clock.advance(left.saturating_sub(moment));
        // Whoever would be too early has a turn now.
        self.store.counts().await.unwrap();
        self.clock.advance(left.min(moment));
    }

    pub(super) async fn calls(&self, count: usize) -> Vec<Seen> {
        until("called", || self.handlers.calls().len() >= count).await;
        self.handlers.calls()
    }
}

/// Policies in which `a` has `all`, and `by_class` where a class differs.
pub(super) fn policies(all: Option<Policy>, by_class: &[(FailureClass, Policy)]) -> Policies {
    let config = PluginConfig {
        on_failure: all,
        on: by_class.iter().cloned().collect(),
        ..PluginConfig::default()
    };
    Policies::new([("a".parse().unwrap(), config)].into(), 2)
}

pub(super) fn resume() -> Command {
    Command::Resume {
        after: Duration::ZERO,
        at: Timestamp::default(),
    }
}

pub(super) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
