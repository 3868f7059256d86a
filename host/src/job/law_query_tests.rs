//! The law of queries: what ends them, and what does not.

use std::time::Duration;

use super::law_tests::{at, error, job};
use super::*;

use JobState::{
    Acknowledged, Cancelled, Connecting, Queued, Suspended, Transferred, Transferring, TransientError,
};

fn query(state: JobState) -> Job {
    let mut query = Job {
        kind: JobKind::Query,
        ..job(state)
    };
    query.spec.hold = false;
    query.spec.query = Some(Box::new(QuerySpec::new("system", "SELECT 1")));
    query
}

fn watch(state: JobState) -> Job {
    let mut watch = query(state);
    if let Some(asked) = &mut watch.spec.query {
        asked.every = Some(Duration::from_secs(30));
    }
    watch
}

fn finished() -> Command {
    Command::Finished { at: at(5), files: 0 }
}

fn fatal(code: Code) -> Command {
    Command::FatalError {
        error: error(code, 5),
    }
}

const ENDS: [EventKind; 2] = [EventKind::OnCompleted, EventKind::OnEnded];

#[test]
fn w11_what_is_finished_or_has_failed_is_final_and_told_once() {
    for state in [Connecting, Transferring] {
        let done = apply(&query(state), &finished()).unwrap();
        assert_eq!((done.to, done.outcome), (Acknowledged, Some(Outcome::Succeeded)));
        assert_eq!((done.events.as_slice(), done.error), (&ENDS[..], None));
        let failed = apply(&query(state), &fatal(Code::WBEM_INVALID_QUERY)).unwrap();
        assert_eq!((failed.to, failed.outcome), (Acknowledged, Some(Outcome::Failed)));
        assert_eq!(failed.events, ENDS);
        assert_eq!(
            failed.error.unwrap().code,
            Code::WBEM_INVALID_QUERY,
            "it keeps its error"
        );
    }
    let mut over = query(Acknowledged);
    over.outcome = Some(Outcome::Succeeded);
    assert!(
        apply(&over, &Command::Cancel).is_err(),
        "nothing comes after the end"
    );
}

#[test]
fn w11_a_held_query_is_told_of_once_it_is_completed() {
    let mut held = query(Transferring);
    held.spec.hold = true;
    let rests = apply(&held, &finished()).unwrap();
    assert_eq!((rests.to, rests.events.len()), (Transferred, 0));
    let mut held = query(Transferred);
    held.spec.hold = true;
    held.intent = Some(Intent::Complete);
    let outcome = Outcome::Succeeded;
    let done = apply(&held, &Command::IntentDone { outcome }).unwrap();
    assert_eq!((done.to, done.events.as_slice()), (Acknowledged, &ENDS[..]));
}

#[test]
fn w51_a_cancel_ends_a_query_at_once_wherever_it_stands() {
    for state in [
        Queued,
        Connecting,
        Transferring,
        Suspended,
        TransientError,
        Transferred,
    ] {
        for command in [Command::Cancel, Command::Expired] {
            for subject in [query(state), watch(state)] {
                let over = apply(&subject, &command).unwrap();
                assert_eq!(
                    (over.to, over.outcome),
                    (Cancelled, Some(Outcome::Cancelled)),
                    "{state}"
                );
                assert_eq!((over.events.as_slice(), over.intent), (&ENDS[..], None));
                assert_eq!(over.error.unwrap().code, Code(0x8004_1032));
            }
        }
    }
}

#[test]
fn w95_what_may_pass_is_tried_again_until_the_time_for_it_is_over() {
    let lost = || error(Code::WBEM_TRANSPORT_FAILURE, 5);
    let command = Command::TransientError {
        error: lost(),
        retry_after: None,
    };
    let waits = apply(&query(Connecting), &command).unwrap();
    assert_eq!((waits.to, waits.events.len()), (TransientError, 0));
    let mut late = query(TransientError);
    late.no_progress_since = Some(at(0));
    let over = apply(&late, &Command::RetryDue { at: at(1_001) }).unwrap();
    assert_eq!((over.to, over.outcome), (Acknowledged, Some(Outcome::Failed)));
    assert_eq!(over.events, ENDS);
}

#[test]
fn w25_a_watch_goes_on_whatever_a_run_led_to() {
    let next = Due::At(at(35));
    let done = apply(&watch(Transferring), &finished()).unwrap();
    assert_eq!((done.to, done.due, done.events.len()), (Queued, next, 0));
    let failed = apply(&watch(Transferring), &fatal(Code::WBEM_INVALID_QUERY)).unwrap();
    assert_eq!(
        (failed.to, failed.due, failed.events.len()),
        (TransientError, next, 0)
    );
    assert!(failed.error.is_some());
    // However long it has failed, and with no patience at all.
    let mut failing = watch(TransientError);
    failing.no_progress_since = Some(at(0));
    failing.spec.no_progress = Duration::ZERO;
    assert_eq!(
        apply(&failing, &Command::RetryDue { at: at(9_999) }).unwrap().to,
        Queued
    );
}

#[test]
fn w08_a_query_says_what_it_cannot_mean() {
    let spec = |change: fn(&mut QuerySpec)| {
        let mut spec = QuerySpec::new("system", "SELECT 1");
        change(&mut spec);
        spec.check()
    };
    assert!(spec(|_| {}).is_ok());
    for change in [
        (|spec| spec.text = " \n".to_owned()) as fn(&mut QuerySpec),
        |spec| spec.text = "x".repeat((64 << 10) + 1),
        |spec| spec.provider.0 = "x".repeat((4 << 10) + 1),
        |spec| spec.every = Some(Duration::from_millis(999)),
        |spec| spec.by = vec!["id".to_owned()],
        |spec| spec.limit = Some(0),
        |spec| spec.deadline = Some(Duration::ZERO),
    ] {
        assert!(spec(change).is_err());
    }
}
