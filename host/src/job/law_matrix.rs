//! The law in full: every command in every state, with and without an intent, is allowed or refused
//! as the table says.

use super::law_tests::{commands, job};
use super::*;

use JobState::{Connecting, Error, Queued, Suspended, Transferred, Transferring, TransientError};

const OPEN: &[JobState] = &[
    Queued,
    Connecting,
    Transferring,
    Suspended,
    Error,
    TransientError,
    Transferred,
];
const RUNNING: &[JobState] = &[Connecting, Transferring];

/// Where each command is allowed for a download without an intent.
const ALLOWED: &[(&str, &[JobState])] = &[
    ("resume", OPEN),
    ("suspend", OPEN),
    ("cancel", OPEN),
    ("complete", OPEN),
    ("complete --require-all", &[Transferred]),
    ("set", OPEN),
    ("add", OPEN),
    ("set-remote", OPEN),
    ("replace-prefix", OPEN),
    ("take-ownership", OPEN),
    ("set-priority", OPEN),
    // Allowed for an upload-reply alone: see law_reply_tests.rs.
    ("set-reply", &[]),
    ("set-validation", OPEN),
    ("expire", OPEN),
    ("unmet", OPEN),
    ("start", &[Queued]),
    ("connected", RUNNING),
    ("yield", RUNNING),
    ("slice-over", RUNNING),
    ("held", &[Queued, Connecting, Transferring]),
    ("hold-over", &[TransientError]),
    ("transient-error", RUNNING),
    ("fatal-error", RUNNING),
    ("finished", RUNNING),
    ("interrupted", RUNNING),
    // Allowed for batch jobs alone: see law_batch_tests.rs.
    ("bury", &[]),
    ("requeue", &[]),
    ("retry-due", &[TransientError]),
    ("network-returned", &[TransientError]),
    ("release", &[Transferred]),
    ("intent-done", &[]),
    ("intent-failed", &[]),
];

/// What is allowed while file work is under way, in every open state.
const UNDER_COMPLETE: &[&str] = &[
    "set-priority",
    "complete",
    "complete --require-all",
    "release",
    "intent-done",
    "intent-failed",
];
const UNDER_CANCEL: &[&str] = &["set-priority", "cancel", "expire", "intent-done", "intent-failed"];

#[test]
fn every_command_is_in_the_table() {
    for command in commands() {
        let known = ALLOWED.iter().filter(|(verb, _)| *verb == command.verb()).count();
        assert_eq!(known, 1, "{}", command.verb());
    }
    for (verb, _) in ALLOWED {
        assert!(
            commands().iter().any(|command| command.verb() == *verb),
            "{verb} is never tried"
        );
    }
}

#[test]
fn every_command_in_every_state_is_allowed_or_refused_as_the_table_says() {
    for state in JobState::ALL.iter().copied() {
        for command in commands() {
            let (verb, allowed) = ALLOWED.iter().find(|(verb, _)| *verb == command.verb()).unwrap();
            let said = apply(&job(state), &command);
            assert_eq!(said.is_ok(), allowed.contains(&state), "{verb} in {state}");
            if let Err(refusal) = said {
                assert_eq!((refusal.verb, refusal.state), (*verb, state));
            }
            for (intent, allowed) in [(Intent::Complete, UNDER_COMPLETE), (Intent::Cancel, UNDER_CANCEL)] {
                let subject = Job {
                    intent: Some(intent),
                    ..job(state)
                };
                let expected = allowed.contains(verb) && OPEN.contains(&state);
                assert_eq!(
                    apply(&subject, &command).is_ok(),
                    expected,
                    "{verb} in {state} under {intent}"
                );
            }
        }
    }
}

#[test]
fn b139_no_other_kind_is_completed_before_it_is_transferred() {
    for kind in JobKind::ALL
        .iter()
        .copied()
        .filter(|kind| *kind != JobKind::Download)
    {
        for state in OPEN.iter().copied() {
            let subject = Job { kind, ..job(state) };
            let said = apply(&subject, &Command::Complete);
            assert_eq!(said.is_ok(), state == Transferred, "{kind} in {state}");
        }
    }
}
