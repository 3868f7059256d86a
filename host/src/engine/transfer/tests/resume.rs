//! Going on where an earlier run ended, and never with bytes of two versions in one file (J-75).

use super::super::anew::START_OVERS_MAX;
use super::scene::part;
use super::*;

const V1: &str = "ETag: \"v1\"\r\n";
const V2: &str = "ETag: \"v2\"\r\n";
const SIZE: usize = 3 << 20;

/// A scene whose first run was cut after two of three MiB.
async fn cut_scene(headers: &str) -> Scene {
    let mut scene = Scene::new(vec![ok(&body(SIZE), headers).cut(1 << 20)]).await;
    let RunEnd::Transient { error, .. } = scene.run().await else {
        panic!()
    };
    assert_eq!(error.code, Code::CONNECTION_CLOSED);
    assert_eq!(error.context, ErrorContext::GeneralTransport);
    assert_eq!(
        scene.recorded().bytes_transferred,
        2 << 20,
        "all that came is kept (J-73)"
    );
    scene.again();
    scene
}

fn other() -> Vec<u8> {
    body(SIZE).iter().map(|byte| byte ^ 0xA5).collect()
}

fn assert_whole(scene: &Scene, content: &[u8]) {
    let file = scene.recorded();
    assert!(file.transferred);
    assert_eq!(file.bytes_transferred, content.len() as u64);
    assert!(
        scene.temporary() == content,
        "the file differs from what the server has"
    );
}

#[tokio::test]
async fn j73_a_cut_body_is_resumed_with_no_byte_twice() {
    let scene = cut_scene(V1).await;
    scene.then(vec![part(&body(SIZE), 2 << 20, V1)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    let asked = scene.asked(1);
    assert!(
        asked.contains("range: bytes=2097152-\r\n") && asked.contains("if-range: \"v1\"\r\n"),
        "{asked}"
    );
    assert_whole(&scene, &body(SIZE));
}

#[tokio::test]
async fn b94_a_last_modified_date_is_a_validator_too() {
    let date = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let scene = cut_scene(date).await;
    scene.then(vec![part(&body(SIZE), 2 << 20, date)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert!(
        scene
            .asked(1)
            .contains("if-range: sun, 06 nov 1994 08:49:37 gmt\r\n")
    );
    assert_whole(&scene, &body(SIZE));
}

#[tokio::test]
async fn j75_a_changed_file_starts_over_and_is_the_new_one_byte_for_byte() {
    // By the book: 200 with the new version.
    let scene = cut_scene(V1).await;
    scene.then(vec![ok(&other(), V2)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_whole(&scene, &other());
    let first = scene.checkpoints().first().cloned().unwrap();
    assert_eq!(
        (first.bytes_transferred, first.validator.as_deref()),
        (0, Some("\"v2\""))
    );

    // A server that ignores If-Range gives itself away by its ETag.
    let scene = cut_scene(V1).await;
    scene.then(vec![part(&other(), 2 << 20, V2), ok(&other(), V2)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert!(!scene.asked(2).contains("range"));
    assert_whole(&scene, &other());

    // Or by its size.
    let longer = body(SIZE + 1);
    let scene = cut_scene(V1).await;
    scene.then(vec![part(&longer, 2 << 20, ""), ok(&longer, V2)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_whole(&scene, &longer);
}

#[tokio::test]
async fn a_shorter_new_version_leaves_nothing_of_the_old_one() {
    let scene = cut_scene(V1).await;
    scene.then(vec![ok(b"short", V2)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_whole(&scene, b"short");
}

#[tokio::test]
async fn a_file_without_a_validator_starts_over() {
    for headers in ["", "ETag: W/\"v1\"\r\n"] {
        let scene = cut_scene(headers).await;
        scene.then(vec![ok(&other(), headers)]);
        assert_eq!(scene.run().await, RunEnd::Finished);
        assert!(!scene.asked(1).contains("range"));
        assert_whole(&scene, &other());
    }
}

#[tokio::test]
async fn a_range_that_is_ignored_starts_over() {
    let scene = cut_scene(V1).await;
    scene.then(vec![ok(&body(SIZE), V1)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_whole(&scene, &body(SIZE));
}

#[tokio::test]
async fn b87_another_range_than_asked_for_is_fatal_and_writes_nothing() {
    let scene = cut_scene(V1).await;
    scene.then(vec![part(&body(SIZE), 1 << 20, V1)]);
    let RunEnd::Fatal { error } = scene.run().await else {
        panic!()
    };
    assert_eq!(
        (error.code, error.context),
        (Code::INVALID_SERVER_RESPONSE, ErrorContext::RemoteFile)
    );
    assert_eq!(scene.temporary(), body(2 << 20)[..].to_vec());
}

#[tokio::test]
async fn b87_416_starts_over_once() {
    let refused = || Reply::raw("HTTP/1.1 416 X\r\nContent-Range: bytes */100\r\nContent-Length: 0\r\n\r\n");
    let scene = cut_scene(V1).await;
    scene.then(vec![refused(), ok(&other(), V2)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_whole(&scene, &other());

    let scene = cut_scene(V1).await;
    scene.then(vec![refused()]);
    let RunEnd::Fatal { error } = scene.run().await else {
        panic!()
    };
    assert_eq!(error.code, Code::INVALID_RANGE);
}

#[tokio::test]
async fn a_server_that_answers_in_slices_is_asked_for_the_rest() {
    let content = body(SIZE);
    let slice = |start: usize, end: usize| {
        let text = format!(
            "HTTP/1.1 206 X\r\n{V1}Content-Range: bytes {start}-{}/{SIZE}\r\nContent-Length: {}\r\n\r\n",
            end - 1,
            end - start
        );
        let mut reply = Reply::raw(&text);
        reply.bytes.extend_from_slice(&content[start..end]);
        reply
    };
    let scene = cut_scene(V1).await;
    let middle = (2 << 20) + 1000;
    scene.then(vec![slice(2 << 20, middle), slice(middle, SIZE)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert!(scene.asked(2).contains(&format!("range: bytes={middle}-")));
    assert_whole(&scene, &content);
}

#[tokio::test]
async fn b94_a_lost_temporary_file_starts_over() {
    let scene = cut_scene(V1).await;
    std::fs::remove_file(scene.recorded().temporary.unwrap()).unwrap();
    scene.then(vec![ok(&body(SIZE), V1)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert!(!scene.asked(1).contains("range"));
    assert_whole(&scene, &body(SIZE));
}

#[tokio::test]
async fn p9_bytes_that_were_never_vouched_for_are_cut_off() {
    let scene = cut_scene(V1).await;
    let path = scene.recorded().temporary.unwrap();
    let mut garbage = std::fs::read(&path).unwrap();
    garbage.extend_from_slice(&[0; 5000]);
    std::fs::write(&path, garbage).unwrap();
    scene.then(vec![part(&body(SIZE), 2 << 20, V1)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_whole(&scene, &body(SIZE));
}

#[tokio::test]
async fn a_crash_between_the_last_byte_and_saying_so_asks_for_nothing() {
    let mut scene = Scene::new(vec![ok(&body(SIZE), V1)]).await;
    assert_eq!(scene.run().await, RunEnd::Finished);
    scene.again();
    scene.file = FileStatus {
        transferred: false,
        ..scene.file.clone()
    };
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_eq!((scene.requests(), scene.connected()), (1, 1));
    assert!(scene.recorded().transferred);
}

#[tokio::test]
async fn a_run_that_is_stopped_keeps_what_it_has_and_goes_on_later() {
    let content = body(24 << 20);
    let mut scene = Scene::new(vec![ok(&content, V1).cut(1 << 20).hang()]).await;
    scene.recorder.stop_at = Some((4 << 20, scene.stop.clone()));
    assert_eq!(scene.run().await, RunEnd::Stopped);
    let reached = scene.recorded().bytes_transferred;
    assert!((4 << 20..24 << 20).contains(&reached), "{reached}");
    assert_eq!(scene.temporary(), content[..reached as usize].to_vec());
    scene.again();
    scene.then(vec![part(&content, reached as usize, V1)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_whole(&scene, &content);
}

#[tokio::test]
async fn a_run_that_was_taken_away_ends_without_a_further_word() {
    let mut scene = Scene::new(vec![ok(&body(24 << 20), V1)]).await;
    scene.recorder.refuse_from = Some(1);
    assert_eq!(scene.run().await, RunEnd::Stopped);
    assert_eq!(scene.checkpoints().len(), 1);
}

#[tokio::test]
async fn a_run_is_stopped_while_it_waits_for_an_answer() {
    let scene = Scene::new(vec![Reply::raw("").hang()]).await;
    let stop = async {
        while scene.requests() == 0 {
            tokio::task::yield_now().await;
        }
        scene.stop.cancel();
    };
    let (end, ()) = tokio::join!(scene.run(), stop);
    assert_eq!(end, RunEnd::Stopped);
    assert_eq!(std::fs::read_dir(scene.dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn p9_at_most_eight_mib_are_without_a_checkpoint() {
    let mut scene = Scene::new(vec![ok(&body(64 << 20), V1)]).await;
    scene.recorder.stall = true;
    let watch = async {
        let path = disk::temporary_path(scene.job, &scene.file);
        let mut seen = 0;
        // Until nothing moves any more: the store is silent, so reading has to stop by itself.
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let len = std::fs::metadata(&path).map_or(0, |meta| meta.len());
            if len == seen && len > 0 {
                return len;
            }
            seen = len;
        }
    };
    let len = tokio::select! {
        end = scene.run() => panic!("{end:?}"),
        len = watch => len,
    };
    assert!((4 << 20..=8 << 20).contains(&len), "{len}");
}

/// The server's nodes name the same bytes differently, and every body is cut: each run gets somewhere,
/// and none gets there.
#[tokio::test]
async fn bp09_a_version_that_changes_at_every_answer_ends_in_a_named_error() {
    let mut scene = cut_scene(V1).await;
    for node in 0.. {
        scene.then(vec![
            ok(&body(SIZE), &format!("ETag: \"node {node}\"\r\n")).cut(1 << 20),
        ]);
        match scene.run().await {
            RunEnd::Transient { error, .. } => assert_eq!(error.code, Code::CONNECTION_CLOSED),
            RunEnd::Fatal { error } => {
                assert_eq!(node, START_OVERS_MAX);
                assert_eq!(error.code, Code::REMOTE_FILE_CHANGED);
                assert_eq!(error.context, ErrorContext::RemoteFile);
                assert!(error.description.contains("10 times already"), "{error:?}");
                break;
            }
            other => panic!("{other:?}"),
        }
        assert!(node < START_OVERS_MAX, "it has no end");
        scene.again();
    }
    // A handler that resumes the job gives it as many again.
    scene.start_overs.forget(scene.job);
    scene.then(vec![ok(&other(), V2)]);
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_whole(&scene, &other());
}

#[tokio::test]
async fn bp03_a_server_that_cannot_go_on_and_always_cuts_ends_in_a_named_error() {
    // By saying nothing of the version, and by ignoring the range.
    for headers in ["", "ETag: W/\"v1\"\r\n", V1] {
        let mut scene = cut_scene(headers).await;
        for run in 0.. {
            scene.then(vec![ok(&body(SIZE), headers).cut(1 << 20)]);
            match scene.run().await {
                RunEnd::Transient { error, .. } => assert_eq!(error.code, Code::CONNECTION_CLOSED),
                RunEnd::Fatal { error } => {
                    assert_eq!(
                        (run, error.code),
                        (START_OVERS_MAX, Code::INSUFFICIENT_RANGE_SUPPORT)
                    );
                    break;
                }
                other => panic!("{other:?}"),
            }
            assert!(run < START_OVERS_MAX, "it has no end");
            scene.again();
        }
    }
}
