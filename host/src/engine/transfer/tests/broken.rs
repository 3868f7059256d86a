//! Answers that are not usable, and ways that fail.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn end_of(reply: Reply) -> (Scene, RunEnd) {
    let scene = Scene::new(vec![reply]).await;
    let end = scene.run().await;
    (scene, end)
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_transient() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for reply in [
        ok(&body(1000), "").cut(1),
        Reply::raw(chunked),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Le"),
    ] {
        let (_, end) = end_of(reply).await;
        let RunEnd::Transient { error, .. } = end else {
            panic!("{end:?}")
        };
        assert_eq!(
            (error.code, error.context),
            (Code::CONNECTION_CLOSED, ErrorContext::GeneralTransport)
        );
    }
}

#[tokio::test]
async fn b87_answers_that_break_the_protocol_are_fatal() {
    let table = [
        ok(b"x", "Content-Encoding: gzip\r\n"),
        Reply::raw("HTTP/1.1 206 X\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\nhello"),
    ];
    for reply in table {
        let (scene, end) = end_of(reply).await;
        let RunEnd::Fatal { error } = end else {
            panic!("{end:?}")
        };
        assert_eq!(
            (error.code, error.context),
            (Code::INVALID_SERVER_RESPONSE, ErrorContext::RemoteFile)
        );
        assert_eq!(
            std::fs::read_dir(scene.dir.path()).unwrap().count(),
            0,
            "no file for no content"
        );
        assert_eq!(scene.connected(), 0);
    }
}

#[tokio::test]
async fn b89_what_is_not_http_is_transient() {
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "X-More: of the same\r\n".repeat(100_000));
    let table = [
        Reply::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        Reply::raw(&endless),
        Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n"),
    ];
    for reply in table {
        let (_, end) = end_of(reply).await;
        let RunEnd::Transient { error, .. } = end else {
            panic!("{end:?}")
        };
        assert_eq!(error.code, Code::HTTP_INVALID_SERVER_RESPONSE, "{error:?}");
    }
}

#[tokio::test]
async fn b89_a_closed_port_refuses_and_an_unknown_name_is_not_resolved() {
    let mut scene = Scene::new(vec![]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    scene.file.remote = format!("http://{}/x", listener.local_addr().unwrap());
    drop(listener);
    let RunEnd::Transient { error, .. } = scene.run().await else {
        panic!()
    };
    assert_eq!(
        (error.code, error.context),
        (Code::CANNOT_CONNECT, ErrorContext::GeneralTransport),
        "{error:?}"
    );

    scene.file.remote = "http://no-such-host.invalid/x".to_owned();
    let RunEnd::Transient { error, .. } = scene.run().await else {
        panic!()
    };
    assert_eq!(
        (error.code, error.context),
        (Code::NAME_NOT_RESOLVED, ErrorContext::GeneralTransport),
        "{error:?}"
    );
}

#[tokio::test]
async fn b89_a_silent_server_times_out_and_what_came_is_kept() {
    let mut scene = Scene::new(vec![Reply::raw("").hang()]).await;
    scene.idle = Duration::from_millis(200);
    let RunEnd::Transient { error, .. } = scene.run().await else {
        panic!()
    };
    assert_eq!(
        (error.code, error.context),
        (Code::INTERNET_TIMEOUT, ErrorContext::GeneralTransport)
    );

    scene.then(vec![ok(&body(9000), "ETag: \"a\"\r\n").cut(1000).hang()]);
    let RunEnd::Transient { error, .. } = scene.run().await else {
        panic!()
    };
    assert_eq!(error.code, Code::INTERNET_TIMEOUT);
    assert_eq!(scene.recorded().bytes_transferred, 8000);
}

/// An honest server may pause: only a rate that nobody waits for is silence.
#[tokio::test]
async fn j198_a_body_that_drips_is_silent() {
    let mut scene = Scene::new(vec![]).await;
    scene.idle = Duration::from_secs(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    scene.file.remote = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(socket.read_u8().await.unwrap());
        }
        let head = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 100000\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        // Long enough to be cut off, and then an end of another name.
        for _ in 0..50 {
            let _ = socket.write_all(b"x").await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let RunEnd::Transient { error, .. } = scene.run().await else {
        panic!()
    };
    assert_eq!(
        (error.code, error.context),
        (Code::INTERNET_TIMEOUT, ErrorContext::GeneralTransport)
    );
    assert!(
        error.description.contains("fewer than 16 bytes a second"),
        "{error:?}"
    );
    assert_eq!(scene.recorded().bytes_transferred, scene.temporary().len() as u64);
}

#[tokio::test]
async fn b90_https_to_a_server_without_tls_fails_in_the_secure_layer() {
    let mut scene = Scene::new(vec![]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    scene.file.remote = format!("https://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        std::future::pending::<()>().await;
    });
    let RunEnd::Transient { error, .. } = scene.run().await else {
        panic!()
    };
    assert_eq!(error.code, Code::SECURE_FAILURE, "{error:?}");
    assert_eq!(error.protocol.as_deref(), Some("https"));
}

#[tokio::test]
async fn b92_a_missing_directory_is_fatal_and_names_the_path() {
    let mut scene = Scene::new(vec![ok(b"x", "")]).await;
    scene.file.local = scene.dir.path().join("gone/x").to_str().unwrap().to_owned();
    let RunEnd::Fatal { error } = scene.run().await else {
        panic!()
    };
    assert_eq!(
        (error.code, error.context),
        (Code::errno(libc::ENOENT), ErrorContext::LocalFile)
    );
    assert!(error.description.contains("gone/x"), "{error:?}");
}

#[tokio::test]
async fn a_device_at_the_temporary_name_is_not_written() {
    let mut scene = Scene::new(vec![ok(&body(1000), "")]).await;
    scene.file.temporary = Some("/dev/full".to_owned());
    let RunEnd::Fatal { error } = scene.run().await else {
        panic!()
    };
    assert_eq!(
        error.code,
        Code::errno(libc::EEXIST),
        "a device is not a file of ours"
    );
}
