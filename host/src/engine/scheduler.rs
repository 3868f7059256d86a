//! The scheduler: one task that owns what is running. It wakes on a committed change, on the end of
//! a run, and when a timer is due; never otherwise.

mod claim;
mod clocks;
mod conditions;
mod doubt;
mod lanes;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::TransferRules;
use crate::job::{Activities, Command, Family, Job, JobId, JobKind, JobState, Timestamp};
use crate::store::{Change, RetentionRule, Run, RunId, Store, StoreError};

use super::intents::{IntentEnd, carry_out};
use super::memory::MemoryProbe;
use super::runner::Runner;
use super::throttle::LiveLevel;
use conditions::Conditions;

/// Foreground jobs taken in one claim. All of them run at once (B-68); this only bounds one
/// transaction.
const FOREGROUND_PER_CLAIM: usize = 64;

/// How long a claim holds for other hosts on a shared store.
const LEASE: Duration = Duration::from_secs(30);

/// Wait after a failure of the store before the next try.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Intents carried out at the same time: as many as calls into handlers, which most of them come
/// from, so that one commit's decisions share the commit of their ends.
const INTENTS_AT_ONCE: usize = 64;

/// Which runner does which kind of work.
pub type Runners = BTreeMap<JobKind, Arc<dyn Runner>>;

/// Numbers of the scheduler.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// Background transfers at once.
    pub slots: usize,
    /// Background transfers at once per remote host.
    pub slots_per_host: usize,
    /// Batch jobs at once.
    pub batch_slots: usize,
    /// Queries at once.
    pub query_slots: usize,
    /// How long a drain waits for runs to stop.
    pub drain: Duration,
}

/// The scheduler. [`Engine::run`] is its only task.
pub struct Engine {
    store: Arc<dyn Store>,
    clock: Clock,
    settings: EngineSettings,
    retention: watch::Receiver<RetentionRule>,
    runners: Runners,
    conditions: Conditions,
    running: HashMap<JobId, Running>,
    /// Claimed while an earlier run of the same job still winds down, for there are never two at a time
    /// on one temporary file; or while the one that makes room for it does.
    waiting: HashMap<JobId, Run>,
    /// When runs have used up their slice or their time.
    alarms: BTreeSet<(Timestamp, JobId)>,
    intents: HashSet<JobId>,
    /// Intents that are tried again at a time: they take no slot meanwhile.
    later: HashMap<JobId, Timestamp>,
    tasks: JoinSet<Ended>,
    next_timer: Option<Timestamp>,
    want_claim: bool,
    want_intents: bool,
    /// What holds transfers may have changed.
    want_weigh: bool,
    /// Changes were missed: what runs is compared with the store.
    want_look: bool,
    /// A claim failed and may have been committed all the same: jobs that nobody runs go back.
    claim_in_doubt: bool,
    /// The store failed: nothing is asked of it before the timer, whatever changes meanwhile.
    paused: bool,
}

struct Running {
    run: RunId,
    /// The job's revision when it was claimed. Changes that were committed before it may be heard
    /// after it, and say nothing about this run.
    revision: u64,
    stop: CancellationToken,
    /// What its end is when it was asked to stop: a yield unless something else is said.
    verdict: Arc<OnceLock<Command>>,
    host: String,
    level: LiveLevel,
    family: Family,
    began: Timestamp,
    resumable: Arc<AtomicBool>,
    slice_over: bool,
    max_time: Duration,
    /// When its maximum time is used up (B-61).
    expires: Timestamp,
    /// Its entry in the set of alarms.
    alarm: Timestamp,
}

enum Ended {
    /// A run, and the file work that it led to at once.
    Run(JobId, Option<IntentEnd>),
    Intent(JobId, IntentEnd),
}

impl Engine {
    /// An engine over `store`; nothing runs before [`Engine::run`]. `retention` may change while it
    /// runs.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        settings: EngineSettings,
        retention: watch::Receiver<RetentionRule>,
        runners: Runners,
    ) -> Self {
        // Without anybody to change them: no rule, and a network.
        let rules = watch::channel(Arc::default()).1;
        let network = watch::channel(true).1;
        Self {
            conditions: Conditions::new(&clock, rules, network),
            store,
            clock,
            settings,
            retention,
            runners,
            running: HashMap::new(),
            waiting: HashMap::new(),
            alarms: BTreeSet::new(),
            intents: HashSet::new(),
            later: HashMap::new(),
            tasks: JoinSet::new(),
            next_timer: None,
            want_claim: true,
            want_intents: true,
            want_weigh: true,
            want_look: false,
            claim_in_doubt: false,
            paused: false,
        }
    }

    /// The same under rules that may change while it runs, and over a network that may come and go.
    #[must_use]
    pub fn governed(
        mut self,
        rules: watch::Receiver<Arc<TransferRules>>,
        network: watch::Receiver<bool>,
    ) -> Self {
        self.conditions = Conditions::new(&self.clock, rules, network);
        self
    }

    /// The same with activities that may come and be paused while it runs, and a look at the memory
    /// before a call begins.
    #[must_use]
    pub fn with_activities(
        mut self,
        activities: watch::Receiver<Arc<Activities>>,
        memory: MemoryProbe,
    ) -> Self {
        self.conditions.lanes.activities = activities;
        self.conditions.lanes.memory = Some(memory);
        self
    }

    /// Runs until `stop` fires, then stops what runs, makes it durable and gives it back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        self.next_timer = Some(self.clock.now());
        while !stop.is_cancelled() {
            self.act().await;
            let clock = self.clock.clone();
            let timer = self.next_wake();
            tokio::select! {
                () = stop.cancelled() => break,
                change = changes.recv() => {
                    match change {
                        Ok(change) => self.note(&change),
                        Err(RecvError::Lagged(_)) => self.want_look = true,
                        Err(RecvError::Closed) => break,
                    }
                    self.note_waiting(&mut changes);
                }
                Some(ended) = self.tasks.join_next() => {
                    self.ended(ended);
                    // A commit ends many at once; they cost one claim, not one each.
                    while let Some(ended) = self.tasks.try_join_next() {
                        self.ended(ended);
                    }
                }
                () = clock.timer(timer) => self.wake().await,
                Ok(()) = self.retention.changed() => self.tick().await,
                Ok(()) = self.conditions.rules.changed() => self.want_weigh = true,
                Ok(()) = self.conditions.network.changed() => self.want_weigh = true,
                Ok(()) = self.conditions.lanes.activities.changed() => self.want_weigh = true,
            }
        }
        self.drain().await;
    }

    async fn act(&mut self) {
        if self.paused {
            return;
        }
        if std::mem::take(&mut self.want_look) {
            self.look_again().await;
        }
        // What is held must be off the queue before anything is taken from it.
        let weighs = std::mem::take(&mut self.want_weigh)
            || (self.want_claim && (self.conditions.any() || self.conditions.have_changed()));
        let weighed = !weighs || self.weigh().await;
        if weighed && std::mem::take(&mut self.want_claim) {
            self.claim().await;
        }
        if std::mem::take(&mut self.want_intents) {
            self.start_intents().await;
        }
    }

    /// Takes note of everything committed meanwhile, so that a burst costs one claim.
    fn note_waiting(&mut self, changes: &mut Receiver<Change>) {
        loop {
            match changes.try_recv() {
                Ok(change) => self.note(&change),
                Err(TryRecvError::Lagged(_)) => self.want_look = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn note(&mut self, change: &Change) {
        let Change::Job {
            id,
            state,
            revision,
            priority,
            intent,
            due,
        } = change
        else {
            return;
        };
        if let Some(due) = due {
            self.next_timer = Some(self.next_timer.map_or(*due, |next| next.min(*due)));
        }
        if *state == JobState::Queued && due.is_none() {
            self.want_claim = true;
        }
        // What still runs carries out its completion itself, or looks for intents when it has ended.
        if *intent && !self.running.contains_key(id) {
            self.want_intents = true;
        }
        if let Some(running) = self.running.get(id).filter(|one| one.level.get() != *priority) {
            // B-67: it may be held now, or make room.
            running.level.set(*priority);
            self.want_weigh = true;
            self.want_claim = true;
        }
        if !state.is_running() {
            // A claim is known at once, what was committed before it is heard later.
            if let Some(running) = self.running.get(id).filter(|one| one.revision < *revision) {
                running.stop.cancel();
            }
            if self
                .waiting
                .get(id)
                .is_some_and(|run| run.job.revision < *revision)
            {
                self.waiting.remove(id);
            }
        }
    }

    async fn start_intents(&mut self) {
        if self.intents.len() >= INTENTS_AT_ONCE {
            // Each that ends looks for more.
            return;
        }
        // Those that wait must not hide the others.
        match self.store.intents(INTENTS_AT_ONCE * 2 + self.later.len()).await {
            Ok(jobs) => {
                for job in jobs {
                    // A run that still winds down owns the files; its end looks for intents again.
                    let busy = self.running.contains_key(&job.id)
                        || self.intents.contains(&job.id)
                        || self.later.contains_key(&job.id);
                    if !busy && self.intents.len() < INTENTS_AT_ONCE {
                        self.start_intent(job);
                    }
                }
            }
            Err(why) => self.store_failed("intents cannot be read", &why),
        }
    }

    fn start_intent(&mut self, job: Job) {
        let id = job.id;
        self.intents.insert(id);
        let runner = self.runners.get(&job.kind).map(Arc::clone);
        let (store, clock) = (Arc::clone(&self.store), self.clock.clone());
        self.tasks
            .spawn(async move { Ended::Intent(id, carry_out(job, None, runner, store, clock).await) });
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(Ended::Run(id, intent)) => {
                if let Some(running) = self.running.remove(&id) {
                    self.drop_alarm(id, &running);
                }
                if !self.waiting.is_empty() {
                    self.start_waiting();
                }
                self.want_claim = true;
                match intent {
                    // An intent may have come while the run wound down, or after its own had failed.
                    None => self.want_intents = true,
                    Some(IntentEnd::Final) => {}
                    Some(end) => self.intent_ended(id, end),
                }
            }
            Ok(Ended::Intent(id, end)) => {
                self.intents.remove(&id);
                self.intent_ended(id, end);
            }
            // A runner that panicked is a broken invariant of ours; the panic hook ends the process.
            Err(why) => tracing::error!("a runner ended badly: {why}"),
        }
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let timers = [self.next_timer, self.next_alarm(), self.conditions.next_change];
        timers.into_iter().flatten().min()
    }

    async fn wake(&mut self) {
        let now = self.clock.now();
        self.ring();
        if self.conditions.next_change.is_some_and(|at| at <= now) {
            self.conditions.next_change = None;
            self.want_weigh = true;
            self.want_claim = true;
        }
        if self.next_timer.is_some_and(|at| at <= now) {
            self.tick().await;
        }
    }

    fn intent_ended(&mut self, id: JobId, end: IntentEnd) {
        match end {
            IntentEnd::Final | IntentEnd::Done => self.want_intents = true,
            IntentEnd::Later(at) => {
                self.later.insert(id, at);
                self.next_timer = Some(self.next_timer.map_or(at, |next| next.min(at)));
                self.want_intents = true;
            }
            IntentEnd::StoreFailed => self.wake_again(),
        }
    }

    async fn tick(&mut self) {
        self.paused = false;
        let now = self.clock.now();
        self.later.retain(|_, at| *at > now);
        let retention = *self.retention.borrow_and_update();
        match self.store.tick(retention).await {
            Ok(next) => self.next_timer = self.later.values().copied().chain(next).min(),
            Err(why) => self.store_failed("timers cannot be fired", &why),
        }
        self.want_claim = true;
        self.want_intents = true;
    }

    fn store_failed(&mut self, what: &str, why: &StoreError) {
        self.paused = true;
        if matches!(why, StoreError::Closed) {
            self.next_timer = None;
            return;
        }
        tracing::error!("{what}: {why}; trying again in {STORE_RETRY:?}");
        self.wake_again();
    }

    /// Wakes after the wait for the store, or at a timer before that. One that is due already is the
    /// one that failed.
    fn wake_again(&mut self) {
        let now = self.clock.now();
        let retry = now.after(STORE_RETRY);
        let timer = self.next_timer.filter(|timer| *timer > now);
        self.next_timer = Some(timer.map_or(retry, |timer| timer.min(retry)));
    }

    async fn drain(&mut self) {
        // What can go on from where it is need not be waited for; a command may end by itself until it
        // would be too late to end it in order.
        let patience = self.settings.drain / 2;
        let (patient, at_once): (Vec<_>, Vec<_>) =
            self.running.values().partition(|one| one.family == Family::Batch);
        at_once.into_iter().for_each(|running| running.stop.cancel());
        let patient: Vec<CancellationToken> = patient.into_iter().map(|one| one.stop.clone()).collect();
        let stopped = async {
            // These have not begun.
            for (_, run) in std::mem::take(&mut self.waiting) {
                let _ = self.store.report(run.id(), Command::Yield).await;
            }
            let by_itself = async { while self.tasks.join_next().await.is_some() {} };
            if tokio::time::timeout(patience, by_itself).await.is_err() {
                patient.iter().for_each(CancellationToken::cancel);
            }
            while self.tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(self.settings.drain, stopped).await.is_err() {
            tracing::warn!("some runs did not stop in time; they go on at the next start");
        }
    }
}
