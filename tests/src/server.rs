//! `BadServer`: an HTTP/1.1 server on the loopback that misbehaves as told, byte by byte, and
//! remembers what it was asked.
//!
//! ```no_run
//! # async fn demo() -> std::io::Result<()> {
//! use sexton_tests::server::{BadServer, Behaviour, Remote};
//! let server = BadServer::start().await?;
//! let url = server.route("/iso", Behaviour::Cut { remote: Remote::new("body"), after: 2 });
//! // … download `url` …
//! assert_eq!(server.requests("/iso").len(), 2);
//! # Ok(()) }
//! ```
//! It speaks raw bytes instead of using an HTTP library because a library would refuse to lie.

mod answer;
pub mod bits;
pub(crate) mod request;
mod take;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use answer::After;
pub use request::Request;

/// Small, so that what counts as sent is little more than what the other side has read.
const BUFFER_BYTES: u32 = 64 << 10;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

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
    /// Does exactly this, byte by byte. The connection serves the next request unless a step ends it.
    Script(Vec<Step>),
}

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

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub struct BadServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// A connection being served.
pub type BoxFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug, Default)]
struct Shared {
    routes: Mutex<HashMap<String, Route>>,
    requests: Mutex<Vec<Request>>,
}

#[derive(Debug)]
struct Route {
    behaviour: Behaviour,
    count: usize,
}

impl BadServer {
    /// Starts a server without routes on a free port of the loopback.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_send_buffer_size(BUFFER_BYTES)?;
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Sets what `path` does from now on, its count of requests at zero, and returns its URL.
    pub fn route(&self, path: &str, behaviour: Behaviour) -> String {
        let route = Route { behaviour, count: 0 };
        held(&self.shared.routes).insert(path.to_owned(), route);
        self.url(path)
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What serves a connection that somebody else accepted, and put TLS over, by the same routes.
    pub fn over<L>(&self) -> impl Fn(L) -> BoxFuture + Clone + Send + use<L>
    where
        L: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        move |mut line| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                converse(&mut line, shared).await;
            })
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests for `path` so far, oldest first.
    #[must_use]
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let all = held(&self.shared.requests);
        all.iter()
            .filter(|request| request.path == path)
            .cloned()
            .collect()
    }

    /// Requests for any path so far.
    #[must_use]
    pub fn count(&self) -> usize {
        held(&self.shared.requests).len()
    }

    /// Body bytes sent for `path` so far, as far as the system took them.
    #[must_use]
    pub fn sent(&self, path: &str) -> u64 {
        self.requests(path).iter().map(|request| request.sent).sum()
    }
}

impl Drop for BadServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the server: they live in its task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                let _ = socket.set_nodelay(true);
                connections.spawn(serve(socket, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    if converse(&mut socket, shared).await == After::Reset {
        let _ = socket.set_zero_linger();
    }
}

/// Serves one connection until it is closed by either side.
async fn converse<L>(socket: &mut L, shared: Arc<Shared>) -> After
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    while let Ok(Some(request)) = request::read(socket).await {
        let (path, count, behaviour) = shared.note(&request);
        let at = {
            let mut requests = held(&shared.requests);
            requests.push(request.clone());
            requests.len() - 1
        };
        let behaviour = behaviour.unwrap_or(Behaviour::Status(404, Vec::new()));
        let (taking, behaviour) = take::split(behaviour);
        let note = |bytes: &[u8]| {
            if let Some(noted) = held(&shared.requests).get_mut(at) {
                noted.body.extend_from_slice(bytes);
            }
        };
        match take::body(socket, &request, taking, note).await {
            Ok(true) => {}
            Ok(false) | Err(_) => break,
        }
        let plan = answer::plan(&behaviour, &request, count, &path);
        let sent = |bytes: u64| {
            if let Some(noted) = held(&shared.requests).get_mut(at) {
                noted.sent += bytes;
            }
        };
        match answer::send(socket, plan, sent).await {
            Ok(After::Keep) => {}
            Ok(After::Close) | Err(_) => break,
            Ok(after) => return after,
        }
    }
    let _ = socket.shutdown().await;
    // Reading on keeps unread bytes from turning the close into a reset.
    let _ = tokio::io::copy(socket, &mut tokio::io::sink()).await;
    After::Close
}

impl Shared {
    /// Counts a request and says what is to be done with it.
    fn note(&self, request: &Request) -> (String, usize, Option<Behaviour>) {
        let mut routes = held(&self.routes);
        let Some(route) = routes.get_mut(&request.path) else {
            return (request.path.clone(), 0, None);
        };
        let mut count = route.count;
        route.count += 1;
        let mut behaviour = &route.behaviour;
        while let Behaviour::Sequence(steps) = behaviour {
            let Some(step) = steps.get(count).or(steps.last()) else {
                return (request.path.clone(), 0, None);
            };
            behaviour = step;
            count = 0;
        }
        (request.path.clone(), count, Some(behaviour.clone()))
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
