//! Broken twins of the protocol: each leaves one rule out, and the named invariant must see it.

use super::scenes::{self, Scene};

/// One rule left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Flaw {
    /// A verdict is taken whoever holds the claim.
    NoFence,
    /// A decision is committed first, its acknowledgement afterwards.
    DecisionApart,
    /// A claim does not raise the attempt.
    ClaimUncounted,
    /// A lost host is taken for dead: its claims are released while its guests still run.
    ReleasedUnproven,
    /// An event is committed first, its rows afterwards.
    RowsApart,
    /// A death of the host charges what was running.
    CrashCharges,
    /// A FailFast commits its record alone.
    FailFastAlone,
    /// A decision is applied however the job has moved.
    NoConflictCheck,
    /// A change of routing tells again who was told.
    BackfillTwice,
    /// A later delivery of a pair does not wait for an earlier one.
    OrderIgnored,
    /// The files are moved when the handler says so, not when that is recorded.
    ActsBeforeRecord,
    /// A job completes though a handler is still to be told.
    CompletionDoesNotWait,
    /// The end of a job is told twice.
    EndToldTwice,
    /// Whoever observes may decide too.
    ObserverDecides,
    /// A delivery ends the host again and again.
    NoCrashLimit,
    /// Claims go on once a FailFast is decided.
    ClaimsWhileEnding,
    /// Others are claimed while the verdict on a suspect is on its way.
    SuspectForgotten,
    /// A retry whose time has come is not made.
    NeverDue,
}

type Twin = (Flaw, fn() -> Scene, &'static str);

/// Each twin, a small world in which it goes wrong, and the law that must see it first.
pub(super) const TWINS: &[Twin] = &[
    (
        Flaw::NoFence,
        scenes::conflicts,
        "only the verdict of its claim ends an attempt",
    ),
    (
        Flaw::DecisionApart,
        scenes::decisions,
        "a decision commits with its acknowledgement",
    ),
    (
        Flaw::ClaimUncounted,
        scenes::decisions,
        "a call is counted before it is made",
    ),
    (
        Flaw::ReleasedUnproven,
        scenes::decisions,
        "a delivery has one guest at a time",
    ),
    (
        Flaw::RowsApart,
        scenes::decisions,
        "an event has a row for everyone it is told",
    ),
    (
        Flaw::CrashCharges,
        scenes::decisions,
        "only its own failures are charged",
    ),
    (
        Flaw::FailFastAlone,
        scenes::fail_fast,
        "what was queued commits with a FailFast",
    ),
    (
        Flaw::NoConflictCheck,
        scenes::conflicts,
        "a decision is about the job that its handler saw",
    ),
    (
        Flaw::BackfillTwice,
        scenes::plugins,
        "an event has one row for each handler",
    ),
    (
        Flaw::OrderIgnored,
        scenes::burials,
        "order holds per job and handler",
    ),
    (
        Flaw::ActsBeforeRecord,
        scenes::conflicts,
        "no file work before its intent",
    ),
    (
        Flaw::CompletionDoesNotWait,
        scenes::completion,
        "a job waits for those it tells",
    ),
    (
        Flaw::EndToldTwice,
        scenes::completion,
        "a job has one terminal notification",
    ),
    (
        Flaw::ObserverDecides,
        scenes::decisions,
        "observers decide nothing",
    ),
    (
        Flaw::NoCrashLimit,
        scenes::fail_fast,
        "the crash limit ends the loop",
    ),
    (
        Flaw::ClaimsWhileEnding,
        scenes::fail_fast,
        "nothing is claimed once a FailFast is decided",
    ),
    (
        Flaw::SuspectForgotten,
        scenes::deaths,
        "a delivery is parked only by law",
    ),
    (
        Flaw::NeverDue,
        scenes::plugins,
        "where nothing more can happen, nothing waits",
    ),
];
