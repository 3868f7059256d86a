//! From a claim to its settlement, and what a new start makes of claims that were never settled.

use sexton::job::DeliveryState;

use super::flaws::Flaw;
use super::law::Command;
use super::rows::{Over, Rows, index};
use super::scenes::Rules;

/// The end of one attempt, on its way to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Verdict {
    pub(super) row: u8,
    /// The fence: which attempt, of which start.
    pub(super) attempt: u8,
    pub(super) incarnation: u8,
    /// The job's revision that the call saw.
    pub(super) revision: u8,
    /// The version of the handler's state that it read.
    pub(super) read: u8,
    pub(super) said: Said,
}

/// What a call came to, with what follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Said {
    Ack,
    /// Acknowledges, and changes the handler's own state by what it read there.
    Write,
    Decide(Command),
    /// Its own failure: error, trap, time-out.
    Fail(Next),
    /// Ours.
    Fault(Next),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    /// Not yet known: the dispatcher asks the policy.
    Ask,
    Retry,
    Dead,
    Park,
    FailFast,
}

/// What a settlement led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LedTo {
    Fenced,
    Settled,
    Conflict,
    Superseded,
    Retrying,
    Dead,
}

impl Rows {
    /// Counts the attempt; the caller makes the call only after this.
    pub(super) fn claim(&mut self, rules: &Rules, row: u8) {
        let overtook = self.blocked(row);
        let incarnation = self.incarnation;
        let claimed = self.row_mut(row);
        claimed.state = DeliveryState::Running;
        claimed.claimed_by = incarnation;
        claimed.notes.overtook |= overtook && !claimed.notes.exhumed;
        claimed.charged += 1;
        if rules.flaw != Some(Flaw::ClaimUncounted) {
            claimed.attempt += 1;
        }
    }

    /// An earlier delivery of the pair is not over.
    pub(super) fn blocked(&self, row: u8) -> bool {
        let it = self.row(row);
        let before = &self.rows[..usize::from(row)];
        before
            .iter()
            .any(|earlier| earlier.job == it.job && earlier.handler == it.handler && earlier.open())
    }

    /// The verdict is of the claim that holds the row.
    pub(super) fn holds(&self, verdict: &Verdict) -> bool {
        let row = self.row(verdict.row);
        row.state == DeliveryState::Running
            && row.attempt == verdict.attempt
            && row.claimed_by == verdict.incarnation
    }

    pub(super) fn settle(&mut self, rules: &Rules, verdict: &Verdict) -> LedTo {
        let held = self.holds(verdict);
        if !held && rules.flaw != Some(Flaw::NoFence) {
            return LedTo::Fenced;
        }
        self.row_mut(verdict.row).notes.foreign |= !held;
        match verdict.said {
            Said::Ack | Said::Write | Said::Decide(_) => self.acknowledge(rules, verdict),
            Said::Fail(next) => {
                self.row_mut(verdict.row).notes.failures += 1;
                self.row_mut(verdict.row).faults = 0;
                self.fail(rules, verdict.row, next, Over::Dead)
            }
            Said::Fault(next) => {
                let row = self.row_mut(verdict.row);
                row.faults += 1;
                row.uncharge();
                self.fail(rules, verdict.row, next, Over::Faults)
            }
        }
    }

    fn acknowledge(&mut self, rules: &Rules, verdict: &Verdict) -> LedTo {
        let row = *self.row(verdict.row);
        let moved = self.job(row.job).revision != verdict.revision;
        if verdict.said == Said::Write {
            let version = &mut self.written[usize::from(row.handler)];
            if *version != verdict.read {
                // Not counted: the call that came first got through.
                self.row_mut(verdict.row).uncharge();
                self.row_mut(verdict.row).again(true);
                return LedTo::Conflict;
            }
            *version += 1;
        }
        let mut over = Over::Acknowledged;
        if let Said::Decide(command) = verdict.said {
            if moved && rules.flaw != Some(Flaw::NoConflictCheck) {
                let row = self.row_mut(verdict.row);
                row.conflicts += 1;
                row.uncharge();
                if row.conflicts <= rules.conflicts_max {
                    row.again(true);
                    return LedTo::Conflict;
                }
                over = Over::Superseded;
            } else {
                self.decide(rules, verdict.row, command, moved);
            }
        }
        self.row_mut(verdict.row).end(DeliveryState::Settled, over);
        self.release_if_done(rules, row.job);
        if over == Over::Superseded {
            LedTo::Superseded
        } else {
            LedTo::Settled
        }
    }

    /// A handler's decision reaches its job.
    pub(super) fn decide(&mut self, rules: &Rules, row: u8, command: Command, moved: bool) {
        let job = self.row(row).job;
        let allowed = self.apply(rules, job, command);
        assert!(allowed || moved, "the law changed its mind on the same revision");
        let notes = &mut self.row_mut(row).notes;
        notes.applied += 1;
        notes.blind |= moved;
    }

    fn fail(&mut self, rules: &Rules, row: u8, next: Next, why: Over) -> LedTo {
        match next {
            Next::Ask => unreachable!("the dispatcher has asked the policy"),
            Next::Retry => {
                self.row_mut(row).again(false);
                LedTo::Retrying
            }
            Next::Dead => self.bury(rules, row, DeliveryState::Dead, why),
            Next::Park => self.bury(rules, row, DeliveryState::Poison, why),
            Next::FailFast => {
                let named = self.row_mut(row);
                named.fail_fasts += 1;
                named.notes.records += 1;
                if named.fail_fasts >= rules.crash_limit && rules.flaw != Some(Flaw::NoCrashLimit) {
                    return self.bury(rules, row, DeliveryState::Poison, Over::Crashes);
                }
                named.again(true);
                LedTo::Retrying
            }
        }
    }

    fn bury(&mut self, rules: &Rules, row: u8, state: DeliveryState, why: Over) -> LedTo {
        self.row_mut(row).end(state, why);
        self.go_on(rules, row);
        LedTo::Dead
    }

    /// A transfer goes on without a handler that could not be told; a failed batch does not.
    fn go_on(&mut self, rules: &Rules, row: u8) {
        let job = self.row(row).job;
        if !self.job(job).batch {
            self.release_if_done(rules, job);
        }
    }

    /// A new start: what earlier ones held is free, because they are dead.
    pub(super) fn recover(&mut self, rules: &Rules) {
        self.incarnation += 1;
        for job in 0..index(self.jobs.len()) {
            self.apply(rules, job, Command::Yield);
        }
        for index in 0..index(self.rows.len()) {
            let row = self.row_mut(index);
            if row.state != DeliveryState::Running {
                continue;
            }
            row.notes.deaths += 1;
            let deaths = row.notes.deaths;
            if rules.flaw != Some(Flaw::CrashCharges) {
                row.uncharge();
            }
            if row.interrupted >= rules.alone {
                row.end(DeliveryState::Poison, Over::Deaths);
                row.notes.deaths = deaths;
                self.go_on(rules, index);
            } else {
                let interrupted = row.interrupted + 1;
                row.again(true);
                row.interrupted = interrupted;
                row.notes.deaths = deaths;
            }
        }
    }
}
