//! What is fetched and how it lands on the disk, through the whole program: ranges, mirrors, checksums,
//! several connections, local files, objects of a bucket, and files that are there already.

mod local;
pub(crate) mod moto;
pub(crate) mod nginx;
mod objects;
mod places;
mod placing;
mod ranges;
mod trust;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;
use sexton_tests::server::{Behaviour, Remote};

pub(crate) use crate::download::body;

const MIB: usize = 1 << 20;

/// `sha256sum` of these bytes, as an argument.
pub(crate) fn sum(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, bytes).unwrap();
    let said = Command::new("sha256sum").arg(path).output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    format!("sha256:{}", said.split(' ').next().unwrap())
}

/// About 16 MiB a second on each connection.
fn slow(remote: &Remote) -> Behaviour {
    Behaviour::Slow {
        remote: remote.clone(),
        chunk: 256 << 10,
        delay: Duration::from_millis(15),
    }
}

pub(crate) fn wait_bytes(host: &TestHost, id: &str, bytes: usize) {
    eventually(&format!("{bytes} bytes are durable"), || {
        host.job(id)["bytes_transferred"].as_u64().unwrap() >= bytes as u64
    });
}

/// Posts to the control API what no flag says; the whole answer.
fn post(host: &TestHost, path: &str, json: &str) -> String {
    let mut stream = UnixStream::connect(host.path("control.sock")).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: sexton\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{json}",
        json.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What a file holds.
fn content(host: &TestHost, name: &str) -> Vec<u8> {
    std::fs::read(host.path(name)).unwrap()
}

/// A program of this machine, or a loud word that a test proves nothing without it.
fn program(name: &str) -> Option<PathBuf> {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"];
    let found = places.iter().map(|place| PathBuf::from(place).join(name));
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: this machine has no {name}, so nothing was proven against it");
    }
    found
}
