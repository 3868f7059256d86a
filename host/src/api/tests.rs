//! Server and client together, over a real socket, against a store in memory.

pub(super) mod fake;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::client::{Client, ClientError};
use super::request::{
    ActivityRequest, DeliverySelection, FileRequest, JobQuery, JobVerb, PageQuery, SubmitRequest,
};
use super::view::{Code, HostState, JobId, JobKind, JobState, Priority, Profile};
use super::{Api, listen, serve};
use crate::clock::Clock;
use crate::job::{Command, ErrorContext, ErrorInfo, Outcome, Timestamp};
use crate::store::Store;
use fake::{FakeHost, FakeStore};

struct Rig {
    client: Client,
    store: std::sync::Arc<FakeStore>,
    shutdown: CancellationToken,
    server: tokio::task::JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Rig {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let store = FakeStore::new();
        let api = Api {
            store: store.clone(),
            host: std::sync::Arc::new(FakeHost),
            clock: Clock::simulated(Timestamp::from_millis(1_700_000_000_000)),
        };
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listen(&path).unwrap(), api, shutdown.clone()));
        Self {
            client: Client::new(path),
            store,
            shutdown,
            server,
            dir,
        }
    }
}

fn request() -> SubmitRequest {
    serde_json::from_str(
        r#"{"kind": "download", "files": [{"remote": "http://u:secret@h/f.bin", "local": "/tmp/f.bin"}]}"#,
    )
    .unwrap()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (u16, Code, String) {
    match result.unwrap_err() {
        ClientError::Refused { status, problem } => (status, problem.code, problem.message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_is_submitted_shown_and_directed() {
    let rig = Rig::start();
    let submitted = rig.client.submit(&request()).await.unwrap();
    assert!(submitted.new);
    let id = submitted.job.id;
    let job = rig.client.job(id).await.unwrap();
    assert_eq!((job.name.as_str(), job.state), ("f.bin", JobState::Queued));
    assert_eq!(
        job.owner.as_str(),
        format!("uid-{}", rustix::process::geteuid().as_raw())
    );
    assert_eq!(job.files.unwrap().first().unwrap().remote, "http://u:***@h/f.bin");

    let job = rig.client.command(id, JobVerb::Suspend).await.unwrap();
    assert_eq!(job.state, JobState::Suspended);
    let job = rig
        .client
        .command(id, JobVerb::Resume { after_ms: 5000 })
        .await
        .unwrap();
    assert_eq!(job.due, Some(Timestamp::from_millis(1_700_000_005_000)));
    let job = rig.client.set_priority(id, Priority::High).await.unwrap();
    assert_eq!(job.priority, Priority::High);
    let query = JobQuery {
        states: vec![JobState::Queued],
        ..JobQuery::default()
    };
    assert_eq!(rig.client.jobs(&query).await.unwrap().jobs.len(), 1);
    assert_eq!(
        rig.client
            .files(id, PageQuery::default())
            .await
            .unwrap()
            .files
            .len(),
        1
    );
}

#[tokio::test]
async fn refusals_carry_status_and_code() {
    let rig = Rig::start();
    let (status, code, message) = refusal(rig.client.job(JobId::fresh()).await);
    assert_eq!((status, code), (404, Code::NOT_FOUND), "{message}");
    let id = rig.client.submit(&request()).await.unwrap().job.id;
    let (status, code, _) = refusal(rig.client.error(id).await);
    assert_eq!((status, code), (409, Code::ERROR_INFORMATION_UNAVAILABLE));
    let mut peer = request();
    peer.profile = Some(Profile::DeliveryOptimization);
    let id = rig.client.submit(&peer).await.unwrap().job.id;
    let (status, code, _) = refusal(rig.client.error(id).await);
    assert_eq!((status, code), (409, Code::DO_ERROR_INFORMATION_UNAVAILABLE));
    rig.client.command(id, JobVerb::Cancel).await.unwrap();
    let (status, code, _) = refusal(rig.client.command(id, JobVerb::Complete).await);
    assert_eq!((status, code), (409, Code::INVALID_STATE));
    let (status, _, message) = refusal(rig.client.purge(&DeliverySelection::default()).await);
    assert_eq!((status, message.as_str()), (400, "nothing says which deliveries"));
    let mut long = request();
    long.name = Some("x".repeat(257));
    let (status, code, _) = refusal(rig.client.submit(&long).await);
    assert_eq!((status, code), (400, Code::STRING_TOO_LONG));
    let mut refused = request();
    refused.files = vec![FileRequest::new("gopher://h", "/tmp/f")];
    let (status, _, message) = refusal(rig.client.submit_many(&[request(), refused]).await);
    assert_eq!(status, 400);
    assert!(message.starts_with("job 1 of the list: "), "{message}");
}

#[tokio::test]
async fn b48_a_reply_is_named_and_read_by_its_own_route() {
    let rig = Rig::start();
    let asked = SubmitRequest {
        kind: JobKind::UploadReply,
        ..request()
    };
    let job = rig.client.submit(&asked).await.unwrap().job;
    let beside = rig
        .client
        .job(job.id)
        .await
        .unwrap()
        .reply
        .unwrap()
        .local
        .unwrap();
    assert!(
        beside.starts_with("/tmp/f.bin.") && beside.ends_with(".reply"),
        "{beside}"
    );
    let named = rig
        .client
        .set_reply(job.id, "/tmp/reply".to_owned())
        .await
        .unwrap();
    assert_eq!(named.reply.unwrap().local.as_deref(), Some("/tmp/reply"));
    let (status, code, _) = refusal(rig.client.set_reply(job.id, "reply".to_owned()).await);
    assert_eq!((status, code), (400, Code::INVALIDARG));
    assert_eq!(&rig.client.reply(job.id).await.unwrap()[..], b"a reply");
    // The law speaks before the path is looked at.
    let download = rig.client.submit(&request()).await.unwrap().job;
    let (status, code, _) = refusal(rig.client.set_reply(download.id, "reply".to_owned()).await);
    assert_eq!((status, code), (501, Code::NOTIMPL));
}

#[tokio::test]
async fn a_watch_tells_each_change_and_ends_with_the_job() {
    let rig = Rig::start();
    let id = rig.client.submit(&request()).await.unwrap().job.id;
    let mut watch = rig.client.watch(id).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().state, JobState::Queued);
    rig.store.command(id, Command::Start).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().state, JobState::Connecting);
    // More changes than the channel holds: the watch reads the job again.
    for _ in 0..64 {
        rig.store
            .command(id, Command::SetPriority(Priority::Low))
            .await
            .unwrap();
        rig.store
            .command(id, Command::SetPriority(Priority::High))
            .await
            .unwrap();
    }
    let error = ErrorInfo {
        code: Code::http(403),
        context: ErrorContext::RemoteFile,
        description: "\u{1b}[2Jno".to_owned(),
        file: None,
        protocol: Some("http".to_owned()),
        leg: None,
        attempt: 1,
        at: Timestamp::default(),
        extended: None,
    };
    rig.store
        .command(id, Command::FatalError { error })
        .await
        .unwrap();
    let job = loop {
        let job = watch.next().await.unwrap().unwrap();
        if job.state == JobState::Error {
            break job;
        }
    };
    assert_eq!(job.error.unwrap().name, "HTTP_403");
    let json = serde_json::to_value(rig.client.error(id).await.unwrap()).unwrap();
    assert_eq!(json["code"], "0x80190193");
    assert_eq!(json["context"], "remote-file");
    rig.store.command(id, Command::Cancel).await.unwrap();
    rig.store
        .command(
            id,
            Command::IntentDone {
                outcome: Outcome::Cancelled,
            },
        )
        .await
        .unwrap();
    let mut last = None;
    while let Some(job) = watch.next().await.unwrap() {
        last = Some(job.state);
    }
    assert_eq!(last, Some(JobState::Cancelled));
}

#[tokio::test]
async fn the_end_of_the_host_ends_watches_and_removes_the_socket() {
    let rig = Rig::start();
    let id = rig.client.submit(&request()).await.unwrap().job.id;
    let mut watch = rig.client.watch(id).await.unwrap();
    watch.next().await.unwrap();
    rig.shutdown.cancel();
    assert!(watch.next().await.unwrap().is_none());
    tokio::time::timeout(Duration::from_secs(4), rig.server)
        .await
        .unwrap()
        .unwrap();
    assert!(!rig.dir.path().join("control.sock").exists());
    assert!(matches!(
        rig.client.status().await,
        Err(ClientError::NoHost { .. })
    ));
}

#[tokio::test]
async fn status_says_who_waits_for_what() {
    let rig = Rig::start();
    let status = rig.client.status().await.unwrap();
    assert_eq!(status.state, HostState::Running);
    let waiting = status.waiting.first().unwrap();
    assert_eq!((waiting.plugin.as_str(), waiting.deliveries), ("pager", 3));
    assert_eq!(
        waiting.reason.as_deref(),
        Some(
            "absent: there is no pager.wasm in the plugin folder; \
             `sexton delivery purge --plugin pager --state pending` drops what waits for it"
        )
    );
    assert_eq!(refusal(rig.client.reload().await).0, 422);
}

#[test]
fn a_request_with_a_misspelt_field_is_refused() {
    let error = serde_json::from_str::<SubmitRequest>(r#"{"kind": "download", "prio": "high"}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field `prio`"), "{error}");
    let request: SubmitRequest = serde_json::from_str(r#"{"kind": "download"}"#).unwrap();
    assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"kind":"download"}"#);
    assert_eq!(request.kind, JobKind::Download);
}

#[tokio::test]
async fn d03_delivery_optimization_shows_no_connecting() {
    let rig = Rig::start();
    let mut peer = request();
    peer.profile = Some(Profile::DeliveryOptimization);
    for (request, shown) in [(peer, JobState::Transferring), (request(), JobState::Connecting)] {
        let id = rig.client.submit(&request).await.unwrap().job.id;
        rig.store.command(id, Command::Start).await.unwrap();
        assert_eq!(rig.client.job(id).await.unwrap().state, shown);
    }
}

#[tokio::test]
async fn every_bad_entry_of_a_list_is_told_at_once() {
    let rig = Rig::start();
    let mut long = request();
    long.name = Some("x".repeat(257));
    let mut refused = request();
    refused.files = vec![FileRequest::new("gopher://h", "/tmp/f")];
    let error = rig
        .client
        .submit_many(&[request(), long, request(), refused])
        .await
        .unwrap_err();
    let ClientError::Refused { problem, .. } = error else {
        panic!("{error:?}")
    };
    let places: Vec<_> = problem.list.iter().map(|one| (one.index, one.code)).collect();
    assert_eq!(places, [(1, Code::STRING_TOO_LONG), (3, Code::INVALIDARG)]);
    assert!(
        rig.client
            .jobs(&JobQuery::default())
            .await
            .unwrap()
            .jobs
            .is_empty()
    );
}

fn call(activity: &str) -> SubmitRequest {
    let text = format!(
        r#"{{"kind": "batch", "batch": {{"work": {{"command": {{"argv": ["/bin/true"]}}}}, "activity": "{activity}"}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn c88_a_call_to_an_unknown_activity_is_an_error_at_once() {
    let rig = Rig::start();
    let (status, code, message) = refusal(rig.client.submit(&call("nobody")).await);
    assert_eq!((status, code), (404, Code::NOT_FOUND));
    assert!(message.contains("`nobody`"), "{message}");
    let known = rig.client.submit(&call("nightly")).await.unwrap();
    let kept = rig.store.job(known.job.id).await.unwrap();
    let batch = kept.spec.batch.unwrap();
    assert_eq!(
        batch.deadline,
        Some(Duration::from_secs(60)),
        "what it does not say, its activity says"
    );
}

#[tokio::test]
async fn c02_an_activity_that_cannot_be_is_refused_with_the_code_of_its_section() {
    let rig = Rig::start();
    let none = ActivityRequest {
        name: "x".parse().unwrap(),
        spec: serde_json::from_str(r#"{"pool": "none"}"#).unwrap(),
    };
    let (status, code, message) = refusal(rig.client.create_activity(&none).await);
    assert_eq!((status, code), (400, Code::THREADPOOL_CONFIG));
    assert!(message.starts_with("`pool`"), "{message}");
    let unknown = refusal(rig.client.pause_activity(&"x".parse().unwrap(), true).await);
    assert_eq!(unknown.0, 404);
}
