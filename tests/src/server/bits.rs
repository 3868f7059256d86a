//! A server of the BITS upload protocol, written from its public description alone: it shares no line
//! with the client that it tests. It misbehaves as told and remembers every packet.
//!
//! A file is visible once its session is closed. What the application behind the server says is a list
//! of statuses, used up one by one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{Request, request, take};
use crate::web::Web;

const UPLOAD_PROTOCOL: &str = "{7df0354d-249b-430f-820d-3d2a9bef4931}";

/// A packet that came, and the status that answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// `Create-Session`…
    pub kind: String,
    /// The session it named.
    pub session: Option<String>,
    /// First and last byte of a fragment.
    pub span: Option<(u64, u64)>,
    /// `Content-Name`.
    pub name: Option<String>,
    /// What it was answered.
    pub status: u16,
}

/// What the server does wrong, or differently. Counts go down to zero.
#[derive(Clone, Debug)]
pub struct Ways {
    /// So many packets of any kind are answered 503.
    pub down: u32,
    /// So many packets of this kind are answered 501, which elsewhere would be for good.
    pub trouble: (&'static str, u32),
    /// Packets of this kind are answered 403.
    pub refuses: &'static str,
    /// Once it has so many bytes it forgets the session, so many times.
    pub forgets: (u64, u32),
    /// Once it has so many bytes it forgets those past the other number, once.
    pub loses: Option<(u64, u64)>,
    /// Larger fragments are answered 413.
    pub fragment_max: u64,
    /// What the application says to a whole file, in order; then 200.
    pub application: Vec<u16>,
    /// Fragments that end past this are not answered before it is raised.
    pub holds_at: u64,
    /// How it names the header of its errors: there are two documents (BX-04).
    pub error_header: &'static str,
    /// Where replies are; none is no upload-reply server.
    pub reply_url: Option<String>,
    /// What it asks to be called.
    pub host_id: Option<String>,
    /// The protocol it says it chose.
    pub protocol: String,
    /// Characters of its names of sessions.
    pub id_chars: usize,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            down: 0,
            trouble: ("", 0),
            refuses: "-",
            forgets: (0, 0),
            loses: None,
            fragment_max: u64::MAX,
            application: Vec::new(),
            holds_at: u64::MAX,
            error_header: "BITS-Error-Code",
            reply_url: None,
            host_id: None,
            protocol: UPLOAD_PROTOCOL.to_owned(),
            id_chars: 38,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    ways: Ways,
    sessions: HashMap<String, Session>,
    made: u32,
    files: HashMap<String, Vec<u8>>,
    packets: Vec<Packet>,
    posted: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Session {
    path: String,
    bytes: Vec<u8>,
    total: Option<u64>,
    accepted: bool,
}

/// The server. It lives as long as the [`Web`] that it was started on; the default one has no port and
/// answers what it is handed.
#[derive(Clone, Debug, Default)]
pub struct BitsServer {
    port: u16,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl BitsServer {
    /// Starts one on another port of `web`.
    #[must_use]
    pub fn start(web: &Web) -> Self {
        let (state, changed) = (Arc::new(Mutex::new(State::default())), Arc::new(Notify::new()));
        let shared = (Arc::clone(&state), Arc::clone(&changed));
        let port = web.listen(move |socket| serve(socket, Arc::clone(&shared.0), Arc::clone(&shared.1)));
        Self { port, state, changed }
    }

    /// Where a file is sent to.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// Changes its ways.
    pub fn set(&self, change: impl FnOnce(&mut Ways)) {
        change(&mut held(&self.state).ways);
        self.changed.notify_waiters();
    }

    /// A file whose session was closed.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        held(&self.state).files.get(&format!("/{name}")).cloned()
    }

    /// Hands out a file whose session was closed, and forgets it, and all packets and posts so far: for
    /// runs that last.
    #[must_use]
    pub fn take(&self, path: &str) -> Option<Vec<u8>> {
        let mut state = held(&self.state);
        state.packets.clear();
        state.posted.clear();
        state.files.remove(path)
    }

    /// Bytes of the open sessions for a path.
    #[must_use]
    pub fn pending(&self, path: &str) -> usize {
        let state = held(&self.state);
        let sessions = state.sessions.values().filter(|session| session.path == path);
        sessions.map(|session| session.bytes.len()).sum()
    }

    /// The answer to a request, as it is sent.
    #[must_use]
    pub fn answer(&self, request: &Request) -> String {
        held(&self.state).answer(request, &request.body)
    }

    /// Packets so far.
    #[must_use]
    pub fn packets(&self) -> Vec<Packet> {
        held(&self.state).packets.clone()
    }

    /// Packets of one kind so far.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.packets().iter().filter(|packet| packet.kind == kind).count()
    }

    /// Files that were handed to the application so far.
    #[must_use]
    pub fn posted(&self) -> Vec<Vec<u8>> {
        held(&self.state).posted.clone()
    }

    /// Forgets every session.
    pub fn forget(&self) {
        held(&self.state).sessions.clear();
    }

    /// Sessions that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        held(&self.state).sessions.len()
    }
}

async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>, changed: Arc<Notify>) {
    while let Ok(Some(request)) = request::read(&mut socket).await {
        let Ok(body) = take::whole(&mut socket, &request).await else {
            return;
        };
        if let Some((_, last)) = span(&request) {
            loop {
                let notified = changed.notified();
                if last < held(&state).ways.holds_at {
                    break;
                }
                notified.await;
            }
        }
        let answer = held(&state).answer(&request, &body);
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// `Content-Range: bytes 0-9/20` is (0, 9).
fn span(request: &Request) -> Option<(u64, u64)> {
    let (first, last) = range(request)?.0.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn range(request: &Request) -> Option<(&str, u64)> {
    let value = request.header("content-range")?;
    let value = value.strip_prefix("bytes ").or(value.strip_prefix("Bytes "))?;
    let (span, total) = value.split_once('/')?;
    Some((span, total.parse().ok()?))
}

/// An answer in the making.
struct Ack {
    status: u16,
    headers: Vec<(&'static str, String)>,
}

impl Ack {
    fn new(status: u16) -> Self {
        Self {
            status,
            headers: vec![("BITS-Packet-Type", "Ack".to_owned())],
        }
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl State {
    fn answer(&mut self, request: &Request, body: &[u8]) -> String {
        let kind = request.header("bits-packet-type").unwrap_or_default().to_owned();
        let ack = match request.method.as_str() {
            "OPTIONS" => Ack::new(200).with("Allow", "OPTIONS, GET, BITS_POST"),
            "BITS_POST" => self.packet(&kind, request, body),
            _ => Ack::new(405),
        };
        self.packets.push(Packet {
            kind,
            session: request.header("bits-session-id").map(str::to_owned),
            span: span(request),
            name: request.header("content-name").map(str::to_owned),
            status: ack.status,
        });
        let lines = ack
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        let lines: String = lines.collect();
        format!("HTTP/1.1 {} Said\r\n{lines}Content-Length: 0\r\n\r\n", ack.status)
    }

    fn packet(&mut self, kind: &str, request: &Request, body: &[u8]) -> Ack {
        if self.ways.down > 0 {
            self.ways.down -= 1;
            return Ack::new(503);
        }
        if self.ways.trouble.0 == kind && self.ways.trouble.1 > 0 {
            self.ways.trouble.1 -= 1;
            return Ack::new(501);
        }
        if self.ways.refuses == kind {
            return self.error(403, 0x8007_0005, 5);
        }
        let id = request.header("bits-session-id").unwrap_or_default();
        match kind {
            "Ping" => Ack::new(200),
            "Create-Session" => self.create(request),
            _ if !self.sessions.contains_key(id) => self.error(500, 0x8020_001F, 5),
            "Fragment" => self.fragment(id, request, body).with("BITS-Session-Id", id),
            "Close-Session" => {
                if let Some(session) = self.sessions.remove(id) {
                    self.files.insert(session.path, session.bytes);
                }
                Ack::new(200).with("BITS-Session-Id", id)
            }
            "Cancel-Session" => {
                self.sessions.remove(id);
                Ack::new(200).with("BITS-Session-Id", id)
            }
            _ => self.error(400, 0x8007_0057, 5),
        }
    }

    fn error(&self, status: u16, code: u32, context: u32) -> Ack {
        Ack::new(status)
            .with(self.ways.error_header, format!("0x{code:x}"))
            .with("BITS-Error-Context", format!("0x{context:x}"))
    }

    fn create(&mut self, request: &Request) -> Ack {
        let offered = request.header("bits-supported-protocols").unwrap_or_default();
        if !offered.split(' ').any(|one| one == UPLOAD_PROTOCOL)
            || request.header("content-length") != Some("0")
        {
            return self.error(400, 0x8007_0057, 5);
        }
        self.made += 1;
        let id = format!("{:0>1$}", self.made, self.ways.id_chars);
        let session = Session {
            path: request.path.clone(),
            ..Session::default()
        };
        self.sessions.insert(id.clone(), session);
        let ack = Ack::new(200)
            .with("BITS-Protocol", &self.ways.protocol)
            .with("BITS-Session-Id", id)
            .with("Accept-Encoding", "Identity");
        match &self.ways.host_id {
            Some(host) => ack.with("BITS-Host-Id", host),
            None => ack,
        }
    }

    fn fragment(&mut self, id: &str, request: &Request, body: &[u8]) -> Ack {
        let ((first, last), (_, total)) = match (span(request), range(request)) {
            (Some(span), Some(range)) if span.1 + 1 - span.0 == body.len() as u64 => (span, range),
            _ => return self.error(400, 0x8007_0057, 5),
        };
        if body.len() as u64 > self.ways.fragment_max {
            return Ack::new(413);
        }
        let Some(session) = self.sessions.get_mut(id) else {
            return Ack::new(500);
        };
        if *session.total.get_or_insert(total) != total || last >= total {
            return self.error(400, 0x8007_0057, 5);
        }
        let have = session.bytes.len() as u64;
        if let Some((_, keep)) = self.ways.loses.take_if(|(at, _)| have >= *at) {
            session.bytes.truncate(usize::try_from(keep).unwrap_or(0));
        }
        let have = session.bytes.len() as u64;
        if first > have {
            return Ack::new(416).with("BITS-Received-Content-Range", have);
        }
        // What overlaps is ignored, not written over.
        let skip = usize::try_from(have - first)
            .unwrap_or(usize::MAX)
            .min(body.len());
        session.bytes.extend_from_slice(&body[skip..]);
        let have = session.bytes.len() as u64;
        if have >= self.ways.forgets.0 && self.ways.forgets.1 > 0 {
            self.ways.forgets.1 -= 1;
            self.sessions.remove(id);
            return self.error(500, 0x8020_001F, 5);
        }
        if have == total && !session.accepted {
            let whole = session.bytes.clone();
            self.posted.push(whole);
            let says = match self.ways.application.is_empty() {
                true => 200,
                false => self.ways.application.remove(0),
            };
            if says != 200 {
                return self.error(says, 0x8019_0000 + u32::from(says), 7);
            }
            session.accepted = true;
        }
        let ack = Ack::new(200).with("BITS-Received-Content-Range", have);
        match &self.ways.reply_url {
            Some(url) if have == total => ack.with("BITS-Reply-URL", url),
            _ => ack,
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
