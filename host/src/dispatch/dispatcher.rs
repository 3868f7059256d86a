//! The dispatcher: one task that owns which calls are under way. Calls run in the plugin room; a
//! slot is held only while a guest runs, settlements wait for their commit beside it.

mod commit;
mod doubt;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::fail_fast::{FailFast, Report};
use crate::job::{
    Code, DeliveryId, FailureRecord, OwnerName, PluginName, Refusal, Reply, StateRead, Timestamp,
};
use crate::plugin::{Call, Exports, PluginRoom, SharedView};
use crate::store::{
    AfterFailure, Change, Claim, ClaimDeliveries, Settlement, Stage, Store, StoreError, Verdict,
};

use super::call::{CheckRemotes, call, nothing_to_say};
use super::command;
use super::policy::{Policies, runs_command};
use super::words::{host_fault, log_failure, report};
use commit::commit;

/// How long a claim holds for other hosts on a shared store.
const LEASE: Duration = Duration::from_secs(30);

/// Wait after a failure of the store before the next try.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What dispatch needs of the plugin room.
#[async_trait]
pub trait Handlers: Send + Sync + 'static {
    /// Calls a handler; never fails otherwise than in its reply.
    async fn call(&self, plugin: &PluginName, call: Call, view: SharedView) -> Reply;
    /// What each serving component exports.
    fn exports(&self) -> Arc<BTreeMap<PluginName, Exports>>;
    /// Moves whenever what serves has changed.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Where calls are to be made from: the guests' own threads, which saves a hop per call.
    fn threads(&self) -> tokio::runtime::Handle {
        tokio::runtime::Handle::current()
    }
}

#[async_trait]
impl Handlers for PluginRoom {
    async fn call(&self, plugin: &PluginName, call: Call, view: SharedView) -> Reply {
        self.call(plugin, call, view).await
    }

    fn exports(&self) -> Arc<BTreeMap<PluginName, Exports>> {
        self.exports()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }

    fn threads(&self) -> tokio::runtime::Handle {
        self.handle()
    }
}

/// Numbers of dispatch.
#[derive(Clone, Copy, Debug)]
pub struct DispatchSettings {
    /// Calls at once.
    pub calls: usize,
    /// Calls at once per (owner, plugin) (B-105).
    pub calls_per_plugin: usize,
    /// How long a drain waits for calls to end.
    pub drain: Duration,
}

/// The dispatcher. [`Dispatcher::run`] is its only task.
pub struct Dispatcher {
    store: Arc<dyn Store>,
    handlers: Arc<dyn Handlers>,
    policies: Arc<RwLock<Policies>>,
    clock: Clock,
    settings: DispatchSettings,
    fail_fast: FailFast,
    check_remotes: CheckRemotes,
    busy: BTreeMap<(OwnerName, PluginName), usize>,
    /// Claimed by us and not settled yet.
    under_way: HashSet<DeliveryId>,
    tasks: JoinSet<Ended>,
    next_due: Option<Timestamp>,
    want_claim: bool,
    /// The store failed: nothing is claimed before the timer, whatever changes meanwhile.
    paused: bool,
    /// A claim failed and may have been committed all the same: deliveries that nobody makes go back.
    claim_in_doubt: bool,
    /// A FailFast is being committed: nothing more is claimed or settled.
    ending: bool,
    /// Settlements that are on their way.
    settling: usize,
    /// A FailFast is on record: the process ends when what was settled before it is too.
    fatal: Option<Box<Report>>,
}

enum Ended {
    Called(Box<Claim>, Reply, Vec<StateRead>),
    Settled(DeliveryId),
    /// The law does not allow what the handler decided.
    Refused(Box<Claim>, Refusal),
    Fatal(Box<Report>),
}

impl Dispatcher {
    /// A dispatcher; nothing is called before [`Dispatcher::run`]. `policies` may be replaced while it
    /// runs.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        handlers: Arc<dyn Handlers>,
        policies: Arc<RwLock<Policies>>,
        clock: Clock,
        settings: DispatchSettings,
        fail_fast: FailFast,
    ) -> Self {
        Self {
            store,
            handlers,
            policies,
            clock,
            settings,
            fail_fast,
            check_remotes: Arc::new(|_| {
                let why = "this host fetches nothing".to_owned();
                Err((Code::NOTIMPL, why))
            }),
            busy: BTreeMap::new(),
            under_way: HashSet::new(),
            tasks: JoinSet::new(),
            next_due: None,
            want_claim: true,
            paused: false,
            claim_in_doubt: false,
            ending: false,
            settling: 0,
            fatal: None,
        }
    }

    /// With what tells whether a file can be fetched from where a handler leads it; without, none can.
    #[must_use]
    pub fn checking(mut self, check_remotes: CheckRemotes) -> Self {
        self.check_remotes = check_remotes;
        self
    }

    /// Runs until `stop` fires, then lets running calls end and settles them.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        let mut loaded = self.handlers.changes();
        while !stop.is_cancelled() {
            if !self.paused && !self.ending && std::mem::take(&mut self.want_claim) {
                self.claim().await;
            }
            let clock = self.clock.clone();
            let timer = self.next_due;
            let more = self.want_claim && !self.paused && !self.ending;
            tokio::select! {
                // What has happened goes before the next claim, and that goes before waiting.
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.tasks.join_next() => {
                    self.ended(ended);
                    // A commit ends many at once; they cost one claim, not one each.
                    while let Some(ended) = self.tasks.try_join_next() {
                        self.ended(ended);
                    }
                }
                change = changes.recv() => {
                    match change {
                        Ok(Change::Deliveries) | Err(RecvError::Lagged(_)) => self.want_claim = true,
                        Ok(Change::Job { .. } | Change::Forgotten { .. }) => {}
                        Err(RecvError::Closed) => break,
                    }
                    self.note_waiting(&mut changes);
                }
                Ok(()) = loaded.changed() => self.want_claim = true,
                () = clock.timer(timer) => {
                    self.next_due = None;
                    self.paused = false;
                    self.want_claim = true;
                }
                // The claim that finds nothing tells when the next is due; without it a retry would
                // wait for a call that has nothing to do with it.
                () = std::future::ready(()), if more => {}
            }
        }
        self.drain().await;
    }

    /// Takes note of everything committed meanwhile, so that a burst costs one claim.
    fn note_waiting(&mut self, changes: &mut Receiver<Change>) {
        loop {
            match changes.try_recv() {
                Ok(Change::Deliveries) | Err(TryRecvError::Lagged(_)) => self.want_claim = true,
                Ok(Change::Job { .. } | Change::Forgotten { .. }) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    async fn claim(&mut self) {
        if self.claim_in_doubt
            && let Err(why) = self.give_back().await
        {
            return self.store_failed(&why);
        }
        let running: usize = self.busy.values().sum();
        let mut serving: BTreeSet<PluginName> = self.handlers.exports().keys().cloned().collect();
        serving.insert(PluginName::notify_command());
        let limit = self.settings.calls.saturating_sub(running);
        if limit == 0 {
            return;
        }
        let asked = self.clock.now();
        let ask = ClaimDeliveries {
            limit,
            serving: serving.clone(),
            busy: self.busy.clone(),
            per_pair: self.settings.calls_per_plugin,
            lease: LEASE,
        };
        match self.store.claim_deliveries(ask).await {
            Ok(claims) if claims.is_empty() => match self.store.next_delivery(serving, asked).await {
                Ok(next) => self.next_due = next,
                Err(why) => self.store_failed(&why),
            },
            Ok(claims) => {
                // More may be due than one claim takes.
                self.want_claim = true;
                claims.into_iter().for_each(|claim| self.start(claim));
            }
            Err(why) => {
                self.claim_in_doubt = true;
                self.store_failed(&why);
            }
        }
    }

    fn store_failed(&mut self, why: &StoreError) {
        self.paused = true;
        self.want_claim = true;
        if matches!(why, StoreError::Closed) {
            self.next_due = None;
        } else {
            tracing::error!("deliveries cannot be claimed: {why}; trying again in {STORE_RETRY:?}");
            self.next_due = Some(self.clock.now().after(STORE_RETRY));
        }
    }

    fn start(&mut self, mut claim: Claim) {
        let stands_in = claim.delivery.plugin.is_notify_command();
        if stands_in || claim.delivery.stage == Stage::Command {
            // When the job went on while the command waited (B-115), the handler hears of it instead.
            claim.delivery.stage = match runs_command(&claim) {
                true => Stage::Command,
                false => Stage::Handler,
            };
        }
        self.under_way.insert(claim.delivery.id);
        *self.busy.entry(pair(&claim)).or_insert(0) += 1;
        let handlers = Arc::clone(&self.handlers);
        let (store, clock) = (Arc::clone(&self.store), self.clock.clone());
        let check_remotes = Arc::clone(&self.check_remotes);
        let children = self.fail_fast.children.clone();
        let call = async move {
            let (reply, reads) = match claim.delivery.stage {
                Stage::Command => (command::run(&claim, &children, &clock).await, Vec::new()),
                Stage::Handler | Stage::Final if stands_in => (nothing_to_say(), Vec::new()),
                Stage::Handler | Stage::Final => call(&claim, handlers, store, check_remotes).await,
            };
            Ended::Called(Box::new(claim), reply, reads)
        };
        self.tasks.spawn_on(call, &self.handlers.threads());
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(Ended::Called(claim, reply, reads)) => {
                let pair = pair(&claim);
                if let Some(calls) = self.busy.get_mut(&pair) {
                    *calls = calls.saturating_sub(1);
                    if *calls == 0 {
                        self.busy.remove(&pair);
                    }
                }
                self.want_claim = true;
                self.settle(*claim, reply, reads);
            }
            Ok(Ended::Settled(delivery)) => {
                self.settling = self.settling.saturating_sub(1);
                self.under_way.remove(&delivery);
                self.want_claim = true;
            }
            Ok(Ended::Refused(claim, why)) => {
                self.settling = self.settling.saturating_sub(1);
                self.refused(*claim, &why);
            }
            Ok(Ended::Fatal(report)) => {
                self.settling = self.settling.saturating_sub(1);
                self.fatal = Some(report);
            }
            // A call never panics; if it does, the panic hook ends the process.
            Err(why) => tracing::error!("a call ended badly: {why}"),
        }
        // Verdicts that came before the fatal one are kept; the watchdog waits for a store that hangs.
        if self.settling == 0
            && let Some(report) = &self.fatal
        {
            self.fail_fast.terminate(report);
        }
    }

    /// Requests were checked when they were made, so this is our fault; the delivery must not stay
    /// running for it.
    fn refused(&mut self, claim: Claim, why: &Refusal) {
        let message = format!("what the handler decided cannot be committed: {why}");
        let record = host_fault(message, claim.delivery.attempt, self.clock.now());
        let reply = Reply {
            verdict: Err(Box::new(record)),
            requests: Vec::new(),
            state_writes: Vec::new(),
            digest: String::new(),
            duration: Duration::ZERO,
            peak_memory: 0,
            answer: crate::job::Answer::Nothing,
        };
        self.settle(claim, reply, Vec::new());
    }

    fn settle(&mut self, claim: Claim, reply: Reply, state_reads: Vec<StateRead>) {
        if self.ending {
            // Left as interrupted; the next start makes the call again.
            return;
        }
        let now = self.clock.now();
        let mut fatal = None;
        let digest = reply.digest.clone();
        let verdict = match reply.verdict {
            Ok(()) => Verdict::Acknowledged {
                requests: reply.requests,
                state_writes: reply.state_writes,
            },
            Err(record) => {
                let next = self.after(&claim, &record, now);
                if matches!(next, AfterFailure::FailFast { .. }) {
                    self.ending = true;
                    self.fail_fast.arm_watchdog();
                    fatal = Some(report(&claim, &record, now));
                }
                log_failure(&claim, &record, &next);
                Verdict::Failed { record, next }
            }
        };
        let settlement = Settlement {
            delivery: claim.delivery.id,
            attempt: claim.delivery.attempt,
            revision: claim.job.revision,
            digest,
            state_reads,
            verdict,
        };
        let (store, clock) = (Arc::clone(&self.store), self.clock.clone());
        self.settling += 1;
        self.tasks.spawn(async move {
            let refused = commit(settlement, store, clock, fatal.is_some()).await;
            match (fatal, refused) {
                (Some(report), _) => Ended::Fatal(Box::new(report)),
                (None, Some(why)) => Ended::Refused(Box::new(claim), why),
                (None, None) => Ended::Settled(claim.delivery.id),
            }
        });
    }

    fn after(&self, claim: &Claim, record: &FailureRecord, now: Timestamp) -> AfterFailure {
        let has_final = self
            .handlers
            .exports()
            .get(&claim.delivery.plugin)
            .is_some_and(|known| known.final_retry);
        match self.policies.read() {
            Ok(policies) => policies.after(claim, record, has_final, now),
            Err(poisoned) => poisoned.into_inner().after(claim, record, has_final, now),
        }
    }

    async fn drain(&mut self) {
        let deadline = self.settings.drain;
        let settled = async {
            while let Some(ended) = self.tasks.join_next().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout(deadline, settled).await.is_err() {
            tracing::warn!("some calls did not end in time; they are made again at the next start");
        }
    }
}

fn pair(claim: &Claim) -> (OwnerName, PluginName) {
    (claim.delivery.owner.clone(), claim.delivery.plugin.clone())
}
