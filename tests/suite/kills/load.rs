//! The load: clients that submit without end and try again under the same key until they are
//! answered, one with a big file always under way, and a person who completes what is held.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sexton::api::client::ClientError;
use sexton::api::request::{JobQuery, JobVerb};
use sexton::api::view::{JobId, JobState};
use sexton_tests::poll::until;
use sexton_tests::server::Behaviour;
use sexton_tests::web::Web;

use super::caller::Caller;
use super::plan::{Item, mix};

/// Longest pause of a client between two submissions, in milliseconds.
const THINK_MS: u64 = 60;

/// The pause of those who look and look again.
const LOOK: Duration = Duration::from_millis(25);

/// What all clients share.
pub(super) struct Load<'a> {
    pub(super) seed: u64,
    pub(super) web: &'a Web,
    /// The host's folder.
    pub(super) dir: PathBuf,
    next: AtomicU64,
    /// Jobs that may be submitted so far: it grows with the deaths, so that the work of a run does not
    /// depend on the speed of the machine.
    allowed: AtomicU64,
    closed: AtomicBool,
    accepted: Mutex<BTreeMap<JobId, Item>>,
}

impl<'a> Load<'a> {
    pub(super) fn new(seed: u64, web: &'a Web, dir: PathBuf) -> Self {
        Self {
            seed,
            web,
            dir,
            next: AtomicU64::new(0),
            allowed: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            accepted: Mutex::default(),
        }
    }

    pub(super) fn allow(&self, more: u64) {
        self.allowed.fetch_add(more, Ordering::SeqCst);
    }

    /// No submission is begun any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Numbers given out: at most so many jobs can there be.
    pub(super) fn begun(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    /// Jobs that the host has said yes to.
    pub(super) fn accepted(&self) -> BTreeMap<JobId, Item> {
        self.accepted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn accepted_count(&self) -> usize {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// Submits until it is answered. What was answered is on the list before anything else happens.
    fn submit(&self, caller: &Caller, item: Item) -> JobId {
        let request = item.request(self.web, &self.dir);
        let answer = until("a submission is answered", || {
            caller.ask(async |client| client.submit(&request).await)
        });
        let id = answer.job.id;
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = accepted.insert(id, item);
        assert!(before.is_none(), "two keys, one job: {before:?} and {item:?}");
        id
    }

    /// A client with many small jobs.
    pub(super) fn many(&self) {
        let caller = Caller::new(&self.dir);
        while !self.is_closed() {
            if self.begun() >= self.allowed.load(Ordering::SeqCst) {
                std::thread::sleep(LOOK);
                continue;
            }
            let item = Item::new(self.seed, self.number());
            self.submit(&caller, item);
            // Not a wait: clients do not submit in step.
            let think = mix(!self.seed, item.number) % THINK_MS;
            std::thread::sleep(Duration::from_millis(think));
        }
    }

    /// A client with one big file after another. Each is looked at and deleted as it ends, so that a
    /// long run does not fill the disk.
    pub(super) fn big(&self) {
        let caller = Caller::new(&self.dir);
        while !self.is_closed() {
            let item = Item::big(self.seed, self.number());
            let id = self.submit(&caller, item);
            let ended = || {
                let job = caller.ask(async |client| client.job(id).await);
                job.is_some_and(|job| job.state == JobState::Acknowledged)
            };
            while !self.is_closed() {
                if ended() {
                    super::verdict::look_at_file(&self.dir, &item);
                    std::fs::remove_file(item.file(&self.dir)).unwrap();
                    // The server need not keep its bytes either.
                    self.web.route(&item.route(), Behaviour::Close);
                    break;
                }
                std::thread::sleep(LOOK);
            }
        }
    }

    /// A person who completes what is held for nobody else, and asks again when the answer was lost.
    pub(super) fn person(&self, done: &AtomicBool) {
        let caller = Caller::new(&self.dir);
        let query = JobQuery {
            states: vec![JobState::Transferred],
            limit: Some(1_000),
            ..JobQuery::default()
        };
        while !done.load(Ordering::SeqCst) {
            let listed = caller.ask(async |client| client.jobs(&query).await);
            for job in listed.into_iter().flat_map(|listed| listed.jobs) {
                if job.hold && job.handler.is_none() && job.intent.is_none() {
                    caller.ask(
                        async |client| match client.command(job.id, JobVerb::Complete).await {
                            // Done before, and ended meanwhile.
                            Err(ClientError::Refused { .. }) => Ok(()),
                            other => other.map(drop),
                        },
                    );
                }
            }
            std::thread::sleep(LOOK);
        }
    }
}
