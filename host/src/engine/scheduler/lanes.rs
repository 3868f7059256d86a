//! When calls of batch work may begin: activities that are paused or outside of their hours (C-86), and
//! memory that is short (C-56). Such calls stay queued; nothing of them is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::watch;

use crate::engine::memory::{FREE_MIN, MemoryProbe};
use crate::job::{Activities, Family, Hours, Timestamp};
use crate::store::{lane, slot_group};

use super::Engine;

/// How long one look at the memory holds.
const LOOK: Duration = Duration::from_secs(1);

/// Which lanes are closed, and whether any call may begin.
pub(super) struct LaneGate {
    pub(super) activities: watch::Receiver<Arc<Activities>>,
    pub(super) memory: Option<MemoryProbe>,
    closed: Arc<BTreeSet<String>>,
    /// When the memory was looked at, and whether it was short.
    looked: Option<(Timestamp, bool)>,
}

impl LaneGate {
    pub(super) fn new(activities: watch::Receiver<Arc<Activities>>) -> Self {
        Self {
            activities,
            memory: None,
            closed: Arc::default(),
            looked: None,
        }
    }

    /// Looks at pauses and hours anew. Returns when an hour may open or close next.
    pub(super) fn refresh(&mut self, now: Timestamp) -> Option<Timestamp> {
        let activities = Arc::clone(&self.activities.borrow_and_update());
        let zone = TimeZone::system();
        let (mut closed, mut next) = (BTreeSet::new(), None::<Timestamp>);
        for (name, activity) in activities.iter() {
            let (open, change) = Hours::any_open(&activity.spec.window, now, &zone);
            if activity.paused || !open {
                closed.insert(lane(name));
            }
            next = next.into_iter().chain(change).min();
        }
        self.closed = Arc::new(closed);
        next
    }

    pub(super) fn closed(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.closed)
    }

    /// Whether too little memory is left for another call.
    fn is_short(&mut self, now: Timestamp) -> bool {
        let Some(memory) = &self.memory else {
            return false;
        };
        if let Some((_, short)) = self.looked.filter(|(at, _)| now.since(*at) < LOOK) {
            return short;
        }
        let free = memory();
        let short = free.is_some_and(|free| free < FREE_MIN);
        let was = self.looked.is_some_and(|(_, short)| short);
        if short && !was {
            let percent = free.unwrap_or(0.0) * 100.0;
            tracing::warn!(
                event = 4830,
                "no batch job begins: {percent:.1} % of the memory is free, less than {:.0} %",
                FREE_MIN * 100.0
            );
        } else if was && !short {
            tracing::info!("there is memory again; batch jobs begin");
        }
        self.looked = Some((now, short));
        short
    }
}

impl Engine {
    /// Slots of a pool in which nothing runs, or is about to. What was asked to stop still takes its own
    /// until it has.
    pub(super) fn free(&self, family: Family, slots: usize) -> usize {
        let running = self.running.values().filter(|one| one.family == family);
        let waiting = self
            .waiting
            .values()
            .filter(|run| run.job.kind.family() == family);
        slots.saturating_sub(running.count() + waiting.count())
    }

    /// Free slots of batch work: none while memory is short. Then it is looked at again in a moment.
    pub(super) fn free_for_calls(&mut self) -> usize {
        let free = self.free(Family::Batch, self.settings.batch_slots);
        let now = self.clock.now();
        if free == 0 || !self.conditions.lanes.is_short(now) {
            return free;
        }
        let again = now.after(LOOK);
        let next = self.conditions.next_change;
        self.conditions.next_change = Some(next.map_or(again, |next| next.min(again)));
        0
    }

    /// Running calls by lane.
    pub(super) fn busy_lanes(&self) -> BTreeMap<String, usize> {
        let running = self.running.values();
        let running = running.filter(|one| one.family == Family::Batch && !one.host.is_empty());
        let waiting = self.waiting.values().map(|run| &run.job);
        let waiting = waiting.filter(|job| job.kind.family() == Family::Batch);
        let waiting = waiting.map(|job| slot_group(job.kind, &job.spec, None));
        let mut busy = BTreeMap::new();
        for lane in running.map(|one| one.host.clone()).chain(waiting) {
            *busy.entry(lane).or_insert(0) += 1;
        }
        busy
    }
}
