//! A store that fails on purpose, over any other: for tests of everything above it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::job::words;
use crate::job::{Command, DeliveryId, FileStatus, Job, JobId, PluginName, Router, Timestamp};

use super::writer::FULL;
use super::{
    ActivityRow, Change, Claim, ClaimDeliveries, ClaimJobs, Counts, DeliveryFilter, DeliveryRecord,
    HandedOver, HoldJobs, JobFilter, JobMatch, JobPage, Lanes, NewJob, ObjectsPage, RetentionRule, Run,
    RunId, SettleResult, Settlement, SinkReport, Store, StoreError, Submitted, Told, Watched,
};

words! {
    /// A verb that can be made to fail: every one that answers.
    Verb {
        /// [`Store::submit`]
        Submit = "submit",
        /// [`Store::submit_many`]
        SubmitMany = "submit-many",
        /// [`Store::set_lanes`]
        SetLanes = "set-lanes",
        /// [`Store::keep_activity`]
        KeepActivity = "keep-activity",
        /// [`Store::activities`]
        Activities = "activities",
        /// [`Store::command`] and [`Store::end_intent`]
        Command = "command",
        /// [`Store::claim_jobs`]
        ClaimJobs = "claim-jobs",
        /// [`Store::hold_jobs`]
        HoldJobs = "hold-jobs",
        /// [`Store::report`] and [`Store::tell`]
        Report = "report",
        /// [`Store::checkpoint`], and what [`Store::tell`] has of it
        Checkpoint = "checkpoint",
        /// [`Store::hand_over`]
        HandOver = "hand-over",
        /// [`Store::watched`]
        Watched = "watched",
        /// [`Store::objects`]
        Objects = "objects",
        /// [`Store::intents`]
        Intents = "intents",
        /// [`Store::files_completed`], and what [`Store::end_intent`] has of it
        FileCompleted = "file-completed",
        /// [`Store::tick`]
        Tick = "tick",
        /// [`Store::set_router`]
        SetRouter = "set-router",
        /// [`Store::claim_deliveries`]
        ClaimDeliveries = "claim-deliveries",
        /// [`Store::next_delivery`]
        NextDelivery = "next-delivery",
        /// [`Store::settle`]
        Settle = "settle",
        /// [`Store::plugin_state`]
        PluginState = "plugin-state",
        /// [`Store::plugin_state_bytes`]
        PluginStateBytes = "plugin-state-bytes",
        /// [`Store::purge_plugin_state`]
        PurgePluginState = "purge-plugin-state",
        /// [`Store::job`]
        Job = "job",
        /// [`Store::files`]
        Files = "files",
        /// [`Store::jobs`]
        Jobs = "jobs",
        /// [`Store::deliveries`]
        Deliveries = "deliveries",
        /// [`Store::delivery`]
        Delivery = "delivery",
        /// [`Store::replay`]
        Replay = "replay",
        /// [`Store::purge`]
        Purge = "purge",
        /// [`Store::counts`]
        Counts = "counts",
        /// [`Store::waiting`]
        Waiting = "waiting",
    }
}

/// How a verb fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and changes nothing.
    Before,
    /// It is done, but its caller is told that it failed.
    After,
    /// It takes this long first.
    Slow(Duration),
    /// As [`Fault::Before`], in the words of a full disk.
    Full,
    /// As [`Fault::Before`], in the words of a broken one.
    Io,
}

/// Fails as told, then is mended.
pub struct FaultStore {
    inner: Arc<dyn Store>,
    clock: Clock,
    plan: Mutex<BTreeMap<Verb, (Fault, u32)>>,
}

impl FaultStore {
    /// A sound store over `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self::on(Clock::real(), inner)
    }

    /// The same with a clock of its own for what is slow.
    #[must_use]
    pub fn on(clock: Clock, inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            clock,
            plan: Mutex::new(BTreeMap::new()),
        }
    }

    /// The next `times` calls of `verb` fail so.
    pub fn fail(&self, verb: Verb, fault: Fault, times: u32) {
        if let Ok(mut plan) = self.plan.lock() {
            plan.insert(verb, (fault, times));
        }
    }

    /// Nothing fails any more.
    pub fn mend(&self) {
        if let Ok(mut plan) = self.plan.lock() {
            plan.clear();
        }
    }

    /// How many faults of `verb` have not happened yet.
    #[must_use]
    pub fn left(&self, verb: Verb) -> u32 {
        let plan = self.plan.lock().ok();
        plan.and_then(|plan| plan.get(&verb).map(|(_, left)| *left))
            .unwrap_or(0)
    }

    fn next(&self, verb: Verb) -> Option<Fault> {
        let mut plan = self.plan.lock().ok()?;
        let (fault, left) = plan.get_mut(&verb)?;
        *left = left.checked_sub(1)?;
        Some(*fault)
    }

    async fn through<T, F>(&self, verb: Verb, call: F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
        T: Send,
    {
        let fault = self.next(verb);
        match fault {
            None => call.await,
            Some(Fault::Before) => Err(StoreError::Backend(format!("{verb} was made to fail before"))),
            Some(Fault::After) => {
                call.await?;
                Err(StoreError::Backend(format!("{verb} was made to fail after")))
            }
            Some(Fault::Slow(delay)) => {
                self.clock.sleep_until(self.clock.now().after(delay)).await;
                call.await
            }
            Some(Fault::Full) => Err(StoreError::Backend(FULL.to_owned())),
            Some(Fault::Io) => Err(StoreError::Backend("disk I/O error".to_owned())),
        }
    }
}

#[async_trait]
impl Store for FaultStore {
    async fn submit(&self, new: NewJob) -> Result<Submitted, StoreError> {
        self.through(Verb::Submit, self.inner.submit(new)).await
    }
    async fn submit_many(&self, new: Vec<NewJob>) -> Result<Vec<Submitted>, StoreError> {
        self.through(Verb::SubmitMany, self.inner.submit_many(new)).await
    }
    async fn set_lanes(&self, lanes: Arc<Lanes>) -> Result<(), StoreError> {
        self.through(Verb::SetLanes, self.inner.set_lanes(lanes)).await
    }
    async fn keep_activity(&self, activity: ActivityRow) -> Result<(), StoreError> {
        self.through(Verb::KeepActivity, self.inner.keep_activity(activity))
            .await
    }
    async fn activities(&self) -> Result<(Vec<ActivityRow>, BTreeMap<String, u64>), StoreError> {
        self.through(Verb::Activities, self.inner.activities()).await
    }
    async fn command(&self, job: JobId, command: Command) -> Result<Job, StoreError> {
        self.through(Verb::Command, self.inner.command(job, command))
            .await
    }
    async fn claim_jobs(&self, ask: ClaimJobs) -> Result<Vec<Run>, StoreError> {
        self.through(Verb::ClaimJobs, self.inner.claim_jobs(ask)).await
    }
    async fn hold_jobs(&self, ask: HoldJobs) -> Result<bool, StoreError> {
        self.through(Verb::HoldJobs, self.inner.hold_jobs(ask)).await
    }

    async fn tell(&self, run: RunId, told: Told) -> Result<Job, StoreError> {
        let files = !told.files.is_empty();
        let reports = told.connected || told.end.is_some();
        let call = self.inner.tell(run, told);
        match (files, reports) {
            (true, true) => {
                let call = self.through(Verb::Report, call);
                self.through(Verb::Checkpoint, call).await
            }
            (true, false) => self.through(Verb::Checkpoint, call).await,
            (false, _) => self.through(Verb::Report, call).await,
        }
    }
    async fn hand_over(&self, run: RunId, report: SinkReport) -> Result<HandedOver, StoreError> {
        self.through(Verb::HandOver, self.inner.hand_over(run, report))
            .await
    }

    async fn watched(&self, run: RunId) -> Result<Watched, StoreError> {
        self.through(Verb::Watched, self.inner.watched(run)).await
    }

    async fn objects(&self, id: JobId, offset: u64, limit: u64) -> Result<ObjectsPage, StoreError> {
        self.through(Verb::Objects, self.inner.objects(id, offset, limit))
            .await
    }

    async fn intents(&self, limit: usize) -> Result<Vec<Job>, StoreError> {
        self.through(Verb::Intents, self.inner.intents(limit)).await
    }
    async fn files_completed(&self, job: JobId, indices: Vec<u32>) -> Result<(), StoreError> {
        self.through(Verb::FileCompleted, self.inner.files_completed(job, indices))
            .await
    }
    async fn end_intent(&self, job: JobId, placed: Vec<u32>, end: Command) -> Result<Job, StoreError> {
        let files = !placed.is_empty();
        let call = self.through(Verb::Command, self.inner.end_intent(job, placed, end));
        if files {
            self.through(Verb::FileCompleted, call).await
        } else {
            call.await
        }
    }
    async fn tick(&self, retention: RetentionRule) -> Result<Option<Timestamp>, StoreError> {
        self.through(Verb::Tick, self.inner.tick(retention)).await
    }
    async fn set_router(
        &self,
        router: Arc<dyn Router>,
        renewed: BTreeMap<PluginName, Option<String>>,
    ) -> Result<(), StoreError> {
        self.through(Verb::SetRouter, self.inner.set_router(router, renewed))
            .await
    }
    async fn claim_deliveries(&self, ask: ClaimDeliveries) -> Result<Vec<Claim>, StoreError> {
        self.through(Verb::ClaimDeliveries, self.inner.claim_deliveries(ask))
            .await
    }
    async fn next_delivery(
        &self,
        serving: BTreeSet<PluginName>,
        after: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.through(Verb::NextDelivery, self.inner.next_delivery(serving, after))
            .await
    }
    async fn settle(&self, settlement: Settlement) -> Result<SettleResult, StoreError> {
        self.through(Verb::Settle, self.inner.settle(settlement)).await
    }
    async fn plugin_state(&self, plugin: &PluginName, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.through(Verb::PluginState, self.inner.plugin_state(plugin, key))
            .await
    }
    async fn plugin_state_bytes(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        self.through(Verb::PluginStateBytes, self.inner.plugin_state_bytes(plugin))
            .await
    }
    async fn purge_plugin_state(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        self.through(Verb::PurgePluginState, self.inner.purge_plugin_state(plugin))
            .await
    }
    async fn job(&self, id: JobId) -> Result<Job, StoreError> {
        self.through(Verb::Job, self.inner.job(id)).await
    }
    async fn files(&self, id: JobId, offset: u32, limit: u32) -> Result<Vec<FileStatus>, StoreError> {
        self.through(Verb::Files, self.inner.files(id, offset, limit))
            .await
    }
    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError> {
        self.through(Verb::Jobs, self.inner.jobs(filter)).await
    }
    async fn jobs_matching(&self, filter: JobFilter, wanted: JobMatch) -> Result<JobPage, StoreError> {
        self.through(Verb::Jobs, self.inner.jobs_matching(filter, wanted))
            .await
    }
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.through(Verb::Deliveries, self.inner.deliveries(filter))
            .await
    }
    async fn delivery(&self, id: DeliveryId) -> Result<DeliveryRecord, StoreError> {
        self.through(Verb::Delivery, self.inner.delivery(id)).await
    }
    async fn replay(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        self.through(Verb::Replay, self.inner.replay(filter)).await
    }
    async fn purge(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        self.through(Verb::Purge, self.inner.purge(filter)).await
    }
    async fn counts(&self) -> Result<Counts, StoreError> {
        self.through(Verb::Counts, self.inner.counts()).await
    }
    async fn waiting(&self) -> Result<BTreeMap<PluginName, u64>, StoreError> {
        self.through(Verb::Waiting, self.inner.waiting()).await
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
