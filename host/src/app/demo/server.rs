//! A small HTTP/1.1 server on loopback that behaves badly on purpose, and remembers what it was
//! asked for.
//!
//! Bad answers alternate with good ones: the first request for `/busy.bin` is refused, the second
//! is not, the third is again. So everything can be tried once more with `demo --stay`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The longest head of a request; ours are a few hundred bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Requests remembered: a tour makes a dozen.
const SEEN_MAX: usize = 1_000;
/// A client that sends no request does not hold its connection longer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// What one write sends, and after which a slow answer pauses.
const PIECE_BYTES: usize = 64 << 10;
const SLOW_PAUSE: Duration = Duration::from_millis(40);
/// What is sent of `/cut.bin` before the connection is closed.
pub(super) const CUT_BYTES: usize = 4 << 20;

/// The files, with their sizes.
const FILES: [(&str, usize); 7] = [
    ("/slow.bin", 6 << 20),
    ("/busy.bin", 300 << 10),
    ("/cut.bin", 6 << 20),
    ("/locked.bin", 200 << 10),
    ("/later.bin", 100 << 10),
    ("/part-1.bin", 500 << 10),
    ("/part-2.bin", 500 << 10),
];

/// One request and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) status: u16,
    /// Where the client asked to go on, if it did.
    pub(super) from: Option<usize>,
    /// It asked for the rest of this very version (`If-Range`).
    pub(super) if_range: bool,
    /// Bytes of the body that were handed to the network.
    pub(super) sent: usize,
}

/// The running server; it ends when this is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    shop: Arc<Shop>,
    task: JoinHandle<()>,
}

/// What it has, and what it was asked for.
struct Shop {
    files: BTreeMap<&'static str, Arc<Vec<u8>>>,
    seen: Mutex<Vec<Seen>>,
}

/// What will be answered.
struct Answer {
    status: u16,
    headers: String,
    body: Arc<Vec<u8>>,
    from: usize,
    /// The body ends here, whatever was announced.
    until: usize,
    slow: bool,
}

impl Server {
    /// Listens on a free port of loopback.
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let files = FILES.map(|(path, size)| (path, Arc::new(content(path, size))));
        let shop = Arc::new(Shop {
            files: BTreeMap::from(files),
            seen: Mutex::default(),
        });
        let serving = Arc::clone(&shop);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shop = Arc::clone(&serving);
                // A client that went away is what clients do.
                tokio::spawn(async move { shop.serve(stream).await.ok() });
            }
        });
        Ok(Self { address, shop, task })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What a file is, for comparison.
    pub(super) fn sha256(&self, path: &str) -> String {
        let bytes = self.shop.files.get(path).map(|bytes| bytes.as_slice());
        sha256(bytes.unwrap_or_default())
    }

    /// Every request for a path, in order.
    pub(super) fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.shop.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|seen| seen.path == path).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

impl Shop {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let asked = tokio::time::timeout(HEAD_TIMEOUT, read_head(&mut stream)).await;
        let Ok(Ok(Some(head))) = asked else { return Ok(()) };
        let mut lines = head.lines();
        let path = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .unwrap_or("/");
        let headers: BTreeMap<String, &str> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
            .collect();
        let from = headers
            .get("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        self.decide(path, from, headers.get("if-range").copied())
            .send(&mut stream)
            .await
    }

    /// Chooses the answer, and notes the request before it is sent.
    fn decide(&self, path: &str, from: Option<usize>, if_range: Option<&str>) -> Answer {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = seen.iter().filter(|seen| seen.path == path).count();
        let bad = earlier.is_multiple_of(2);
        let answer = match (path, self.files.get(path)) {
            ("/forbidden.bin", _) => Answer::error(403, "Forbidden", ""),
            ("/busy.bin", _) if bad => Answer::error(503, "Service Unavailable", "Retry-After: 1\r\n"),
            ("/locked.bin", _) if bad => {
                Answer::error(401, "Unauthorized", "WWW-Authenticate: Basic realm=\"demo\"\r\n")
            }
            (_, Some(body)) => Answer::file(path, Arc::clone(body), from, if_range),
            (_, None) => Answer::error(404, "Not Found", ""),
        };
        if seen.len() < SEEN_MAX {
            seen.push(Seen {
                path: path.to_owned(),
                status: answer.status,
                from,
                if_range: if_range.is_some(),
                sent: answer.until - answer.from,
            });
        }
        answer
    }
}

impl Answer {
    fn error(status: u16, reason: &str, extra: &str) -> Self {
        let body = Arc::new(format!("{status} {reason}\n").into_bytes());
        Self {
            status,
            headers: format!(
                "HTTP/1.1 {status} {reason}\r\n{extra}Content-Length: {}\r\n",
                body.len()
            ),
            from: 0,
            until: body.len(),
            body,
            slow: false,
        }
    }

    /// A file, or the rest of it if the client has the same version.
    fn file(path: &str, body: Arc<Vec<u8>>, from: Option<usize>, if_range: Option<&str>) -> Self {
        let (size, etag) = (body.len(), format!("\"{:.16}\"", sha256(&body)));
        let same = if_range.is_none_or(|version| version == etag);
        let from = from.filter(|from| same && *from < size);
        let (status, mut headers) = match from {
            Some(from) => {
                let range = format!("Content-Range: bytes {from}-{}/{size}\r\n", size - 1);
                (206, format!("HTTP/1.1 206 Partial Content\r\n{range}"))
            }
            None => (200, "HTTP/1.1 200 OK\r\n".to_owned()),
        };
        let start = from.unwrap_or(0);
        headers += &format!(
            "Content-Length: {}\r\nETag: {etag}\r\nAccept-Ranges: bytes\r\n",
            size - start
        );
        let cut = path == "/cut.bin" && from.is_none();
        Self {
            status,
            headers,
            from: start,
            until: if cut { CUT_BYTES.min(size) } else { size },
            body,
            // Slow enough that a person sees it.
            slow: path == "/slow.bin" || (path == "/cut.bin" && from.is_some()),
        }
    }

    /// Sends it and closes the connection.
    async fn send(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let head = format!("{}Connection: close\r\n\r\n", self.headers);
        stream.write_all(head.as_bytes()).await?;
        let body = self.body.get(self.from..self.until).unwrap_or_default();
        for piece in body.chunks(PIECE_BYTES) {
            stream.write_all(piece).await?;
            if self.slow {
                tokio::time::sleep(SLOW_PAUSE).await;
            }
        }
        stream.shutdown().await
    }
}

/// The head of a request; `None` when the client closed first or sent too much.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX || stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// Bytes that no two files share and that do not repeat, the same in every run (xorshift).
fn content(path: &str, size: usize) -> Vec<u8> {
    let mut word = path.bytes().fold(0x9E37_79B9_7F4A_7C15_u64, |word, byte| {
        (word ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(server: &Server, path: &str, headers: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: demo\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let body = answer.split_off(end);
        (String::from_utf8(answer).unwrap(), body)
    }

    #[tokio::test]
    async fn bad_answers_alternate_with_good_ones() {
        let server = Server::start().await.unwrap();
        for _ in 0..2 {
            let (head, _) = ask(&server, "/busy.bin", "").await;
            assert!(
                head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: 1\r\n"),
                "{head}"
            );
            let (head, body) = ask(&server, "/busy.bin", "").await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert_eq!(sha256(&body), server.sha256("/busy.bin"));
        }
        assert_eq!(server.seen("/busy.bin").len(), 4);
    }

    #[tokio::test]
    async fn a_cut_body_goes_on_from_where_it_was_cut_for_the_same_version_alone() {
        let server = Server::start().await.unwrap();
        let (head, mut body) = ask(&server, "/cut.bin", "").await;
        assert_eq!(body.len(), CUT_BYTES);
        let etag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
        let range = format!("Range: bytes={CUT_BYTES}-\r\n");
        let (head, rest) = ask(&server, "/cut.bin", &format!("{range}If-Range: {etag}\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
        body.extend(rest);
        assert_eq!(sha256(&body), server.sha256("/cut.bin"));
        let (head, _) = ask(&server, "/cut.bin", &format!("{range}If-Range: \"other\"\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    }
}
