//! What a runner is: the one seam between the scheduler and the kinds of work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::job::{ErrorInfo, FileStatus, Job, Outcome, PluginName, StateWrite};
use crate::store::{
    Change, FileCheckpoint, HandedOver, PluginWrites, Run, RunId, SinkReport, Store, StoreError, Watched,
};

use super::owed::Owed;
use super::{Quota, Throttle};

/// Wait before something is told to a store that failed again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// How a run ended, as its runner sees it. The scheduler turns it into the law's command.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEnd {
    /// Everything is fetched, sent or run.
    Finished,
    /// It may pass.
    Transient {
        /// What went wrong.
        error: ErrorInfo,
        /// The other side's wish.
        retry_after: Option<Duration>,
    },
    /// It will not pass.
    Fatal {
        /// What went wrong.
        error: ErrorInfo,
    },
    /// It was asked to stop and has; what it reached is durable.
    Stopped,
    /// It was asked to stop and has, and cannot go on from where it was.
    Interrupted {
        /// What that means where nothing else was decided meanwhile.
        error: ErrorInfo,
    },
}

/// The run was taken away: its runner ends without a further word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// One kind of work.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Runs a claimed job to its end or until [`RunControl::stop`] fires.
    async fn run(&self, run: Run, control: RunControl) -> RunEnd;

    /// Carries out `complete`: makes what is whole visible and drops the rest. Called again after a
    /// crash, so every step must be harmless when repeated; the control is told of files that are at
    /// their destinations.
    ///
    /// # Errors
    /// An error object in context `local-file`; the scheduler tries again, then gives up.
    async fn complete(
        &self,
        job: &Job,
        files: &[FileStatus],
        control: &IntentControl,
    ) -> Result<Outcome, ErrorInfo>;

    /// Carries out `cancel`: deletes everything of the job. May be called again.
    ///
    /// # Errors
    /// As for [`Runner::complete`].
    async fn cancel(&self, job: &Job, files: &[FileStatus], control: &IntentControl)
    -> Result<(), ErrorInfo>;

    /// How long a cancel that fails is tried again before the job ends all the same: where it undoes
    /// something elsewhere that cannot be reached (B-46). `None` for work that only the machine itself
    /// can hinder: a few tries, then the job goes to `error`.
    fn cancel_patience(&self, _job: &Job) -> Option<Duration> {
        None
    }

    /// The end of a run is committed, and this is how the job stands now.
    async fn ended(&self, _job: &Job) {}
}

/// What a runner may use of the engine.
#[derive(Clone)]
pub struct RunControl {
    run: RunId,
    store: Arc<dyn Store>,
    /// Where the time comes from.
    pub clock: Clock,
    /// Fires when the run should make what it has durable and return [`RunEnd::Stopped`].
    pub stop: CancellationToken,
    /// What is paid for every byte that is moved.
    pub throttle: Throttle,
    /// What the job may have in all, where it has a cap.
    pub quota: Option<Arc<Quota>>,
    /// Whether a later run could go on from here.
    pub(super) resumable: Arc<AtomicBool>,
    /// What goes with what is told next.
    pub(super) owed: Arc<Owed>,
}

impl RunControl {
    /// The control of one run.
    #[must_use]
    pub fn new(
        run: &Run,
        store: Arc<dyn Store>,
        clock: Clock,
        stop: CancellationToken,
        throttle: Throttle,
    ) -> Self {
        let cap = run.job.spec.transfer().limits.max_bytes;
        Self {
            run: run.id(),
            store,
            clock,
            stop,
            throttle,
            quota: cap.map(|most| Arc::new(Quota::new(most, &run.files))),
            resumable: Arc::new(AtomicBool::new(true)),
            owed: Arc::new(Owed::new(&run.files)),
        }
    }

    /// Says whether a later run could go on with what is being worked on: what it would have to begin
    /// again keeps its slot beyond its time slice.
    pub fn set_resumable(&self, resumable: bool) {
        self.resumable.store(resumable, Ordering::Relaxed);
    }

    /// What a component wrote to its state: it is committed with the end of the run if that is
    /// [`RunEnd::Finished`], else forgotten.
    pub fn keep_writes(&self, plugin: PluginName, writes: Vec<StateWrite>) {
        if !writes.is_empty() {
            self.owed.wrote(PluginWrites { plugin, writes });
        }
    }

    /// The other side answered and bytes flow (B-23): the job's error object vanishes.
    ///
    /// # Errors
    /// [`Stopped`] when the run was taken away.
    pub async fn connected(&self) -> Result<(), Stopped> {
        self.connected_soon();
        let told = self.owed.take(None);
        self.keep_trying(|| self.store.tell(self.run, told.clone()))
            .await
            .map(drop)
    }

    /// The same where bytes follow at once: it is told with their checkpoint, or with the end of the run.
    pub fn connected_soon(&self) {
        self.owed.connected();
    }

    /// Whether something waits for the next word of this run.
    #[must_use]
    pub fn owes(&self) -> bool {
        self.owed.any()
    }

    /// The last word of this run on its last file: recorded together with the end of the run. Sync its
    /// data first.
    pub fn conclude(&self, file: FileStatus) {
        self.owed.checkpoint(file.into());
    }

    /// Records what is durable of one file. Sync its data first.
    ///
    /// # Errors
    /// [`Stopped`] when the run was taken away.
    pub async fn checkpoint(&self, file: FileStatus) -> Result<(), Stopped> {
        self.checkpoint_all(file.into()).await
    }

    /// The same with how much of the job's reply is here.
    ///
    /// # Errors
    /// [`Stopped`] when the run was taken away.
    pub async fn checkpoint_all(&self, checkpoint: FileCheckpoint) -> Result<(), Stopped> {
        self.owed.checkpoint(checkpoint);
        let told = self.owed.take(None);
        self.keep_trying(|| self.store.tell(self.run, told.clone()))
            .await
            .map(drop)
    }

    /// Hands on what a query found.
    ///
    /// # Errors
    /// [`Stopped`] when the run was taken away.
    pub async fn hand_over(&self, report: &SinkReport) -> Result<HandedOver, Stopped> {
        self.keep_trying(|| self.store.hand_over(self.run, report.clone()))
            .await
    }

    /// What a watch found last.
    ///
    /// # Errors
    /// [`Stopped`] when the run was taken away.
    pub async fn watched(&self) -> Result<Watched, Stopped> {
        self.keep_trying(|| self.store.watched(self.run)).await
    }

    /// Committed changes from now on.
    #[must_use]
    pub fn changes(&self) -> Receiver<Change> {
        self.store.changes()
    }

    /// The job as it stands now: its submitter may have changed it since the run began.
    ///
    /// # Errors
    /// [`Stopped`] when the run was taken away.
    pub async fn job(&self) -> Result<Job, Stopped> {
        self.keep_trying(|| self.store.job(self.run.job)).await
    }

    /// A store that fails for a while (a full disk, J-154) must not end the work: nothing is
    /// acknowledged meanwhile, and the run goes on when it is mended.
    async fn keep_trying<T, F>(&self, mut verb: impl FnMut() -> F) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match verb().await {
                Ok(value) => return Ok(value),
                Err(StoreError::Backend(why)) => {
                    tracing::error!(job = %self.run.job, "progress cannot be recorded: {why}");
                    let retry = self.clock.now().after(STORE_RETRY);
                    tokio::select! {
                        () = self.clock.sleep_until(retry) => {}
                        () = self.stop.cancelled() => return Err(Stopped),
                    }
                }
                Err(_) => return Err(Stopped),
            }
        }
    }
}

/// What the file work of an intent may use of the engine.
pub struct IntentControl {
    store: Arc<dyn Store>,
    /// Where the time comes from.
    pub clock: Clock,
    placed: Mutex<Vec<u32>>,
}

impl IntentControl {
    /// Intent work over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            placed: Mutex::default(),
        }
    }

    /// Files are at their destinations: recorded together with the end of the file work.
    pub fn placed(&self, indices: impl IntoIterator<Item = u32>) {
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        placed.extend(indices);
    }

    /// Records now what is at its destination: where much is still to come. A store that fails for a
    /// while (J-154) is waited for: the file work is done, and no reason to give the job up.
    ///
    /// # Errors
    /// The store's, when it would not record it.
    pub async fn record_placed(&self, job: &Job) -> Result<(), StoreError> {
        let placed = self.take_placed();
        loop {
            match self.store.files_completed(job.id, placed.clone()).await {
                Err(StoreError::Backend(why)) => {
                    tracing::error!(job = %job.id, "completed files cannot be recorded: {why}");
                    self.clock.sleep_until(self.clock.now().after(STORE_RETRY)).await;
                }
                answered => return answered,
            }
        }
    }

    pub(super) fn take_placed(&self) -> Vec<u32> {
        std::mem::take(&mut *self.placed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
