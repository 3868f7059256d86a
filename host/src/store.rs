//! The store room: the only owner of durable state. Engine and dispatch meet only here.
//!
//! [`Store`] speaks of jobs and deliveries, not of SQL. [`SqliteStore`] is the embedded backend; a
//! multi-host backend comes behind the same trait, which is why claims carry owner, incarnation
//! and expiry. [`FaultStore`] and [`TraceStore`] wrap any backend for tests.

mod admin;
mod after;
mod backfill;
mod calls;
mod change;
mod claims;
mod destinations;
mod fault;
mod finally;
mod holds;
mod jobs;
mod journal;
mod lanes;
mod list;
mod matching;
mod objects;
mod open;
mod order;
mod outbox;
mod read;
mod recover;
mod register;
mod roles;
mod rows;
mod schema;
mod settle;
mod shown;
mod sqlite;
mod sweep;
mod tally;
mod timers;
mod trace;
mod types;
mod validate;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::job::{Command, DeliveryId, FileStatus, Job, JobId, PluginName, Router, Timestamp};

pub use claims::Yielding;
pub use fault::{Fault, FaultStore, Verb};
pub use holds::{Hold, HoldJobs, is_loopback};
pub use jobs::remote_host;
pub use lanes::{Lanes, lane, slot_group};
pub use matching::{JobMatch, JobPage};
pub use objects::{HandedOver, ObjectsPage, SinkReport, WatchChange, Watched};
pub use shown::{ShownPlugin, open_shown};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use trace::{Did, Listener, Standing, TraceStore};
pub use types::{
    ActivityRow, AfterFailure, Change, Claim, ClaimDeliveries, ClaimJobs, Counts, DeliveryFilter,
    DeliveryRecord, FileCheckpoint, JobFilter, NewJob, PluginWrites, RetentionRule, Run, RunId, SettleResult,
    Settlement, Stage, StoreError, Submitted, Told, Verdict,
};

/// Durable state. Every method that changes something returns only after its commit is durable.
///
/// # Errors
/// All methods: [`StoreError::Backend`] when the backend failed and nothing was changed. Those that
/// name a job or delivery: [`StoreError::NotFound`]. Others as said.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Accepts a job. With a key that its owner used before, returns the first job instead.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the owner has too many open jobs (B-16), [`StoreError::Rejected`] when
    /// the queue of its activity is full (C-05).
    async fn submit(&self, new: NewJob) -> Result<Submitted, StoreError>;

    /// Accepts many jobs in one transaction: all or none.
    ///
    /// # Errors
    /// As [`Store::submit`].
    async fn submit_many(&self, new: Vec<NewJob>) -> Result<Vec<Submitted>, StoreError>;

    /// Replaces what the lanes of batch work are: how wide, in which order, how long a queue.
    async fn set_lanes(&self, lanes: Arc<Lanes>) -> Result<(), StoreError>;

    /// Keeps an activity that was made or paused while the host runs.
    async fn keep_activity(&self, activity: ActivityRow) -> Result<(), StoreError>;

    /// The activities that are kept, and how many calls wait in each lane there is.
    async fn activities(&self) -> Result<(Vec<ActivityRow>, BTreeMap<String, u64>), StoreError>;

    /// Puts a command of a person or handler through the law.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the law's words.
    async fn command(&self, job: JobId, command: Command) -> Result<Job, StoreError>;

    /// Takes runnable jobs: each goes through [`Command::Start`].
    async fn claim_jobs(&self, ask: ClaimJobs) -> Result<Vec<Run>, StoreError>;

    /// Brings waiting jobs in line with the conditions that hold transfers, in bounded pieces: whom a
    /// condition no longer holds goes on, whom one holds goes to `transient-error`, uncounted. What
    /// runs is its runner's. Returns whether there is more to do.
    async fn hold_jobs(&self, ask: HoldJobs) -> Result<bool, StoreError>;

    /// Puts a runner's command through the law, fenced by the run (J-28).
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer the job's: the runner stops.
    async fn report(&self, run: RunId, command: Command) -> Result<Job, StoreError> {
        self.tell(run, Told::end(command)).await
    }

    /// Records what is durable of one file, fenced by the run.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] as for [`Store::report`].
    async fn checkpoint(&self, run: RunId, file: FileCheckpoint) -> Result<(), StoreError> {
        let files = vec![file];
        let told = Told {
            files,
            ..Told::default()
        };
        self.tell(run, told).await.map(drop)
    }

    /// Records what a run tells at once, as [`Store::checkpoint`] and [`Store::report`] would one after the
    /// other, with what components wrote to their state: all or nothing. Returns the job as it then is.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] as for [`Store::report`].
    async fn tell(&self, run: RunId, told: Told) -> Result<Job, StoreError>;

    /// Hands on what a query found, fenced by the run: the objects, their deliveries and their counts are
    /// one transaction.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] as for [`Store::report`].
    async fn hand_over(&self, run: RunId, report: SinkReport) -> Result<HandedOver, StoreError>;

    /// What a watch found last.
    async fn watched(&self, run: RunId) -> Result<Watched, StoreError>;

    /// Objects of a query that are kept, at most `limit` from `offset`.
    async fn objects(&self, id: JobId, offset: u64, limit: u64) -> Result<ObjectsPage, StoreError>;

    /// Jobs with file work to do.
    async fn intents(&self, limit: usize) -> Result<Vec<Job>, StoreError>;

    /// Records that files of a job under completion are at their destinations.
    async fn files_completed(&self, job: JobId, indices: Vec<u32>) -> Result<(), StoreError>;

    /// The same together with how the file work ended.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the law's words; then nothing is recorded.
    async fn end_intent(&self, job: JobId, placed: Vec<u32>, end: Command) -> Result<Job, StoreError>;

    /// Fires timers that are due: retries, inactivity, retention. Returns when the next is.
    async fn tick(&self, retention: RetentionRule) -> Result<Option<Timestamp>, StoreError>;

    /// Replaces the routing, and writes the deliveries that jobs now in `error` or `transferred`
    /// lack under it (B-103): in pieces, with other verbs between them. Cut off or failed in between,
    /// it is simply called again; no row is written twice. Waiting deliveries of `renewed` plugins
    /// become due now: all of them, or with a digest those that were last tried with another component.
    async fn set_router(
        &self,
        router: Arc<dyn Router>,
        renewed: BTreeMap<PluginName, Option<String>>,
    ) -> Result<(), StoreError>;

    /// Takes due deliveries; one transaction counts all their attempts.
    async fn claim_deliveries(&self, ask: ClaimDeliveries) -> Result<Vec<Claim>, StoreError>;

    /// When the next pending delivery of these plugins is due that was not yet due at `after`: the
    /// time read *before* a claim that found nothing, so that none falls between the two.
    async fn next_delivery(
        &self,
        serving: BTreeSet<PluginName>,
        after: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Ends an attempt: acknowledgement, requests and state writes in one transaction, or the failure
    /// with what follows it.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the attempt is no longer the delivery's.
    async fn settle(&self, settlement: Settlement) -> Result<SettleResult, StoreError>;

    /// One value of a plugin's state.
    async fn plugin_state(&self, plugin: &PluginName, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// How many bytes of state a plugin has, keys and values together.
    async fn plugin_state_bytes(&self, plugin: &PluginName) -> Result<u64, StoreError>;

    /// Forgets all state of a plugin.
    async fn purge_plugin_state(&self, plugin: &PluginName) -> Result<u64, StoreError>;

    /// One job.
    async fn job(&self, id: JobId) -> Result<Job, StoreError>;

    /// A job's files in order, at most `limit` from `offset`.
    async fn files(&self, id: JobId, offset: u32, limit: u32) -> Result<Vec<FileStatus>, StoreError>;

    /// Jobs, newest first.
    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError>;

    /// Jobs of a filter that fit, newest first: a bounded look, which the next call goes on with.
    async fn jobs_matching(&self, filter: JobFilter, wanted: JobMatch) -> Result<JobPage, StoreError>;

    /// Deliveries, newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryRecord>, StoreError>;

    /// One delivery with its attempts.
    async fn delivery(&self, id: DeliveryId) -> Result<DeliveryRecord, StoreError>;

    /// Makes dead or parked deliveries due again, with a fresh count of tries; the id stays. In pieces,
    /// like [`Store::purge`].
    async fn replay(&self, filter: DeliveryFilter) -> Result<u64, StoreError>;

    /// Drops dead or parked deliveries for good, and pending ones where the filter names that state.
    async fn purge(&self, filter: DeliveryFilter) -> Result<u64, StoreError>;

    /// How many jobs and deliveries there are, by state.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Pending deliveries by plugin.
    async fn waiting(&self) -> Result<BTreeMap<PluginName, u64>, StoreError>;

    /// Damage of the stored data that was met since the start: it is not mended by itself.
    fn damage(&self) -> Option<String>;

    /// Why nothing can be committed, if so. Costs nothing while commits succeed; after one that failed,
    /// another is tried.
    async fn trouble(&self) -> Option<StoreError> {
        None
    }

    /// Committed changes from now on. A receiver that lags is told so and looks for itself.
    fn changes(&self) -> broadcast::Receiver<Change>;

    /// This start's number, which fences claims of earlier ones.
    fn incarnation(&self) -> u64;

    /// Commits what is queued and stops accepting.
    async fn close(&self);
}
