//! The server does what it is told, seen through a bare socket.

use super::*;
use tokio::io::AsyncReadExt;

/// Asks once and reads until the server closes or falls silent.
async fn ask(server: &BadServer, path: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = tokio::time::timeout(Duration::from_millis(300), socket.read(&mut piece)).await;
        match read {
            Ok(Ok(count)) if count > 0 && answer.len() < 1 << 20 => answer.extend_from_slice(&piece[..count]),
            _ => return String::from_utf8(answer).unwrap(),
        }
    }
}

#[tokio::test]
async fn ranges_are_served_for_the_version_that_is_asked_for() {
    let server = BadServer::start().await.unwrap();
    let remote = Remote::new("0123456789");
    let etag = remote.etag.clone().unwrap();
    server.route("/x", Behaviour::Serve(remote));
    let whole = ask(&server, "/x", "").await;
    assert!(
        whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n0123456789"),
        "{whole}"
    );
    let part = ask(&server, "/x", &format!("Range: bytes=7-\r\nIf-Range: {etag}\r\n")).await;
    assert!(
        part.contains("Content-Range: bytes 7-9/10\r\n") && part.ends_with("\r\n789"),
        "{part}"
    );
    let other = ask(&server, "/x", "Range: bytes=7-\r\nIf-Range: \"other\"\r\n").await;
    assert!(other.starts_with("HTTP/1.1 200 OK\r\n"), "{other}");
    let past = ask(&server, "/x", "Range: bytes=10-\r\n").await;
    assert!(
        past.contains("416") && past.contains("Content-Range: bytes */10\r\n"),
        "{past}"
    );
    assert_eq!(server.requests("/x")[1].span(), Some((7, None)));
    assert_eq!(server.sent("/x"), 23);
    assert!(ask(&server, "/nowhere", "").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn it_misbehaves_as_told() {
    let server = BadServer::start().await.unwrap();
    let remote = || Remote::new("0123456789");
    let table = [
        (
            Behaviour::Cut {
                remote: remote(),
                after: 4,
            },
            "\r\n\r\n0123",
        ),
        (
            Behaviour::Stall {
                remote: remote(),
                after: 4,
            },
            "\r\n\r\n0123",
        ),
        (
            Behaviour::CutEvery {
                remote: remote(),
                every: 3,
            },
            "\r\n\r\n012",
        ),
        (
            Behaviour::NoLength {
                remote: remote(),
                chunked: true,
            },
            "\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
        ),
        (
            Behaviour::NoLength {
                remote: remote(),
                chunked: false,
            },
            "\r\n\r\n0123456789",
        ),
        (Behaviour::Hang, ""),
        (Behaviour::Close, ""),
        (Behaviour::EndlessHeaders, "same\r\n"),
        (
            Behaviour::Slow {
                remote: remote(),
                chunk: 3,
                delay: Duration::from_millis(5),
            },
            "\r\n\r\n0123456789",
        ),
    ];
    for (behaviour, tail) in table {
        server.route("/x", behaviour.clone());
        let answer = ask(&server, "/x", "").await;
        match behaviour {
            Behaviour::EndlessHeaders => assert!(answer.contains(tail) && !answer.contains("\r\n\r\n")),
            Behaviour::Hang | Behaviour::Close => assert_eq!(answer, tail),
            _ => assert!(answer.ends_with(tail), "{behaviour:?}: {answer}"),
        }
    }
    let heads = [
        (
            Behaviour::LyingLength {
                remote: remote(),
                claims: 99,
            },
            "Content-Length: 99\r\n",
        ),
        (Behaviour::GzipUnasked(remote()), "Content-Encoding: gzip\r\n"),
        (Behaviour::RedirectLoop, "Location: /x\r\n"),
        (
            Behaviour::WrongContentRange(remote()),
            "Content-Range: bytes 4-9/10\r\n",
        ),
        (Behaviour::IgnoresRange(remote()), "HTTP/1.1 200 OK\r\n"),
        (
            Behaviour::IgnoresIfRange(remote()),
            "Content-Range: bytes 5-9/10\r\n",
        ),
        (
            Behaviour::TwoOhSixWithoutRange(remote()),
            "206 Partial Content\r\n",
        ),
        (
            Behaviour::Status(503, vec![("Retry-After".to_owned(), "9".to_owned())]),
            "Retry-After: 9\r\n",
        ),
    ];
    for (behaviour, expected) in heads {
        server.route("/x", behaviour.clone());
        let answer = ask(&server, "/x", "Range: bytes=5-\r\nIf-Range: \"old\"\r\n").await;
        assert!(answer.contains(expected), "{behaviour:?}: {answer}");
    }
}

#[tokio::test]
async fn sequences_take_one_step_per_request() {
    let server = BadServer::start().await.unwrap();
    let busy = || Behaviour::Status(503, Vec::new());
    server.route(
        "/x",
        Behaviour::Sequence(vec![busy(), busy(), Behaviour::Serve(Remote::new("ok"))]),
    );
    for expected in ["503", "503", "200", "200"] {
        assert!(
            ask(&server, "/x", "")
                .await
                .contains(&format!("HTTP/1.1 {expected}"))
        );
    }
    let (first, then) = (Remote::new("old one"), Remote::new("new one"));
    server.route(
        "/y",
        Behaviour::ChangesAfter {
            first,
            after: 3,
            then,
        },
    );
    assert!(ask(&server, "/y", "").await.ends_with("\r\n\r\nold"));
    assert!(
        ask(&server, "/y", "Range: bytes=3-\r\nIf-Range: \"stale\"\r\n")
            .await
            .ends_with("\r\n\r\nnew one")
    );
}

#[derive(Debug)]
struct Echo;

impl Decides for Echo {
    fn decide(&self, head: &Request) -> Decision {
        Decision {
            takes: head.header("x-take").and_then(|most| most.parse().ok()),
            answer: Box::new(|request, whole| {
                let said = format!("{whole} {}", String::from_utf8_lossy(&request.body));
                Behaviour::Serve(Remote::new(said))
            }),
        }
    }
}

#[tokio::test]
async fn what_is_decided_anew_sees_the_body_and_leaves_no_trace() {
    let server = BadServer::start().await.unwrap();
    server.route("/all/", Behaviour::Decided(Arc::new(Echo)));
    server.route("/all/but", Behaviour::Status(410, Vec::new()));
    let sent = "Content-Length: 5\r\n";
    let body = |more: &str| format!("{sent}{more}\r\nhello");
    assert!(
        ask(&server, "/all/x", &body(""))
            .await
            .ends_with("\r\n\r\ntrue hello")
    );
    assert!(
        ask(&server, "/all/y", &body("X-Take: 3\r\n"))
            .await
            .ends_with("\r\n\r\nfalse hel")
    );
    assert!(ask(&server, "/all/but", "").await.contains("410"));
    assert!(ask(&server, "/all", "").await.contains("404"));
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_closed_door_refuses_and_an_opened_one_is_the_same() {
    let server = BadServer::start().await.unwrap();
    server.route("/x", Behaviour::Serve(Remote::new("ok")));
    for open in [true, false, true] {
        server.set_open(open);
        while TcpStream::connect(server.address()).await.is_ok() != open {
            tokio::task::yield_now().await;
        }
    }
    assert!(ask(&server, "/x", "").await.ends_with("\r\n\r\nok"));
}
