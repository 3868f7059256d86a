//! A host in this process over a store that fails as told, and a round of everything it is asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sexton::api::client::{Client, ClientError};
use sexton::api::request::{
    DeliveryQuery, DeliverySelection, FileRequest, JobQuery, PageQuery, SubmitRequest,
};
use sexton::api::view::{DeliveryState, EventKind, JobId, JobKind, JobState, Outcome};
use sexton::app::{HostOptions, Started, start_over};
use sexton::clock::Clock;
use sexton::config::{Config, Overrides};
use sexton::job::Timestamp;
use sexton::store::{
    DeliveryFilter, DeliveryRecord, Fault, FaultStore, JobFilter, SqliteOptions, SqliteStore, Store, Verb,
};
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::PATIENCE;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;
use tokio::runtime::Runtime;

/// Simulated time goes by a hundred times as fast as the machine's.
const TICK: (Duration, Duration) = (Duration::from_millis(400), Duration::from_millis(4));

/// More than there ever is.
const ALL: usize = 10_000;

/// The jobs of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Good,
    /// 503 at first.
    Busy,
    /// 404 at first; its handler resumes it.
    Resumed,
    /// Its handler does not want to hear of its end.
    Unheard,
}

/// A level that nobody uses is stopped, so that the store is asked who is held.
fn config(round: u64) -> String {
    format!(
        r#"
[transfer.bandwidth]
low = "0"

[plugin.counter]
config = {{ mood = "ledger" }}
limits = {{ deadline = "30s" }}
[plugin.resumer]
config = {{ "mood.job-error" = "ledger", then = "resume" }}
limits = {{ deadline = "30s" }}
[plugin.grump]
config = {{ "mood.on-ended" = "permanent", round = {round} }}
on_failure = "dead-letter"
[[subscribe]]
plugin = "counter"
events = ["on-ended"]
"#
    )
}

pub(super) struct Scene {
    pub(super) store: Arc<FaultStore>,
    inner: Arc<SqliteStore>,
    client: Client,
    web: Web,
    /// The folder; no child of its own runs.
    host: TestHost,
    started: Started,
    rounds: AtomicU64,
    accepted: Mutex<BTreeMap<JobId, (Kind, u64)>>,
    runtime: Runtime,
}

impl Scene {
    pub(super) fn start() -> Self {
        let host = crate::host(&config(0));
        for name in ["counter", "resumer", "grump"] {
            host.plugin(name, guests::bytes(MOODY));
        }
        let runtime = Runtime::new().unwrap();
        let clock = Clock::simulated(Timestamp::from_millis(1_700_000_000_000));
        let config = Config::load(Some(&host.path("sexton.toml")), &|_| None, &Overrides::default()).unwrap();
        let options = SqliteOptions {
            state_dir: config.host.state_dir.clone(),
            clock: clock.clone(),
            force: false,
        };
        let inner = Arc::new(runtime.block_on(SqliteStore::open(options)).unwrap());
        let store = Arc::new(FaultStore::on(clock.clone(), Arc::<SqliteStore>::clone(&inner)));
        let options = HostOptions {
            config,
            ignore_handler_failures: false,
            compiler: env!("CARGO_BIN_EXE_sexton-under-test").into(),
            clock: clock.clone(),
            hurry: Default::default(),
        };
        let over: Arc<dyn Store> = Arc::<FaultStore>::clone(&store);
        let started = runtime.block_on(start_over(over, options)).unwrap();
        let time = clock.clone();
        runtime.spawn(async move {
            loop {
                time.advance(TICK.0);
                tokio::time::sleep(TICK.1).await;
            }
        });
        for name in ["counter", "resumer", "grump"] {
            host.wait_serving(name);
        }
        Self {
            store,
            inner,
            client: Client::new(host.path("control.sock")),
            web: Web::start(),
            host,
            started,
            rounds: AtomicU64::new(0),
            accepted: Mutex::default(),
            runtime,
        }
    }

    /// Everything that a host is asked, once; what fails is asked again. `what` is said if it never ends.
    pub(super) fn round(&self, fault: Fault, what: &str) {
        let round = async { tokio::time::timeout(PATIENCE, self.ask_everything(fault)).await };
        if self.runtime.block_on(round).is_err() {
            let jobs = self.runtime.block_on(self.inner.jobs(JobFilter::default()));
            panic!("{what}: it never ended\n{:#?}\n{jobs:#?}", self.deliveries());
        }
    }

    /// Waits until `verb` has failed as often as it was to.
    pub(super) fn wait_faults(&self, verb: Verb) {
        let asked = async {
            while self.store.left(verb) > 0 {
                // Some verbs nobody needs but who asks how the host is.
                self.client.status().await.unwrap();
                tokio::time::sleep(TICK.1).await;
            }
        };
        let waited = async { tokio::time::timeout(PATIENCE, asked).await };
        assert!(
            self.runtime.block_on(waited).is_ok(),
            "{verb} was not asked often enough"
        );
    }

    /// Asks until the store does it. The host must say that it was the store.
    async fn ask<T, F: Future<Output = Result<T, ClientError>>>(&self, question: impl Fn(Client) -> F) -> T {
        loop {
            match question(self.client.clone()).await {
                Ok(answer) => return answer,
                Err(ClientError::Refused { problem, .. }) => {
                    assert!(problem.message.contains("the store failed"), "{problem:?}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn request(&self, kind: Kind, round: u64) -> SubmitRequest {
        let serve = Behaviour::Serve(Remote::new(content(kind, round)));
        let first = |status| vec![Behaviour::Status(status, Vec::new()), serve.clone()];
        let behaviour = match kind {
            Kind::Good | Kind::Unheard => serve.clone(),
            Kind::Busy => Behaviour::Sequence(first(503)),
            Kind::Resumed => Behaviour::Sequence(first(404)),
        };
        let name = format!("{kind:?}-{round}");
        let file = FileRequest::new(
            self.web.route(&format!("/{name}"), behaviour),
            self.host.path(&name).to_str().unwrap(),
        );
        SubmitRequest {
            name: Some(name.clone()),
            handler: match kind {
                Kind::Good | Kind::Busy => None,
                Kind::Resumed => Some("resumer".parse().unwrap()),
                Kind::Unheard => Some("grump".parse().unwrap()),
            },
            key: Some(name),
            ..SubmitRequest::new(JobKind::Download, vec![file])
        }
    }

    /// Submits until it is answered: not before it is stored, and not refused although it is.
    async fn submit(&self, kinds: &[Kind], round: u64, fault: Fault) -> Vec<JobId> {
        let requests: Vec<_> = kinds.iter().map(|kind| self.request(*kind, round)).collect();
        let answers = self
            .ask(async |client| {
                let said = match requests.as_slice() {
                    [one] => client.submit(one).await.map(|answer| vec![answer]),
                    many => client.submit_many(many).await,
                };
                if said.is_err() && fault != Fault::After {
                    let jobs = self
                        .inner
                        .jobs(JobFilter {
                            limit: ALL,
                            ..JobFilter::default()
                        })
                        .await
                        .unwrap();
                    let stored =
                        |key: &Option<String>| jobs.iter().any(|job| Some(&job.spec.name) == key.as_ref());
                    assert!(
                        !requests.iter().any(|one| stored(&one.key)),
                        "refused, and stored"
                    );
                }
                said
            })
            .await;
        let mut ids = Vec::new();
        for (kind, answer) in kinds.iter().zip(answers) {
            assert!(
                self.inner.job(answer.job.id).await.is_ok(),
                "answered, and not stored"
            );
            self.accepted
                .lock()
                .unwrap()
                .insert(answer.job.id, (*kind, round));
            ids.push(answer.job.id);
        }
        ids
    }

    async fn ask_everything(&self, fault: Fault) {
        let round = self.rounds.fetch_add(1, Ordering::SeqCst) + 1;
        let mut ids = self.submit(&[Kind::Good], round, fault).await;
        ids.extend(
            self.submit(&[Kind::Busy, Kind::Resumed, Kind::Unheard], round, fault)
                .await,
        );
        // Another configuration, and with it another routing.
        self.host.configure(&config(round));
        self.ask(async |client| client.reload().await).await;
        for id in &ids {
            while self.ask(async |client| client.job(*id).await).await.state != JobState::Acknowledged {
                tokio::time::sleep(TICK.1).await;
            }
            self.ask(async |client| client.files(*id, PageQuery::default()).await)
                .await;
            self.settled(*id).await;
        }
        self.ask(async |client| client.jobs(&JobQuery::default()).await)
            .await;
        self.bury(ids[3]).await;
        let grump = "grump".parse().unwrap();
        self.ask(async |client| client.purge_plugin(&grump).await).await;
    }

    async fn list(&self, job: JobId) -> Vec<DeliveryRecord> {
        let query = DeliveryQuery {
            job: Some(job),
            ..DeliveryQuery::default()
        };
        self.ask(async |client| client.deliveries(&query).await)
            .await
            .deliveries
    }

    async fn settled(&self, job: JobId) {
        while !self
            .list(job)
            .await
            .iter()
            .all(|delivery| delivery.state.is_over())
        {
            tokio::time::sleep(TICK.1).await;
        }
    }

    /// The dead letter of a job is made again, and dropped when it is dead again.
    async fn bury(&self, job: JobId) {
        let is_dead = |delivery: &DeliveryRecord| delivery.state == DeliveryState::Dead;
        let dead = self
            .list(job)
            .await
            .into_iter()
            .find(is_dead)
            .expect("one is dead")
            .id;
        // By job and plugin: with none left, as after a purge whose answer was lost, that is no error.
        let selection = DeliverySelection {
            job: Some(job),
            plugin: Some("grump".parse().unwrap()),
            ..DeliverySelection::default()
        };
        self.ask(async |client| client.replay(&selection).await).await;
        loop {
            let again = self.ask(async |client| client.delivery(dead).await).await;
            if is_dead(&again) && again.attempt > 1 {
                break;
            }
            tokio::time::sleep(TICK.1).await;
        }
        self.ask(async |client| client.purge(&selection).await).await;
    }

    fn deliveries(&self) -> Vec<DeliveryRecord> {
        let all = DeliveryFilter {
            limit: ALL,
            ..DeliveryFilter::default()
        };
        self.runtime.block_on(self.inner.deliveries(all)).unwrap()
    }

    /// The books agree: every job once, ended well; every event told once; every ledger exact.
    pub(super) fn check(&self, what: &str) {
        let accepted = self.accepted.lock().unwrap().clone();
        let all = JobFilter {
            limit: ALL,
            ..JobFilter::default()
        };
        let jobs = self.runtime.block_on(self.inner.jobs(all)).unwrap();
        assert_eq!(jobs.len(), accepted.len(), "{what}: jobs");
        let deliveries = self.deliveries();
        for job in &jobs {
            let (kind, round) = accepted[&job.id];
            assert_eq!(job.outcome, Some(Outcome::Succeeded), "{what}: {job:#?}");
            let file = std::fs::read(self.host.path(format!("{kind:?}-{round}"))).unwrap();
            assert!(file == content(kind, round), "{what}: another file");
            let told = |plugin: &str, event| {
                let of_job = deliveries
                    .iter()
                    .filter(|one| one.job == job.id && one.event == event);
                of_job.filter(|one| one.plugin.as_str() == plugin).count()
            };
            assert_eq!(told("counter", EventKind::OnEnded), 1, "{what}: {job:#?}");
            let errors = usize::from(kind == Kind::Resumed);
            assert_eq!(told("resumer", EventKind::JobError), errors, "{what}: {job:#?}");
        }
        for (plugin, event) in [("counter", EventKind::OnEnded), ("resumer", EventKind::JobError)] {
            let mut count = 0;
            for one in deliveries
                .iter()
                .filter(|one| one.plugin.as_str() == plugin && one.event == event)
            {
                assert_eq!(one.state, DeliveryState::Settled, "{what}: {one:#?}");
                assert_eq!(
                    self.booked(plugin, &format!("seen/{}", one.id)),
                    1,
                    "{what}: {one:#?}"
                );
                count += 1;
            }
            assert_eq!(self.booked(plugin, "count"), count, "{what}: {plugin}");
        }
    }

    fn booked(&self, plugin: &str, key: &str) -> u64 {
        let plugin = plugin.parse().unwrap();
        let value = self
            .runtime
            .block_on(self.inner.plugin_state(&plugin, key))
            .unwrap();
        value.map_or(0, |value| String::from_utf8(value).unwrap().parse().unwrap())
    }

    /// Drains.
    pub(super) fn end(self) {
        self.runtime.block_on(self.started.drain());
    }
}

fn content(kind: Kind, round: u64) -> Vec<u8> {
    format!("{kind:?} {round}").into_bytes()
}
