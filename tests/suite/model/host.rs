//! What is volatile: a host with its guests and the verdicts on their way to the store. A death of
//! the host loses all of it.

use sexton::job::DeliveryState;

use super::flaws::Flaw;
use super::law::Job;
use super::rows::{DECIDER, Rows, index};
use super::scenes::{Left, Rules};
use super::settle::{LedTo, Next, Said, Verdict};

/// A whole world at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// Durable.
    pub(super) store: Rows,
    /// Handlers with a component in the folder.
    pub(super) serving: Vec<bool>,
    /// Handlers whose component has just been swapped, for the onlooker.
    pub(super) swapped_due: bool,
    pub(super) host: Option<Host>,
    /// Guests of a lost host that nobody has proved dead; only a broken twin has them.
    pub(super) orphans: Vec<u8>,
    /// A verdict whose answer was lost, or that its host did not live to commit.
    pub(super) late: Option<Verdict>,
    /// Verdicts that were queued before the FailFast which ended the last host.
    pub(super) owed: Vec<Verdict>,
    /// The last verdict was refused.
    pub(super) fenced: bool,
    pub(super) left: Left,
}

/// One start of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Host {
    /// A slot each.
    pub(super) calls: Vec<Call>,
    /// Verdicts that wait for the writer: they commit together.
    pub(super) queue: Vec<Verdict>,
    /// Events whose rows are still to be written; only a broken twin has them.
    pub(super) unwritten: Vec<u8>,
    /// A FailFast is decided.
    pub(super) ending: bool,
    /// Something was claimed after that.
    pub(super) claimed_while_ending: bool,
}

/// A claimed delivery whose call is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    pub(super) row: u8,
    pub(super) attempt: u8,
    /// The job as the handler sees it.
    pub(super) seen: Job,
    /// The version of its state that it read.
    pub(super) read: u8,
    pub(super) charged: u8,
    pub(super) faults: u8,
    /// Its guest runs.
    pub(super) running: bool,
}

impl State {
    pub(super) fn new(store: Rows, left: Left) -> Self {
        Self {
            serving: vec![true; store.routed.len()],
            swapped_due: false,
            store,
            host: None,
            orphans: Vec::new(),
            late: None,
            owed: Vec::new(),
            fenced: false,
            left,
        }
    }

    /// Whether dispatch may take `row` now.
    pub(super) fn claimable(&self, rules: &Rules, row: u8) -> bool {
        let Some(host) = &self.host else { return false };
        if host.ending && rules.flaw != Some(Flaw::ClaimsWhileEnding) {
            return false;
        }
        let handler = self.store.row(row).handler;
        let same = |call: &&Call| self.store.row(call.row).handler == handler;
        self.ready(rules, row)
            && host.calls.len() < rules.calls
            && host.calls.iter().filter(same).count() < rules.per_plugin
            && self.suspects_allow(rules, host, row)
    }

    /// Due, served, and not behind an earlier one of its pair.
    fn ready(&self, rules: &Rules, row: u8) -> bool {
        let it = self.store.row(row);
        it.state == DeliveryState::Pending
            && it.due
            && self.serving[usize::from(it.handler)]
            && (rules.flaw == Some(Flaw::OrderIgnored) || !self.store.blocked(row))
    }

    /// A delivery during which the host keeps dying runs by itself: nothing starts beside it, nor
    /// while the verdict on it is on its way.
    fn suspects_allow(&self, rules: &Rules, host: &Host, row: u8) -> bool {
        let suspect = |at: &u8| self.store.row(*at).interrupted >= rules.alone;
        let mut suspects = (0..index(self.store.rows.len())).filter(suspect);
        let forgotten = rules.flaw == Some(Flaw::SuspectForgotten) && host.calls.is_empty();
        if !forgotten
            && suspects
                .clone()
                .any(|at| self.store.row(at).state == DeliveryState::Running)
        {
            return false;
        }
        match suspects.find(|at| self.ready(rules, *at)) {
            Some(first) => first == row && host.calls.is_empty(),
            None => true,
        }
    }

    /// The claim commits; only then is there a call to make.
    pub(super) fn claim(&mut self, rules: &Rules, row: u8) {
        self.store.claim(rules, row);
        let claimed = *self.store.row(row);
        let call = Call {
            row,
            attempt: claimed.attempt,
            seen: *self.store.job(claimed.job),
            read: self.store.written[usize::from(claimed.handler)],
            charged: claimed.charged,
            faults: claimed.faults,
            running: false,
        };
        if let Some(host) = &mut self.host {
            host.claimed_while_ending |= host.ending;
            host.calls.push(call);
            host.calls.sort_by_key(|call| call.row);
        }
    }

    /// The guest starts: the side effect.
    pub(super) fn call(&mut self, row: u8) -> bool {
        let handler = self.store.row(row).handler;
        let read = self.store.written[usize::from(handler)];
        let Some(call) = self.call_of(row).filter(|call| !call.running) else {
            return false;
        };
        call.running = true;
        call.read = read;
        self.store.row_mut(row).notes.calls += 1;
        true
    }

    fn call_of(&mut self, row: u8) -> Option<&mut Call> {
        let calls = &mut self.host.as_mut()?.calls;
        calls.iter_mut().find(|call| call.row == row)
    }

    /// The guest ends: its slot is free, and its verdict queued.
    pub(super) fn end(&mut self, rules: &Rules, row: u8, said: Said) -> bool {
        let Some(call) = self.call_of(row).filter(|call| call.running) else {
            return false;
        };
        let call = *call;
        if !self.permitted(rules, &call, said) {
            return false;
        }
        let said = follow(rules, &call, said);
        let verdict = Verdict {
            row,
            attempt: call.attempt,
            incarnation: self.store.incarnation,
            revision: call.seen.revision,
            read: call.read,
            said,
        };
        if matches!(said, Said::Decide(_)) && rules.flaw == Some(Flaw::ActsBeforeRecord) {
            let job = self.store.row(row).job;
            self.store.jobs[usize::from(job)].notes.file_work = true;
        }
        let Some(host) = &mut self.host else { return false };
        host.calls.retain(|call| call.row != row);
        if host.ending {
            // Left as interrupted; the next start makes the call again.
            return true;
        }
        host.queue.push(verdict);
        host.ending = is_fatal(&verdict);
        true
    }

    /// What the room and the law refuse is never buffered.
    fn permitted(&self, rules: &Rules, call: &Call, said: Said) -> bool {
        let Said::Decide(command) = said else { return true };
        let decides = self.store.row(call.row).handler == DECIDER;
        (decides || rules.flaw == Some(Flaw::ObserverDecides)) && call.seen.apply(command).is_some()
    }

    /// The writer commits all that is queued as one. Returns what the last verdict led to.
    pub(super) fn commit(&mut self, rules: &Rules) -> Option<LedTo> {
        let queue = std::mem::take(&mut self.host.as_mut()?.queue);
        let fatal = queue.iter().any(is_fatal);
        let alone = fatal && rules.flaw == Some(Flaw::FailFastAlone);
        let mut last = None;
        for verdict in &queue {
            if alone && !is_fatal(verdict) {
                continue;
            }
            if rules.flaw == Some(Flaw::DecisionApart) && self.decide_apart(rules, verdict) {
                continue;
            }
            last = Some(self.store.settle(rules, verdict));
        }
        if fatal {
            self.owed = queue;
            self.die();
        }
        last
    }

    /// The broken way: the decision now, the acknowledgement in the next transaction.
    fn decide_apart(&mut self, rules: &Rules, verdict: &Verdict) -> bool {
        let Said::Decide(command) = verdict.said else {
            return false;
        };
        let job = *self.store.job(self.store.row(verdict.row).job);
        if !self.store.holds(verdict) || job.revision != verdict.revision {
            return false;
        }
        self.store.decide(rules, verdict.row, command, false);
        if let Some(host) = &mut self.host {
            host.queue.push(Verdict {
                said: Said::Ack,
                ..*verdict
            });
        }
        true
    }

    /// The process is gone, with everything that was in it.
    pub(super) fn die(&mut self) {
        let Some(host) = self.host.take() else { return };
        for at in 0..index(self.store.rows.len()) {
            let row = self.store.row_mut(at);
            if row.state == DeliveryState::Running {
                row.notes.company = host.calls.iter().any(|call| call.row != at);
            }
        }
    }
}

pub(super) fn is_fatal(verdict: &Verdict) -> bool {
    matches!(verdict.said, Said::Fail(Next::FailFast))
}

/// The policy: what follows a failure.
fn follow(rules: &Rules, call: &Call, said: Said) -> Said {
    match said {
        Said::Fail(_) if call.charged >= rules.tries => Said::Fail(rules.then),
        Said::Fail(_) => Said::Fail(Next::Retry),
        Said::Fault(_) if call.faults + 1 >= rules.faults_max => Said::Fault(Next::Park),
        Said::Fault(_) => Said::Fault(Next::Retry),
        other => other,
    }
}
