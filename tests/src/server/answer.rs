//! From a behaviour and a request to the bytes that are sent.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{Behaviour, Remote, Request, Step};

/// Bytes handed to the system at once where nothing slower was asked for.
const PIECE_BYTES: usize = 64 << 10;

/// What is sent.
#[derive(Debug, Default)]
pub(super) struct Plan {
    head: String,
    body: Bytes,
    /// Sends only so much of the body.
    until: Option<usize>,
    chunked: bool,
    pace: Option<(usize, Duration)>,
    then: Then,
    script: Vec<Step>,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Close,
    Abandon,
    Reset,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Then {
    /// The connection serves the next request.
    #[default]
    Keep,
    Close,
    Reset,
    /// Open, and silent for ever.
    Hang,
    /// Repeats the head for ever.
    Endless,
}

/// The answer of `behaviour` to the request that is number `count` (from 0) of its path.
pub(super) fn plan(behaviour: &Behaviour, request: &Request, count: usize, path: &str) -> Plan {
    match behaviour {
        Behaviour::Serve(remote) => serve(remote, request),
        // Resolved before.
        Behaviour::Sequence(_) | Behaviour::Take { .. } | Behaviour::Decided(_) => Plan::default(),
        Behaviour::Status(code, headers) => status(*code, headers),
        Behaviour::Cut { remote, after } if count == 0 => serve(remote, request).cut(*after),
        Behaviour::Cut { remote, .. } => serve(remote, request),
        Behaviour::CutEvery { remote, every } => serve(remote, request).cut(*every),
        Behaviour::Slow { remote, chunk, delay } => Plan {
            pace: Some(((*chunk).max(1), *delay)),
            ..serve(remote, request)
        },
        Behaviour::NoLength { remote, chunked } => no_length(remote, *chunked),
        Behaviour::ChangesAfter { first, after, .. } if count == 0 => serve(first, request).cut(*after),
        Behaviour::ChangesAfter { then, .. } => serve(then, request),
        Behaviour::LyingLength { remote, claims } => Plan {
            head: head("200 OK", remote, &format!("Content-Length: {claims}\r\n")),
            body: remote.body.clone(),
            then: Then::Close,
            ..Plan::default()
        },
        Behaviour::GzipUnasked(remote) => {
            let length = format!(
                "Content-Encoding: gzip\r\nContent-Length: {}\r\n",
                remote.body.len()
            );
            Plan {
                head: head("200 OK", remote, &length),
                body: remote.body.clone(),
                ..Plan::default()
            }
        }
        Behaviour::RedirectLoop => status(302, &[("Location".to_owned(), path.to_owned())]),
        Behaviour::Redirect(to) => status(302, &[("Location".to_owned(), to.clone())]),
        Behaviour::Hang => Plan {
            then: Then::Hang,
            ..Plan::default()
        },
        Behaviour::ResetAfter { remote, after } => Plan {
            until: Some(*after),
            then: Then::Reset,
            ..serve(remote, request)
        },
        Behaviour::Stall { remote, after } => Plan {
            until: Some(*after),
            then: Then::Hang,
            ..serve(remote, request)
        },
        Behaviour::WrongContentRange(remote) => match start(remote, request) {
            Some(from) => part(remote, from.saturating_sub(1), None),
            None => whole(remote),
        },
        Behaviour::IgnoresRange(remote) => whole(remote),
        Behaviour::IgnoresIfRange(remote) => match start(remote, request) {
            Some(from) => part(remote, from, last(request)),
            None => whole(remote),
        },
        Behaviour::TwoOhSixWithoutRange(remote) => part(remote, start(remote, request).unwrap_or(0), None),
        Behaviour::EndlessHeaders => Plan {
            head: "HTTP/1.1 200 OK\r\n".to_owned(),
            then: Then::Endless,
            ..Plan::default()
        },
        Behaviour::Close => Plan {
            then: Then::Close,
            ..Plan::default()
        },
        Behaviour::Guarded {
            passes,
            then,
            otherwise,
        } => {
            let behaviour = if passes(request) { then } else { otherwise };
            plan(behaviour, request, count, path)
        }
        Behaviour::Script(script) => Plan {
            script: script.clone(),
            ..Plan::default()
        },
    }
}

/// Sends it. `sent` is told of body bytes.
pub(super) async fn send(
    socket: &mut (impl AsyncWrite + Unpin),
    plan: Plan,
    sent: impl Fn(u64),
) -> io::Result<After> {
    socket.write_all(plan.head.as_bytes()).await?;
    let until = plan.until.unwrap_or(plan.body.len()).min(plan.body.len());
    let (size, delay) = plan.pace.unwrap_or((PIECE_BYTES, Duration::ZERO));
    for piece in plan.body.slice(..until).chunks(size) {
        if plan.chunked {
            let size = format!("{:x}\r\n", piece.len());
            socket.write_all(size.as_bytes()).await?;
        }
        socket.write_all(piece).await?;
        if plan.chunked {
            socket.write_all(b"\r\n").await?;
        }
        sent(u64::try_from(piece.len()).unwrap_or_default());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
    if plan.chunked && until == plan.body.len() {
        socket.write_all(b"0\r\n\r\n").await?;
    }
    socket.flush().await?;
    match plan.then {
        Then::Keep => follow(socket, plan.script).await,
        Then::Close => Ok(After::Close),
        Then::Reset => Ok(After::Reset),
        Then::Hang => std::future::pending().await,
        Then::Endless => loop {
            socket.write_all(b"X-More: of the same\r\n").await?;
        },
    }
}

async fn follow(socket: &mut (impl AsyncWrite + Unpin), script: Vec<Step>) -> io::Result<After> {
    for step in script {
        match step {
            Step::Send(bytes) => {
                socket.write_all(&bytes).await?;
                socket.flush().await?;
            }
            Step::Drip(bytes, delay) => loop {
                for byte in bytes.chunks(1) {
                    socket.write_all(byte).await?;
                    tokio::time::sleep(delay).await;
                }
            },
            Step::Repeat(bytes) => loop {
                socket.write_all(&bytes).await?;
            },
            Step::Hang => std::future::pending().await,
            Step::Close => return Ok(After::Close),
            Step::Abandon => return Ok(After::Abandon),
            Step::Reset => return Ok(After::Reset),
        }
    }
    Ok(After::Keep)
}

impl Plan {
    fn cut(self, after: usize) -> Self {
        if after >= self.body.len() {
            return self;
        }
        Self {
            until: Some(after),
            then: Then::Close,
            ..self
        }
    }
}

/// What a good server answers.
fn serve(remote: &Remote, request: &Request) -> Plan {
    let current = request.if_range().is_none_or(|wanted| {
        Some(wanted) == remote.etag.as_deref() || Some(wanted) == remote.last_modified.as_deref()
    });
    match start(remote, request) {
        Some(from) if remote.ranges && current => part(remote, from, last(request)),
        _ => whole(remote),
    }
}

/// The last byte that was asked for.
fn last(request: &Request) -> Option<usize> {
    let (_, last) = request.span()?;
    Some(usize::try_from(last?).unwrap_or(usize::MAX))
}

fn start(remote: &Remote, request: &Request) -> Option<usize> {
    let (from, _) = request.span()?;
    Some(usize::try_from(from).unwrap_or(usize::MAX).min(remote.body.len()))
}

fn whole(remote: &Remote) -> Plan {
    let length = format!("Content-Length: {}\r\n", remote.body.len());
    Plan {
        head: head("200 OK", remote, &length),
        body: remote.body.clone(),
        ..Plan::default()
    }
}

fn part(remote: &Remote, from: usize, last: Option<usize>) -> Plan {
    let size = remote.body.len();
    if from >= size {
        let range = format!("Content-Range: bytes */{size}\r\nContent-Length: 0\r\n");
        return Plan {
            head: head("416 Range Not Satisfiable", remote, &range),
            ..Plan::default()
        };
    }
    let end = last
        .map_or(size, |last| last.saturating_add(1).min(size))
        .max(from + 1);
    let body = remote.body.slice(from..end);
    let range = format!(
        "Content-Range: bytes {from}-{}/{size}\r\nContent-Length: {}\r\n",
        end - 1,
        body.len()
    );
    Plan {
        head: head("206 Partial Content", remote, &range),
        body,
        ..Plan::default()
    }
}

fn no_length(remote: &Remote, chunked: bool) -> Plan {
    let header = if chunked {
        "Transfer-Encoding: chunked\r\n"
    } else {
        "Connection: close\r\n"
    };
    Plan {
        head: head("200 OK", remote, header),
        body: remote.body.clone(),
        chunked,
        then: if chunked { Then::Keep } else { Then::Close },
        ..Plan::default()
    }
}

fn status(code: u16, headers: &[(String, String)]) -> Plan {
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    Plan {
        head: format!("HTTP/1.1 {code} Told So\r\nContent-Length: 0\r\n{lines}\r\n"),
        ..Plan::default()
    }
}

fn head(status: &str, remote: &Remote, extra: &str) -> String {
    let mut head = format!("HTTP/1.1 {status}\r\n{extra}");
    if remote.ranges {
        head.push_str("Accept-Ranges: bytes\r\n");
    }
    if let Some(etag) = &remote.etag {
        head.push_str(&format!("ETag: {etag}\r\n"));
    }
    if let Some(date) = &remote.last_modified {
        head.push_str(&format!("Last-Modified: {date}\r\n"));
    }
    head.push_str("\r\n");
    head
}
