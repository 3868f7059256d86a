//! The law of an upload-reply: where its reply goes, and until when that can be said.

use super::law_tests::job;
use super::*;

use JobState::{Acknowledged, Cancelled, Queued, Transferred, Transferring};

fn set() -> Command {
    Command::SetReply("/there".to_owned())
}

fn upload_reply(state: JobState) -> Job {
    Job {
        kind: JobKind::UploadReply,
        ..job(state)
    }
}

#[test]
fn b48_the_reply_is_named_until_its_download_begins() {
    for state in JobState::ALL.iter().copied() {
        let mut subject = upload_reply(state);
        let said = apply(&subject, &set());
        if matches!(state, Acknowledged | Cancelled) {
            assert_eq!(said.unwrap_err().code, Code::INVALID_STATE);
            continue;
        }
        said.unwrap().carry_out(&mut subject);
        assert_eq!(subject.spec.transfer().upload.reply.as_deref(), Some("/there"));
        assert_eq!(
            (subject.state, subject.revision),
            (state, job(state).revision + 1)
        );
        // From the first byte on, and before one as well, it is too late.
        for bytes_transferred in [0, 5] {
            subject.reply = Some(ReplyProgress {
                bytes_total: None,
                bytes_transferred,
            });
            let change = r#"{"transfer": {"upload": {"reply": "/elsewhere"}}}"#;
            for command in [
                Command::SetReply("/elsewhere".to_owned()),
                Command::Change(serde_json::from_str(change).unwrap()),
            ] {
                let late = apply(&subject, &command).unwrap_err();
                assert_eq!(late.code, Code::INVALID_STATE);
            }
        }
    }
}

#[test]
fn b48_no_other_kind_has_a_reply() {
    for kind in JobKind::ALL
        .iter()
        .copied()
        .filter(|kind| *kind != JobKind::UploadReply)
    {
        let subject = Job { kind, ..job(Queued) };
        assert_eq!(apply(&subject, &set()).unwrap_err().code, Code::NOTIMPL, "{kind}");
    }
}

#[test]
fn b48_what_is_being_completed_keeps_its_name() {
    for intent in [Intent::Complete, Intent::Cancel] {
        let subject = Job {
            intent: Some(intent),
            ..upload_reply(Transferred)
        };
        assert_eq!(apply(&subject, &set()).unwrap_err().code, Code::INVALID_STATE);
    }
}

#[test]
fn b44_an_upload_is_completed_from_transferred_alone() {
    for kind in [JobKind::Upload, JobKind::UploadReply] {
        let early = apply(
            &Job {
                kind,
                ..job(Transferring)
            },
            &Command::Complete,
        )
        .unwrap_err();
        assert_eq!(early.code, Code::INVALID_STATE);
        let done = apply(
            &Job {
                kind,
                ..job(Transferred)
            },
            &Command::Complete,
        )
        .unwrap();
        assert_eq!(done.intent, Some(Intent::Complete));
    }
}
