//! The embedded backend: SQLite in WAL mode, synced on every commit, one writer thread and a few
//! readers beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, broadcast};

use crate::clock::Clock;
use crate::job::{Command, DeliveryId, FileStatus, Job, JobId, JobState, PluginName, Router, Timestamp};

use super::admin::{PIECE, Piece};
use super::claims::FILES_IN_CLAIM;
use super::open::{Opened, open_writer, unusable};
use super::rows::{load_files, load_job};
use super::writer::{DAMAGED, Damage, Done, Work, Writer, keep_plans};
use super::{
    ActivityRow, Change, Claim, ClaimDeliveries, ClaimJobs, Counts, DeliveryFilter, DeliveryRecord,
    HandedOver, HoldJobs, JobFilter, JobMatch, JobPage, Lanes, NewJob, ObjectsPage, RetentionRule, Run,
    RunId, SettleResult, Settlement, SinkReport, Store, StoreError, Submitted, Told, Watched, lanes, list,
    objects, read, tally,
};

/// Changes a watcher may lag behind before it must look for itself.
const CHANGES_KEPT: usize = 4096;

/// Reading connections, all of them kept once they were needed. Opening one costs more than most
/// reads, and each has a cache of its own; a read that finds none free waits for one.
const READERS_MAX: usize = 4;

/// Where the store is and what it is opened with.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The state directory; made with mode 0700 if it is missing.
    pub state_dir: PathBuf,
    /// Where the time comes from.
    pub clock: Clock,
    /// Opens a store on a network file system all the same (J-156).
    pub force: bool,
}

/// The embedded store.
pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Readers>,
    changes: broadcast::Sender<Change>,
    damage: Damage,
    incarnation: u64,
    /// The last start did not close the store.
    unclean: bool,
    /// Held while the store lives: a second host on the directory is refused.
    _lock: File,
}

struct Readers {
    path: PathBuf,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteStore {
    /// Opens or makes the store: lock, version, migration, recovery of what the last start left.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Newer`], or [`StoreError::Unusable`] with what to do.
    pub async fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let path = options.state_dir.join("sexton.db");
        let damage = Damage::default();
        let (sender, noted) = (changes.clone(), damage.clone());
        let opened = tokio::task::spawn_blocking(move || open_writer(&options, sender, noted)).await;
        let Opened {
            writer,
            lock,
            incarnation,
            unclean,
        } = opened.map_err(|why| unusable(&path, &why.to_string()))??;
        let store = Self {
            writer,
            readers: Arc::new(Readers {
                path,
                free: Arc::new(Semaphore::new(READERS_MAX)),
                idle: Mutex::new(Vec::new()),
            }),
            changes,
            damage,
            incarnation,
            unclean,
            _lock: lock,
        };
        store.writer.write(|work| work.recover()).await?;
        Ok(store)
    }

    /// Whether the last start ended without closing the store: a crash, a kill, a FailFast.
    #[must_use]
    pub fn was_unclean(&self) -> bool {
        self.unclean
    }

    /// Runs SQLite's own check over the file; `full` reads every index too.
    ///
    /// # Errors
    /// [`StoreError::Backend`] with what is damaged.
    pub async fn check(&self, full: bool) -> Result<(), StoreError> {
        self.read(move |db| {
            let pragma = if full {
                "PRAGMA integrity_check"
            } else {
                "PRAGMA quick_check"
            };
            let said: String = db.query_row(pragma, [], |row| row.get(0))?;
            if said == "ok" {
                Ok(())
            } else {
                Err(StoreError::Backend(format!("{DAMAGED}: {said}")))
            }
        })
        .await
    }

    async fn read<T, F>(&self, query: F) -> Done<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Done<T> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        // It is never closed.
        let turn = Arc::clone(&readers.free).acquire_owned().await;
        let turn = turn.map_err(|_| StoreError::Closed)?;
        let run = move || {
            let db = readers.take()?;
            let said = query(&db);
            readers.put(db);
            drop(turn);
            said
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(said) => self.damage.noted(said),
            Err(why) => Err(StoreError::Backend(why.to_string())),
        }
    }
}

/// A replay or purge of so many deliveries of a filter after a row.
type Pieces = fn(&mut Work<'_>, &DeliveryFilter, i64, usize) -> Done<Piece>;

impl SqliteStore {
    /// Goes through all that a filter names, with other verbs between the pieces. Each delivery comes
    /// up once, even if it dies again meanwhile.
    async fn in_pieces(&self, filter: DeliveryFilter, verb: Pieces) -> Done<u64> {
        let mut left = match filter.limit {
            0 => usize::MAX,
            limit => limit,
        };
        let (mut after, mut done) = (0, 0);
        while left > 0 {
            let (filter, most) = (filter.clone(), left.min(PIECE));
            let piece = self
                .writer
                .write(move |work| verb(work, &filter, after, most))
                .await?;
            done += piece.done as u64;
            left = left.saturating_sub(piece.done);
            match piece.last {
                Some(last) => after = last,
                None => break,
            }
        }
        Ok(done)
    }
}

impl Readers {
    fn take(&self) -> Done<Connection> {
        let idle = self.idle.lock().map_or(None, |mut idle| idle.pop());
        match idle {
            Some(db) => Ok(db),
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let db = Connection::open_with_flags(&self.path, flags)?;
                db.busy_timeout(std::time::Duration::from_secs(5))?;
                keep_plans(&db)?;
                Ok(db)
            }
        }
    }

    fn put(&self, db: Connection) {
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(db);
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn submit(&self, new: NewJob) -> Result<Submitted, StoreError> {
        self.writer.write(move |work| work.submit(&new)).await
    }

    async fn submit_many(&self, new: Vec<NewJob>) -> Result<Vec<Submitted>, StoreError> {
        self.writer
            .write_many(new.len(), move |work| {
                new.iter().map(|one| work.submit(one)).collect()
            })
            .await
    }

    async fn set_lanes(&self, lanes: Arc<Lanes>) -> Result<(), StoreError> {
        let set = move |work: &mut Work<'_>| {
            *work.lanes = Arc::clone(&lanes);
            Ok(())
        };
        self.writer.write(set).await
    }

    async fn keep_activity(&self, activity: ActivityRow) -> Result<(), StoreError> {
        self.writer.write(move |work| work.keep_activity(&activity)).await
    }

    async fn activities(&self) -> Result<(Vec<ActivityRow>, BTreeMap<String, u64>), StoreError> {
        self.read(|db| Ok((lanes::activities(db)?, tally::waiting_in_lanes(db)?)))
            .await
    }

    async fn command(&self, job: JobId, command: Command) -> Result<Job, StoreError> {
        self.writer.write(move |work| work.command(job, &command)).await
    }

    async fn claim_jobs(&self, ask: ClaimJobs) -> Result<Vec<Run>, StoreError> {
        let mut runs = self.writer.write(move |work| work.claim_jobs(&ask)).await?;
        for run in &mut runs {
            if run.job.progress.files_total > FILES_IN_CLAIM {
                // Nobody but this run changes them.
                run.files = self.files(run.job.id, 0, u32::MAX).await?;
            }
        }
        Ok(runs)
    }

    async fn hold_jobs(&self, ask: HoldJobs) -> Result<bool, StoreError> {
        self.writer.write(move |work| work.hold_jobs(&ask)).await
    }

    async fn tell(&self, run: RunId, told: Told) -> Result<Job, StoreError> {
        self.writer.write(move |work| work.hear(run, &told)).await
    }

    async fn hand_over(&self, run: RunId, report: SinkReport) -> Result<HandedOver, StoreError> {
        self.writer.write(move |work| work.tell_sink(run, &report)).await
    }

    async fn watched(&self, run: RunId) -> Result<Watched, StoreError> {
        self.read(move |db| objects::watched(db, run)).await
    }

    async fn objects(&self, id: JobId, offset: u64, limit: u64) -> Result<ObjectsPage, StoreError> {
        self.read(move |db| objects::page(db, id, offset, limit)).await
    }

    async fn intents(&self, limit: usize) -> Result<Vec<Job>, StoreError> {
        self.read(move |db| read::intents(db, limit)).await
    }

    async fn files_completed(&self, job: JobId, indices: Vec<u32>) -> Result<(), StoreError> {
        self.writer
            .write(move |work| work.files_completed(job, &indices))
            .await
    }

    async fn end_intent(&self, job: JobId, placed: Vec<u32>, end: Command) -> Result<Job, StoreError> {
        self.writer
            .write(move |work| work.end_intent(job, &placed, &end))
            .await
    }

    async fn tick(&self, retention: RetentionRule) -> Result<Option<Timestamp>, StoreError> {
        self.writer.write(move |work| work.tick(retention)).await
    }

    async fn set_router(
        &self,
        router: Arc<dyn Router>,
        renewed: BTreeMap<PluginName, Option<String>>,
    ) -> Result<(), StoreError> {
        self.writer
            .write(move |work| {
                work.replace_router(Arc::clone(&router));
                Ok(())
            })
            .await?;
        for (plugin, digest) in renewed {
            let mut after = None;
            loop {
                let (plugin, digest, from) = (plugin.clone(), digest.clone(), after.take());
                let piece = self
                    .writer
                    .write(move |work| work.renew(&plugin, digest.as_deref(), from.as_ref()));
                after = piece.await?;
                if after.is_none() {
                    break;
                }
            }
        }
        // Before the rows of a new decider are written, its predecessor's are no longer to decide.
        let mut after = 0;
        while let Some(last) = self.writer.write(move |work| work.follow_routing(after)).await? {
            after = last;
        }
        for state in [JobState::Error, JobState::Transferred] {
            let mut after = 0;
            while let Some(last) = self.writer.write(move |work| work.backfill(state, after)).await? {
                after = last;
            }
        }
        Ok(())
    }

    async fn claim_deliveries(&self, ask: ClaimDeliveries) -> Result<Vec<Claim>, StoreError> {
        self.writer.write(move |work| work.claim_deliveries(&ask)).await
    }

    async fn next_delivery(
        &self,
        serving: BTreeSet<PluginName>,
        after: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.writer
            .write(move |work| work.next_delivery(&serving, after))
            .await
    }

    async fn settle(&self, settlement: Settlement) -> Result<SettleResult, StoreError> {
        self.writer.write(move |work| work.settle(&settlement)).await
    }

    async fn plugin_state(&self, plugin: &PluginName, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (plugin, key) = (plugin.clone(), key.to_owned());
        self.read(move |db| read::plugin_state(db, &plugin, &key)).await
    }

    async fn plugin_state_bytes(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        let plugin = plugin.clone();
        self.read(move |db| read::plugin_state_bytes(db, &plugin)).await
    }

    async fn purge_plugin_state(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        let plugin = plugin.clone();
        self.writer
            .write(move |work| work.purge_plugin_state(&plugin))
            .await
    }

    async fn job(&self, id: JobId) -> Result<Job, StoreError> {
        self.read(move |db| load_job(db, id).map(|stored| stored.job))
            .await
    }

    async fn files(&self, id: JobId, offset: u32, limit: u32) -> Result<Vec<FileStatus>, StoreError> {
        self.read(move |db| load_files(db, read::job_seq(db, id)?, offset, limit))
            .await
    }

    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError> {
        self.read(move |db| list::jobs(db, &filter)).await
    }

    async fn jobs_matching(&self, filter: JobFilter, wanted: JobMatch) -> Result<JobPage, StoreError> {
        self.read(move |db| list::jobs_matching(db, &filter, &wanted))
            .await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read(move |db| list::deliveries(db, &filter)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<DeliveryRecord, StoreError> {
        self.read(move |db| read::delivery(db, id)).await
    }

    async fn replay(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        self.in_pieces(filter, |work, filter, after, most| {
            work.replay(filter, after, most)
        })
        .await
    }

    async fn purge(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        self.in_pieces(filter, |work, filter, after, most| {
            work.purge(filter, after, most)
        })
        .await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.read(tally::counts).await
    }

    async fn waiting(&self) -> Result<BTreeMap<PluginName, u64>, StoreError> {
        self.read(tally::waiting).await
    }

    fn damage(&self) -> Option<String> {
        self.damage.seen().map(str::to_owned)
    }

    async fn trouble(&self) -> Option<StoreError> {
        if !self.writer.is_failing() {
            return None;
        }
        self.writer.write(|work| work.note_trouble()).await.err()
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    async fn close(&self) {
        // Not written in time only means one check more at the next start.
        let _ = self.writer.write(|work| work.note_closed()).await;
        self.writer.close().await;
    }
}
