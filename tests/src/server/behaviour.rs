//! What a [`BadServer`](super::BadServer) may be told to do.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Request;

/// A file as the server has it.
#[derive(Clone, Debug, Default)]
pub struct Remote {
    /// Its bytes.
    pub body: Bytes,
    /// Its `ETag`, quotes included.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
    /// Whether ranges are served (and `If-Range` heeded).
    pub ranges: bool,
}

impl Remote {
    /// A file that can be resumed, with an `ETag` made from its bytes.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let hash = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            etag: Some(format!("\"{hash:016x}\"")),
            body,
            last_modified: None,
            ranges: true,
        }
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Serves the file as a good server would.
    Serve(Remote),
    /// Answers a status with header lines and no body.
    Status(u16, Vec<(String, String)>),
    /// One behaviour per request, the last one for all further ones.
    Sequence(Vec<Behaviour>),
    /// Closes the connection after so many bytes of the first body; serves the rest from then on.
    Cut {
        /// The file.
        remote: Remote,
        /// Bytes sent before the connection is closed.
        after: usize,
    },
    /// Closes the connection after every so many bytes (J-73).
    CutEvery {
        /// The file.
        remote: Remote,
        /// Bytes of each answer.
        every: usize,
    },
    /// Sends a piece, then waits.
    Slow {
        /// The file.
        remote: Remote,
        /// Bytes of a piece.
        chunk: usize,
        /// The wait after each.
        delay: Duration,
    },
    /// Tells no length: the body is chunked, or ends with the connection.
    NoLength {
        /// The file.
        remote: Remote,
        /// Chunked, else ended by closing.
        chunked: bool,
    },
    /// Cuts the first file after so many bytes; from then on there is another one (J-75).
    ChangesAfter {
        /// The first file.
        first: Remote,
        /// Bytes of it that are sent.
        after: usize,
        /// The file that takes its place.
        then: Remote,
    },
    /// Serves the file under a wrong `Content-Length`.
    LyingLength {
        /// The file.
        remote: Remote,
        /// The length it claims.
        claims: u64,
    },
    /// Claims `Content-Encoding: gzip` though nobody asked.
    GzipUnasked(Remote),
    /// Redirects to itself.
    RedirectLoop,
    /// Redirects there.
    Redirect(String),
    /// Reads the head of the request and never answers.
    Hang,
    /// Takes the body of the request as told, then does the other thing. The other behaviours take it whole.
    Take {
        /// Bytes of a piece, and the wait after each.
        pace: Option<(usize, Duration)>,
        /// Closes the connection after so many bytes.
        until: Option<usize>,
        /// What follows the body.
        then: Box<Behaviour>,
    },
    /// Sends so many bytes of the body, then nothing more; the connection stays open.
    Stall {
        /// The file.
        remote: Remote,
        /// Bytes sent.
        after: usize,
    },
    /// Answers ranges with a `Content-Range` that starts one byte early, and one byte more.
    WrongContentRange(Remote),
    /// Serves the whole file whatever range is asked for.
    IgnoresRange(Remote),
    /// Serves ranges of whatever it has now, `If-Range` or not.
    IgnoresIfRange(Remote),
    /// Answers 206 to requests for the whole file.
    TwoOhSixWithoutRange(Remote),
    /// Sends header lines without end.
    EndlessHeaders,
    /// Closes the connection without a word.
    Close,
    /// One behaviour for requests that pass, and one for the others.
    Guarded {
        /// Whether a request passes.
        passes: fn(&Request) -> bool,
        /// If it does.
        then: Box<Behaviour>,
        /// If it does not.
        otherwise: Box<Behaviour>,
    },
    /// Sends so many bytes of the body, then resets the connection.
    ResetAfter {
        /// The file.
        remote: Remote,
        /// Bytes sent.
        after: usize,
    },
    /// Is decided anew for each request, of which the server itself keeps nothing.
    Decided(Arc<dyn Decides>),
    /// Does exactly this, byte by byte. The connection serves the next request unless a step ends it.
    Script(Vec<Step>),
}

/// Who decides what becomes of a request: for runs that last, and for servers with a memory.
pub trait Decides: Debug + Send + Sync {
    /// Decides about a request of which only the head is there.
    fn decide(&self, head: &Request) -> Decision;
}

/// What becomes of a request.
pub struct Decision {
    /// How many bytes of its body are read; `None` is all. What is not whole has its connection closed
    /// behind the answer.
    pub takes: Option<usize>,
    /// What answers it once its body is there as far as it was read, or came; and whether that is all.
    pub answer: Answering,
}

/// See [`Decision::answer`].
pub type Answering = Box<dyn FnOnce(&Request, bool) -> Behaviour + Send>;

/// A step of [`Behaviour::Script`].
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Bytes),
    /// Sends them one by one, waiting after each, and over again for ever.
    Drip(Bytes, Duration),
    /// Sends them again and again for ever.
    Repeat(Bytes),
    /// Is silent for ever.
    Hang,
    /// Closes the connection in good order.
    Close,
    /// Ends the connection without the farewell that its protocol asks for (TLS has one).
    Abandon,
    /// Resets the connection.
    Reset,
}

impl Step {
    /// Sends this text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Send(text.into().into())
    }
}
