//! What is durable: jobs, events, and one row for every (event, handler). Every verb here is one
//! transaction of the store.

use sexton::job::{DeliveryState, EventKind, JobState};

use super::flaws::Flaw;
use super::law::{Command, Job};
use super::scenes::Rules;

/// The handler that decides; all others observe.
pub(super) const DECIDER: u8 = 0;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rows {
    pub(super) jobs: Vec<Job>,
    pub(super) events: Vec<Event>,
    pub(super) rows: Vec<Row>,
    /// The version of each handler's own state.
    pub(super) written: Vec<u8>,
    /// Handlers that the routing names.
    pub(super) routed: Vec<bool>,
    /// The number of the last start.
    pub(super) incarnation: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Event {
    pub(super) job: u8,
    pub(super) kind: EventKind,
    /// The job's revision when it happened.
    pub(super) revision: u8,
    /// Noted by the onlooker: who was to be told, a bit for each handler.
    pub(super) told: u8,
}

/// One delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) event: u8,
    pub(super) job: u8,
    pub(super) kind: EventKind,
    pub(super) handler: u8,
    pub(super) state: DeliveryState,
    pub(super) attempt: u8,
    pub(super) charged: u8,
    pub(super) conflicts: u8,
    pub(super) interrupted: u8,
    pub(super) faults: u8,
    pub(super) fail_fasts: u8,
    /// Its due time has come.
    pub(super) due: bool,
    /// The start that holds the claim; 0 is nobody.
    pub(super) claimed_by: u8,
    pub(super) result: Option<Over>,
    pub(super) notes: RowNotes,
}

/// Why a delivery is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Over {
    Acknowledged,
    Superseded,
    /// The policy gave up.
    Dead,
    /// It ended the host too often.
    Crashes,
    /// The host died again while only this ran.
    Deaths,
    /// The host itself failed too often in a row.
    Faults,
    Purged,
}

/// What an onlooker writes down; no rule reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RowNotes {
    /// Guests started for it.
    pub(super) calls: u8,
    /// Failures that are the handler's own, since it was last made due by a person.
    pub(super) failures: u8,
    /// Durable FailFast records that name it.
    pub(super) records: u8,
    /// Deaths of the host during it, in a row.
    pub(super) deaths: u8,
    /// At the last of them another guest ran too.
    pub(super) company: bool,
    /// Its handler's decisions that reached the job.
    pub(super) applied: u8,
    /// One of them on a job that the handler had not seen.
    pub(super) blind: bool,
    /// It was ended by a verdict that was not of its claim.
    pub(super) foreign: bool,
    /// It was claimed while an earlier one of its pair was open.
    pub(super) overtook: bool,
    /// It was buried once, and is called again out of turn.
    pub(super) exhumed: bool,
}

impl Row {
    pub(super) fn open(&self) -> bool {
        !self.state.is_over()
    }

    pub(super) fn buried(&self) -> bool {
        matches!(self.state, DeliveryState::Dead | DeliveryState::Poison)
    }

    pub(super) fn end(&mut self, state: DeliveryState, why: Over) {
        self.state = state;
        self.result = Some(why);
        self.interrupted = 0;
        self.faults = 0;
        self.due = false;
        self.claimed_by = 0;
        self.notes.deaths = 0;
    }

    pub(super) fn again(&mut self, due: bool) {
        self.state = DeliveryState::Pending;
        self.due = due;
        self.interrupted = 0;
        self.claimed_by = 0;
        self.notes.deaths = 0;
    }

    pub(super) fn uncharge(&mut self) {
        self.charged = self.charged.saturating_sub(1);
    }
}

impl Rows {
    pub(super) fn new(jobs: Vec<Job>, handlers: usize, routed: Vec<bool>) -> Self {
        Self {
            jobs,
            events: Vec::new(),
            rows: Vec::new(),
            written: vec![0; handlers],
            routed,
            incarnation: 0,
        }
    }

    pub(super) fn row(&self, row: u8) -> &Row {
        &self.rows[usize::from(row)]
    }

    pub(super) fn row_mut(&mut self, row: u8) -> &mut Row {
        &mut self.rows[usize::from(row)]
    }

    pub(super) fn job(&self, job: u8) -> &Job {
        &self.jobs[usize::from(job)]
    }

    /// A command through the law: the new state, its event and the event's rows are one transaction.
    /// Returns whether the law allowed it.
    pub(super) fn apply(&mut self, rules: &Rules, job: u8, command: Command) -> bool {
        let was = *self.job(job);
        let Some((mut next, event)) = was.apply(command) else {
            return false;
        };
        if next.state != was.state || event.is_some() {
            next.entered = next.revision;
        }
        self.jobs[usize::from(job)] = next;
        if let Some(kind) = event {
            self.raise(rules, job, kind);
            if kind == EventKind::OnEnded && rules.flaw == Some(Flaw::EndToldTwice) {
                self.raise(rules, job, kind);
            }
        }
        if next.state == JobState::Transferred && was.state != JobState::Transferred {
            self.release_if_done(rules, job);
        }
        true
    }

    fn raise(&mut self, rules: &Rules, job: u8, kind: EventKind) {
        if !self.routed.contains(&true) || !rules.hears.contains(&kind) {
            return;
        }
        let event = self.insert_event(job, kind);
        if rules.flaw != Some(Flaw::RowsApart) {
            self.insert_rows(rules, event);
        }
    }

    fn insert_event(&mut self, job: u8, kind: EventKind) -> u8 {
        self.events.push(Event {
            job,
            kind,
            revision: self.job(job).revision,
            told: 0,
        });
        let event = index(self.events.len() - 1);
        self.note_told(event);
        event
    }

    fn note_told(&mut self, event: u8) {
        let routed = self.routed.iter().enumerate().filter(|(_, routed)| **routed);
        let told = routed.fold(0, |bits, (handler, _)| bits | 1 << handler);
        self.events[usize::from(event)].told |= told;
    }

    /// The rows that an event lacks under the routing as it is.
    pub(super) fn insert_rows(&mut self, rules: &Rules, event: u8) {
        let Event { job, kind, .. } = self.events[usize::from(event)];
        for handler in 0..index(self.routed.len()) {
            let known = self
                .rows
                .iter()
                .any(|row| row.event == event && row.handler == handler);
            let twice = known && rules.flaw == Some(Flaw::BackfillTwice);
            if self.routed[usize::from(handler)] && (!known || twice) {
                self.rows.push(Row {
                    event,
                    job,
                    kind,
                    handler,
                    state: DeliveryState::Pending,
                    attempt: 0,
                    charged: 0,
                    conflicts: 0,
                    interrupted: 0,
                    faults: 0,
                    fail_fasts: 0,
                    due: true,
                    claimed_by: 0,
                    result: None,
                    notes: RowNotes::default(),
                });
            }
        }
    }

    /// Completion by itself, and the end of a failed batch, once nobody is to be told any more. A
    /// batch of whose failure somebody could not be told stays where it is.
    pub(super) fn release_if_done(&mut self, rules: &Rules, job: u8) {
        let Job { state, entered, .. } = *self.job(job);
        let kind = match state {
            JobState::Transferred => EventKind::JobTransferred,
            JobState::Error => EventKind::OnError,
            _ => return,
        };
        let waits = self
            .rows
            .iter()
            .filter(|row| row.job == job && row.kind == kind)
            .any(|row| {
                let now = self.events[usize::from(row.event)].revision >= entered;
                row.open() || (kind == EventKind::OnError && now && row.buried())
            });
        let ignored = rules.flaw == Some(Flaw::CompletionDoesNotWait);
        if (!waits || ignored) && self.job(job).intent.is_none() && self.apply(rules, job, Command::Release) {
            self.jobs[usize::from(job)].notes.early |= waits;
        }
    }

    /// Jobs that rest get the rows that they lack, once.
    pub(super) fn backfill(&mut self, rules: &Rules) {
        for resting in [JobState::Error, JobState::Transferred] {
            for job in 0..index(self.jobs.len()) {
                let Job { state, intent, .. } = *self.job(job);
                if state == resting && intent.is_none() {
                    self.backfill_job(rules, job);
                }
            }
        }
    }

    fn backfill_job(&mut self, rules: &Rules, job: u8) {
        let Job {
            batch,
            state,
            entered,
            ..
        } = *self.job(job);
        let kind = match state {
            JobState::Transferred if !batch => EventKind::JobTransferred,
            JobState::Error if batch => EventKind::OnError,
            JobState::Error => EventKind::JobError,
            _ => return,
        };
        if !self.routed.contains(&true) || !rules.hears.contains(&kind) {
            return;
        }
        let known = |event: &Event| event.job == job && event.kind == kind && event.revision >= entered;
        let event = match self.events.iter().rposition(known) {
            Some(event) => {
                self.note_told(index(event));
                index(event)
            }
            None => self.insert_event(job, kind),
        };
        self.insert_rows(rules, event);
    }

    /// A person makes a dead or parked delivery due again.
    pub(super) fn replay(&mut self, row: u8) {
        let row = self.row_mut(row);
        row.again(true);
        row.result = None;
        (row.charged, row.conflicts, row.faults, row.fail_fasts) = (0, 0, 0, 0);
        (row.notes.failures, row.notes.records, row.notes.exhumed) = (0, 0, true);
    }

    /// A person drops a dead or parked delivery; whatever waited for it goes on.
    pub(super) fn purge(&mut self, rules: &Rules, row: u8) {
        self.row_mut(row).end(DeliveryState::Settled, Over::Purged);
        let job = self.row(row).job;
        self.release_if_done(rules, job);
    }
}

/// Everything counted here is far below 256.
pub(super) fn index(at: usize) -> u8 {
    u8::try_from(at).expect("a small model")
}
