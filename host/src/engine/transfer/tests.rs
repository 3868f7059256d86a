//! Fetching, against servers that misbehave one way each.

mod broken;
mod limits;
mod names;
mod proofs;
mod ranges;
mod resume;
mod scene;

use super::*;
use scene::{Reply, Scene, body, code, ok};
pub(super) use scene::{config, file};

use crate::job::StatusClass;

#[tokio::test]
async fn a_file_is_fetched_whole_and_recorded() {
    let scene = Scene::new(vec![ok(
        &body(300_000),
        "ETag: \"a\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    )])
    .await;
    assert_eq!(scene.run().await, RunEnd::Finished);
    let file = scene.recorded();
    assert!(file.transferred && !file.completed);
    assert_eq!(
        (file.bytes_total, file.bytes_transferred),
        (Some(300_000), 300_000)
    );
    assert_eq!(file.validator.as_deref(), Some("\"a\""));
    assert_eq!(
        file.last_modified.as_deref(),
        Some("Sun, 06 Nov 1994 08:49:37 GMT")
    );
    assert_eq!(scene.temporary(), body(300_000));
    assert_eq!(scene.connected(), 1);
    let asked = scene.asked(0);
    assert!(
        asked.contains("accept-encoding: identity") && asked.contains("user-agent: sexton-test"),
        "{asked}"
    );
    assert!(!asked.contains("range"), "{asked}");
    assert!(
        !scene.destination().exists(),
        "nothing is visible before completion"
    );
}

#[tokio::test]
async fn a_large_file_is_recorded_before_its_first_byte_and_every_four_mib() {
    let content = body(10 << 20);
    let scene = Scene::new(vec![ok(&content, "ETag: \"a\"\r\n")]).await;
    assert_eq!(scene.run().await, RunEnd::Finished);
    let steps: Vec<u64> = scene
        .checkpoints()
        .iter()
        .map(|file| file.bytes_transferred)
        .collect();
    assert_eq!(steps.first(), Some(&0));
    assert_eq!(steps.last(), Some(&(10 << 20)));
    assert!(
        steps.windows(2).all(|pair| pair[1] - pair[0] <= 8 << 20),
        "{steps:?}"
    );
    assert!(scene.temporary() == content);
}

#[tokio::test]
async fn empty_files_and_unknown_lengths_work() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let table = [
        (Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), ""),
        (Reply::raw(chunked), "hello world"),
        (
            Reply::raw("HTTP/1.0 200 OK\r\n\r\nuntil the end"),
            "until the end",
        ),
    ];
    for (reply, expected) in table {
        let scene = Scene::new(vec![reply]).await;
        assert_eq!(scene.run().await, RunEnd::Finished);
        assert_eq!(scene.temporary(), expected.as_bytes());
        let size = expected.len() as u64;
        let file = scene.recorded();
        assert_eq!((file.bytes_total, file.bytes_transferred), (Some(size), size));
    }
}

#[tokio::test]
async fn b145_redirects_are_followed_ten_times() {
    let hop = || Reply::raw("HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n");
    let mut script: Vec<Reply> = (0..10).map(|_| hop()).collect();
    script.push(ok(b"there", ""));
    let scene = Scene::new(script).await;
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_eq!(scene.temporary(), b"there");

    let scene = Scene::new((0..12).map(|_| hop()).collect()).await;
    let RunEnd::Fatal { error } = scene.run().await else {
        panic!()
    };
    assert_eq!(
        (error.code, error.context),
        (Code::http(302), ErrorContext::RemoteFile)
    );
    assert!(error.description.contains("more than 10 times"), "{error:?}");
    assert_eq!(scene.connected(), 0);
}

#[tokio::test]
async fn files_that_are_here_are_not_asked_for() {
    let mut scene = Scene::new(vec![]).await;
    scene.file.transferred = true;
    assert_eq!(scene.run().await, RunEnd::Finished);
    assert_eq!((scene.connected(), scene.requests()), (1, 0));
}

#[tokio::test]
async fn errors_name_the_file_but_no_password() {
    let mut scene = Scene::new(vec![Reply::raw(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    )])
    .await;
    scene.file.remote = scene.file.remote.replace("http://", "http://me:hunter2@") + "?sig=hunter2";
    let RunEnd::Fatal { error } = scene.run().await else {
        panic!()
    };
    assert!(scene.asked(0).contains("authorization: basic"));
    let text = serde_json::to_string(&error).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(error.code, Code::http(403));
    assert_eq!(error.protocol.as_deref(), Some("http"));
    assert_eq!(error.leg, Some(crate::job::Leg::Download));
    assert_eq!(error.attempt, 7);
    assert_eq!(error.file.unwrap().local, scene.file.local);
    assert!(
        error.description.contains("the server answered 403 Forbidden"),
        "{text}"
    );
}

/// B-82 to B-84 in numbers, and a job that sees all of them the other way round.
#[tokio::test]
async fn b82_every_status_has_its_class_and_a_job_may_see_it_otherwise() {
    let redirects = [300, 301, 302, 303, 304, 305, 307];
    let passing = [408, 409, 425, 429];
    let lasting = [501, 505];
    let mut scene = Scene::new(vec![Reply::raw("")]).await;
    let client = client::build(&scene.config(), client::Purpose::Fetching).unwrap();
    for status in 300_u16..600 {
        let fatal = match status / 100 {
            3 => redirects.contains(&status),
            4 => !passing.contains(&status),
            _ => lasting.contains(&status),
        };
        // No range was asked for, so this one breaks the protocol (B-87).
        let expected = if status == 416 {
            Code::INVALID_RANGE
        } else {
            Code::http(status)
        };
        let reply = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        scene.then(vec![Reply::raw(&reply)]);
        let turned = if fatal {
            StatusClass::Transient
        } else {
            StatusClass::Fatal
        };
        for (class, fatal) in [(None, fatal), (Some(turned), fatal == (status == 416))] {
            scene.http.classes = class.map(|class| (status, class)).into_iter().collect();
            let end = scene.run_with(&client).await;
            assert_eq!(code(&end), Some(expected));
            assert_eq!(matches!(end, RunEnd::Fatal { .. }), fatal, "{status} {class:?}");
        }
    }
}

#[tokio::test]
async fn b83_a_refusal_carries_the_servers_wish_and_connects_nobody() {
    for (status, fatal, wish) in [
        (403, true, None),
        (404, true, None),
        (503, false, Some(120)),
        (429, false, Some(120)),
    ] {
        let reply = format!("HTTP/1.1 {status} X\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n");
        let scene = Scene::new(vec![Reply::raw(&reply)]).await;
        match scene.run().await {
            RunEnd::Fatal { error } if fatal => assert_eq!(error.code, Code::http(status)),
            RunEnd::Transient { error, retry_after } if !fatal => {
                assert_eq!(error.code, Code::http(status));
                assert_eq!(retry_after, wish.map(std::time::Duration::from_secs));
            }
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(scene.connected(), 0, "B-23: only a good answer connects");
        assert_eq!(code(&scene.run().await), code(&scene.run().await));
    }
}
