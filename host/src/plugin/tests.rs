//! What the room's unit tests share.

use std::sync::Arc;

use async_trait::async_trait;

use super::services::Services;
use super::{Call, CallView, Function, RemoteChecked};
use crate::clock::Clock;
use crate::job::{
    Code, Command, DeliveryId, ErrorContext, ErrorInfo, FileSpec, FileStatus, Header, Job, JobId, JobKind,
    JobSpec, JobState, Outcome, Priority, Profile, Progress, Role, Timestamp, TransferSpec,
};

/// No state at all.
pub(super) struct Nothing;

#[async_trait]
impl CallView for Nothing {
    async fn state(&self, _key: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    async fn state_bytes(&self) -> Result<u64, String> {
        Ok(0)
    }

    async fn check_remote(&self, _job: &Job, file: u32, remote: &str) -> Result<RemoteChecked, String> {
        Ok(match (file, remote) {
            (0, "") => Err((Code::INVALIDARG, "it is no URL".to_owned())),
            (0, _) => Ok(()),
            _ => Err((Code::NOT_FOUND, "there is no such file".to_owned())),
        })
    }
}

/// A call of the function named `event`, about a job that is in `error`.
pub(super) fn call(event: &str) -> Call {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let error = ErrorInfo {
        code: Code::http(403),
        context: ErrorContext::RemoteFile,
        description: "the server answered 403".to_owned(),
        file: None,
        protocol: Some("https".to_owned()),
        leg: None,
        attempt: 1,
        at: now,
        extended: None,
    };
    Call {
        function: Function::Event(event.parse().unwrap()),
        delivery: DeliveryId::fresh(),
        event_id: "event".to_owned(),
        seq: 7,
        attempt: 1,
        stale: false,
        role: Role::Decider,
        job: Job {
            id: JobId::fresh(),
            owner: "uid-0".parse().unwrap(),
            kind: JobKind::Download,
            state: JobState::Error,
            intent: None,
            outcome: None,
            priority: Priority::Normal,
            revision: 1,
            attempt: 1,
            error_count: 1,
            retries: 0,
            call: crate::job::CallState::default(),
            no_progress_since: None,
            reply: None,
            due: None,
            created: now,
            modified: now,
            transferred: None,
            progress: Progress {
                files_total: 1,
                ..Progress::default()
            },
            error: Some(error.clone()),
            spec: JobSpec::new("test", Profile::Sexton),
        },
        files: Vec::new(),
        error: Some(error),
        file: None,
        outcome: Some(Outcome::Failed),
        sink: None,
        task: None,
    }
}

fn services(call: Call) -> Services {
    let clock = Clock::simulated(Timestamp::from_millis(5));
    Services::for_call(
        "a".parse().unwrap(),
        Arc::default(),
        clock,
        Arc::new(call),
        Arc::new(Nothing),
    )
}

/// A call about one file, which is wholly here or was when it was told of.
fn about_a_file(here_now: bool) -> Call {
    let spec = FileSpec::new("http://user:secret@h/f?token=x", "/tmp/f");
    let told = FileStatus {
        transferred: true,
        ..FileStatus::new(0, spec)
    };
    let now = FileStatus {
        transferred: here_now,
        ..told.clone()
    };
    Call {
        file: Some(told),
        files: vec![now],
        ..call("file-transferred")
    }
}

#[test]
fn b97_a_handler_judges_the_file_of_its_call_and_no_secret_gets_into_the_error() {
    let mut services = services(about_a_file(true));
    services.set_validation(false).unwrap();
    let (requests, _) = services.take_decisions();
    let [
        Command::Validate {
            file, valid: false, ..
        },
    ] = requests.as_slice()
    else {
        panic!("{requests:?}")
    };
    assert_eq!(file.remote, "http://h/f");
    services.set_validation(true).unwrap();
    assert_eq!(services.take_decisions().0, [], "`true` is no decision");
}

#[test]
fn b55_what_is_no_file_or_no_longer_here_is_not_judged() {
    let said = services(call("job-error")).set_validation(false).unwrap_err();
    assert_eq!(said.code, Code::FILE_NOT_AVAILABLE);
    let said = services(about_a_file(false)).set_validation(true).unwrap_err();
    assert_eq!(said.code, Code::PENDING);
    let mut observer = about_a_file(true);
    observer.role = Role::Observer;
    let said = services(observer).set_validation(false).unwrap_err();
    assert_eq!(said.code, Code::ACCESSDENIED);
}

#[tokio::test]
async fn b130_a_request_for_another_server_is_checked_at_once_and_buffered() {
    let mut desk = services(call("job-error"));
    let mut asked = async |file, remote: &str| {
        let said = desk.set_remote(file, remote.to_owned()).await.unwrap();
        said.map_err(|why| why.code)
    };
    assert_eq!(asked(0, "http://other/x").await, Ok(()));
    assert_eq!(asked(0, "").await, Err(Code::INVALIDARG));
    assert_eq!(asked(7, "http://other/x").await, Err(Code::NOT_FOUND));
    let (file, remote) = (0, "http://other/x".to_owned());
    assert_eq!(desk.take_decisions().0, [Command::SetRemote { file, remote }]);

    let mut upload = call("job-error");
    upload.job.kind = JobKind::Upload;
    let said = services(upload).set_remote(0, "http://other/x".to_owned()).await;
    assert_eq!(said.unwrap().unwrap_err().code, Code::NOTIMPL);
    let mut observer = call("job-error");
    observer.role = Role::Observer;
    let said = services(observer).set_remote(0, String::new()).await;
    assert_eq!(said.unwrap().unwrap_err().code, Code::ACCESSDENIED);
}

#[test]
fn b143_a_header_replaces_all_of_its_name_and_a_bad_one_is_refused_at_once() {
    let mut call = call("job-error");
    let mut transfer = TransferSpec::DEFAULT;
    transfer.http.headers = vec![
        Header::new("x-tag", "a"),
        Header::new("X-Tag", "b"),
        Header::new("X-A", "1"),
    ];
    call.job.spec.transfer = Some(Box::new(transfer));
    let mut desk = services(call);
    desk.set_header("X-Tag", Some("c".to_owned())).unwrap();
    desk.set_header("x-a", None).unwrap();
    for (name, value) in [("Range", "bytes=0-1"), ("no header", "1"), ("X-B", "a\r\nb")] {
        let refused = desk.set_header(name, Some(value.to_owned())).unwrap_err();
        assert_eq!(refused.code, Code::INVALIDARG, "{name}");
    }
    let (requests, _) = desk.take_decisions();
    let [Command::Change(_), Command::Change(last)] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    let left = &last.transfer.as_ref().unwrap()["http"]["headers"];
    assert_eq!(*left, serde_json::json!([{"name": "X-Tag", "value": "c"}]));
}
