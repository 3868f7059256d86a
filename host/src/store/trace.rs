//! A store that tells what it did, over any other: each verb that settlement is made of becomes a
//! line with its result and the rows as they stand after it. Tests hold these lines against a model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::job::{Command, DeliveryId, FileStatus, Job, JobId, PluginName, Router, Timestamp};

use super::{
    ActivityRow, AfterFailure, Change, Claim, ClaimDeliveries, ClaimJobs, Counts, DeliveryFilter,
    DeliveryRecord, HandedOver, HoldJobs, JobFilter, JobMatch, JobPage, Lanes, NewJob, ObjectsPage,
    RetentionRule, Run, RunId, SettleResult, Settlement, SinkReport, Store, StoreError, Submitted, Told,
    Verdict, Watched,
};

/// Rows that a line shows; far more than a test makes.
const ROWS: usize = 100_000;

/// A verb and what it said.
#[derive(Clone, Debug)]
pub enum Did {
    /// [`Store::submit`]
    Submitted(JobId),
    /// [`Store::command`], and whether it was allowed.
    Commanded(JobId, Command, bool),
    /// [`Store::claim_jobs`]
    ClaimedJobs(Vec<JobId>),
    /// [`Store::report`], and whether it was allowed.
    Reported(JobId, Command, bool),
    /// [`Store::set_router`], with the renewed plugins.
    Routed(BTreeSet<PluginName>),
    /// [`Store::claim_deliveries`]: which, and whether they are stale.
    ClaimedDeliveries(Vec<(DeliveryId, bool)>),
    /// [`Store::settle`]; `None` is a verdict that was fenced.
    Settled(Settlement, Option<SettleResult>),
    /// [`Store::replay`]
    Replayed(DeliveryFilter),
    /// [`Store::purge`]
    Purged(DeliveryFilter),
}

/// What stands after a verb.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Jobs, oldest first.
    pub jobs: Vec<Job>,
    /// Deliveries, oldest first.
    pub deliveries: Vec<DeliveryRecord>,
}

/// Who hears of each verb, before its caller does.
pub type Listener = Arc<dyn Fn(Did, Standing) + Send + Sync>;

/// Tells its listener of every verb, one at a time.
pub struct TraceStore {
    inner: Arc<dyn Store>,
    listener: Listener,
    /// Held during a verb; true once the host counts as dead.
    gate: tokio::sync::Mutex<bool>,
    dead: Mutex<bool>,
}

impl TraceStore {
    /// A store over `inner` whose verbs `listener` hears of.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, listener: Listener) -> Self {
        Self {
            inner,
            listener,
            gate: tokio::sync::Mutex::new(false),
            dead: Mutex::new(false),
        }
    }

    /// From here the host counts as killed: no verb is begun, and none is answered.
    pub async fn kill(&self) {
        self.die(&mut *self.gate.lock().await);
    }

    /// Whether it was killed, or has committed the record of a FailFast.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.lock().is_ok_and(|dead| *dead)
    }

    fn die(&self, gate: &mut bool) {
        *gate = true;
        if let Ok(mut dead) = self.dead.lock() {
            *dead = true;
        }
    }

    /// What stands now.
    ///
    /// # Errors
    /// The store's.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        let mut jobs = self
            .inner
            .jobs(JobFilter {
                limit: ROWS,
                ..JobFilter::default()
            })
            .await?;
        let filter = DeliveryFilter {
            limit: ROWS,
            ..DeliveryFilter::default()
        };
        let mut deliveries = self.inner.deliveries(filter).await?;
        jobs.reverse();
        deliveries.reverse();
        Ok(Standing { jobs, deliveries })
    }

    async fn traced<T, F>(
        &self,
        verb: F,
        did: impl FnOnce(&Result<T, StoreError>) -> Option<Did>,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut gate = self.gate.lock().await;
        if *gate {
            drop(gate);
            return std::future::pending().await;
        }
        let said = verb.await;
        let Some(did) = did(&said) else { return said };
        let fatal = matches!(&did, Did::Settled(settlement, Some(_)) if settlement.ends_the_host());
        let standing = self.standing().await?;
        (self.listener)(did, standing);
        if fatal {
            // The process ends here.
            self.die(&mut gate);
            drop(gate);
            return std::future::pending().await;
        }
        said
    }
}

impl Settlement {
    /// Whether the process ends once this is committed.
    #[must_use]
    pub fn ends_the_host(&self) -> bool {
        matches!(
            self.verdict,
            Verdict::Failed {
                next: AfterFailure::FailFast { .. },
                ..
            }
        )
    }
}

#[async_trait]
impl Store for TraceStore {
    async fn submit(&self, new: NewJob) -> Result<Submitted, StoreError> {
        let verb = self.inner.submit(new);
        let did = |said: &Result<Submitted, _>| said.as_ref().ok().map(|new| Did::Submitted(new.job.id));
        self.traced(verb, did).await
    }
    async fn submit_many(&self, new: Vec<NewJob>) -> Result<Vec<Submitted>, StoreError> {
        self.inner.submit_many(new).await
    }
    async fn set_lanes(&self, lanes: Arc<Lanes>) -> Result<(), StoreError> {
        self.inner.set_lanes(lanes).await
    }
    async fn keep_activity(&self, activity: ActivityRow) -> Result<(), StoreError> {
        self.inner.keep_activity(activity).await
    }
    async fn activities(&self) -> Result<(Vec<ActivityRow>, BTreeMap<String, u64>), StoreError> {
        self.inner.activities().await
    }
    async fn command(&self, job: JobId, command: Command) -> Result<Job, StoreError> {
        let verb = self.inner.command(job, command.clone());
        let did = |said: &Result<_, _>| Some(Did::Commanded(job, command, said.is_ok()));
        self.traced(verb, did).await
    }
    async fn claim_jobs(&self, ask: ClaimJobs) -> Result<Vec<Run>, StoreError> {
        let did = |said: &Result<Vec<Run>, _>| {
            let runs = said.as_ref().ok()?.iter();
            Some(Did::ClaimedJobs(runs.map(|run| run.job.id).collect()))
        };
        self.traced(self.inner.claim_jobs(ask), did).await
    }
    async fn hold_jobs(&self, ask: HoldJobs) -> Result<bool, StoreError> {
        self.inner.hold_jobs(ask).await
    }

    async fn tell(&self, run: RunId, told: Told) -> Result<Job, StoreError> {
        let command = told.end.clone();
        let verb = self.inner.tell(run, told);
        let did = |said: &Result<_, _>| Some(Did::Reported(run.job, command?, said.is_ok()));
        self.traced(verb, did).await
    }
    async fn hand_over(&self, run: RunId, report: SinkReport) -> Result<HandedOver, StoreError> {
        self.inner.hand_over(run, report).await
    }

    async fn watched(&self, run: RunId) -> Result<Watched, StoreError> {
        self.inner.watched(run).await
    }

    async fn objects(&self, id: JobId, offset: u64, limit: u64) -> Result<ObjectsPage, StoreError> {
        self.inner.objects(id, offset, limit).await
    }

    async fn intents(&self, limit: usize) -> Result<Vec<Job>, StoreError> {
        self.inner.intents(limit).await
    }
    async fn files_completed(&self, job: JobId, indices: Vec<u32>) -> Result<(), StoreError> {
        self.inner.files_completed(job, indices).await
    }
    async fn end_intent(&self, job: JobId, placed: Vec<u32>, end: Command) -> Result<Job, StoreError> {
        let verb = self.inner.end_intent(job, placed, end.clone());
        let did = |said: &Result<_, _>| Some(Did::Commanded(job, end, said.is_ok()));
        self.traced(verb, did).await
    }
    async fn tick(&self, retention: RetentionRule) -> Result<Option<Timestamp>, StoreError> {
        self.inner.tick(retention).await
    }
    async fn set_router(
        &self,
        router: Arc<dyn Router>,
        renewed: BTreeMap<PluginName, Option<String>>,
    ) -> Result<(), StoreError> {
        let names = renewed.keys().cloned().collect();
        let did = |said: &Result<(), _>| said.is_ok().then_some(Did::Routed(names));
        self.traced(self.inner.set_router(router, renewed), did).await
    }
    async fn claim_deliveries(&self, ask: ClaimDeliveries) -> Result<Vec<Claim>, StoreError> {
        let did = |said: &Result<Vec<Claim>, _>| {
            let claims = said.as_ref().ok().filter(|claims| !claims.is_empty())?.iter();
            let named = claims.map(|claim| (claim.delivery.id, claim.stale));
            Some(Did::ClaimedDeliveries(named.collect()))
        };
        self.traced(self.inner.claim_deliveries(ask), did).await
    }
    async fn next_delivery(
        &self,
        serving: BTreeSet<PluginName>,
        after: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_delivery(serving, after).await
    }
    async fn settle(&self, settlement: Settlement) -> Result<SettleResult, StoreError> {
        let verb = self.inner.settle(settlement.clone());
        let did = |said: &Result<SettleResult, StoreError>| match said {
            Ok(result) => Some(Did::Settled(settlement, Some(result.clone()))),
            Err(StoreError::Fenced) => Some(Did::Settled(settlement, None)),
            Err(_) => None,
        };
        self.traced(verb, did).await
    }
    async fn plugin_state(&self, plugin: &PluginName, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.plugin_state(plugin, key).await
    }
    async fn plugin_state_bytes(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        self.inner.plugin_state_bytes(plugin).await
    }
    async fn purge_plugin_state(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        self.inner.purge_plugin_state(plugin).await
    }
    async fn job(&self, id: JobId) -> Result<Job, StoreError> {
        self.inner.job(id).await
    }
    async fn files(&self, id: JobId, offset: u32, limit: u32) -> Result<Vec<FileStatus>, StoreError> {
        self.inner.files(id, offset, limit).await
    }
    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError> {
        self.inner.jobs(filter).await
    }
    async fn jobs_matching(&self, filter: JobFilter, wanted: JobMatch) -> Result<JobPage, StoreError> {
        self.inner.jobs_matching(filter, wanted).await
    }
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.inner.deliveries(filter).await
    }
    async fn delivery(&self, id: DeliveryId) -> Result<DeliveryRecord, StoreError> {
        self.inner.delivery(id).await
    }
    async fn replay(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        let did = Did::Replayed(filter.clone());
        self.traced(self.inner.replay(filter), |said| said.is_ok().then_some(did))
            .await
    }
    async fn purge(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        let did = Did::Purged(filter.clone());
        self.traced(self.inner.purge(filter), |said| said.is_ok().then_some(did))
            .await
    }
    async fn counts(&self) -> Result<Counts, StoreError> {
        self.inner.counts().await
    }
    async fn waiting(&self) -> Result<BTreeMap<PluginName, u64>, StoreError> {
        self.inner.waiting().await
    }
    async fn trouble(&self) -> Option<StoreError> {
        self.inner.trouble().await
    }
    fn damage(&self) -> Option<String> {
        self.inner.damage()
    }
    fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes()
    }
    fn incarnation(&self) -> u64 {
        self.inner.incarnation()
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}
