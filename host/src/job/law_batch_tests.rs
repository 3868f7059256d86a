//! The law of calls: the ladder with its exact due times, crashes, dead letters (C-45, C-46, C-70…C-81).

use std::time::Duration;

use super::law_tests::{at, error, job};
use super::*;

fn call(state: JobState, change: impl FnOnce(&mut BatchSpec)) -> Job {
    let mut call = job(state);
    call.kind = JobKind::Batch;
    call.progress.files_total = 0;
    let mut spec = BatchSpec::new(Work::Command(CommandSpec {
        argv: vec!["true".to_owned()],
        ..CommandSpec::default()
    }));
    change(&mut spec);
    call.spec.batch = Some(Box::new(spec));
    call
}

fn then(job: &mut Job, command: &Command) -> Transition {
    let transition = apply(job, command).unwrap_or_else(|why| panic!("{why}"));
    transition.clone().carry_out(job);
    transition
}

fn fails(at: Timestamp) -> Command {
    Command::TransientError {
        error: ErrorInfo {
            at,
            ..error(Code::SX_EXIT_STATUS, 0)
        },
        retry_after: None,
    }
}

fn interrupted(crashed: bool) -> Command {
    Command::Interrupted {
        error: error(Code::SX_INTERRUPTED, 0),
        crashed,
    }
}

/// Minutes after the first failure at which a call that always fails at once is tried again, up to its last.
fn tries(ladder: CallLadder) -> Vec<i64> {
    let mut call = call(JobState::Queued, |spec| spec.retry = Some(ladder));
    let (mut now, mut due_times) = (at(0), Vec::new());
    loop {
        then(&mut call, &Command::Start);
        let failed = then(&mut call, &fails(now));
        match failed.due {
            Due::At(due) => {
                assert_eq!(
                    (failed.to, failed.events.as_slice()),
                    (JobState::TransientError, &[][..])
                );
                due_times.push(due.since(at(0)).as_secs().cast_signed() / 60);
                now = due;
                then(&mut call, &Command::RetryDue { at: now });
            }
            Due::Never | Due::Keep => {
                assert_eq!(failed.to, JobState::Error);
                assert_eq!(failed.events, [EventKind::OnError], "told once, at the end");
                return due_times;
            }
        }
    }
}

#[test]
fn t07_the_ladder_is_climbed_at_its_exact_times() {
    assert_eq!(
        tries(CallLadder::default()),
        [1, 2, 3, 5, 7, 9, 13, 17, 21, 29, 37, 45, 61, 77, 93]
    );
}

#[test]
fn t08_with_two_levels_left_the_second_waits_two_minutes() {
    let two = CallLadder {
        levels: 2,
        ..CallLadder::default()
    };
    assert_eq!(tries(two), [1, 2, 3, 5, 7, 9]);
}

#[test]
fn c71_each_level_waits_twice_as_long_as_the_one_before() {
    let ladder = CallLadder::default();
    let delays = [0, 3, 6, 9, 12].map(|first| ladder.delay(first).unwrap().as_secs() / 60);
    assert_eq!(delays, [1, 2, 4, 8, 16]);
}

#[test]
fn c72_three_tries_at_each_of_five_levels_and_the_last_is_the_last() {
    let ladder = CallLadder::default();
    assert_eq!((ladder.levels, ladder.tries), (5, 3));
    assert!(ladder.delay(14).is_some() && ladder.delay(15).is_none());
}

#[test]
fn c73_a_delay_depends_on_the_position_and_none_is_left_without_levels() {
    let short = CallLadder {
        base: Duration::from_secs(10),
        levels: 2,
        tries: 1,
    };
    assert_eq!([0, 1].map(|n| short.delay(n).unwrap().as_secs()), [10, 20]);
    let none = CallLadder {
        levels: 0,
        ..CallLadder::default()
    };
    assert_eq!(none.delay(0), None, "straight to the end");
    let untried = CallLadder {
        tries: 0,
        ..CallLadder::default()
    };
    assert_eq!(untried.delay(0), None);
}

#[test]
fn c70_a_returned_failure_and_a_trap_are_ordinary_failures_of_an_attempt() {
    for code in [
        Code::SX_EXIT_STATUS,
        Code::SX_TRAP,
        Code::SX_DEADLINE,
        Code::SX_SIGNAL,
    ] {
        let mut failing = call(JobState::Transferring, |spec| {
            spec.retry = Some(CallLadder::default())
        });
        let failed = Command::TransientError {
            error: error(code, 0),
            retry_after: None,
        };
        assert_eq!(then(&mut failing, &failed).to, JobState::TransientError, "{code}");
    }
}

#[test]
fn c74_what_can_never_run_skips_the_ladder() {
    let mut hopeless = call(JobState::Transferring, |spec| {
        spec.retry = Some(CallLadder::default())
    });
    let failed = Command::FatalError {
        error: error(Code::SX_SPAWN, 0),
    };
    let transition = then(&mut hopeless, &failed);
    assert_eq!((transition.to, transition.due), (JobState::Error, Due::Never));
    assert_eq!(transition.events, [EventKind::OnError]);
}

#[test]
fn c84_no_rung_lies_behind_the_time_to_finish_by() {
    let mut late = call(JobState::Transferring, |spec| {
        spec.retry = Some(CallLadder::default());
        spec.finish_by = Some(at(60));
    });
    assert_eq!(apply(&late, &fails(at(1))).unwrap().to, JobState::Error);
    late.spec.batch.as_mut().unwrap().finish_by = Some(at(62));
    assert_eq!(apply(&late, &fails(at(1))).unwrap().due, Due::At(at(61)));
}

#[test]
fn t04_the_failure_of_an_awaited_call_is_its_submitters_alone() {
    for command in [fails(at(0)), interrupted(true), interrupted(false)] {
        let mut awaited = call(JobState::Transferring, |spec| spec.sync = true);
        let ended = then(&mut awaited, &command);
        assert_eq!(
            (ended.to, ended.outcome),
            (JobState::Acknowledged, Some(Outcome::Failed))
        );
        assert_eq!(ended.events, [EventKind::OnEnded], "no on-error");
        assert!(awaited.error.is_some());
    }
}

#[test]
fn c45_a_call_that_a_crash_interrupted_has_failed_or_runs_again_as_it_was_submitted() {
    for crashed in [true, false] {
        let mut failed = call(JobState::Transferring, |_| ());
        let transition = then(&mut failed, &interrupted(crashed));
        assert_eq!(
            (transition.to, transition.events.as_slice()),
            (JobState::Error, &[EventKind::OnError][..])
        );
        let mut again = call(JobState::Transferring, |spec| {
            spec.on_host_crash = Some(OnHostCrash::Rerun)
        });
        let transition = then(&mut again, &interrupted(crashed));
        assert_eq!(
            (transition.to, transition.events.as_slice()),
            (JobState::Queued, &[][..])
        );
        let mut climbing = call(JobState::Transferring, |spec| {
            spec.retry = Some(CallLadder::default())
        });
        let transition = then(&mut climbing, &interrupted(crashed));
        assert_eq!(
            transition.to,
            JobState::TransientError,
            "a crash is an attempt that failed"
        );
    }
}

#[test]
fn c46_an_attempt_is_counted_before_it_begins() {
    let mut queued = call(JobState::Queued, |spec| {
        spec.on_host_crash = Some(OnHostCrash::Rerun)
    });
    queued.attempt = 0;
    then(&mut queued, &Command::Start);
    assert_eq!(queued.attempt, 1);
    then(&mut queued, &interrupted(true));
    assert_eq!(queued.attempt, 1, "and the crash does not give it back");
}

#[test]
fn cj07_a_call_running_at_crash_after_crash_is_not_run_again() {
    let mut suspect = call(JobState::Queued, |spec| {
        spec.on_host_crash = Some(OnHostCrash::Rerun)
    });
    then(&mut suspect, &Command::Start);
    assert_eq!(then(&mut suspect, &interrupted(true)).to, JobState::Queued);
    then(&mut suspect, &Command::Start);
    let parked = then(&mut suspect, &interrupted(true));
    assert_eq!((parked.to, parked.events.as_slice()), (JobState::Error, &[][..]));
    assert_eq!(suspect.call.dead, Some(DeadCall::HostCrash));
    assert_eq!(suspect.error.as_ref().unwrap().code, Code::SX_HOST_CRASH);
    assert_eq!(then(&mut suspect, &Command::Requeue).to, JobState::Queued);
    assert_eq!(suspect.call, CallState::default());
}

#[test]
fn cj07_only_crashes_in_a_row_count() {
    let mut suspect = call(JobState::Queued, |spec| {
        spec.on_host_crash = Some(OnHostCrash::Rerun)
    });
    for end in [
        interrupted(true),
        fails(at(0)),
        interrupted(true),
        interrupted(false),
        interrupted(true),
    ] {
        then(&mut suspect, &Command::Start);
        let ended = then(&mut suspect, &end);
        assert_eq!(suspect.call.dead, None, "{end:?}");
        if ended.to == JobState::Error {
            then(
                &mut suspect,
                &Command::Resume {
                    after: Duration::ZERO,
                    at: at(0),
                },
            );
        }
    }
    assert_eq!(suspect.call.crashes, 1);
}

#[test]
fn cj07_a_handler_that_has_it_run_again_does_not_forget_the_crashes() {
    let mut suspect = call(JobState::Transferring, |spec| spec.crash_limit = Some(3));
    for crashes in 1..3 {
        then(&mut suspect, &interrupted(true));
        assert_eq!((suspect.state, suspect.call.crashes), (JobState::Error, crashes));
        then(
            &mut suspect,
            &Command::Resume {
                after: Duration::ZERO,
                at: at(0),
            },
        );
        then(&mut suspect, &Command::Start);
    }
    then(&mut suspect, &interrupted(true));
    assert_eq!(suspect.call.dead, Some(DeadCall::HostCrash));
}

#[test]
fn t19_requeue_keeps_identity_and_history_and_begins_the_ladder_anew() {
    let mut dead = call(JobState::Error, |spec| spec.retry = Some(CallLadder::default()));
    (dead.retries, dead.error_count, dead.attempt) = (15, 16, 16);
    let id = dead.id;
    then(&mut dead, &Command::Bury(DeadCall::Exhausted));
    assert_eq!(
        (dead.state, dead.call.dead),
        (JobState::Error, Some(DeadCall::Exhausted))
    );
    let again = apply(&dead, &Command::Bury(DeadCall::Exhausted)).unwrap();
    assert!(again.is_noop(&dead));
    then(&mut dead, &Command::Requeue);
    assert_eq!(
        (dead.state, dead.retries, dead.call),
        (JobState::Queued, 0, CallState::default())
    );
    assert_eq!((dead.id, dead.error_count, dead.attempt), (id, 16, 16));
    assert!(dead.error.is_some(), "until it runs");
    for state in [JobState::Queued, JobState::Transferring, JobState::TransientError] {
        let refused = apply(&call(state, |_| ()), &Command::Requeue).unwrap_err();
        assert_eq!(refused.code, Code::INVALID_STATE);
    }
}

#[test]
fn c81_what_is_queued_again_has_a_fresh_ladder() {
    let mut dead = call(JobState::Error, |spec| spec.retry = Some(CallLadder::default()));
    dead.retries = 15;
    then(&mut dead, &Command::Requeue);
    then(&mut dead, &Command::Start);
    assert_eq!(then(&mut dead, &fails(at(0))).due, Due::At(at(60)));
}
