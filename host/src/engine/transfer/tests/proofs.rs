//! What a file must come to, and what proves that answers belong together.

use super::super::sink::Sink;
use super::scene::{part, span};
use super::*;
use crate::job::{PlacingSpec, SumKind, Versions};

const V1: &str = "ETag: \"v1\"\r\n";
const SIZE: usize = 3 << 20;

fn sum(content: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, content).unwrap();
    let sink = Sink::old(std::fs::File::open(path).unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let hex = sink.sum(SumKind::Sha256, content.len() as u64, &stop).unwrap();
    format!("sha256:{}", hex.unwrap())
}

fn lenient() -> PlacingSpec {
    PlacingSpec {
        versions: Some(Versions::Lenient),
        ..PlacingSpec::DEFAULT
    }
}

fn other() -> Vec<u8> {
    body(SIZE).iter().map(|byte| byte ^ 0xA5).collect()
}

#[tokio::test]
async fn b97_a_wrong_checksum_is_an_error_and_resume_fetches_it_again() {
    let mut scene = Scene::new(vec![ok(&other(), V1)]).await;
    scene.file.plan.checksum = Some(sum(&body(SIZE)));
    let RunEnd::Fatal { error } = scene.run().await else {
        panic!()
    };
    assert_eq!(error.code, Code(0x8020_0053));
    assert_eq!(error.context, ErrorContext::RemoteFile);
    let file = scene.recorded();
    assert!(!file.transferred && scene.checkpoints().iter().all(|file| !file.transferred));
    assert_eq!(file.bytes_transferred, 0, "what did not pass counts as nothing");
    scene.again();
    scene.then(vec![ok(&body(SIZE), V1)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert!(!scene.asked(1).contains("range"), "from its first byte");
    assert!(scene.recorded().transferred && scene.temporary() == body(SIZE));
}

#[tokio::test]
async fn b97_a_checksum_covers_what_earlier_runs_brought() {
    let mut scene = Scene::new(vec![ok(&body(SIZE), V1).cut(1 << 20)]).await;
    scene.file.plan.checksum = Some(sum(&body(SIZE)));
    assert_eq!(code(&scene.run().await), Some(Code::CONNECTION_CLOSED));
    scene.again();
    let path = scene.recorded().temporary.unwrap();
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[7] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    scene.then(vec![part(&body(SIZE), 2 << 20, V1)]);
    assert_eq!(code(&scene.run().await), Some(Code::VALIDATION_FAILED));
    scene.again();
    scene.then(vec![ok(&body(SIZE), V1)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
}

#[tokio::test]
async fn d12_a_size_that_is_known_is_held_against_the_file() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (reply, size, good) in [
        (ok(b"hello", V1), 5, true),
        (ok(b"hello", V1), 6, false),
        (Reply::raw(chunked), 5, true),
        (Reply::raw(chunked), 4, false),
        (Reply::raw(chunked), 6, false),
    ] {
        let mut scene = Scene::new(vec![reply]).await;
        scene.file.plan.size = Some(size);
        match scene.run().await {
            RunEnd::Finished if good => assert!(scene.recorded().transferred),
            RunEnd::Fatal { error } if !good => {
                assert_eq!(error.code, Code::VALIDATION_FAILED);
                assert!(error.description.contains("has 5 bytes"), "{error:?}");
                assert!(!scene.recorded().transferred);
            }
            other => panic!("{size}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn bp09_lenient_goes_on_where_nodes_name_the_same_bytes_differently() {
    let date = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let node = |name: &str| format!("ETag: \"{name}\"\r\n{date}");
    for (checksum, second, good) in [
        (None, node("b"), true),
        (
            None,
            "ETag: \"b\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:38 GMT\r\n".to_owned(),
            false,
        ),
        (Some(sum(&body(SIZE))), "ETag: \"b\"\r\n".to_owned(), true),
    ] {
        let mut scene = Scene::new(vec![ok(&body(SIZE), &node("a")).cut(1 << 20)]).await;
        scene.placing = lenient();
        scene.file.plan.checksum = checksum;
        assert_eq!(code(&scene.run().await), Some(Code::CONNECTION_CLOSED));
        scene.again();
        scene.then(vec![part(&body(SIZE), 2 << 20, &second), ok(&other(), V1)]);
        let end = scene.run().await;
        assert!(!scene.asked(1).contains("if-range"));
        if good {
            assert_eq!(end, RunEnd::Finished);
            assert_eq!(scene.requests(), 2, "it was gone on with");
            assert!(scene.temporary() == body(SIZE));
        } else {
            assert_eq!(end, RunEnd::Finished);
            assert_eq!(scene.requests(), 3, "it was begun anew");
            assert!(scene.temporary() == other());
        }
    }
}

#[tokio::test]
async fn bp09_strict_does_not_take_another_name_even_with_a_checksum() {
    let mut scene = Scene::new(vec![ok(&body(SIZE), V1).cut(1 << 20)]).await;
    scene.file.plan.checksum = Some(sum(&body(SIZE)));
    assert_eq!(code(&scene.run().await), Some(Code::CONNECTION_CLOSED));
    scene.again();
    let two = "ETag: \"v2\"\r\n";
    scene.then(vec![part(&body(SIZE), 2 << 20, two), ok(&body(SIZE), two)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_eq!(scene.requests(), 3, "it was begun anew");
    assert!(scene.asked(1).contains("if-range: \"v1\""));
}

#[tokio::test]
async fn b94_start_overs_are_counted_and_kept() {
    let mut scene = Scene::new(vec![ok(&body(SIZE), V1).cut(1 << 20)]).await;
    assert_eq!(code(&scene.run().await), Some(Code::CONNECTION_CLOSED));
    scene.again();
    scene.then(vec![ok(&other(), "ETag: \"v2\"\r\n")]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    let session = crate::job::DownloadSession::read(scene.recorded().session.as_deref());
    assert_eq!(session.restarts, 1);
}

#[tokio::test]
async fn b133_the_headers_of_the_last_answer_are_kept() {
    let scene = Scene::new(vec![ok(b"x", "X-Cache: hit\r\nSet-Cookie: sid=hunter2\r\n")]).await;
    assert_eq!(scene.run().await, RunEnd::Finished);
    let session = crate::job::DownloadSession::read(scene.recorded().session.as_deref());
    assert!(
        session
            .headers
            .contains(&("x-cache".to_owned(), "hit".to_owned()))
    );
    assert!(
        session
            .headers
            .contains(&("set-cookie".to_owned(), "***".to_owned()))
    );
}

#[tokio::test]
async fn one_file_over_several_connections_goes_on_with_each() {
    let content = body(4 << 20);
    let edge = 2 << 20;
    // The two segments are asked for at the same time: the script cannot know which comes first.
    let mut scene = Scene::new(vec![span(&content, 0, 1, V1), Reply::raw("")]).await;
    scene.placing.segments = Some(2);
    assert_eq!(code(&scene.run().await), Some(Code::CONNECTION_CLOSED));
    let asked = [scene.asked(1), scene.asked(2)].concat();
    for range in [
        format!("bytes=0-{}\r\n", edge - 1),
        format!("bytes={edge}-{}\r\n", (4 << 20) - 1),
    ] {
        assert!(asked.contains(&range), "{asked}");
    }
    // What was synced of each counts; the rest of each is asked for.
    let mut file = scene.checkpoints().first().cloned().unwrap();
    let done = [1 << 20, edge + 4096];
    file.session = Some(format!(
        "{{\"segments\":[{{\"start\":0,\"end\":{edge},\"done\":{}}},{{\"start\":{edge},\"end\":{},\"done\":{}}}]}}",
        done[0],
        4 << 20,
        done[1]
    ));
    file.bytes_transferred = (1 << 20) + 4096;
    let mut partial = content[..done[1]].to_vec();
    partial[1 << 20..edge].fill(0);
    std::fs::write(file.temporary.as_ref().unwrap(), &partial).unwrap();
    scene.again();
    scene.file = file;
    scene.serve(content.clone(), "\"v1\"");
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert!(scene.temporary() == content);
    let file = scene.recorded();
    assert!(file.transferred && file.bytes_transferred == 4 << 20);
    let steps = scene.checkpoints();
    let sums: Vec<u64> = steps.iter().map(|file| file.bytes_transferred).collect();
    assert!(sums.is_sorted(), "{sums:?}");
}

#[tokio::test]
async fn a_server_that_cannot_serve_segments_gets_one_connection() {
    let content = body(4 << 20);
    for reply in [
        ok(&content, V1),
        span(&content, 0, 1, "ETag: W/\"v1\"\r\n"),
        span(&content, 0, 1, ""),
    ] {
        let mut scene = Scene::new(vec![reply, ok(&content, V1)]).await;
        scene.placing.segments = Some(4);
        assert_eq!(scene.run().await, RunEnd::Finished);
        assert!(scene.temporary() == content);
        assert_eq!(scene.requests(), 2);
    }
}
