//! The law's finer points, and the law against random command sequences.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

pub(super) fn job(state: JobState) -> Job {
    let mut spec = JobSpec::new("test", Profile::Sexton);
    spec.no_progress = Duration::from_secs(1000);
    Job {
        id: JobId::fresh(),
        owner: "uid-0".parse().unwrap(),
        kind: JobKind::Download,
        state,
        intent: None,
        outcome: None,
        priority: Priority::Normal,
        revision: 3,
        attempt: 1,
        error_count: 0,
        retries: 0,
        call: crate::job::CallState::default(),
        no_progress_since: None,
        due: None,
        created: Timestamp::default(),
        modified: Timestamp::default(),
        transferred: (state == Transferred).then(|| at(0)),
        progress: Progress {
            files_total: 1,
            files_transferred: u32::from(state == Transferred),
            ..Progress::default()
        },
        reply: None,
        error: matches!(state, JobState::Error | JobState::TransientError).then(|| error(Code::http(503), 0)),
        spec,
    }
}

pub(super) fn error(code: Code, at: i64) -> ErrorInfo {
    ErrorInfo {
        code,
        context: ErrorContext::RemoteFile,
        description: "no".to_owned(),
        file: None,
        protocol: None,
        leg: None,
        attempt: 1,
        at: Timestamp::from_millis(at * 1000),
        extended: None,
    }
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

pub(super) fn resume() -> Command {
    Command::Resume {
        after: Duration::ZERO,
        at: at(0),
    }
}

pub(super) fn transient(at: i64) -> Command {
    Command::TransientError {
        error: error(Code::http(503), at),
        retry_after: None,
    }
}

pub(super) fn fatal() -> Command {
    Command::FatalError {
        error: error(Code::http(403), 0),
    }
}

pub(super) fn held() -> Command {
    Command::Held {
        error: error(Code::NETWORK_DISCONNECTED, 0),
    }
}

use JobState::{Acknowledged, Cancelled, Connecting, Queued, Suspended, Transferred, Transferring};

#[test]
fn b43_an_empty_job_stays_suspended() {
    let mut empty = job(Suspended);
    empty.progress.files_total = 0;
    assert_eq!(apply(&empty, &resume()).unwrap_err().code, Code::EMPTY);
}

#[test]
fn b80_the_error_object_vanishes_when_bytes_flow() {
    let mut connecting = job(Connecting);
    connecting.error = Some(error(Code::http(503), 0));
    assert_eq!(apply(&connecting, &Command::Connected).unwrap().error, None);
    let mut queued = job(Queued);
    queued.error = Some(error(Code::http(503), 0));
    assert!(
        apply(&queued, &Command::Start).unwrap().error.is_some(),
        "waiting keeps it"
    );
    assert!(
        apply(&queued, &Command::Suspend).unwrap().error.is_some(),
        "suspending keeps it"
    );
}

#[test]
fn b64_errors_are_counted_but_a_lost_network_is_not() {
    assert_eq!(apply(&job(Transferring), &transient(0)).unwrap().error_count, 1);
    assert_eq!(apply(&job(Transferring), &fatal()).unwrap().error_count, 1);
    let lost = Command::TransientError {
        error: error(Code::NETWORK_DISCONNECTED, 0),
        retry_after: None,
    };
    assert_eq!(apply(&job(Transferring), &lost).unwrap().error_count, 0, "B-31");
}

#[test]
fn b30_the_no_progress_timeout_makes_it_fatal() {
    let mut waiting = job(JobState::TransientError);
    waiting.no_progress_since = Some(at(0));
    let early = apply(&waiting, &Command::RetryDue { at: at(999) }).unwrap();
    assert_eq!(early.to, Queued);
    let late = apply(&waiting, &Command::RetryDue { at: at(1000) }).unwrap();
    assert_eq!(
        (late.to, late.events.as_slice()),
        (JobState::Error, [EventKind::JobError].as_slice())
    );
    assert_eq!(late.error.unwrap().code, Code::NO_PROGRESS);
}

#[test]
fn b59_a_delay_over_the_timeout_is_fatal_at_once() {
    let mut impatient = job(Transferring);
    impatient.spec.no_progress = Duration::from_secs(4);
    assert_eq!(apply(&impatient, &transient(0)).unwrap().to, JobState::Error);
    impatient.spec.no_progress = Duration::ZERO;
    assert_eq!(apply(&impatient, &transient(0)).unwrap().to, JobState::Error);
}

#[test]
fn b57_the_due_time_doubles_and_never_passes_the_timeout() {
    let mut failing = job(Transferring);
    let first = apply(&failing, &transient(100)).unwrap();
    assert_eq!(first.due, Due::At(at(105)));
    failing.retries = 3;
    failing.no_progress_since = Some(at(100));
    assert_eq!(apply(&failing, &transient(200)).unwrap().due, Due::At(at(240)));
    assert_eq!(apply(&failing, &transient(1090)).unwrap().due, Due::At(at(1100)));
    let told = Command::TransientError {
        error: error(Code::http(429), 200),
        retry_after: Some(Duration::from_secs(7)),
    };
    assert_eq!(
        apply(&failing, &told).unwrap().due,
        Due::At(at(207)),
        "Retry-After wins"
    );
}

#[test]
fn b57_no_wish_of_server_or_job_makes_a_loop_without_a_pause() {
    let failing = job(Transferring);
    let at_once = Command::TransientError {
        error: error(Code::http(503), 100),
        retry_after: Some(Duration::ZERO),
    };
    assert_eq!(apply(&failing, &at_once).unwrap().due, Due::At(at(105)));
    let mut hasty = job(Transferring);
    hasty.spec.retry.initial = Duration::ZERO;
    hasty.spec.retry.max = Duration::ZERO;
    let due = apply(&hasty, &transient(100)).unwrap().due;
    assert_eq!(due, Due::At(Timestamp::from_millis(100_100)));
}

#[test]
fn b34_resume_clears_the_clocks() {
    let mut waiting = job(JobState::Error);
    (waiting.retries, waiting.no_progress_since) = (5, Some(at(0)));
    let transition = apply(&waiting, &resume()).unwrap();
    assert_eq!((transition.retries, transition.no_progress_since), (0, None));
    let later = Command::Resume {
        after: Duration::from_secs(60),
        at: at(10),
    };
    assert_eq!(apply(&waiting, &later).unwrap().due, Due::At(at(70)));
}

#[test]
fn b37_complete_ends_a_download_anywhere_and_an_upload_only_when_sent() {
    for state in JobState::ALL.iter().copied().filter(|s| !s.is_final()) {
        assert_eq!(
            apply(&job(state), &Command::Complete).unwrap().intent,
            Some(Intent::Complete),
            "{state}"
        );
        for kind in [JobKind::Upload, JobKind::UploadReply] {
            let upload = Job { kind, ..job(state) };
            assert_eq!(
                apply(&upload, &Command::Complete).is_ok(),
                state == Transferred,
                "{kind} {state}"
            );
        }
    }
}

#[test]
fn b44_what_was_dropped_makes_the_outcome_partial() {
    for outcome in [Outcome::Succeeded, Outcome::Partial] {
        let completing = Job {
            intent: Some(Intent::Complete),
            ..job(Transferred)
        };
        let done = apply(&completing, &Command::IntentDone { outcome }).unwrap();
        assert_eq!((done.to, done.outcome), (Acknowledged, Some(outcome)));
        assert_eq!(done.events, [EventKind::OnEnded]);
    }
}

#[test]
fn b38_cancel_and_expiry_end_any_open_job() {
    for state in JobState::ALL.iter().copied().filter(|s| !s.is_final()) {
        for command in [Command::Cancel, Command::Expired] {
            let mut open = job(state);
            let transition = apply(&open, &command).unwrap();
            assert_eq!(transition.intent, Some(Intent::Cancel));
            assert!(!transition.to.is_running(), "it stops first");
            open.intent = transition.intent;
            open.state = transition.to;
            let done = apply(
                &open,
                &Command::IntentDone {
                    outcome: Outcome::Cancelled,
                },
            )
            .unwrap();
            assert_eq!(
                (done.to, done.events.as_slice()),
                (Cancelled, [EventKind::OnEnded].as_slice())
            );
        }
    }
}

#[test]
fn b41_nothing_leaves_a_final_state() {
    for state in [Acknowledged, Cancelled] {
        for command in commands() {
            assert_eq!(
                apply(&job(state), &command).unwrap_err().code,
                Code::INVALID_STATE
            );
        }
    }
}

#[test]
fn b45_a_failed_rename_is_told_and_the_job_can_be_completed_again() {
    let mut completing = job(Transferred);
    completing.intent = Some(Intent::Complete);
    let failed = apply(
        &completing,
        &Command::IntentFailed {
            error: error(Code::errno(30), 0),
        },
    )
    .unwrap();
    assert_eq!((failed.to, failed.intent), (JobState::Error, None));
    assert_eq!(failed.events, [EventKind::JobError]);
    assert!(apply(&job(JobState::Error), &Command::Complete).is_ok());
}

#[test]
fn a_held_job_is_not_released_and_a_failed_batch_ends_as_failed() {
    let mut held = job(Transferred);
    held.spec.hold = true;
    assert!(apply(&held, &Command::Release).is_err());
    assert_eq!(
        apply(&job(Transferred), &Command::Release).unwrap().intent,
        Some(Intent::Complete)
    );
    let batch = Job {
        kind: JobKind::Batch,
        ..job(JobState::Error)
    };
    let ended = apply(&batch, &Command::Release).unwrap();
    assert_eq!((ended.to, ended.outcome), (Acknowledged, Some(Outcome::Failed)));
    assert!(
        apply(&job(JobState::Error), &Command::Release).is_err(),
        "a failed transfer waits (B-04)"
    );
}

#[test]
fn b59_without_a_no_progress_time_out_any_error_is_fatal_and_progress_clears_the_clock() {
    let mut never = job(Transferring);
    never.spec.no_progress = Duration::ZERO;
    assert_eq!(apply(&never, &transient(5)).unwrap().to, JobState::Error);
    let mut first = job(Transferring);
    apply(&first, &transient(5)).unwrap().carry_out(&mut first);
    apply(&first, &Command::HoldOver).unwrap_err();
    apply(&first, &Command::RetryDue { at: at(10) })
        .unwrap()
        .carry_out(&mut first);
    apply(&first, &Command::Start).unwrap().carry_out(&mut first);
    apply(&first, &transient(60)).unwrap().carry_out(&mut first);
    assert_eq!(first.no_progress_since, Some(at(5)), "since the first of them");
}

#[test]
fn b64_what_holds_a_job_is_not_counted_whoever_says_it() {
    for reason in HoldReason::ALL.iter().copied() {
        for command in [
            Command::Held {
                error: error(reason.code(), 0),
            },
            Command::TransientError {
                error: error(reason.code(), 0),
                retry_after: None,
            },
        ] {
            let mut subject = job(Transferring);
            subject.error_count = 4;
            apply(&subject, &command).unwrap().carry_out(&mut subject);
            assert_eq!(subject.error_count, 4, "{reason} by {}", command.verb());
        }
    }
    let mut subject = job(Transferring);
    apply(&subject, &transient(0)).unwrap().carry_out(&mut subject);
    apply(&subject, &resume()).unwrap().carry_out(&mut subject);
    assert_eq!(subject.error_count, 1, "a resume does not reset it");
}

#[test]
fn b28_a_hold_that_ends_leaves_those_alone_that_wait_for_their_retry() {
    let mut waits = job(Transferring);
    apply(&waits, &transient(0)).unwrap().carry_out(&mut waits);
    assert!(apply(&waits, &Command::HoldOver).is_err());
    assert!(apply(&waits, &Command::NetworkReturned).is_ok());
}

/// A handler has found the first file bad.
pub(super) fn invalid() -> Command {
    let file = FileRef {
        index: 0,
        remote: "https://h/f".to_owned(),
        local: "/tmp/f".to_owned(),
    };
    Command::Validate {
        file: Box::new(file),
        valid: false,
        at: at(9),
    }
}

pub(super) fn commands() -> Vec<Command> {
    vec![
        resume(),
        Command::Resume {
            after: Duration::from_secs(9),
            at: at(1),
        },
        Command::Suspend,
        Command::Cancel,
        Command::Complete,
        Command::SetPriority(Priority::High),
        Command::SetReply("/r".to_owned()),
        invalid(),
        Command::Start,
        Command::Connected,
        Command::Yield,
        Command::SliceOver,
        held(),
        Command::HoldOver,
        transient(5),
        fatal(),
        Command::Interrupted {
            error: error(Code::SX_INTERRUPTED, 6),
            crashed: true,
        },
        Command::Bury(DeadCall::Exhausted),
        Command::Requeue,
        Command::RetryDue { at: at(2000) },
        Command::NetworkReturned,
        Command::Finished { at: at(3), files: 1 },
        Command::CompleteWhole,
        Command::Change(Box::new(JobChange {
            hold: Some(true),
            handler: Some("pager".to_owned()),
            retry_delay_ms: Some(7_000),
            ..JobChange::default()
        })),
        Command::AddFiles(vec![FileSpec::new("http://h/b", "/tmp/b")]),
        Command::SetRemote {
            file: 0,
            remote: "http://i/a".to_owned(),
        },
        Command::ReplacePrefix {
            from: "http://h/".to_owned(),
            to: "http://i/".to_owned(),
        },
        Command::TakeOwnership("uid-7".parse().unwrap()),
        Command::Release,
        Command::Expired,
        Command::Unmet {
            error: error(Code::ABORT, 4),
        },
        Command::IntentDone {
            outcome: Outcome::Succeeded,
        },
        Command::IntentFailed {
            error: error(Code::FAIL, 4),
        },
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_commands_breaks_a_job(kind in 0..JobKind::ALL.len(), picks in prop::collection::vec(0..commands().len(), 0..80)) {
        let mut subject = Job { kind: JobKind::ALL[kind], ..job(Queued) };
        let all = commands();
        let mut ended = 0;
        for pick in picks {
            let before = subject.clone();
            let Ok(transition) = apply(&subject, &all[pick]) else { continue };
            ended += transition.events.iter().filter(|e| **e == EventKind::OnEnded).count();
            transition.carry_out(&mut subject);
            prop_assert!(!before.state.is_final(), "left {}", before.state);
            prop_assert!(subject.revision >= before.revision);
            prop_assert!(subject.error_count >= before.error_count);
            prop_assert!(subject.attempt >= before.attempt);
            prop_assert_eq!(subject.state.is_final(), subject.outcome.is_some());
            prop_assert!(!(subject.state.is_final() && subject.intent.is_some()));
            prop_assert!(!(subject.state.is_running() && subject.intent.is_some()));
            if subject.state == JobState::TransientError {
                let held = subject.error.as_ref().is_some_and(|error| HoldReason::of(error.code).is_some());
                prop_assert!(subject.error.is_some() && (subject.due.is_some() || held), "it waits for something");
            }
            prop_assert!(subject.state != JobState::Error || subject.error.is_some());
            let set = (&before.spec, &before.owner, before.priority, before.progress.files_total);
            if set != (&subject.spec, &subject.owner, subject.priority, subject.progress.files_total) {
                prop_assert!(subject.revision > before.revision, "a change of a property is a revision");
            }
            let whole = subject.transferred.is_some() || subject.progress.files_total > 1;
            prop_assert!(subject.state != JobState::Transferred || whole, "transferred is all of it");
            if (before.state, before.intent) != (subject.state, subject.intent) {
                prop_assert!(subject.revision > before.revision, "a change of state is a revision");
            }
        }
        prop_assert_eq!(ended, usize::from(subject.state.is_final()), "exactly one terminal notification");
    }
}
