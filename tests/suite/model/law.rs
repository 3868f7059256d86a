//! The law of jobs, cut down to what settlement needs, in a form small enough to enumerate. A test
//! holds it against the host's own law, command by command.

use sexton::job::{EventKind, Intent, JobState, Outcome};

/// A job without what no rule of settlement reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    /// A batch call; else a download of one file.
    pub(super) batch: bool,
    pub(super) hold: bool,
    pub(super) state: JobState,
    pub(super) intent: Option<Intent>,
    pub(super) outcome: Option<Outcome>,
    pub(super) revision: u8,
    /// The revision at which its state was entered.
    pub(super) entered: u8,
    pub(super) notes: JobNotes,
}

/// What an onlooker writes down; no rule reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct JobNotes {
    /// Its files were moved or deleted.
    pub(super) file_work: bool,
    /// It was completed while a handler of this entry was still to be told.
    pub(super) early: bool,
}

/// What is asked of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Command {
    /// By people and handlers. The priority always becomes another.
    Prioritise,
    Resume,
    Cancel,
    Complete,
    /// By the engine.
    Start,
    Yield,
    FatalError,
    Finished,
    IntentDone,
    /// By the store, once nobody is to be told any more.
    Release,
}

impl Job {
    pub(super) const fn new(batch: bool, hold: bool) -> Self {
        Self {
            batch,
            hold,
            state: JobState::Queued,
            intent: None,
            outcome: None,
            revision: 1,
            entered: 1,
            notes: JobNotes {
                file_work: false,
                early: false,
            },
        }
    }

    /// The job afterwards and what handlers are told of it, or nothing where the law says no.
    pub(super) fn apply(&self, command: Command) -> Option<(Self, Option<EventKind>)> {
        use JobState::{Connecting, Error, Queued, Suspended, Transferred, TransientError};
        if self.state.is_final() {
            return None;
        }
        let silent = |job: Self| Some((job, None));
        match (self.intent, command) {
            (_, Command::Prioritise) => silent(self.moved(self.state)),
            (Some(Intent::Complete), Command::Complete | Command::Release)
            | (Some(Intent::Cancel), Command::Cancel) => silent(*self),
            (Some(Intent::Complete), Command::IntentDone) => {
                Some(self.ended(JobState::Acknowledged, Outcome::Succeeded))
            }
            (Some(Intent::Cancel), Command::IntentDone) => {
                Some(self.ended(JobState::Cancelled, Outcome::Cancelled))
            }
            (Some(_), _) | (None, Command::IntentDone) => None,
            (None, Command::Resume) => match self.state {
                Suspended | Error | TransientError | Transferred => silent(self.moved(Queued)),
                _ => silent(*self),
            },
            (None, Command::Cancel) => silent(self.with_intent(Intent::Cancel)),
            (None, Command::Complete) => {
                let may = !self.batch || self.state == Transferred;
                may.then(|| (self.with_intent(Intent::Complete), None))
            }
            (None, Command::Release) => self.released(),
            (None, Command::Start) => (self.state == Queued).then(|| (self.moved(Connecting), None)),
            (None, Command::Yield) => self.state.is_running().then(|| (self.moved(Queued), None)),
            (None, Command::FatalError) => self.state.is_running().then(|| {
                let event = if self.batch {
                    EventKind::OnError
                } else {
                    EventKind::JobError
                };
                (self.moved(Error), Some(event))
            }),
            (None, Command::Finished) => self.state.is_running().then(|| {
                let event = (!self.batch).then_some(EventKind::JobTransferred);
                (self.moved(Transferred), event)
            }),
        }
    }

    fn released(&self) -> Option<(Self, Option<EventKind>)> {
        match self.state {
            _ if self.hold => None,
            JobState::Transferred => Some((self.with_intent(Intent::Complete), None)),
            JobState::Error if self.batch => Some(self.ended(JobState::Acknowledged, Outcome::Failed)),
            _ => None,
        }
    }

    fn moved(&self, to: JobState) -> Self {
        Self {
            state: to,
            revision: self.revision + 1,
            ..*self
        }
    }

    fn with_intent(&self, intent: Intent) -> Self {
        let to = match self.state {
            JobState::Error | JobState::Transferred | JobState::Suspended => self.state,
            _ => JobState::Suspended,
        };
        Self {
            intent: Some(intent),
            ..self.moved(to)
        }
    }

    fn ended(&self, to: JobState, outcome: Outcome) -> (Self, Option<EventKind>) {
        let ended = Self {
            intent: None,
            outcome: Some(outcome),
            ..self.moved(to)
        };
        (ended, Some(EventKind::OnEnded))
    }
}
