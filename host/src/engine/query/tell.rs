//! Handing over what was found: the provider waits for slow handlers, but not for ever (W-81, W-84).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use crate::engine::RunControl;
use crate::engine::runner::Stopped;
use crate::job::{ObjectBatch, ObjectChange, PluginName, QueryProgress, SinkEvent, Timestamp, Value};
use crate::store::{Change, HandedOver, SinkReport, WatchChange};

/// Progress is told no more often (W-16); the latest wins.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// A look at handlers that were full, should no change be heard of.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What is told in one run.
pub(super) struct Teller {
    control: RunControl,
    run: u32,
    index: u32,
    keep_most: u64,
    drop_after: Duration,
    /// Since when each handler has had too much before it.
    slow: BTreeMap<PluginName, Timestamp>,
    objects: u64,
    /// When progress was last told; none where nobody asked.
    progress: Option<Timestamp>,
}

impl Teller {
    pub(super) fn new(
        control: &RunControl,
        run: u32,
        keep_most: u64,
        drop_after: Duration,
        progress: bool,
    ) -> Self {
        Self {
            control: control.clone(),
            run,
            index: 0,
            keep_most,
            drop_after,
            slow: BTreeMap::new(),
            objects: 0,
            progress: progress.then(Timestamp::default),
        }
    }

    /// Objects of a query that is asked once.
    pub(super) async fn objects(
        &mut self,
        columns: Vec<String>,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), Stopped> {
        if rows.is_empty() && self.index > 0 {
            return Ok(());
        }
        self.objects += rows.len() as u64;
        let batch = ObjectBatch {
            run: self.run,
            index: 0,
            change: ObjectChange::Result,
            columns,
            rows,
        };
        self.batch(batch, None).await?;
        let progress = QueryProgress {
            total: None,
            done: self.objects,
            message: "objects found".to_owned(),
        };
        self.progress(progress).await
    }

    /// A batch, with what a watch remembers with it.
    pub(super) async fn batch(
        &mut self,
        mut batch: ObjectBatch,
        watch: Option<WatchChange>,
    ) -> Result<(), Stopped> {
        batch.index = self.index;
        self.index += 1;
        let mut report = SinkReport {
            watch,
            ..self.report(SinkEvent::Objects(batch))
        };
        // Heard from before the first try, so that no settlement falls between the two.
        let mut changes = self.control.changes();
        loop {
            match self.control.hand_over(&report).await? {
                HandedOver::Taken(missed) => {
                    self.slow.retain(|plugin, _| missed.contains(plugin));
                    return Ok(());
                }
                HandedOver::Full(full) => {
                    let now = self.control.clock.now();
                    self.slow.retain(|plugin, _| full.contains(plugin));
                    for plugin in full {
                        self.slow.entry(plugin).or_insert(now);
                    }
                    report.too_slow = self.too_slow(now);
                    if report.too_slow.is_empty() {
                        self.wait(&mut changes, now).await?;
                        report.too_slow = self.too_slow(self.control.clock.now());
                    } else if report.too_slow.len() < self.slow.len() {
                        self.wait(&mut changes, now).await?;
                    }
                }
            }
        }
    }

    fn too_slow(&self, now: Timestamp) -> BTreeSet<PluginName> {
        let late = self
            .slow
            .iter()
            .filter(|(_, since)| now.since(**since) >= self.drop_after);
        late.map(|(plugin, _)| plugin.clone()).collect()
    }

    /// Until a delivery is settled or the time of the first slow handler is over.
    async fn wait(
        &self,
        changes: &mut tokio::sync::broadcast::Receiver<Change>,
        now: Timestamp,
    ) -> Result<(), Stopped> {
        let over = self
            .slow
            .values()
            .map(|since| since.after(self.drop_after))
            .filter(|over| *over > now);
        let until = over
            .min()
            .unwrap_or(now.after(LOOK_AGAIN))
            .min(now.after(LOOK_AGAIN));
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(Change::Deliveries) | Err(RecvError::Lagged(_)) => return Ok(()),
                    Ok(Change::Job { .. } | Change::Forgotten { .. }) => {}
                    Err(RecvError::Closed) => return Err(Stopped),
                },
                () = self.control.clock.sleep_until(until) => return Ok(()),
                () = self.control.stop.cancelled() => return Err(Stopped),
            }
        }
    }

    /// How far it is, where somebody asked for that.
    pub(super) async fn progress(&mut self, progress: QueryProgress) -> Result<(), Stopped> {
        let now = self.control.clock.now();
        let due = self
            .progress
            .is_some_and(|last| now.since(last) >= PROGRESS_EVERY);
        if !due {
            return Ok(());
        }
        self.progress = Some(now);
        self.send(self.report(SinkEvent::Progress(progress))).await
    }

    /// Something was stored.
    pub(super) async fn put(&self, path: String) -> Result<(), Stopped> {
        self.send(self.report(SinkEvent::Put(path))).await
    }

    /// There was more than the limit lets through.
    pub(super) async fn partial(&self) -> Result<(), Stopped> {
        let nothing = ObjectBatch {
            run: self.run,
            index: self.index,
            change: ObjectChange::Result,
            columns: Vec::new(),
            rows: Vec::new(),
        };
        let report = SinkReport {
            partial: true,
            // Nothing is handed over, so nobody is too slow for it.
            keep_most: 0,
            ..self.report(SinkEvent::Objects(nothing))
        };
        self.send(report).await
    }

    async fn send(&self, report: SinkReport) -> Result<(), Stopped> {
        self.control.hand_over(&report).await.map(drop)
    }

    fn report(&self, event: SinkEvent) -> SinkReport {
        SinkReport {
            event,
            too_slow: BTreeSet::new(),
            partial: false,
            keep_most: self.keep_most,
            watch: None,
        }
    }
}
