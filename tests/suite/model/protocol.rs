//! The transition relation: what can happen in a world, and what it is afterwards.

use stateright::{Model, Property};

use super::flaws::Flaw;
use super::host::{Host, State, is_fatal};
use super::invariants;
use super::law::Command;
use super::rows::{Row, index};
use super::scenes::Scene;
use super::settle::{LedTo, Said};

/// One thing that happens. Numbers name jobs, deliveries and handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A host starts; holding the lock proves earlier ones dead.
    Open,
    /// SIGKILL from outside.
    Crash,
    /// The same, and a verdict that it had sent arrives all the same, some time.
    CrashWithLate,
    /// The engine runs a job.
    Start(u8),
    Fail(u8),
    Finish(u8),
    /// The engine does the file work of an intent, and records that.
    FileWork(u8),
    IntentDone(u8),
    /// A person commands.
    Ask(u8, Command),
    /// Dispatch takes a delivery; its guest starts; its guest ends.
    Claim(u8),
    Call(u8),
    End(u8, Said),
    /// The writer commits what is queued.
    Commit,
    /// The same, but the answer to the last verdict is lost.
    CommitUnanswered,
    /// A late verdict arrives.
    Late,
    /// The time of a retry comes.
    Due(u8),
    /// A component with another digest; one that goes; one that comes back.
    Swap(u8),
    Unload(u8),
    Load(u8),
    /// The routing names one handler more.
    Route(u8),
    /// A person makes a dead delivery due again, or drops it.
    Replay(u8),
    Purge(u8),
    /// The broken way: an event's rows in a transaction of their own.
    WriteRows,
}

/// A scene to be explored, with the properties that are looked at.
pub(super) struct Protocol {
    pub(super) scene: Scene,
}

impl Protocol {
    /// The world after `step`, or nothing where it cannot happen.
    pub(super) fn after(&self, state: &State, step: Step) -> Option<State> {
        if !self.may(state, step) {
            return None;
        }
        let mut next = state.clone();
        next.fenced = false;
        next.swapped_due = false;
        self.carry_out(&mut next, step).then_some(next)
    }

    /// The cheap half of the guards.
    fn may(&self, state: &State, step: Step) -> bool {
        let left = &state.left;
        let up = state.host.is_some();
        let queued = state.host.as_ref().map_or(0, |host| host.queue.len());
        match step {
            Step::Open => !up,
            Step::Crash => up && left.crashes > 0,
            Step::CrashWithLate => {
                up && left.crashes > 0 && left.lost > 0 && queued > 0 && state.late.is_none()
            }
            Step::Start(_) => up && left.runs > 0,
            Step::Fail(_) => up && left.fails > 0,
            Step::Finish(_) | Step::FileWork(_) | Step::IntentDone(_) => up,
            Step::Ask(..) => up && left.asks > 0,
            Step::Claim(row) => state.claimable(&self.scene.rules, row),
            Step::Call(row) | Step::End(row, _) => state.host.as_ref().is_some_and(|host| {
                let begun = matches!(step, Step::End(..));
                host.calls
                    .iter()
                    .any(|call| call.row == row && call.running == begun)
            }),
            Step::Commit => queued > 0,
            Step::CommitUnanswered => queued > 0 && left.lost > 0 && state.late.is_none(),
            Step::Late => up && state.late.is_some(),
            Step::Due(row) => {
                let row = state.store.row(row);
                waits(row) && self.scene.rules.flaw != Some(Flaw::NeverDue)
            }
            Step::Swap(_) => up && left.swaps > 0,
            Step::Unload(handler) => up && left.unloads > 0 && state.serving[usize::from(handler)],
            Step::Load(handler) => !state.serving[usize::from(handler)],
            Step::Route(handler) => up && left.routes > 0 && !state.store.routed[usize::from(handler)],
            Step::Replay(row) | Step::Purge(row) => up && left.burials > 0 && state.store.row(row).buried(),
            Step::WriteRows => state.host.as_ref().is_some_and(|host| !host.unwritten.is_empty()),
        }
    }

    fn carry_out(&self, next: &mut State, step: Step) -> bool {
        let rules = &self.scene.rules;
        match step {
            Step::Open => {
                next.store.recover(rules);
                next.host = Some(Host::default());
                next.owed.clear();
            }
            Step::Crash | Step::CrashWithLate => {
                next.left.crashes -= 1;
                self.crash(next, step == Step::CrashWithLate);
            }
            Step::Start(_) | Step::Fail(_) | Step::Finish(_) | Step::FileWork(_) | Step::IntentDone(_) => {
                return self.engine(next, step);
            }
            Step::Ask(job, command) => {
                next.left.asks -= 1;
                return self.command(next, job, command);
            }
            Step::Claim(row) => next.claim(rules, row),
            Step::Call(row) => return next.call(row),
            Step::End(row, said) => return next.end(rules, row, said),
            Step::Commit | Step::CommitUnanswered => self.commit(next, step == Step::CommitUnanswered),
            Step::Late => {
                let Some(late) = next.late.take() else {
                    return false;
                };
                next.fenced = next.store.settle(rules, &late) == LedTo::Fenced;
                if is_fatal(&late) && !next.fenced {
                    next.die();
                }
            }
            Step::Due(row) => next.store.row_mut(row).due = true,
            Step::WriteRows => {
                let Some(event) = next.host.as_mut().and_then(|host| host.unwritten.pop()) else {
                    return false;
                };
                next.store.insert_rows(rules, event);
            }
            Step::Swap(_)
            | Step::Unload(_)
            | Step::Load(_)
            | Step::Route(_)
            | Step::Replay(_)
            | Step::Purge(_) => {
                self.operate(next, step);
            }
        }
        true
    }

    /// What the operator does.
    fn operate(&self, next: &mut State, step: Step) {
        let rules = &self.scene.rules;
        match step {
            Step::Swap(handler) => {
                next.left.swaps -= 1;
                next.swapped_due = renew(next, handler);
            }
            Step::Unload(handler) => {
                next.left.unloads -= 1;
                next.serving[usize::from(handler)] = false;
            }
            Step::Load(handler) => next.serving[usize::from(handler)] = true,
            Step::Route(handler) => {
                next.left.routes -= 1;
                next.store.routed[usize::from(handler)] = true;
                next.store.backfill(rules);
            }
            Step::Replay(row) => {
                next.left.burials -= 1;
                next.store.replay(row);
            }
            Step::Purge(row) => {
                next.left.burials -= 1;
                next.store.purge(rules, row);
            }
            _ => unreachable!("not the operator's"),
        }
    }

    /// A command through the law. Where events and rows are written apart, the host owes the rows.
    fn command(&self, next: &mut State, job: u8, command: Command) -> bool {
        let events = next.store.events.len();
        let allowed = next.store.apply(&self.scene.rules, job, command);
        if self.scene.rules.flaw == Some(Flaw::RowsApart)
            && let Some(host) = &mut next.host
        {
            host.unwritten
                .extend((events..next.store.events.len()).map(index));
        }
        allowed
    }

    fn engine(&self, next: &mut State, step: Step) -> bool {
        match step {
            Step::Start(job) => {
                next.left.runs -= 1;
                next.store.job(job).intent.is_none() && self.command(next, job, Command::Start)
            }
            Step::Fail(job) => {
                next.left.fails -= 1;
                self.command(next, job, Command::FatalError)
            }
            Step::Finish(job) => self.command(next, job, Command::Finished),
            Step::FileWork(job) => {
                let it = &mut next.store.jobs[usize::from(job)];
                let due = it.intent.is_some() && !it.notes.file_work;
                it.notes.file_work |= due;
                due
            }
            Step::IntentDone(job) => {
                next.store.job(job).notes.file_work && self.command(next, job, Command::IntentDone)
            }
            _ => unreachable!("not the engine's"),
        }
    }

    fn crash(&self, next: &mut State, late: bool) {
        let Some(host) = &next.host else { return };
        if late {
            next.left.lost -= 1;
            next.late = host.queue.first().copied();
        }
        if self.scene.rules.flaw == Some(Flaw::ReleasedUnproven) {
            next.orphans = host
                .calls
                .iter()
                .filter(|call| call.running)
                .map(|call| call.row)
                .collect();
        }
        next.die();
    }

    fn commit(&self, next: &mut State, unanswered: bool) {
        let last = next.host.as_ref().and_then(|host| host.queue.last().copied());
        next.commit(&self.scene.rules);
        if unanswered {
            next.left.lost -= 1;
            next.late = last;
        }
    }

    /// Everything that could be tried in `state`.
    pub(super) fn candidates(&self, state: &State) -> Vec<Step> {
        let jobs = 0..index(state.store.jobs.len());
        let rows = 0..index(state.store.rows.len());
        let handlers = 0..index(state.serving.len());
        let mut steps = vec![Step::Open, Step::Crash, Step::CrashWithLate];
        steps.extend([Step::Commit, Step::CommitUnanswered, Step::Late, Step::WriteRows]);
        for job in jobs {
            steps.extend([Step::Start(job), Step::Fail(job), Step::Finish(job)]);
            steps.extend([Step::FileWork(job), Step::IntentDone(job)]);
            steps.extend(self.scene.asks.iter().map(|command| Step::Ask(job, *command)));
        }
        for row in rows {
            steps.extend([Step::Claim(row), Step::Call(row), Step::Due(row)]);
            steps.extend(self.scene.says.iter().map(|said| Step::End(row, *said)));
            steps.extend([Step::Replay(row), Step::Purge(row)]);
        }
        for handler in handlers {
            steps.extend([Step::Swap(handler), Step::Unload(handler)]);
            steps.extend([Step::Load(handler), Step::Route(handler)]);
        }
        steps
    }

    /// Nothing can happen any more.
    pub(super) fn is_at_rest(&self, state: &State) -> bool {
        let steps = self.candidates(state);
        steps.into_iter().all(|step| self.after(state, step).is_none())
    }
}

fn waits(row: &Row) -> bool {
    row.state == sexton::job::DeliveryState::Pending && !row.due
}

/// A new digest: what waits after a failure of the old component is due now.
pub(super) fn renew(state: &mut State, handler: u8) -> bool {
    let mut any = false;
    for row in &mut state.store.rows {
        if row.handler == handler && waits(row) && row.faults == 0 {
            row.due = true;
            any = true;
        }
    }
    any
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.scene.start()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        steps.extend(self.candidates(state));
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        self.after(state, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        invariants::of(&self.scene)
    }
}
