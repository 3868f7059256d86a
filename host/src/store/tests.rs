//! The store through its own trait, on real files, with a simulated clock.

mod after;
mod bare;
mod changes;
mod deliveries;
mod disk;
mod endings;
mod faulty_disk;
mod holds;
mod jobs;
mod lanes;
mod listing;
mod notify;
mod plans;
mod roles;
mod scale;
mod validation;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::job::{
    Code, Command, DeliveryState, ErrorContext, ErrorInfo, EventKind, FailureClass, FailureRecord, FileSpec,
    FileStatus, Intent, Job, JobKind, JobSpec, JobState, Outcome, PluginName, Priority, Profile, Role, Route,
    Router, StateRead, StateWrite, Timestamp,
};

use super::*;

struct Fixed(Vec<(EventKind, &'static str, Role)>);

impl Router for Fixed {
    fn routes(&self, _: &Job, event: EventKind) -> Vec<Route> {
        let matching = self.0.iter().filter(|(kind, ..)| *kind == event);
        matching
            .map(|(_, plugin, role)| Route {
                plugin: plugin.parse().unwrap(),
                role: *role,
            })
            .collect()
    }
}

struct Bench {
    dir: tempfile::TempDir,
    clock: Clock,
    store: Option<SqliteStore>,
}

impl Bench {
    async fn new(routes: &[(EventKind, &'static str, Role)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Timestamp::from_millis(1_700_000_000_000));
        let store = open(dir.path(), &clock).await.unwrap();
        let bench = Self {
            dir,
            clock,
            store: Some(store),
        };
        bench.route(routes, &[]).await;
        bench
    }

    fn store(&self) -> &SqliteStore {
        self.store.as_ref().unwrap()
    }

    async fn route(&self, routes: &[(EventKind, &'static str, Role)], renewed: &[&str]) {
        let renewed = renewed.iter().map(|name| (name.parse().unwrap(), None)).collect();
        self.store()
            .set_router(Arc::new(Fixed(routes.to_vec())), renewed)
            .await
            .unwrap();
    }

    /// What a crash leaves: the files, and no goodbye.
    async fn crash(&mut self) {
        let store = self.store.take().unwrap();
        // The writer thread ends with its queue; only the lock must be free before the next start.
        store.close().await;
        drop(store);
        self.store = Some(open(self.dir.path(), &self.clock).await.unwrap());
    }

    async fn submit(&self) -> Job {
        self.store().submit(new_job()).await.unwrap().job
    }

    async fn run(&self) -> Run {
        self.store().claim_jobs(ask_jobs()).await.unwrap().remove(0)
    }

    /// A job that has failed for good.
    async fn failed(&self) -> Job {
        self.submit().await;
        let run = self.run().await;
        let error = error(403, run.job.attempt, self.clock.now());
        self.store()
            .report(run.id(), Command::FatalError { error })
            .await
            .unwrap()
    }

    async fn claims(&self) -> Vec<Claim> {
        self.store()
            .claim_deliveries(ask_deliveries(&["a", "b"]))
            .await
            .unwrap()
    }

    async fn settle(&self, claim: &Claim, verdict: Verdict) -> Result<SettleResult, StoreError> {
        self.store().settle(settlement(claim, verdict)).await
    }
}

/// Whatever a test has done, the store's numbers and the order of deliveries hold at its end.
impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            bare::assert_sound(&self.dir.path().join("state/sexton.db"));
        }
    }
}

async fn open(dir: &Path, clock: &Clock) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(SqliteOptions {
        state_dir: dir.join("state"),
        clock: clock.clone(),
        force: false,
    })
    .await
}

fn new_job() -> NewJob {
    NewJob {
        owner: "uid-0".parse().unwrap(),
        kind: JobKind::Download,
        priority: Priority::Normal,
        spec: JobSpec::new("x", Profile::Sexton),
        files: vec![FileSpec::new("http://h:1/x", "/tmp/x")],
        key: None,
        suspended: false,
    }
}

/// A job of another family.
fn of_kind(kind: JobKind) -> NewJob {
    NewJob {
        kind,
        files: Vec::new(),
        ..new_job()
    }
}

fn ask_jobs() -> ClaimJobs {
    ClaimJobs {
        background: 8,
        foreground: 8,
        busy_hosts: BTreeMap::new(),
        per_host: 6,
        yielding: Vec::new(),
        holds: Vec::new(),
        batch: 4,
        queries: 4,
        lease: Duration::from_secs(30),
        ..ClaimJobs::default()
    }
}

fn ask_deliveries(plugins: &[&str]) -> ClaimDeliveries {
    ClaimDeliveries {
        limit: 100,
        serving: plugins.iter().map(|name| name.parse().unwrap()).collect(),
        busy: BTreeMap::new(),
        per_pair: 4,
        lease: Duration::from_secs(30),
    }
}

fn busy(plugin: &str, calls: usize) -> BTreeMap<(crate::job::OwnerName, PluginName), usize> {
    [(("uid-0".parse().unwrap(), plugin.parse().unwrap()), calls)].into()
}

fn settlement(claim: &Claim, verdict: Verdict) -> Settlement {
    Settlement {
        delivery: claim.delivery.id,
        attempt: claim.delivery.attempt,
        revision: claim.job.revision,
        digest: "d".to_owned(),
        state_reads: Vec::new(),
        verdict,
    }
}

fn acknowledged(requests: Vec<Command>) -> Verdict {
    Verdict::Acknowledged {
        requests,
        state_writes: Vec::new(),
    }
}

fn failed(class: FailureClass, claim: &Claim, next: AfterFailure) -> Verdict {
    let record = FailureRecord {
        class,
        code: Code::FAIL,
        message: "no".into(),
        last_words: String::new(),
        frames: Vec::new(),
        limit: None,
        peak_memory: 0,
        digest: "d".into(),
        attempt: claim.delivery.attempt,
        at: Timestamp::default(),
        duration: Duration::ZERO,
        retry_after: None,
    };
    Verdict::Failed {
        record: Box::new(record),
        next,
    }
}

fn error(status: u16, attempt: u32, at: Timestamp) -> ErrorInfo {
    ErrorInfo {
        code: Code::http(status),
        context: ErrorContext::RemoteFile,
        description: "no".into(),
        file: None,
        protocol: Some("http".into()),
        leg: None,
        attempt,
        at,
        extended: None,
    }
}

fn resume() -> Command {
    Command::Resume {
        after: Duration::ZERO,
        at: Timestamp::default(),
    }
}

const DECIDES: (EventKind, &str, Role) = (EventKind::JobError, "a", Role::Decider);
