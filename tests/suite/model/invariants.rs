//! What must never be, and what must be reachable, by name.

use sexton::job::{DeliveryState, EventKind, JobState, Outcome};
use stateright::Property;

use super::host::State;
use super::protocol::Protocol;
use super::rows::{DECIDER, Over, Row};
use super::scenes::Scene;
use super::settle::Said;

type Holds = fn(&Protocol, &State) -> bool;

/// The laws, for every scene.
pub(super) const LAWS: &[(&str, Holds)] = &[
    ("a call is counted before it is made", |_, state| {
        rows(state, |row| row.notes.calls <= row.attempt)
    }),
    ("a delivery has one guest at a time", |_, state| {
        let guests = |at: u8| {
            let calls = state.host.iter().flat_map(|host| &host.calls);
            let own = calls.filter(|call| call.row == at && call.running).count();
            own + state.orphans.iter().filter(|orphan| **orphan == at).count()
        };
        (0..state.store.rows.len()).all(|at| guests(super::rows::index(at)) <= 1)
    }),
    ("only the verdict of its claim ends an attempt", |_, state| {
        rows(state, |row| !row.notes.foreign)
    }),
    ("a decision commits with its acknowledgement", |_, state| {
        rows(state, |row| {
            row.notes.applied == 0 || (row.notes.applied == 1 && row.result == Some(Over::Acknowledged))
        })
    }),
    ("a decision is about the job that its handler saw", |_, state| {
        rows(state, |row| !row.notes.blind)
    }),
    ("observers decide nothing", |_, state| {
        rows(state, |row| row.handler == DECIDER || row.notes.applied == 0)
    }),
    ("an event has a row for everyone it is told", |_, state| {
        let written = |event: usize, handler: usize| {
            rows_of(state, event).any(|row| usize::from(row.handler) == handler)
        };
        state.store.events.iter().enumerate().all(|(at, event)| {
            (0..state.serving.len()).all(|handler| event.told & (1 << handler) == 0 || written(at, handler))
        })
    }),
    ("an event has one row for each handler", |_, state| {
        (0..state.store.events.len()).all(|event| {
            (0..state.serving.len()).all(|handler| {
                rows_of(state, event)
                    .filter(|row| usize::from(row.handler) == handler)
                    .count()
                    <= 1
            })
        })
    }),
    ("an entry into a state is told once", |_, state| {
        let events = &state.store.events;
        events.iter().enumerate().all(|(at, event)| {
            !events[..at].iter().any(|known| {
                (known.job, known.kind, known.revision) == (event.job, event.kind, event.revision)
            })
        })
    }),
    ("a job has one terminal notification", |protocol, state| {
        let heard = protocol.scene.rules.hears.contains(&EventKind::OnEnded);
        state.store.jobs.iter().enumerate().all(|(at, job)| {
            let ends = state.store.events.iter();
            let ends = ends.filter(|event| usize::from(event.job) == at && event.kind == EventKind::OnEnded);
            ends.count() == usize::from(job.state.is_final() && heard)
        })
    }),
    ("order holds per job and handler", |_, state| {
        rows(state, |row| !row.notes.overtook)
    }),
    ("only its own failures are charged", |_, state| {
        rows(state, |row| {
            let claimed = u8::from(row.state == DeliveryState::Running);
            !row.open() || row.charged == row.notes.failures + claimed
        })
    }),
    ("a suspect runs alone", |protocol, state| {
        let calls = state.host.iter().flat_map(|host| &host.calls);
        let suspect = |at: u8| state.store.row(at).interrupted >= protocol.scene.rules.alone;
        let count = calls.clone().count();
        calls.filter(|call| suspect(call.row)).all(|_| count == 1)
    }),
    ("a delivery is parked only by law", |protocol, state| {
        let rules = &protocol.scene.rules;
        rows(state, |row| match row.result {
            Some(Over::Crashes) => row.notes.records >= rules.crash_limit,
            Some(Over::Deaths) => row.notes.deaths > rules.alone && !row.notes.company,
            _ => true,
        })
    }),
    ("the crash limit ends the loop", |protocol, state| {
        rows(state, |row| {
            !row.open() || row.notes.records < protocol.scene.rules.crash_limit
        })
    }),
    ("what was queued commits with a FailFast", |_, state| {
        state.owed.iter().all(|verdict| !state.store.holds(verdict))
    }),
    ("nothing is claimed once a FailFast is decided", |_, state| {
        state.host.as_ref().is_none_or(|host| !host.claimed_while_ending)
    }),
    ("a call conflicts at most so often", |protocol, state| {
        let most = protocol.scene.rules.conflicts_max;
        rows(state, |row| {
            row.conflicts <= most + u8::from(row.result == Some(Over::Superseded))
        })
    }),
    ("no file work before its intent", |_, state| {
        let jobs = &state.store.jobs;
        jobs.iter()
            .all(|job| !job.notes.file_work || job.intent.is_some() || job.state.is_final())
    }),
    ("a job waits for those it tells", |_, state| {
        state.store.jobs.iter().all(|job| !job.notes.early)
    }),
    (
        "where nothing more can happen, nothing waits",
        |protocol, state| is_settled(protocol, state) || !protocol.is_at_rest(state),
    ),
];

/// What must happen somewhere; each scene names its own.
const REACHES: &[(&str, Holds)] = &[
    ("a decision applies", |_, state| {
        any(state, |row| row.notes.applied == 1)
    }),
    ("a conflict is called again", |_, state| {
        any(state, |row| row.conflicts > 0 && row.notes.calls > 1)
    }),
    ("a decision is superseded", |_, state| {
        any(state, |row| row.result == Some(Over::Superseded))
    }),
    ("a delivery is dead", |_, state| {
        any(state, |row| row.result == Some(Over::Dead))
    }),
    ("a late verdict is fenced", |_, state| state.fenced),
    ("the end is told", |_, state| {
        any(state, |row| {
            row.kind == EventKind::OnEnded && row.result == Some(Over::Acknowledged)
        })
    }),
    ("a death interrupts a call", |_, state| {
        any(state, |row| row.interrupted > 0 && row.notes.calls > 0)
    }),
    ("a job fails twice", |_, state| {
        let told = |kind| matches!(kind, EventKind::JobError | EventKind::OnError);
        state.store.events.iter().filter(|event| told(event.kind)).count() == 2
    }),
    ("a FailFast is recorded", |_, state| {
        any(state, |row| row.notes.records == 1 && row.open())
    }),
    ("a verdict commits with a FailFast", |_, state| {
        state.owed.iter().any(|verdict| matches!(verdict.said, Said::Ack))
    }),
    ("the crash limit parks", |_, state| {
        any(state, |row| row.result == Some(Over::Crashes))
    }),
    ("a suspect runs", |protocol, state| {
        any(state, |row| {
            row.interrupted >= protocol.scene.rules.alone && row.state == DeliveryState::Running
        })
    }),
    ("a lonely death parks", |_, state| {
        any(state, |row| row.result == Some(Over::Deaths))
    }),
    ("a job completes by itself", |_, state| {
        state
            .store
            .jobs
            .iter()
            .any(|job| job.outcome == Some(Outcome::Succeeded) && !job.hold)
    }),
    ("a row is written later", |_, state| {
        let (first, last) = (state.store.rows.first(), state.store.rows.last());
        first
            .zip(last)
            .is_some_and(|(first, last)| first.event == last.event && first.attempt > 0 && last.attempt == 0)
    }),
    ("a swap makes it due", |_, state| state.swapped_due),
    ("a failed batch ends", |_, state| ends(state, Outcome::Failed)),
    ("a failed batch stays", |protocol, state| {
        let waits = state
            .store
            .jobs
            .iter()
            .any(|job| job.batch && job.state == JobState::Error);
        waits && state.left.fails == 0 && is_settled(protocol, state)
    }),
    ("a delivery is purged", |_, state| {
        any(state, |row| row.result == Some(Over::Purged))
    }),
    ("a delivery is replayed", |_, state| {
        any(state, |row| {
            row.notes.exhumed && row.result == Some(Over::Acknowledged)
        })
    }),
    ("faults park", |_, state| {
        any(state, |row| row.result == Some(Over::Faults))
    }),
    ("a write is made again", |_, state| {
        any(state, |row| {
            row.notes.calls == 2 && row.charged == 1 && row.interrupted == 0 && row.faults == 0
        })
    }),
];

pub(super) fn of(scene: &Scene) -> Vec<Property<Protocol>> {
    let laws = LAWS.iter().map(|(name, holds)| Property::always(name, *holds));
    let ends = std::iter::once(Property::eventually("everything ends", is_settled as Holds));
    let reached = scene.reaches.iter().map(|wanted| {
        let known = REACHES.iter().find(|(name, _)| name == wanted);
        let (name, holds) = known.unwrap_or_else(|| panic!("no such property: {wanted}"));
        Property::sometimes(name, *holds)
    });
    laws.chain(ends).chain(reached).collect()
}

/// Every delivery is over, and every job ended or waits for a person.
fn is_settled(_: &Protocol, state: &State) -> bool {
    let jobs = state.store.jobs.iter().enumerate();
    rows(state, |row| !row.open()) && jobs.into_iter().all(|(at, _)| rests(state, at))
}

fn rests(state: &State, at: usize) -> bool {
    let job = &state.store.jobs[at];
    let told = || {
        state
            .store
            .rows
            .iter()
            .filter(move |row| usize::from(row.job) == at)
    };
    match job.state {
        _ if job.state.is_final() => true,
        _ if job.intent.is_some() => false,
        JobState::Transferred => job.hold,
        JobState::Error => !job.batch || job.hold || told().next().is_none() || told().any(Row::buried),
        // The world ends before its next run.
        JobState::Queued => state.left.runs == 0,
        _ => false,
    }
}

fn ends(state: &State, outcome: Outcome) -> bool {
    state.store.jobs.iter().any(|job| job.outcome == Some(outcome))
}

fn rows(state: &State, holds: impl Fn(&Row) -> bool) -> bool {
    state.store.rows.iter().all(holds)
}

fn any(state: &State, holds: impl Fn(&Row) -> bool) -> bool {
    state.store.rows.iter().any(holds)
}

fn rows_of(state: &State, event: usize) -> impl Iterator<Item = &Row> {
    state
        .store
        .rows
        .iter()
        .filter(move |row| usize::from(row.event) == event)
}
