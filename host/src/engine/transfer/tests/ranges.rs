//! Ranges of a file: asked for one by one, written one behind the other (B-125, B-87).

use super::scene::span;
use super::*;
use crate::job::FileRange;

const V1: &str = "ETag: \"v1\"\r\n";

fn ranges(list: &[(u64, Option<u64>)]) -> Vec<FileRange> {
    let ranges = list.iter().map(|&(offset, length)| FileRange { offset, length });
    ranges.collect()
}

async fn scene(list: &[(u64, Option<u64>)], script: Vec<Reply>) -> Scene {
    let mut scene = Scene::new(script).await;
    scene.file.plan.ranges = ranges(list);
    scene
}

async fn fatal(scene: &Scene) -> crate::job::ErrorInfo {
    match scene.run().await {
        RunEnd::Fatal { error } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn b125_ranges_are_written_one_behind_the_other_in_their_order() {
    let content = body(1000);
    let script = vec![
        span(&content, 500, 600, V1),
        span(&content, 0, 10, V1),
        span(&content, 990, 1000, V1),
    ];
    let scene = scene(&[(500, Some(100)), (0, Some(10)), (990, None)], script).await;
    assert_eq!(scene.run().await, RunEnd::Finished);
    let expected = [&content[500..600], &content[..10], &content[990..]].concat();
    assert!(scene.temporary() == expected);
    assert!(scene.asked(0).contains("range: bytes=500-599\r\n") && !scene.asked(0).contains("if-range"));
    assert!(scene.asked(1).contains("range: bytes=0-9\r\n") && scene.asked(1).contains("if-range: \"v1\""));
    assert!(
        scene.asked(2).contains("range: bytes=990-999\r\n"),
        "the size is known by now"
    );
    assert!(scene.recorded().transferred);
}

#[tokio::test]
async fn b09_the_progress_of_ranges_is_held_against_their_sum() {
    let content = body(4 << 20);
    let (one, two) = ((0, Some(1 << 20)), (2 << 20, Some(1 << 20)));
    let script = vec![
        span(&content, 0, 1 << 20, V1),
        span(&content, 2 << 20, 3 << 20, V1).cut(1 << 19),
    ];
    let mut scene = scene(&[one, two], script).await;
    assert_eq!(code(&scene.run().await), Some(Code::CONNECTION_CLOSED));
    let reached = scene.recorded();
    assert_eq!(reached.bytes_total, Some(2 << 20));
    assert_eq!(reached.bytes_transferred, (1 << 20) + (1 << 19));
    scene.again();
    let rest = (2 << 20) + (1 << 19);
    scene.then(vec![span(&content, rest, 3 << 20, V1)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert!(
        scene
            .asked(2)
            .contains(&format!("range: bytes={rest}-{}\r\n", (3 << 20) - 1))
    );
    assert_eq!(scene.recorded().bytes_transferred, 2 << 20);
    assert!(scene.temporary() == [&content[..1 << 20], &content[2 << 20..3 << 20]].concat());
}

#[tokio::test]
async fn b87_a_server_that_ignores_ranges_is_an_error() {
    let scene = scene(&[(10, Some(5))], vec![ok(&body(100), V1)]).await;
    let error = fatal(&scene).await;
    assert_eq!(
        (error.code, error.context),
        (Code::INSUFFICIENT_RANGE_SUPPORT, ErrorContext::RemoteFile)
    );
}

#[tokio::test]
async fn b87_a_range_past_the_end_is_an_error() {
    let refused = Reply::raw("HTTP/1.1 416 X\r\nContent-Range: bytes */100\r\nContent-Length: 0\r\n\r\n");
    let content = body(100);
    let table = [
        (vec![(100, Some(5))], refused),
        (vec![(98, Some(5))], span(&content, 98, 100, V1)),
        (vec![(0, Some(5)), (100, None)], span(&content, 0, 5, V1)),
    ];
    for (list, reply) in table {
        let scene = scene(&list, vec![reply]).await;
        assert_eq!(fatal(&scene).await.code, Code::INVALID_RANGE, "{list:?}");
        assert_eq!(scene.requests(), 1);
    }
}

/// The size was never told, and the second range begins where the file ends.
#[tokio::test]
async fn b87_a_range_at_the_very_end_is_not_taken_for_a_whole_file() {
    let mut first = Reply::raw(
        "HTTP/1.1 206 X\r\nETag: \"v1\"\r\nContent-Range: bytes 0-4/*\r\nContent-Length: 5\r\n\r\n",
    );
    first.bytes.extend_from_slice(b"hello");
    let end = Reply::raw("HTTP/1.1 416 X\r\nContent-Range: bytes */100\r\nContent-Length: 0\r\n\r\n");
    let scene = scene(&[(0, Some(5)), (100, Some(5))], vec![first, end]).await;
    assert_eq!(fatal(&scene).await.code, Code::INVALID_RANGE);
    assert!(!scene.recorded().transferred);
}

#[tokio::test]
async fn b126_several_parts_in_answer_to_one_range_are_a_named_error() {
    let multipart = "HTTP/1.1 206 X\r\nContent-Type: multipart/byteranges; boundary=b\r\nContent-Length: 9\r\n\r\n--b\r\n...";
    let scene = scene(&[(10, Some(5))], vec![Reply::raw(multipart)]).await;
    let error = fatal(&scene).await;
    assert_eq!(error.code, Code::INVALID_SERVER_RESPONSE);
    assert!(error.description.contains("multipart/byteranges"), "{error:?}");
}

#[tokio::test]
async fn b87_ranges_that_the_server_merged_are_an_error() {
    let content = body(100);
    let scene = scene(&[(10, Some(5)), (20, Some(5))], vec![span(&content, 10, 25, V1)]).await;
    assert_eq!(fatal(&scene).await.code, Code::INVALID_SERVER_RESPONSE);
    assert_eq!(scene.requests(), 1);
}

#[tokio::test]
async fn j75_ranges_of_two_versions_are_never_put_together() {
    let (old, new) = (
        body(100),
        body(100).iter().map(|byte| byte ^ 0x5A).collect::<Vec<_>>(),
    );
    let list = [(10, Some(5)), (20, Some(5))];
    let script = vec![
        span(&old, 10, 15, V1),
        ok(&new, "ETag: \"v2\"\r\n"),
        span(&new, 10, 15, "ETag: \"v2\"\r\n"),
        span(&new, 20, 25, "ETag: \"v2\"\r\n"),
    ];
    let scene = scene(&list, script).await;
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert!(scene.temporary() == [&new[10..15], &new[20..25]].concat());
}

#[tokio::test]
async fn bp03_several_ranges_of_a_file_without_a_version_end_in_a_named_error() {
    let content = body(100);
    let script = vec![span(&content, 10, 15, "")];
    let scene = scene(&[(10, Some(5)), (20, Some(5))], script).await;
    let end = scene.run().await;
    assert_eq!(code(&end), Some(Code::INSUFFICIENT_RANGE_SUPPORT), "{end:?}");
}
