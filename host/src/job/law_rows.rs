//! The law's table of transitions, row by row (B-21…B-36), and the rows of what people set.

use std::time::Duration;

use super::law_tests::{at, commands, error, fatal, held, job, resume, transient};
use super::*;
use JobState::{
    Acknowledged, Cancelled, Connecting, Error, Queued, Suspended, Transferred, Transferring, TransientError,
};

/// (row, from, command, to, events)
fn table() -> Vec<(&'static str, JobState, Command, JobState, Vec<EventKind>)> {
    let e = JobState::Error;
    let te = JobState::TransientError;
    let none = Vec::new;
    vec![
        ("B-21", Suspended, resume(), Queued, none()),
        ("B-22", Queued, Command::Start, Connecting, none()),
        ("B-23", Connecting, Command::Connected, Transferring, none()),
        ("B-24", Connecting, transient(0), te, none()),
        ("B-24", Connecting, fatal(), e, vec![EventKind::JobError]),
        ("B-25", Transferring, Command::Yield, Queued, none()),
        ("B-25", Connecting, Command::Yield, Queued, none()),
        ("B-25", Transferring, Command::SliceOver, Queued, none()),
        ("B-26", Transferring, transient(0), te, none()),
        ("B-27", Transferring, fatal(), e, vec![EventKind::JobError]),
        ("B-28", te, Command::RetryDue { at: at(1) }, Queued, none()),
        ("B-28", te, Command::HoldOver, Queued, none()),
        ("B-29", te, Command::NetworkReturned, Queued, none()),
        ("B-31", Queued, held(), te, none()),
        ("B-31", Connecting, held(), te, none()),
        ("B-31", Transferring, held(), te, none()),
        (
            "B-32",
            Transferring,
            Command::Finished { at: at(1), files: 1 },
            Transferred,
            vec![EventKind::JobTransferred],
        ),
        ("B-33", Queued, Command::Suspend, Suspended, none()),
        ("B-33", Connecting, Command::Suspend, Suspended, none()),
        ("B-33", Transferring, Command::Suspend, Suspended, none()),
        ("B-33", Suspended, Command::Suspend, Suspended, none()),
        ("B-33", e, Command::Suspend, Suspended, none()),
        ("B-33", te, Command::Suspend, Suspended, none()),
        ("B-33", Transferred, Command::Suspend, Suspended, none()),
        ("B-34", e, resume(), Queued, none()),
        ("B-34", te, resume(), Queued, none()),
        ("B-35", Queued, resume(), Queued, none()),
        ("B-35", Connecting, resume(), Connecting, none()),
        ("B-35", Transferring, resume(), Transferring, none()),
        ("B-36", Transferred, resume(), Queued, none()),
    ]
}

/// Every line of a row does what it says; what changes nothing is no revision.
fn holds(wanted: &str) {
    let lines: Vec<_> = table().into_iter().filter(|(row, ..)| *row == wanted).collect();
    assert!(!lines.is_empty(), "{wanted} is not in the table");
    for (row, from, command, to, events) in lines {
        let transition = apply(&job(from), &command).unwrap_or_else(|e| panic!("{row}: {e}"));
        assert_eq!(transition.to, to, "{row}");
        assert_eq!(transition.events, events, "{row}");
        let noop = row == "B-35" || (from == Suspended && to == Suspended);
        assert_eq!(transition.revises, !noop, "{row}: revision");
    }
}

#[test]
fn b21_resume_queues_a_suspended_job() {
    holds("B-21");
}

#[test]
fn b22_a_runner_makes_a_queued_job_connect() {
    holds("B-22");
}

#[test]
fn b23_an_answer_makes_it_transfer() {
    holds("B-23");
}

#[test]
fn b24_a_failed_connection_is_transient_or_fatal() {
    holds("B-24");
}

#[test]
fn b25_a_runner_that_yields_gives_the_job_back() {
    holds("B-25");
}

#[test]
fn b26_a_transient_error_waits() {
    holds("B-26");
}

#[test]
fn b27_a_fatal_error_tells_the_handler() {
    holds("B-27");
}

#[test]
fn b28_a_retry_that_is_due_queues_the_job() {
    holds("B-28");
}

#[test]
fn b29_a_network_that_is_back_queues_every_waiting_job() {
    holds("B-29");
}

#[test]
fn b31_a_lost_network_stops_what_is_open() {
    holds("B-31");
}

#[test]
fn b32_the_last_byte_tells_the_handler() {
    holds("B-32");
}

#[test]
fn b33_suspend_stops_any_open_job() {
    holds("B-33");
}

#[test]
fn b34_resume_tries_again_at_once() {
    holds("B-34");
}

#[test]
fn b35_resume_of_an_active_job_changes_nothing() {
    holds("B-35");
}

#[test]
fn b36_resume_of_a_transferred_job_queues_it() {
    holds("B-36");
}

#[test]
fn no_row_of_the_table_is_untested() {
    let tested = [
        "B-21", "B-22", "B-23", "B-24", "B-25", "B-26", "B-27", "B-28", "B-29", "B-31", "B-32", "B-33",
        "B-34", "B-35", "B-36",
    ];
    for (row, ..) in table() {
        assert!(tested.contains(&row), "{row}");
    }
}

const OPEN: [JobState; 7] = [
    Queued,
    Connecting,
    Transferring,
    Suspended,
    Error,
    TransientError,
    Transferred,
];

fn add(files: usize) -> Command {
    Command::AddFiles(vec![FileSpec::new("http://h/more", "/tmp/more"); files])
}

fn set(change: JobChange) -> Command {
    Command::Change(Box::new(change))
}

fn after(job: &Job, command: &Command) -> Job {
    let mut job = job.clone();
    apply(&job, command).unwrap().carry_out(&mut job);
    job
}

#[test]
fn b42_files_are_added_in_every_open_state_and_the_state_stays() {
    for state in OPEN {
        let before = job(state);
        let more = after(&before, &add(2));
        assert_eq!((more.state, more.progress.files_total), (state, 3), "{state}");
        assert_eq!(more.progress.bytes_total, None, "B-07: no server has told");
        assert_eq!(more.revision, before.revision + 1);
        assert!(!apply(&before, &add(0)).unwrap().revises);
    }
    let busy = Job {
        intent: Some(Intent::Complete),
        ..job(Transferred)
    };
    assert_eq!(apply(&busy, &add(1)).unwrap_err().code, Code::INVALID_STATE);
}

#[test]
fn b42_a_run_that_did_not_have_the_new_file_is_followed_by_one_that_does() {
    let more = after(&job(Transferring), &add(1));
    let ended = apply(&more, &Command::Finished { at: at(9), files: 1 }).unwrap();
    assert_eq!(
        (ended.to, ended.events.len(), ended.transferred),
        (Queued, 0, None)
    );
    let whole = apply(&more, &Command::Finished { at: at(9), files: 2 }).unwrap();
    assert_eq!((whole.to, whole.transferred), (Transferred, Some(at(9))));
}

#[test]
fn b42_an_upload_has_one_file() {
    for kind in [JobKind::Upload, JobKind::UploadReply] {
        let upload = Job {
            kind,
            ..job(Suspended)
        };
        assert_eq!(apply(&upload, &add(1)).unwrap_err().code, Code::TOO_MANY_FILES);
        let mut empty = upload;
        empty.progress.files_total = 0;
        assert_eq!(
            apply(&empty, &add(2)).unwrap_err().code,
            Code::TOO_MANY_FILES,
            "none of a set"
        );
        assert!(apply(&empty, &add(1)).is_ok());
    }
    let batch = Job {
        kind: JobKind::Batch,
        ..job(Suspended)
    };
    assert_eq!(apply(&batch, &add(1)).unwrap_err().code, Code::NOTIMPL);
}

#[test]
fn b16_no_more_files_than_the_profile_allows() {
    for (profile, most) in [(Profile::Bits, 200), (Profile::Sexton, 100_000)] {
        let mut full = job(Suspended);
        full.spec.profile = profile;
        full.progress.files_total = most - 1;
        assert!(apply(&full, &add(1)).is_ok());
        let error = apply(&full, &add(2)).unwrap_err();
        assert_eq!(error.code, Code::TOO_MANY_FILES_IN_JOB);
        assert!(
            error.to_string().contains(&format!("{} files", most + 1)),
            "{error}"
        );
    }
}

#[test]
fn b36_a_transferred_job_that_was_extended_is_not_completed_by_itself() {
    let more = after(&job(Transferred), &add(1));
    assert_eq!((more.state, more.transferred), (Transferred, None), "B-06");
    assert_eq!(
        apply(&more, &Command::Release).unwrap_err().code,
        Code::INVALID_STATE
    );
    assert_eq!(apply(&more, &resume()).unwrap().to, Queued);
    assert!(
        apply(&more, &Command::Complete).is_ok(),
        "who asks for it gets what is whole (B-44)"
    );
}

#[test]
fn b41_every_command_of_people_is_refused_in_a_final_state_with_the_state_in_words() {
    for state in [Acknowledged, Cancelled] {
        for command in commands() {
            let refusal = apply(&job(state), &command).unwrap_err();
            assert_eq!(refusal.code, Code::INVALID_STATE);
            let words = format!("cannot {} a job that is {state}: ", command.verb());
            assert!(refusal.to_string().starts_with(&words), "{refusal}");
        }
    }
}

#[test]
fn b05_a_change_sets_what_it_names_and_nothing_else() {
    let before = job(Error);
    let named = after(
        &before,
        &set(JobChange {
            name: Some("new".to_owned()),
            ..JobChange::default()
        }),
    );
    let wanted = Job {
        spec: JobSpec {
            name: "new".to_owned(),
            ..before.spec.clone()
        },
        revision: before.revision + 1,
        ..before.clone()
    };
    assert_eq!(named, wanted);
    let same = set(JobChange {
        name: Some("test".to_owned()),
        ..JobChange::default()
    });
    assert!(
        !apply(&before, &same).unwrap().revises,
        "what is set already is no change"
    );
}

#[test]
fn b98_flags_are_for_transfers_and_those_that_the_profile_has() {
    let disable = set(JobChange {
        notify: Some(Some([NotifyFlag::Disable].into())),
        ..JobChange::default()
    });
    assert!(after(&job(Error), &disable).spec.notify.is_some());
    let batch = Job {
        kind: JobKind::Batch,
        ..job(Error)
    };
    let mut peer = job(Error);
    peer.spec.profile = Profile::DeliveryOptimization;
    for refused in [batch, peer] {
        assert_eq!(apply(&refused, &disable).unwrap_err().code, Code::NOTIMPL);
    }
}

#[test]
fn b103_a_handler_that_is_named_again_is_told_again() {
    let named = |name: &str| {
        set(JobChange {
            handler: Some(name.to_owned()),
            ..JobChange::default()
        })
    };
    let own = after(&job(Error), &named("a"));
    assert!(apply(&own, &named("a")).unwrap().revises);
    assert!(
        apply(&job(Error), &named("")).unwrap().is_noop(&job(Error)),
        "there was none"
    );
}

#[test]
fn b67_the_level_is_changed_in_any_open_state() {
    for state in OPEN {
        let low = set(JobChange {
            priority: Some(Priority::Low),
            ..JobChange::default()
        });
        let transition = apply(&job(state), &low).unwrap();
        assert_eq!(
            (transition.to, transition.priority, transition.revises),
            (state, Priority::Low, true)
        );
    }
}

#[test]
fn b52_only_a_download_is_renamed_and_what_runs_begins_anew() {
    let rename = Command::SetRemote {
        file: 0,
        remote: "http://i/a".to_owned(),
    };
    let prefix = Command::ReplacePrefix {
        from: "http://h/".to_owned(),
        to: "http://i/".to_owned(),
    };
    for command in [rename, prefix] {
        for state in OPEN {
            let to = apply(&job(state), &command).unwrap().to;
            assert_eq!(to, if state.is_running() { Queued } else { state }, "{state}");
            for kind in [JobKind::Upload, JobKind::UploadReply] {
                let upload = Job { kind, ..job(state) };
                assert_eq!(apply(&upload, &command).unwrap_err().code, Code::NOTIMPL, "B-139");
            }
        }
    }
}

#[test]
fn b15_a_new_owner_gets_the_job_without_what_the_old_one_trusted_it_with() {
    let mut before = job(Suspended);
    before.spec.notify_command = vec!["/bin/mail".to_owned()];
    let mine = after(&before, &Command::TakeOwnership("uid-7".parse().unwrap()));
    assert_eq!(mine.owner.as_str(), "uid-7");
    assert!(mine.spec.notify_command.is_empty());
    assert_eq!(mine.revision, before.revision + 1);
    let own = Command::TakeOwnership(before.owner.clone());
    assert_eq!(after(&before, &own), before, "the owner loses nothing");
}

#[test]
fn b143_what_a_job_hides_no_change_shows() {
    let mut before = job(Suspended);
    before.spec.transfer.get_or_insert_default().http.headers_hidden = true;
    let shown = serde_json::from_str(r#"{"transfer": {"http": {"headers_hidden": false}}}"#).unwrap();
    let refused = apply(&before, &Command::Change(shown)).unwrap_err();
    assert_eq!(refused.code, Code::ACCESSDENIED);
    let wrong = serde_json::from_str(r#"{"transfer": {"http": {"method": "TRACE"}}}"#).unwrap();
    let refused = apply(&before, &Command::Change(wrong)).unwrap_err();
    assert_eq!(
        refused.code,
        Code::INVALIDARG,
        "checked as a new one is: {refused}"
    );
}

#[test]
fn b144_no_change_of_level_lets_it_begin_anew_for_ever() {
    let mut before = job(Queued);
    before.priority = Priority::Foreground;
    before.spec.transfer.get_or_insert_default().http.dynamic = true;
    for command in [
        Command::SetPriority(Priority::Low),
        Command::Change(serde_json::from_str(r#"{"priority": "low"}"#).unwrap()),
    ] {
        let refused = apply(&before, &command).unwrap_err();
        assert_eq!(refused.code, Code::INVALID_STATE, "{refused}");
    }
}

#[test]
fn bp10_complete_all_or_nothing_says_how_much_is_missing() {
    let mut partly = job(Transferring);
    (partly.progress.files_total, partly.progress.files_transferred) = (3, 2);
    let error = apply(&partly, &Command::CompleteWhole).unwrap_err();
    assert_eq!(error.code, Code::INVALID_STATE);
    assert!(
        error.to_string().contains("2 of its 3 files are transferred"),
        "{error}"
    );
    partly.progress.files_transferred = 3;
    assert_eq!(
        apply(&partly, &Command::CompleteWhole).unwrap().intent,
        Some(Intent::Complete)
    );
    assert!(
        apply(&job(Suspended), &Command::Complete).is_ok(),
        "plain complete keeps what is whole"
    );
}

#[test]
fn b39_an_open_job_that_nobody_moves_is_cancelled() {
    for state in OPEN {
        assert_eq!(
            apply(&job(state), &Command::Expired).unwrap().intent,
            Some(Intent::Cancel),
            "{state}"
        );
    }
}

#[test]
fn b40_one_bad_file_parks_the_job_and_a_new_name_mends_it() {
    let parked = after(&job(Transferring), &fatal());
    assert_eq!(parked.state, Error);
    let rename = Command::SetRemote {
        file: 0,
        remote: "http://i/a".to_owned(),
    };
    let mended = after(&parked, &rename);
    assert_eq!(mended.state, Error, "it waits for a resume");
    assert_eq!(after(&mended, &resume()).state, Queued);
}

#[test]
fn dc04_only_what_is_open_is_paused_and_what_rests_stays() {
    for state in OPEN {
        assert_eq!(apply(&job(state), &Command::Suspend).unwrap().to, Suspended);
    }
    let paused = job(Suspended);
    assert!(apply(&paused, &Command::Suspend).unwrap().is_noop(&paused));
    let ended = Job {
        outcome: Some(Outcome::Succeeded),
        ..job(Acknowledged)
    };
    assert!(apply(&ended, &Command::Suspend).is_err());
}

#[test]
fn b31_a_lost_network_waits_and_is_not_counted() {
    let lost = Command::TransientError {
        error: error(Code::NETWORK_DISCONNECTED, 0),
        retry_after: Some(Duration::from_secs(60)),
    };
    for state in [Connecting, Transferring] {
        let transition = apply(&job(state), &lost).unwrap();
        assert_eq!(
            (transition.to, transition.error_count),
            (TransientError, 0),
            "{state}"
        );
    }
}
