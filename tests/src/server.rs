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
mod behaviour;
pub mod bits;
pub(crate) mod request;
mod take;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use answer::After;
pub use behaviour::{Behaviour, Decides, Decision, Remote, Step};
pub use request::Request;

/// Small, so that what counts as sent is little more than what the other side has read.
const BUFFER_BYTES: u32 = 64 << 10;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Longest answer that is decided anew: in a run that lasts, no silence may last as long.
const DECIDED_MAX: Duration = Duration::from_secs(20);

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub struct BadServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
    /// Nobody else is given the port while nobody listens at it.
    _port: TcpSocket,
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
        let port = bound(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = port.local_addr()?;
        let listener = bound(address)?.listen(BACKLOG)?;
        let shared = Arc::new(Shared::default());
        let (open, door) = watch::channel(true);
        let task = tokio::spawn(accept(listener, door, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            open,
            task,
            _port: port,
        })
    }

    /// Whether connections are taken from now on, or refused.
    pub fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// Sets what `path` does from now on, its count of requests at zero, and returns its URL. A path that
    /// ends in `/` stands for all behind it that have no route of their own.
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

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.set_send_buffer_size(BUFFER_BYTES)?;
    socket.set_recv_buffer_size(BUFFER_BYTES)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, mut door: watch::Receiver<bool>, shared: Arc<Shared>) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut listener = Some(listener);
    // Connections end with the server: they live in its task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accepted => if let Ok((socket, _)) = accepted {
                let _ = socket.set_nodelay(true);
                connections.spawn(serve(socket, Arc::clone(&shared)));
            },
            Ok(()) = door.changed() => {
                let open = *door.borrow();
                listener = None;
                if open {
                    listener = bound(address).and_then(|socket| socket.listen(BACKLOG)).ok();
                }
            }
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
        let after = match behaviour.unwrap_or(Behaviour::Status(404, Vec::new())) {
            Behaviour::Decided(decider) => decided(socket, request, &*decider).await,
            behaviour => told(socket, request, behaviour, (&path, count), &shared).await,
        };
        match after {
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

/// Does as the route says, and takes note of the request.
async fn told<L>(
    socket: &mut L,
    request: Request,
    behaviour: Behaviour,
    (path, count): (&str, usize),
    shared: &Shared,
) -> io::Result<After>
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    let at = {
        let mut requests = held(&shared.requests);
        requests.push(request.clone());
        requests.len() - 1
    };
    let (taking, behaviour) = take::split(behaviour);
    let note = |bytes: &[u8]| {
        if let Some(noted) = held(&shared.requests).get_mut(at) {
            noted.body.extend_from_slice(bytes);
        }
    };
    if !take::body(socket, &request, taking, note).await? {
        return Ok(After::Close);
    }
    let plan = answer::plan(&behaviour, &request, count, path);
    let sent = |bytes: u64| {
        if let Some(noted) = held(&shared.requests).get_mut(at) {
            noted.sent += bytes;
        }
    };
    answer::send(socket, plan, sent).await
}

/// Does as is decided now.
async fn decided<L>(socket: &mut L, mut request: Request, decider: &dyn Decides) -> io::Result<After>
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    let Decision { takes, answer } = decider.decide(&request);
    let (mut body, taking) = (Vec::new(), take::Taking::up_to(takes));
    // A client that died in the middle has sent what it has sent.
    let read = take::body(socket, &request, taking, |bytes| body.extend_from_slice(bytes)).await;
    let whole = read.unwrap_or(false);
    request.body = body;
    let behaviour = answer(&request, whole);
    let plan = answer::plan(&behaviour, &request, 0, &request.path);
    // What is silent for ever would be kept for as long.
    let sending = tokio::time::timeout(DECIDED_MAX, answer::send(socket, plan, |_| ()));
    let Ok(after) = sending.await else {
        return Ok(After::Close);
    };
    let after = after?;
    Ok(if whole || after != After::Keep {
        after
    } else {
        After::Close
    })
}

impl Shared {
    /// Counts a request and says what is to be done with it.
    fn note(&self, request: &Request) -> (String, usize, Option<Behaviour>) {
        let mut routes = held(&self.routes);
        let above = request.path.rfind('/').map_or("", |end| &request.path[..=end]);
        let path = if routes.contains_key(&request.path) {
            &request.path
        } else {
            above
        };
        let Some(route) = routes.get_mut(path) else {
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
