//! Uploads through the whole program: whole at the other end, gone on with after a kill where the
//! protocol allows it, stopped when the file changes, forgotten by the server when cancelled.

mod bits;
mod cancel;
mod dav;
mod multipart;
mod plain;
mod reply;
mod submit;
mod tus;
mod tus_server;

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;
use sexton_tests::server::{Behaviour, Remote};

use crate::download::body;

const MIB: usize = 1 << 20;
/// One request of an upload that can be gone on with.
const PIECE: usize = 4 * MIB;
/// The largest file of these tests.
const LARGEST: usize = 24 * MIB;
/// More than the system buffers between two ends of a line: what is sent slowly has a middle.
const LONG: usize = 12 * MIB;

/// A host, and a file `sent.bin` of so many bytes in its folder.
fn sender(config: &str, size: usize) -> (TestHost, Vec<u8>) {
    let mut host = crate::host(config);
    let bytes = some(size);
    std::fs::write(host.path("sent.bin"), &bytes).unwrap();
    host.start();
    (host, bytes)
}

/// The first of bytes in which no two blocks are alike, made once.
fn some(size: usize) -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| body(LARGEST, 1))[..size].to_vec()
}

/// Takes the body and says so.
fn takes() -> Behaviour {
    Behaviour::Status(200, Vec::new())
}

/// The same, about 16 MiB a second.
fn takes_slowly() -> Behaviour {
    Behaviour::Take {
        pace: Some((256 << 10, Duration::from_millis(16))),
        until: None,
        then: Box::new(takes()),
    }
}

/// Takes the body and answers with one.
fn replies(reply: &str) -> Behaviour {
    Behaviour::Serve(Remote::new(reply.to_owned()))
}

fn status(status: u16, headers: &[(&str, &str)]) -> Behaviour {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Behaviour::Status(status, headers.collect())
}

fn wait_bytes(host: &TestHost, id: &str, bytes: usize) {
    eventually(&format!("{bytes} bytes count"), || {
        host.job(id)["bytes_transferred"].as_u64().unwrap() >= bytes as u64
    });
}

/// Waits for the error, and returns its object.
fn error(host: &TestHost, id: &str) -> Value {
    host.wait_state(id, "error");
    host.object(&["job", "error", id])
}
