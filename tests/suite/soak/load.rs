//! The clients: each submits a job, or a few at once, follows them to their ends, holds what is there
//! against what must be, and takes it away, so that a run may last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sexton::api::client::ClientError;
use sexton::api::request::JobVerb;
use sexton::api::view::{JobId, JobState, JobView, Outcome};
use sexton_tests::poll::until;

use super::plan::{Item, Plan};
use super::site::Site;
use crate::kills::caller::Caller;

/// The pause of those who look and look again.
const LOOK: Duration = Duration::from_millis(100);
/// Requests that the server has seen of a job when its client gives it up.
const GIVEN_UP_AT: u32 = 3;
/// A job that is older than this and has not ended never will.
const STUCK: Duration = Duration::from_secs(180);
/// The longest delay that a client waits for.
const DELAY_MAX: Duration = Duration::from_secs(3);
/// How many jobs a client submits at once, one turn after the other.
const AT_ONCE: [u64; 4] = [1, 1, 1, 4];

/// What all clients share.
pub(super) struct Load {
    pub(super) seed: u64,
    pub(super) site: Site,
    pub(super) origin: String,
    /// The host's folder.
    pub(super) dir: PathBuf,
    next: AtomicU64,
    closed: AtomicBool,
    accepted: Mutex<BTreeMap<JobId, Outcome>>,
    bytes: AtomicU64,
    errors: AtomicU64,
    runs: AtomicU64,
}

impl Load {
    pub(super) fn new(seed: u64, site: Site, origin: String, dir: PathBuf) -> Self {
        Self {
            seed,
            site,
            origin,
            dir,
            next: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            accepted: Mutex::default(),
            bytes: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            runs: AtomicU64::new(0),
        }
    }

    /// No submission is begun any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Every job that the host has said yes to, and how it must end.
    pub(super) fn accepted(&self) -> BTreeMap<JobId, Outcome> {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.clone()
    }

    /// Bytes that were transferred, errors and runs of the jobs that have ended.
    pub(super) fn sums(&self) -> [u64; 3] {
        [&self.bytes, &self.errors, &self.runs].map(|sum| sum.load(Ordering::SeqCst))
    }

    /// A client, until the load is closed and its last job has ended.
    pub(super) fn client(&self) {
        let caller = Caller::new(&self.dir);
        for turn in 0.. {
            if self.closed.load(Ordering::SeqCst) {
                return;
            }
            let many = AT_ONCE[turn % AT_ONCE.len()];
            let first = self.next.fetch_add(many, Ordering::SeqCst);
            let items: Vec<Item> = (first..first + many)
                .map(|number| Item::new(self.seed, number))
                .collect();
            for item in &items {
                self.site.expect(*item);
                self.write_source(item, item.files()[0].bytes().as_ref());
            }
            for (item, id) in items.iter().zip(self.submit(&caller, &items)) {
                self.follow(&caller, item, id);
            }
        }
    }

    fn write_source(&self, item: &Item, bytes: &[u8]) {
        if let Some(path) = item.source(&self.dir) {
            let beside = path.with_extension("new");
            std::fs::write(&beside, bytes).unwrap();
            std::fs::rename(beside, path).unwrap();
        }
    }

    /// Submits until it is answered: all or none.
    fn submit(&self, caller: &Caller, items: &[Item]) -> Vec<JobId> {
        let requests: Vec<_> = items
            .iter()
            .map(|item| item.request(&self.origin, &self.dir))
            .collect();
        let answers = until("a submission is answered", || {
            caller.ask(async |client| client.submit_many(&requests).await)
        });
        let ids: Vec<JobId> = answers.iter().map(|answer| answer.job.id).collect();
        assert_eq!(ids.len(), items.len());
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        for (item, id) in items.iter().zip(&ids) {
            let before = accepted.insert(*id, item.outcome());
            assert!(before.is_none(), "two keys, one job: {item:?}");
        }
        ids
    }

    fn follow(&self, caller: &Caller, item: &Item, id: JobId) {
        if item.plan == Plan::Local {
            self.write_source(item, item.other().bytes().as_ref());
        }
        let begun = Instant::now();
        let job = loop {
            let job = caller.ask(async |client| client.job(id).await);
            if let Some(job) = &job
                && matches!(job.state, JobState::Acknowledged | JobState::Cancelled)
            {
                break job.clone();
            }
            assert!(
                begun.elapsed() < STUCK,
                "{item:?} does not end: {job:#?} after {:#?}",
                self.site.story(item)
            );
            if item.plan.is_given_up() && self.site.seen(item) >= GIVEN_UP_AT {
                tell(caller, id, JobVerb::Cancel);
            } else if job.is_some_and(|job| self.is_waited_for_no_longer(&job)) {
                tell(caller, id, JobVerb::Resume { after_ms: 0 });
            }
            std::thread::sleep(LOOK);
        };
        self.settle(item, &job);
    }

    /// Whether a job waits for its next try for longer than its client does. Delays double as long as
    /// nothing moves, and one in thousands has a dozen faults in a row.
    fn is_waited_for_no_longer(&self, job: &JobView) -> bool {
        let delay = job.due.map_or(Duration::ZERO, |due| due.since(job.modified));
        job.state == JobState::TransientError && (delay > DELAY_MAX || self.closed.load(Ordering::SeqCst))
    }

    /// Holds what is there against what must be, and takes it away.
    fn settle(&self, item: &Item, job: &JobView) {
        assert_eq!(job.outcome, Some(item.outcome()), "{item:?}: {job:#?}");
        for (path, wanted) in item.expected(&self.dir) {
            let bytes = std::fs::read(&path).unwrap_or_else(|why| panic!("{why}: {item:?}: {job:#?}"));
            assert!(
                wanted.iter().any(|wanted| *wanted == bytes),
                "{} of {item:?} has other bytes ({})",
                path.display(),
                bytes.len()
            );
            std::fs::remove_file(path).unwrap();
        }
        if let Some(source) = item.source(&self.dir) {
            std::fs::remove_file(source).unwrap();
        }
        self.site.settle(item);
        let reply = job.reply.as_ref().map_or(0, |reply| reply.bytes_transferred);
        self.bytes
            .fetch_add(job.bytes_transferred + reply, Ordering::SeqCst);
        self.errors
            .fetch_add(u64::from(job.error_count), Ordering::SeqCst);
        self.runs.fetch_add(u64::from(job.attempt), Ordering::SeqCst);
    }
}

/// Tells a job to do something, unless it has done so or moved on: the answer may have been lost.
fn tell(caller: &Caller, id: JobId, verb: JobVerb) {
    caller.ask(async |client| match client.command(id, verb).await {
        Err(ClientError::Refused { .. }) => Ok(()),
        other => other.map(drop),
    });
}
