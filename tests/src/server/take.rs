//! Taking the bodies of requests, at the pace and as far as told.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Behaviour, Request};

/// Bytes read at once where nothing slower was asked for.
const PIECE_BYTES: usize = 64 << 10;

/// How a body is taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taking {
    pace: Option<(usize, Duration)>,
    until: Option<usize>,
    not_at_all: bool,
}

impl Taking {
    /// At once, and no further than this.
    pub(super) fn up_to(until: Option<usize>) -> Self {
        Self {
            until,
            ..Self::default()
        }
    }
}

/// How a behaviour takes the body, and what it does then.
pub(super) fn split(behaviour: Behaviour) -> (Taking, Behaviour) {
    match behaviour {
        Behaviour::Take { pace, until, then } => {
            let taking = Taking {
                pace,
                until,
                not_at_all: false,
            };
            (taking, *then)
        }
        Behaviour::Hang => {
            let taking = Taking {
                not_at_all: true,
                ..Taking::default()
            };
            (taking, Behaviour::Hang)
        }
        other => (Taking::default(), other),
    }
}

/// Reads a body whose length is announced, as all that our client sends are; false where the connection
/// is to be closed, or was.
pub(super) async fn body(
    socket: &mut (impl AsyncRead + Unpin),
    request: &Request,
    taking: Taking,
    mut note: impl FnMut(&[u8]),
) -> io::Result<bool> {
    if taking.not_at_all {
        return Ok(true);
    }
    let length = request
        .header("content-length")
        .and_then(|text| text.parse().ok());
    let length: usize = length.unwrap_or(0);
    let (piece, delay) = taking.pace.unwrap_or((PIECE_BYTES, Duration::ZERO));
    let mut buffer = vec![0; piece.max(1)];
    let mut left = length.min(taking.until.unwrap_or(length));
    let all = left == length;
    while left > 0 {
        let most = buffer.len().min(left);
        let read = socket.read(&mut buffer[..most]).await?;
        if read == 0 {
            return Ok(false);
        }
        note(&buffer[..read]);
        left -= read;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
    Ok(all)
}

/// The whole body at once.
pub(super) async fn whole(socket: &mut (impl AsyncRead + Unpin), request: &Request) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let all = body(socket, request, Taking::default(), |piece| {
        bytes.extend_from_slice(piece);
    });
    if all.await? {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
