//! The bounds: small worlds, each with what may happen in it and what must be reachable.

use sexton::job::EventKind;

use super::flaws::Flaw;
use super::host::State;
use super::law::{Command, Job};
use super::rows::Rows;
use super::settle::{Next, Said};

/// Limits that the rules read. The host's own are in [`Rules::HOST`]; small worlds use smaller ones
/// where only the number differs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The events that handlers are subscribed to.
    pub(super) hears: &'static [EventKind],
    /// Conflicts after which a decision is dropped.
    pub(super) conflicts_max: u8,
    /// Deaths in a row after which a delivery runs alone.
    pub(super) alone: u8,
    /// Faults of the host in a row that park a delivery.
    pub(super) faults_max: u8,
    /// FailFasts that park a delivery.
    pub(super) crash_limit: u8,
    /// Calls at once.
    pub(super) calls: usize,
    /// Calls at once of one handler.
    pub(super) per_plugin: usize,
    /// Failures after which the policy has its last word.
    pub(super) tries: u8,
    /// The last word.
    pub(super) then: Next,
    pub(super) flaw: Option<Flaw>,
}

impl Rules {
    pub(super) const HOST: Self = Self {
        hears: EventKind::ALL,
        conflicts_max: 3,
        alone: 5,
        faults_max: 5,
        crash_limit: 2,
        calls: 64,
        per_plugin: 4,
        tries: 2,
        then: Next::Dead,
        flaw: None,
    };
}

/// How often each thing may still happen, so that every path ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Left {
    /// Runs of jobs by the engine.
    pub(super) runs: u8,
    /// Of those, the ones that may fail.
    pub(super) fails: u8,
    /// Commands of people.
    pub(super) asks: u8,
    /// Outside SIGKILLs.
    pub(super) crashes: u8,
    /// Answers of the store that are lost, so that a verdict is settled again.
    pub(super) lost: u8,
    /// New digests.
    pub(super) swaps: u8,
    /// Components that are taken away for a while.
    pub(super) unloads: u8,
    /// Handlers that the routing names later.
    pub(super) routes: u8,
    /// Replays and purges.
    pub(super) burials: u8,
}

/// A small world.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) rules: Rules,
    pub(super) jobs: Vec<Job>,
    /// A handler each, and whether the routing names it from the start.
    pub(super) routed: Vec<bool>,
    /// What a call may come to.
    pub(super) says: Vec<Said>,
    /// What people may ask.
    pub(super) asks: Vec<Command>,
    pub(super) left: Left,
    /// What must happen in some history.
    pub(super) reaches: Vec<&'static str>,
}

const FAILS: Said = Said::Fail(Next::Ask);
const ERRORS: &[EventKind] = &[EventKind::JobError];
const FAULT: Said = Said::Fault(Next::Ask);

impl Scene {
    pub(super) fn start(&self) -> State {
        State::new(
            Rows::new(self.jobs.clone(), self.routed.len(), self.routed.clone()),
            self.left,
        )
    }
}

const DOWNLOAD: Job = Job::new(false, false);
const BATCH: Job = Job::new(true, false);

/// All of them.
pub(super) fn all() -> Vec<Scene> {
    vec![
        decisions(),
        conflicts(),
        fail_fast(),
        deaths(),
        completion(),
        plugins(),
        batch(),
        burials(),
        faults(),
    ]
}

/// A decider and an observer; the job changes under them, answers are lost, the host dies.
pub(super) fn decisions() -> Scene {
    Scene {
        name: "decisions",
        rules: Rules {
            hears: ERRORS,
            tries: 1,
            ..Rules::HOST
        },
        jobs: vec![DOWNLOAD],
        routed: vec![true, true],
        says: vec![Said::Ack, Said::Decide(Command::Resume), FAILS],
        asks: vec![Command::Prioritise],
        left: Left {
            runs: 2,
            fails: 1,
            asks: 1,
            crashes: 1,
            ..Left::default()
        },
        reaches: vec![
            "a decision applies",
            "a conflict is called again",
            "a delivery is dead",
            "a death interrupts a call",
        ],
    }
}

/// The job moves whenever its handler decides.
pub(super) fn conflicts() -> Scene {
    Scene {
        name: "conflicts",
        rules: Rules {
            hears: ERRORS,
            ..Rules::HOST
        },
        jobs: vec![DOWNLOAD],
        routed: vec![true],
        says: vec![Said::Decide(Command::Cancel), Said::Write],
        asks: vec![Command::Prioritise],
        left: Left {
            runs: 1,
            fails: 1,
            asks: 4,
            crashes: 1,
            lost: 1,
            ..Left::default()
        },
        reaches: vec![
            "a conflict is called again",
            "a decision is superseded",
            "a decision applies",
            "a late verdict is fenced",
        ],
    }
}

/// Every failure of a handler ends the host.
pub(super) fn fail_fast() -> Scene {
    Scene {
        name: "fail-fast",
        rules: Rules {
            hears: ERRORS,
            tries: 1,
            then: Next::FailFast,
            ..Rules::HOST
        },
        jobs: vec![DOWNLOAD, DOWNLOAD],
        routed: vec![true],
        says: vec![Said::Ack, FAILS],
        asks: vec![],
        left: Left {
            runs: 2,
            fails: 2,
            crashes: 1,
            ..Left::default()
        },
        reaches: vec![
            "a FailFast is recorded",
            "a verdict commits with a FailFast",
            "the crash limit parks",
            "a death interrupts a call",
        ],
    }
}

/// The host keeps dying by other hands.
pub(super) fn deaths() -> Scene {
    Scene {
        name: "deaths",
        rules: Rules {
            hears: &[EventKind::JobTransferred],
            alone: 2,
            ..Rules::HOST
        },
        jobs: vec![DOWNLOAD, DOWNLOAD],
        routed: vec![true],
        says: vec![Said::Ack],
        asks: vec![],
        left: Left {
            runs: 2,
            crashes: 4,
            ..Left::default()
        },
        reaches: vec!["a suspect runs", "a lonely death parks"],
    }
}

/// A transferred job completes once its handlers are told.
pub(super) fn completion() -> Scene {
    Scene {
        name: "completion",
        rules: Rules {
            hears: &[EventKind::JobTransferred, EventKind::OnEnded],
            tries: 1,
            ..Rules::HOST
        },
        jobs: vec![DOWNLOAD],
        routed: vec![true, true],
        says: vec![Said::Ack, Said::Decide(Command::Complete), FAILS],
        asks: vec![Command::Cancel],
        left: Left {
            runs: 2,
            asks: 1,
            crashes: 1,
            ..Left::default()
        },
        reaches: vec![
            "a decision applies",
            "the end is told",
            "a delivery is dead",
            "a job completes by itself",
        ],
    }
}

/// Components are swapped, taken away and named later.
pub(super) fn plugins() -> Scene {
    Scene {
        name: "plugins",
        rules: Rules {
            hears: ERRORS,
            ..Rules::HOST
        },
        jobs: vec![DOWNLOAD],
        routed: vec![true, false],
        says: vec![Said::Ack, FAILS],
        asks: vec![],
        left: Left {
            runs: 1,
            fails: 1,
            crashes: 1,
            swaps: 1,
            unloads: 1,
            routes: 1,
            ..Left::default()
        },
        reaches: vec![
            "a row is written later",
            "a swap makes it due",
            "a delivery is dead",
        ],
    }
}

/// A failed batch ends once its handlers are told, and stays when one could not be.
pub(super) fn batch() -> Scene {
    Scene {
        name: "batch",
        rules: Rules {
            hears: &[EventKind::OnError],
            tries: 1,
            ..Rules::HOST
        },
        jobs: vec![BATCH],
        routed: vec![true, true],
        says: vec![Said::Ack, Said::Decide(Command::Resume), FAILS],
        asks: vec![],
        left: Left {
            runs: 2,
            fails: 2,
            crashes: 1,
            ..Left::default()
        },
        reaches: vec!["a failed batch ends", "a failed batch stays", "a job fails twice"],
    }
}

/// What is dead is replayed and purged by people.
pub(super) fn burials() -> Scene {
    Scene {
        name: "burials",
        rules: Rules {
            hears: &[EventKind::JobError, EventKind::OnEnded],
            tries: 1,
            then: Next::FailFast,
            crash_limit: 1,
            ..Rules::HOST
        },
        jobs: vec![DOWNLOAD],
        routed: vec![true],
        says: vec![Said::Ack, FAILS],
        asks: vec![Command::Cancel],
        left: Left {
            runs: 1,
            fails: 1,
            asks: 1,
            crashes: 1,
            burials: 2,
            ..Left::default()
        },
        reaches: vec![
            "the crash limit parks",
            "a delivery is purged",
            "a delivery is replayed",
        ],
    }
}

/// The host's own faults, and handlers that write their state side by side.
pub(super) fn faults() -> Scene {
    Scene {
        name: "faults",
        rules: Rules {
            hears: ERRORS,
            faults_max: 2,
            ..Rules::HOST
        },
        jobs: vec![DOWNLOAD, DOWNLOAD],
        routed: vec![true],
        says: vec![Said::Write, FAULT],
        asks: vec![],
        left: Left {
            runs: 2,
            fails: 2,
            crashes: 1,
            ..Left::default()
        },
        reaches: vec!["faults park", "a write is made again"],
    }
}
