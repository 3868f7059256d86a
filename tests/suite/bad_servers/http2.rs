//! HTTP/2: negotiated within TLS, and ended in its own ways in the middle of a body.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use h2::Reason;
use h2::server::SendResponse;
use rcgen::CertificateParams;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;

use super::secure::{Authority, authority, listen, signed, trusting};
use super::*;

const SIZE: usize = 1 << 20;
/// What is sent before something happens; fits the smallest window there is.
const PART: usize = 32 << 10;

/// What the server does with its first request; all further ones are served.
#[derive(Clone, Copy)]
enum Does {
    Serve,
    /// `RST_STREAM` in the body.
    Reset(Reason),
    /// `RST_STREAM` instead of an answer.
    Refuse(Reason),
    /// `GOAWAY` in the body, and the connection is closed.
    GoAway(Reason),
    /// `GOAWAY` in the body, which is then served to its end.
    Drain,
    /// The end of the stream before the announced length.
    End,
    /// More than announced.
    TooMuch,
    /// Nothing.
    Stall,
    /// The connection is dropped.
    Drop,
}

/// What the tasks of a connection ask of the one that owns it.
enum Ask {
    GoAway(Reason),
    Drain,
    Drop,
}

struct Server {
    does: Does,
    remote: Remote,
    served: AtomicUsize,
    /// The `Range` of each request.
    asked: Mutex<Vec<Option<String>>>,
}

impl Server {
    async fn converse(self: Arc<Self>, line: TlsStream<TcpStream>) {
        assert_eq!(line.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let Ok(mut connection) = h2::server::handshake(line).await else {
            return;
        };
        let (ask, mut asked) = mpsc::unbounded_channel();
        loop {
            tokio::select! {
                accepted = connection.accept() => {
                    let Some(Ok((request, respond))) = accepted else { return };
                    let range = request.headers().get("range");
                    let range = range.map(|range| range.to_str().unwrap().to_owned());
                    self.asked.lock().unwrap().push(range.clone());
                    let first = self.served.fetch_add(1, Ordering::SeqCst) == 0;
                    let does = if first { self.does } else { Does::Serve };
                    tokio::spawn(Arc::clone(&self).answer(respond, does, range, ask.clone()));
                }
                Some(asked) = asked.recv() => match asked {
                    Ask::GoAway(reason) => connection.abrupt_shutdown(reason),
                    Ask::Drain => connection.graceful_shutdown(),
                    Ask::Drop => return,
                },
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        mut respond: SendResponse<Bytes>,
        does: Does,
        range: Option<String>,
        ask: mpsc::UnboundedSender<Ask>,
    ) {
        if let Does::Refuse(reason) = does {
            return respond.send_reset(reason);
        }
        let from = range
            .as_deref()
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let mut answer = http::Response::builder().header("etag", self.remote.etag.as_deref().unwrap());
        if let Some(from) = from {
            let shown = format!("bytes {from}-{}/{SIZE}", SIZE - 1);
            answer = answer.status(206).header("content-range", shown);
        }
        let body = self.remote.body.slice(from.unwrap_or(0)..);
        let length = if matches!(does, Does::TooMuch) {
            PART
        } else {
            body.len()
        };
        let answer = answer.header("content-length", length).body(()).unwrap();
        let Ok(mut stream) = respond.send_response(answer, false) else {
            return;
        };
        if matches!(does, Does::Serve | Does::TooMuch) {
            let _ = stream.send_data(body, true);
            return;
        }
        let _ = stream.send_data(body.slice(..PART), matches!(does, Does::End));
        // A server has no better way to let a part arrive than to wait before it does its worst.
        tokio::time::sleep(Duration::from_secs(1)).await;
        match does {
            Does::Reset(reason) => stream.send_reset(reason),
            Does::GoAway(reason) => drop(ask.send(Ask::GoAway(reason))),
            Does::Drop => drop(ask.send(Ask::Drop)),
            Does::Drain => {
                let _ = ask.send(Ask::Drain);
                let _ = stream.send_data(body.slice(PART..), true);
            }
            _ => std::future::pending().await,
        }
    }
}

/// A server that does this at first, and its URL.
fn start(web: &Web, authority: &Authority, does: Does) -> (Arc<Server>, String) {
    let server = Arc::new(Server {
        does,
        remote: Remote::new(body(SIZE, 1)),
        served: AtomicUsize::new(0),
        asked: Mutex::default(),
    });
    let mut config = signed(
        &CertificateParams::new(["127.0.0.1".to_owned()]).unwrap(),
        authority,
    );
    config.alpn_protocols = vec![b"h2".to_vec()];
    let serving = Arc::clone(&server);
    let port = listen(web, config, move |line| Arc::clone(&serving).converse(line));
    (server, format!("https://127.0.0.1:{port}/f"))
}

/// Every way in which a stream or a connection ends early, seen once and then gone on from.
#[test]
fn j198_streams_that_end_early_are_gone_on_with() {
    let authority = authority("ours");
    let (web, host) = trusting(&authority);
    let bytes = body(SIZE, 1);
    let resumed = [
        ("reset by an error", Does::Reset(Reason::INTERNAL_ERROR)),
        ("cancelled", Does::Reset(Reason::CANCEL)),
        ("reset without an error", Does::Reset(Reason::NO_ERROR)),
        ("the connection given up", Does::GoAway(Reason::ENHANCE_YOUR_CALM)),
        ("the connection dropped", Does::Drop),
        ("ended before its length", Does::End),
        ("stalled", Does::Stall),
    ];
    let in_one = [
        ("served", Does::Serve),
        ("the connection drained", Does::Drain),
        (
            "refused before it was looked at",
            Does::Refuse(Reason::REFUSED_STREAM),
        ),
    ];
    let start = |(what, does)| {
        let (server, url) = start(&web, &authority, does);
        ((what, server), (what, url, whole(bytes.clone())))
    };
    let (resumed, mut rows): (Vec<_>, Vec<Row>) = resumed.into_iter().map(start).unzip();
    let (_in_one, more): (Vec<_>, Vec<Row>) = in_one.into_iter().map(start).unzip();
    rows.extend(more);
    check(&host, rows);
    for (what, server) in resumed {
        let asked = server.asked.lock().unwrap().clone();
        let [None, Some(again)] = asked.as_slice() else {
            panic!("{what}: {asked:?}")
        };
        let from: usize = again.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        assert!((1..=PART).contains(&from), "{what}: {again}");
    }
}

#[test]
fn j198_streams_that_end_early_have_names() {
    let authority = authority("ours");
    let (web, host) = trusting(&authority);
    let aborted = || passing("0x80072EFE", "was cut");
    let table = [
        (
            "reset by an error",
            Does::Reset(Reason::INTERNAL_ERROR),
            aborted(),
        ),
        ("cancelled", Does::Reset(Reason::CANCEL), aborted()),
        (
            "refused for good",
            Does::Refuse(Reason::INTERNAL_ERROR),
            aborted(),
        ),
        (
            "sent to HTTP/1.1",
            Does::Refuse(Reason::HTTP_1_1_REQUIRED),
            aborted(),
        ),
        (
            "the connection given up",
            Does::GoAway(Reason::ENHANCE_YOUR_CALM),
            aborted(),
        ),
        ("ended before its length", Does::End, aborted()),
        ("more than announced", Does::TooMuch, aborted()),
        (
            "stalled",
            Does::Stall,
            passing("0x80072EE2", "did not answer in time"),
        ),
    ];
    let rows = table.into_iter().map(|(what, does, end)| {
        let (_, url) = start(&web, &authority, does);
        (what, url, end)
    });
    check(&host, rows.collect());
}
