//! Moods that look around: what is not granted must not be there.

use std::fs;
use std::io::Result as IoResult;
use std::net::{TcpStream, ToSocketAddrs};

use sexton_sdk::{Result, config, log};

/// Does what `mood` says, if it is one of these.
pub(crate) fn act(mood: &str) -> Option<Result> {
    match mood {
        "probe" => everywhere(),
        "probe-dir" => beyond(&config::get_or("dir", "/granted")),
        _ => return None,
    }
    Some(Ok(()))
}

/// Reports what can be reached; without grants every line ends in an error or a zero.
fn everywhere() {
    log::info!("probe env: {}", std::env::vars().count());
    for (name, value) in std::env::vars() {
        log::info!("probe env {name}={value}");
    }
    log::info!("probe args: {}", std::env::args().count());
    for path in ["/", ".", "..", "/etc", "/journal"] {
        let found = fs::read_dir(path).map(Iterator::count);
        report(&format!("list {path}"), found);
    }
    for path in ["/etc/passwd", "../../etc/passwd"] {
        report(&format!("read {path}"), fs::read(path).map(|bytes| bytes.len()));
    }
    report("write /probe", fs::write("/probe", "x"));
    report(
        "resolve",
        ("localhost", 80).to_socket_addrs().map(Iterator::count),
    );
    report("connect", TcpStream::connect("127.0.0.1:22").map(|_| 1));
}

/// Reads what lies in a granted folder, then tries to leave it: upwards, through links that lie
/// there already, by renaming and by linking.
fn beyond(dir: &str) {
    let inside = |name: &str| format!("{dir}/{name}");
    report("inside: read", fs::read(inside("inside.txt")).map(|b| b.len()));
    report("inside: write", fs::write(inside("written.txt"), "x"));
    for way in [
        "../secret.txt",
        "sub/../../secret.txt",
        "../granted/../secret.txt",
        "./../secret.txt",
        "link-to-file",
        "link-to-dir/secret.txt",
        "link-absolute",
        "link-via-link",
    ] {
        report(
            &format!("escape: read {way}"),
            fs::read(inside(way)).map(|b| b.len()),
        );
        report(
            &format!("escape: write {way}"),
            fs::write(inside(way), "overwritten"),
        );
        report(
            &format!("escape: list {way}"),
            fs::read_dir(inside(way)).map(Iterator::count),
        );
        report(
            &format!("escape: remove {way}/x"),
            fs::remove_file(inside(&format!("{way}/x"))),
        );
    }
    report(
        "escape: rename out",
        fs::rename(inside("inside.txt"), inside("../stolen.txt")),
    );
    report(
        "escape: rename in",
        fs::rename(inside("../secret.txt"), inside("stolen.txt")),
    );
    report(
        "escape: hard link",
        fs::hard_link(inside("../secret.txt"), inside("hard.txt")),
    );
    report("escape: make a folder", fs::create_dir(inside("../made")));
    report("escape: absolute", fs::read("/etc/passwd").map(|b| b.len()));
}

fn report<T: std::fmt::Debug>(what: &str, result: IoResult<T>) {
    match result {
        Ok(got) => log::info!("probe {what}: reached {got:?}"),
        Err(error) => log::info!("probe {what}: {:?}", error.kind()),
    }
}
