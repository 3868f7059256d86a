//! The store of a host that has ended, and what must be true of it whatever it did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sexton::api::view::{DeliveryState, EventKind, JobId};
use sexton::clock::Clock;
use sexton::job::{Job, PluginName};
use sexton::store::{DeliveryFilter, DeliveryRecord, JobFilter, SqliteOptions, SqliteStore, Store};

/// More than any run has.
const ALL: usize = 100_000;

/// The store of a host that has ended.
pub(crate) struct Books {
    pub(crate) jobs: Vec<Job>,
    pub(crate) deliveries: Vec<DeliveryRecord>,
    store: SqliteStore,
    runtime: tokio::runtime::Runtime,
}

impl Books {
    pub(crate) fn open(dir: &Path) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options = SqliteOptions {
            state_dir: dir.join("state"),
            clock: Clock::real(),
            force: false,
        };
        let store = runtime.block_on(SqliteStore::open(options)).unwrap();
        assert!(!store.was_unclean(), "the last host ended in order");
        let (jobs, deliveries) = runtime.block_on(async {
            let jobs = JobFilter {
                limit: ALL,
                ..JobFilter::default()
            };
            let deliveries = DeliveryFilter {
                limit: ALL,
                ..DeliveryFilter::default()
            };
            (
                store.jobs(jobs).await.unwrap(),
                store.deliveries(deliveries).await.unwrap(),
            )
        });
        assert!(jobs.len().max(deliveries.len()) < ALL, "all were read");
        Self {
            jobs,
            deliveries,
            store,
            runtime,
        }
    }

    /// What a plugin counts under a key.
    pub(crate) fn state(&self, plugin: &str, key: &str) -> usize {
        let plugin: PluginName = plugin.parse().unwrap();
        let value = self
            .runtime
            .block_on(self.store.plugin_state(&plugin, key))
            .unwrap();
        value.map_or(0, |value| String::from_utf8(value).unwrap().parse().unwrap())
    }

    /// No accepted job is lost, and none is invented.
    pub(crate) fn has_just(&self, answered: &BTreeSet<JobId>) {
        let stored: BTreeSet<JobId> = self.jobs.iter().map(|job| job.id).collect();
        let lost: Vec<_> = answered.difference(&stored).collect();
        let invented: Vec<_> = stored.difference(answered).collect();
        assert!(
            lost.is_empty() && invented.is_empty(),
            "lost {lost:?}, invented {invented:?}"
        );
        assert_eq!(self.jobs.len(), answered.len());
    }

    /// Every delivery was acknowledged: none was parked or buried.
    pub(crate) fn all_is_settled(&self) {
        for delivery in &self.deliveries {
            assert_eq!(delivery.state, DeliveryState::Settled, "{delivery:#?}");
            assert_eq!(delivery.result.as_deref(), Some("acknowledged"), "{delivery:#?}");
        }
    }

    /// What a plugin in the mood `ledger` booked was committed once for every delivery of these events,
    /// whatever the number of calls. Says how many there were.
    pub(crate) fn the_ledger_is_exact(&self, plugin: &str, booked: &[EventKind]) -> usize {
        let mut count = 0;
        for delivery in &self.deliveries {
            if delivery.plugin.as_str() == plugin && booked.contains(&delivery.event) {
                let seen = self.state(plugin, &format!("seen/{}", delivery.id));
                assert_eq!(seen, 1, "bookings of {delivery:#?}");
                count += 1;
            }
        }
        assert_eq!(self.state(plugin, "count"), count, "the count of {plugin}");
        count
    }

    /// The history of events has neither gaps nor repetitions.
    pub(crate) fn the_history_is_whole(&self) {
        let mut events: BTreeMap<u64, (&str, JobId, EventKind)> = BTreeMap::new();
        for delivery in &self.deliveries {
            let event = (delivery.event_id.as_str(), delivery.job, delivery.event);
            let known = events.entry(delivery.seq).or_insert(event);
            assert_eq!(*known, event, "two events have number {}", delivery.seq);
        }
        let ids: BTreeSet<&str> = events.values().map(|event| event.0).collect();
        assert_eq!(ids.len(), events.len(), "event ids are unique");
        let last = events.keys().next_back().copied().unwrap_or_default();
        assert_eq!(events.len() as u64, last, "numbers from 1 without a gap");
    }
}
