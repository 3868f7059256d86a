//! A receiver of webhooks on the loopback: answers as told and remembers every request whole.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// A client that says nothing is not waited for longer.
const SILENCE: Duration = Duration::from_secs(10);

/// A request with its body.
#[derive(Clone, Debug, Default)]
pub struct Post {
    /// `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Post {
    /// The header of that lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name)?;
        Some(&found.1)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.body))
    }
}

/// The receiver; its thread ends with the test process.
#[derive(Clone, Debug)]
pub struct Receiver {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    /// Starts one that answers these statuses in turn, the last one for ever.
    ///
    /// # Panics
    /// When no port can be bound.
    #[must_use]
    pub fn start(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be bound");
        let address = listener.local_addr().expect("it has an address");
        let posts = Arc::new(Mutex::new(Vec::new()));
        let (seen, statuses) = (Arc::clone(&posts), statuses.to_vec());
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                // A connection that breaks is the client's business.
                let _ = answer(socket, &seen, &statuses);
            }
        });
        Self { address, posts }
    }

    /// `http://127.0.0.1:PORT`, as a grant names it.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far, oldest first.
    #[must_use]
    pub fn posts(&self) -> Vec<Post> {
        held(&self.posts).clone()
    }
}

fn answer(socket: TcpStream, seen: &Mutex<Vec<Post>>, statuses: &[u16]) -> std::io::Result<()> {
    socket.set_read_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut post = Post {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Post::default()
    };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            post.headers
                .push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let length = post
        .header("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    (&mut reader).take(length).read_to_string(&mut post.body)?;
    let turn = {
        let mut posts = held(seen);
        posts.push(post);
        posts.len() - 1
    };
    let status = statuses.get(turn).or(statuses.last()).copied().unwrap_or(204);
    let head = format!("HTTP/1.1 {status} Told So\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    reader.into_inner().write_all(head.as_bytes())
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
