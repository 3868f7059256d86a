//! What must be true at the end, held against the host's own store, the disk, the server's books and
//! the receiver's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sexton::api::view::{EventKind, JobId};
use sexton_tests::receiver::Receiver;
use sexton_tests::server::Request;
use sexton_tests::web::Web;

use super::books::Books;
use super::plan::{Item, Plan, STRIKES};

/// What a crash may cost (P9).
const REFETCHED_MAX: u64 = 8 << 20;

/// Bytes in the buffers of a connection: sent by the server, and never seen by the host that died.
const IN_SOCKETS_MAX: u64 = 1 << 20;

impl Books {
    /// No accepted job is lost, none is invented, each ended as its plan says.
    pub(super) fn jobs_ended_as_planned(&self, accepted: &BTreeMap<JobId, Item>) {
        self.has_just(&accepted.keys().copied().collect());
        for job in &self.jobs {
            let item = &accepted[&job.id];
            assert_eq!(job.outcome, Some(item.outcome()), "{item:?}: {job:#?}");
            assert_eq!(job.spec.context, item.number.to_string(), "{job:#?}");
        }
    }

    /// Every event that must have been raised was, once per entry and handler; every delivery is
    /// settled, and none was parked or buried.
    pub(super) fn every_event_was_told_once(&self, accepted: &BTreeMap<JobId, Item>) {
        let mut told: BTreeMap<(JobId, EventKind, String), usize> = BTreeMap::new();
        self.all_is_settled();
        for delivery in &self.deliveries {
            let key = (delivery.job, delivery.event, delivery.plugin.to_string());
            *told.entry(key).or_default() += 1;
        }
        for (id, item) in accepted {
            for event in EventKind::ALL.iter().copied() {
                let range = item.raises(event);
                let counts: Vec<usize> = item
                    .hears(event)
                    .into_iter()
                    .map(|plugin| told.remove(&(*id, event, plugin.to_owned())).unwrap_or(0))
                    .collect();
                let same = counts.windows(2).all(|pair| pair[0] == pair[1]);
                let fits = counts.iter().all(|count| range.contains(count));
                assert!(
                    same && fits,
                    "{event:?} of {item:?} was told {counts:?}, not {range:?}"
                );
            }
        }
        assert!(told.is_empty(), "nobody asked to hear {told:?}");
    }

    /// What handlers wrote was committed once for every delivery, whatever the number of calls.
    pub(super) fn the_ledgers_are_exact(&self, accepted: &BTreeMap<JobId, Item>) {
        for (plugin, booked) in [
            ("counter", &[EventKind::OnEnded, EventKind::JobError][..]),
            ("resumer", &[EventKind::JobError]),
            ("striker", &[EventKind::JobError]),
            ("completer", &[EventKind::JobError, EventKind::JobTransferred]),
        ] {
            let count = self.the_ledger_is_exact(plugin, booked);
            assert!(count > 0, "{plugin} had something to do");
        }
        for item in accepted.values().filter(|item| item.plan == Plan::Struck) {
            let strikes = self.state("striker", &format!("strikes/{}", item.number));
            assert_eq!(strikes, STRIKES, "{item:?}");
        }
    }

    /// Outside the host, every end was heard under one id: the one in the store.
    pub(super) fn receivers_saw_stable_ids(&self, receiver: &Receiver) -> usize {
        let stored: BTreeSet<String> = self
            .deliveries
            .iter()
            .filter(|delivery| delivery.plugin.as_str() == "webhook")
            .map(|delivery| delivery.id.to_string())
            .collect();
        let posts = receiver.posts();
        // A death in the middle of a request leaves one that says nothing.
        let heard: BTreeSet<String> = posts
            .iter()
            .filter_map(|post| post.header("idempotency-key"))
            .map(str::to_owned)
            .collect();
        let strange: Vec<_> = heard.symmetric_difference(&stored).collect();
        assert!(
            strange.is_empty(),
            "ids that only the receiver was given, or only the store has: {strange:?}"
        );
        posts.len()
    }
}

/// A file is there byte for byte.
pub(super) fn look_at_file(dir: &Path, item: &Item) {
    let bytes = std::fs::read(item.file(dir)).unwrap();
    assert!(bytes == item.body(), "the file of {item:?} is another one");
}

/// Beside the files that must be there, nothing is left; those already looked at are gone.
pub(super) fn files_are_whole(dir: &Path, accepted: &BTreeMap<JobId, Item>) {
    let mut found: BTreeSet<PathBuf> = std::fs::read_dir(dir.join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for item in accepted.values() {
        let there = found.remove(&item.file(dir));
        let wanted = !matches!(item.plan, Plan::Struck | Plan::Partial);
        assert!(there == wanted || item.plan == Plan::Big, "the file of {item:?}");
        if there {
            look_at_file(dir, item);
        }
    }
    assert!(found.is_empty(), "left behind: {found:?}");
}

/// The most that one death made the host fetch again, over the files that are big enough to tell:
/// between two requests for one of them lies a death.
pub(super) fn refetched(web: &Web, accepted: &BTreeMap<JobId, Item>) -> u64 {
    let mut most = 0;
    for item in accepted.values().filter(|item| item.plan == Plan::Big) {
        let requests = web.requests(&item.route());
        for pair in requests.windows(2) {
            let again = reached(&pair[0]).saturating_sub(start(&pair[1]));
            assert!(
                again <= REFETCHED_MAX + IN_SOCKETS_MAX,
                "{again} bytes of {item:?} were fetched again"
            );
            most = most.max(again);
        }
    }
    most
}

fn start(request: &Request) -> u64 {
    request.span().map_or(0, |(start, _)| start)
}

fn reached(request: &Request) -> u64 {
    start(request) + request.sent
}
