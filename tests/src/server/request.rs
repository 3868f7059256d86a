//! Reading requests, as little of HTTP as the tests need.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest request head that is read.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A request as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The query, without `?`.
    pub query: Option<String>,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it has come.
    pub body: Vec<u8>,
    /// Body bytes that were sent in answer.
    pub sent: u64,
}

impl Request {
    /// The first header of that lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name)?;
        Some(&found.1)
    }

    /// `Range`.
    #[must_use]
    pub fn range(&self) -> Option<&str> {
        self.header("range")
    }

    /// `If-Range`.
    #[must_use]
    pub fn if_range(&self) -> Option<&str> {
        self.header("if-range")
    }

    /// `User-Agent`.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.header("user-agent")
    }

    /// First and, if told, last byte of a single range.
    #[must_use]
    pub fn span(&self) -> Option<(u64, Option<u64>)> {
        let (start, last) = self.range()?.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().ok()?, last.parse().ok()))
    }
}

/// Reads one request head; `None` when the connection was closed before it.
pub(crate) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read(&mut byte).await? == 0 || head.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
        head.extend_from_slice(&byte);
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query,
        headers,
        body: Vec::new(),
        sent: 0,
    }))
}
