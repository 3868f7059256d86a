//! Proxies on the loopback that remember whom they were asked for: HTTP, both forwarding and
//! tunnelling, and SOCKS 5.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Request;
use crate::server::request;
use crate::web::Web;

/// A proxy. It lives as long as the [`Web`] it was started with, and leads every name there: names
/// that nobody else can resolve show that it was the proxy who did.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
}

/// Who is let through, and what the others are told.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// Whether a request may pass.
    pub passes: fn(&Request) -> bool,
    /// `Proxy-Authenticate`
    pub challenge: &'static str,
}

impl Proxy {
    /// One that speaks HTTP and lets everyone through.
    #[must_use]
    pub fn open(web: &Web) -> Self {
        Self::guarded(
            web,
            Door {
                passes: |_| true,
                challenge: "",
            },
        )
    }

    /// One that speaks HTTP and asks who is there.
    #[must_use]
    pub fn guarded(web: &Web, door: Door) -> Self {
        Self::start(web, move |socket, home, seen| http(socket, home, door, seen))
    }

    /// One that speaks SOCKS 5 and, where a login is given, asks for it.
    #[must_use]
    pub fn socks(web: &Web, login: Option<(&'static str, &'static str)>) -> Self {
        Self::start(web, move |socket, home, seen| socks(socket, home, login, seen))
    }

    fn start<F>(web: &Web, serve: impl Fn(TcpStream, SocketAddr, Seen) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let seen = Seen::default();
        let (home, kept) = (web.address(), Arc::clone(&seen));
        let port = web.listen(move |socket| {
            let (serve, seen) = (serve.clone(), Arc::clone(&kept));
            async move {
                let _ = serve(socket, home, seen).await;
            }
        });
        Self { port, seen }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// What it was asked, oldest first: `GET http://…`, `CONNECT host:port`, `SOCKS host:port`.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        let seen = self.requests().into_iter();
        seen.map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }

    /// The same with their headers.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type Seen = Arc<Mutex<Vec<Request>>>;

fn note(seen: &Seen, request: Request) {
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
}

/// An address as it stands; a name leads home.
fn resolved(target: &str, home: SocketAddr) -> SocketAddr {
    target.parse().unwrap_or(home)
}

async fn http(mut socket: TcpStream, home: SocketAddr, door: Door, seen: Seen) -> io::Result<()> {
    while let Some(request) = request::read(&mut socket).await? {
        note(&seen, request.clone());
        if !(door.passes)(&request) {
            let refusal = format!(
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: {}\r\nContent-Length: 0\r\n\r\n",
                door.challenge
            );
            socket.write_all(refusal.as_bytes()).await?;
            continue;
        }
        if request.method == "CONNECT" {
            let mut server = TcpStream::connect(resolved(&request.path, home)).await?;
            socket.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
            tokio::io::copy_bidirectional(&mut socket, &mut server).await?;
            return Ok(());
        }
        return forward(socket, home, &request).await;
    }
    Ok(())
}

/// One request; the client is told that the connection carries no further one.
async fn forward(mut socket: TcpStream, home: SocketAddr, request: &Request) -> io::Result<()> {
    let rest = request.path.strip_prefix("http://").unwrap_or(&request.path);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut server = TcpStream::connect(resolved(host, home)).await?;
    let mut head = format!("{} /{path} HTTP/1.1\r\n", request.method);
    for (name, value) in &request.headers {
        if !name.starts_with("proxy-") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    server.write_all(format!("{head}\r\n").as_bytes()).await?;
    let mut status = Vec::new();
    while !status.ends_with(b"\r\n") {
        status.push(server.read_u8().await?);
    }
    status.extend_from_slice(b"Connection: close\r\n");
    socket.write_all(&status).await?;
    tokio::io::copy_bidirectional(&mut socket, &mut server).await?;
    Ok(())
}

/// RFC 1928 and RFC 1929.
async fn socks(
    mut socket: TcpStream,
    home: SocketAddr,
    login: Option<(&'static str, &'static str)>,
    seen: Seen,
) -> io::Result<()> {
    let _version = socket.read_u8().await?;
    let methods = text(&mut socket).await?;
    let method = if login.is_some() { 2 } else { 0 };
    if !methods.bytes().any(|offered| offered == method) {
        return socket.write_all(&[5, 0xFF]).await;
    }
    socket.write_all(&[5, method]).await?;
    if let Some(login) = login {
        let _version = socket.read_u8().await?;
        let (user, password) = (text(&mut socket).await?, text(&mut socket).await?);
        let good = (user.as_str(), password.as_str()) == login;
        socket.write_all(&[1, u8::from(!good)]).await?;
        if !good {
            return Ok(());
        }
    }
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => std::net::Ipv4Addr::from(socket.read_u32().await?).to_string(),
        _ => text(&mut socket).await?,
    };
    let target = format!("{host}:{}", socket.read_u16().await?);
    note(
        &seen,
        Request {
            method: "SOCKS".to_owned(),
            path: target.clone(),
            ..Request::default()
        },
    );
    let mut server = TcpStream::connect(resolved(&target, home)).await?;
    socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    tokio::io::copy_bidirectional(&mut socket, &mut server).await?;
    Ok(())
}

/// A length in one byte, and so many bytes.
async fn text(socket: &mut TcpStream) -> io::Result<String> {
    let length = socket.read_u8().await?;
    let mut bytes = vec![0; usize::from(length)];
    socket.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
