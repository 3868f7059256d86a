//! Traces of the real engine, held step by step against the model: every line must be a step that
//! the model allows, and after it store and model must agree on every row.

use sexton::job::{self, DeliveryId, EventKind, JobId, JobKind, JobState, Timestamp};
use sexton::store::{DeliveryRecord, Did, SettleResult, Settlement, Standing};

use super::compare::{Checked, agrees, expect, handler_of, led_to, same};
use super::host::State;
use super::invariants::LAWS;
use super::law::{Command, Job};
use super::protocol::{Protocol, Step};
use super::rows::{Rows, index};
use super::scenes::{Left, Rules, Scene};
use super::settle::{LedTo, Next, Said, Verdict};

/// One line of a trace.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// A host has opened the store, and found this.
    Opened(Standing),
    /// It was killed.
    Killed,
    /// The store did something, at this time.
    Did(Did, Standing, Timestamp),
    /// A guest started and ended.
    Called(DeliveryId, u32),
    Ended(DeliveryId, Said),
    /// A component went or came back; the routing is about to name a handler.
    Served(u8, bool),
    Names(u8),
}

/// The model beside a trace.
pub(super) struct Follower {
    protocol: Protocol,
    pub(super) state: State,
    jobs: Vec<JobId>,
    rows: Vec<DeliveryId>,
    /// What the store showed last.
    shown: Vec<DeliveryRecord>,
    named: Option<u8>,
    /// A guest's failure that will end the host: dispatch may yet learn of others before.
    fatal: Vec<(u8, Said)>,
}

const PLENTY: Left = Left {
    runs: 255,
    fails: 255,
    asks: 255,
    crashes: 255,
    lost: 255,
    swaps: 255,
    unloads: 255,
    routes: 255,
    burials: 255,
};

impl Follower {
    pub(super) fn new(then: Next) -> Self {
        let scene = Scene {
            name: "a trace",
            rules: Rules { then, ..Rules::HOST },
            jobs: Vec::new(),
            routed: vec![true, false],
            says: Vec::new(),
            asks: Vec::new(),
            left: PLENTY,
            reaches: Vec::new(),
        };
        Self {
            state: State::new(Rows::new(Vec::new(), 2, scene.routed.clone()), PLENTY),
            protocol: Protocol { scene },
            jobs: Vec::new(),
            rows: Vec::new(),
            shown: Vec::new(),
            named: None,
            fatal: Vec::new(),
        }
    }

    /// Takes one line, or tells why the model does not allow it.
    pub(super) fn take(&mut self, line: &Line) -> Checked {
        match line {
            Line::Opened(standing) => {
                self.fatal.clear();
                self.step(Step::Open)?;
                self.compare(standing)
            }
            Line::Killed => self.step(Step::Crash),
            Line::Did(did, standing, now) => {
                if let Did::Submitted(_) = did {
                    self.submitted(standing)?;
                } else {
                    self.did(did, *now)?;
                }
                self.compare(standing)
            }
            Line::Called(id, attempt) => {
                let row = self.row_of(*id)?;
                let counted = self.state.store.row(row).attempt;
                expect("the attempt of a call", u32::from(counted), *attempt)?;
                self.step(Step::Call(row))
            }
            Line::Ended(id, said) => {
                let row = self.row_of(*id)?;
                if self.is_last_word(row, *said) {
                    self.fatal.push((row, *said));
                    return Ok(());
                }
                self.step(Step::End(row, *said))
            }
            Line::Served(handler, true) => self.step(Step::Load(*handler)),
            Line::Served(handler, false) => self.step(Step::Unload(*handler)),
            Line::Names(handler) => {
                self.named = Some(*handler);
                Ok(())
            }
        }
    }

    /// Nothing is left that the host can do by itself at this time.
    pub(super) fn is_quiet(&mut self, now: Timestamp) -> bool {
        for row in 0..index(self.shown.len()) {
            self.ripen(row, now);
        }
        let rules = &self.protocol.scene.rules;
        let rows = 0..index(self.state.store.rows.len());
        let idle = !rows.into_iter().any(|row| self.state.claimable(rules, row));
        self.fatal.is_empty()
            && self.state.host.as_ref().is_some_and(|host| {
                idle && host.queue.is_empty() && host.calls.iter().all(|call| call.running)
            })
    }

    /// Everything that was told is told.
    pub(super) fn is_over(&self) -> bool {
        self.state.store.rows.iter().all(|row| !row.open())
    }

    /// Whether the handler of `delivery` may decide so.
    pub(super) fn may_decide(&self, delivery: DeliveryId, command: Command) -> bool {
        let Ok(row) = self.row_of(delivery) else {
            return false;
        };
        let calls = self.state.host.iter().flat_map(|host| &host.calls);
        let mut calls = calls.filter(|call| call.row == row);
        self.state.store.row(row).handler == 0 && calls.any(|call| call.seen.apply(command).is_some())
    }

    fn is_last_word(&self, row: u8, said: Said) -> bool {
        let rules = &self.protocol.scene.rules;
        let charged = self.state.store.row(row).charged;
        matches!(said, Said::Fail(_)) && rules.then == Next::FailFast && charged >= rules.tries
    }

    fn ripen(&mut self, row: u8, now: Timestamp) {
        let due = self.shown.get(usize::from(row)).and_then(|shown| shown.due);
        if due.is_some_and(|due| due <= now)
            && let Some(next) = self.protocol.after(&self.state, Step::Due(row))
        {
            self.state = next;
        }
    }

    fn step(&mut self, step: Step) -> Checked {
        let next = self.protocol.after(&self.state, step);
        self.state = next.ok_or_else(|| format!("{step:?} cannot happen in {:#?}", self.state))?;
        self.laws()
    }

    fn laws(&self) -> Checked {
        let broken = LAWS.iter().find(|(_, holds)| !holds(&self.protocol, &self.state));
        broken.map_or(Ok(()), |(name, _)| {
            Err(format!("broken: {name}: {:#?}", self.state))
        })
    }

    /// A command that the law allowed or refused: the model must say the same.
    fn asked(&mut self, step: Step, allowed: bool) -> Checked {
        if allowed {
            return self.step(step);
        }
        expect(
            "that it was refused",
            self.protocol.after(&self.state, step).is_some(),
            false,
        )
    }

    fn submitted(&mut self, standing: &Standing) -> Checked {
        let job = standing
            .jobs
            .last()
            .ok_or("a job was submitted and is not there")?;
        self.jobs.push(job.id);
        let new = Job::new(job.kind == JobKind::Batch, job.spec.hold);
        self.state.store.jobs.push(new);
        Ok(())
    }

    fn did(&mut self, did: &Did, now: Timestamp) -> Checked {
        match did {
            Did::Submitted(_) => Ok(()),
            Did::ClaimedJobs(jobs) => jobs.iter().try_for_each(|id| {
                let job = self.job_of(*id)?;
                self.step(Step::Start(job))
            }),
            Did::Reported(id, command, allowed) | Did::Commanded(id, command, allowed) => {
                let job = self.job_of(*id)?;
                self.commanded(job, command, *allowed)
            }
            Did::Routed(renewed) => {
                for plugin in renewed {
                    self.step(Step::Swap(handler_of(plugin.as_str())?))?;
                }
                match self.named.take() {
                    Some(handler) => self.step(Step::Route(handler)),
                    None => {
                        self.state.store.backfill(&self.protocol.scene.rules);
                        self.laws()
                    }
                }
            }
            Did::ClaimedDeliveries(claims) => claims.iter().try_for_each(|(id, stale)| {
                let row = self.row_of(*id)?;
                self.ripen(row, now);
                self.step(Step::Claim(row))?;
                expect("whether it is stale", self.is_stale(row), *stale)
            }),
            Did::Settled(settlement, result) => self.settled(settlement, result.as_ref()),
            Did::Replayed(filter) | Did::Purged(filter) => {
                let row = self.row_of(filter.id.ok_or("one delivery is named")?)?;
                let replays = matches!(did, Did::Replayed(_));
                let step = if replays {
                    Step::Replay(row)
                } else {
                    Step::Purge(row)
                };
                if self.state.store.row(row).buried() {
                    self.step(step)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn commanded(&mut self, job: u8, command: &job::Command, allowed: bool) -> Checked {
        let step = match command {
            job::Command::SetPriority(_) => Step::Ask(job, Command::Prioritise),
            job::Command::Resume { .. } => Step::Ask(job, Command::Resume),
            job::Command::Cancel => Step::Ask(job, Command::Cancel),
            job::Command::Complete => Step::Ask(job, Command::Complete),
            job::Command::FatalError { .. } => Step::Fail(job),
            job::Command::Finished { .. } => Step::Finish(job),
            job::Command::IntentDone { .. } => {
                if allowed {
                    self.step(Step::FileWork(job))?;
                }
                Step::IntentDone(job)
            }
            other => return Err(format!("no step for {other:?}")),
        };
        self.asked(step, allowed)
    }

    fn settled(&mut self, settlement: &Settlement, result: Option<&SettleResult>) -> Checked {
        let row = self.row_of(settlement.delivery)?;
        if let Some(at) = self.fatal.iter().position(|(fatal, _)| *fatal == row) {
            let (row, said) = self.fatal.remove(at);
            self.step(Step::End(row, said))?;
        }
        let attempt = u8::try_from(settlement.attempt).map_err(|why| why.to_string())?;
        let queue = self
            .state
            .host
            .as_ref()
            .map(|host| host.queue.clone())
            .unwrap_or_default();
        let ours = |verdict: &&Verdict| (verdict.row, verdict.attempt) == (row, attempt);
        let said = match queue.iter().find(ours).copied() {
            Some(verdict) => {
                agrees(&verdict, settlement)?;
                let (now, later) = queue.into_iter().partition(|queued| *queued == verdict);
                self.commit(now, later)
            }
            // Settled again after a lost answer.
            None => {
                let late = Verdict {
                    row,
                    attempt,
                    incarnation: self.state.store.incarnation,
                    revision: 0,
                    read: 0,
                    said: Said::Ack,
                };
                Some(self.state.store.settle(&self.protocol.scene.rules, &late))
            }
        };
        expect("what a settlement led to", said, Some(led_to(result)))?;
        self.laws()
    }

    /// One at a time, as the trace shows them.
    fn commit(&mut self, now: Vec<Verdict>, later: Vec<Verdict>) -> Option<LedTo> {
        if let Some(host) = &mut self.state.host {
            host.queue = now;
        }
        let said = self.state.commit(&self.protocol.scene.rules);
        if let Some(host) = &mut self.state.host {
            host.queue = later;
        }
        said
    }

    fn is_stale(&self, row: u8) -> bool {
        let row = self.state.store.row(row);
        let (job, event) = (
            self.state.store.job(row.job),
            self.state.store.events[usize::from(row.event)],
        );
        let before = event.revision < job.entered;
        match row.kind {
            EventKind::JobError | EventKind::OnError => before || job.state != JobState::Error,
            EventKind::JobTransferred => before || job.state != JobState::Transferred,
            _ => false,
        }
    }

    /// Store and model agree on every job and row.
    fn compare(&mut self, standing: &Standing) -> Checked {
        expect(
            "how many jobs there are",
            self.state.store.jobs.len(),
            standing.jobs.len(),
        )?;
        for (model, real) in self.state.store.jobs.iter().zip(&standing.jobs) {
            let here = (
                model.state,
                model.intent,
                model.outcome,
                u64::from(model.revision),
            );
            expect(
                "a job",
                here,
                (real.state, real.intent, real.outcome, real.revision),
            )?;
        }
        let new = standing.deliveries.iter().skip(self.rows.len());
        self.rows.extend(new.map(|delivery| delivery.id));
        expect(
            "how many deliveries there are",
            self.state.store.rows.len(),
            standing.deliveries.len(),
        )?;
        for (at, (model, real)) in self.state.store.rows.iter().zip(&standing.deliveries).enumerate() {
            expect("its id", self.rows[at], real.id)?;
            expect("its job", self.jobs[usize::from(model.job)], real.job)?;
            same(model, real)?;
        }
        self.shown.clone_from(&standing.deliveries);
        Ok(())
    }

    fn row_of(&self, id: DeliveryId) -> Result<u8, String> {
        let at = self.rows.iter().position(|known| *known == id);
        at.map(index).ok_or_else(|| format!("there is no delivery {id}"))
    }

    fn job_of(&self, id: JobId) -> Result<u8, String> {
        let at = self.jobs.iter().position(|known| *known == id);
        at.map(index).ok_or_else(|| format!("there is no job {id}"))
    }
}
