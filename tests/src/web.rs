//! [`BadServer`] for tests that are plain threads.

use std::ops::Deref;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::server::{BadServer, Behaviour, Remote};

/// A [`BadServer`] with a runtime of its own.
#[derive(Debug)]
pub struct Web {
    // Dropped before the runtime that it lives in.
    server: BadServer,
    runtime: Runtime,
}

impl Web {
    /// Starts one without routes.
    ///
    /// # Panics
    /// When there is no port or no thread to be had.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let server = runtime.block_on(BadServer::start()).expect("a port can be bound");
        Self { server, runtime }
    }

    /// Listens on another port of the loopback, has `serve` deal with each connection for as long as
    /// this value lives, and returns the port.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn listen<F>(&self, serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let bound = self.runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = bound.expect("a port can be bound");
        let port = listener.local_addr().expect("it is bound").port();
        self.runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let _ = socket.set_nodelay(true);
                tokio::spawn(serve(socket));
            }
        });
        port
    }

    /// A URL that is denied: the job that asks for it is in `error` at once.
    #[must_use]
    pub fn denied(&self) -> String {
        self.route("/denied.bin", Behaviour::Status(403, Vec::new()))
    }

    /// A URL of a small good file.
    #[must_use]
    pub fn good(&self) -> String {
        self.route("/good.bin", Behaviour::Serve(Remote::new("good bytes")))
    }
}

impl Deref for Web {
    type Target = BadServer;

    fn deref(&self) -> &BadServer {
        &self.server
    }
}
