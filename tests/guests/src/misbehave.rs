//! The ways of misbehaving that take more than a line.

use std::hint::black_box;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};

use sexton_sdk::log;

/// Never returns and never calls the host.
pub(crate) fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Allocates, and touches what it got, until someone says no.
pub(crate) fn allocate() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Recurses until the stack ends. Rotation keeps the compiler from making it a loop.
pub(crate) fn dive(depth: u32) -> u32 {
    static FLOOR: AtomicU32 = AtomicU32::new(0);
    if FLOOR.load(Ordering::Relaxed) == depth {
        return depth;
    }
    dive(depth.wrapping_add(1)).rotate_left(depth) ^ FLOOR.load(Ordering::Relaxed)
}

/// Writes past the end of its memory.
#[expect(unsafe_code, reason = "the wild pointer is the point")]
pub(crate) fn write_out_of_bounds() {
    // SAFETY: none; the sandbox has to catch it.
    unsafe { core::ptr::write_volatile(black_box(0xFFFF_FFF0_usize) as *mut u8, 1) }
}

/// Eight megabytes on standard output, one on standard error, then good.
pub(crate) fn flood_stdout() {
    let line = "flood ".repeat(170);
    for _ in 0..8 << 10 {
        println!("{line}");
    }
    for _ in 0..1 << 10 {
        eprintln!("{line}");
    }
    eprintln!("last words of the flood");
}

/// Twenty megabytes of log, then good.
pub(crate) fn flood_log() {
    let line = "flood ".repeat(170);
    for turn in 0..20 << 10 {
        log::info!("{turn} {line}");
    }
}

/// Tries to paint the operator's terminal and to forge a second line.
pub(crate) fn escape() {
    log::warn!("\u{1b}[31mred\u{1b}[0m\nERROR forged line\r\u{7}\u{202e}backwards");
    eprintln!("\u{1b}]0;title\u{7}\u{1b}[2J");
}

/// Reports what can be reached; without grants every line ends in an error or a zero.
pub(crate) fn probe() {
    log::info!("probe env: {}", std::env::vars().count());
    for (name, value) in std::env::vars() {
        log::info!("probe env {name}={value}");
    }
    log::info!("probe args: {}", std::env::args().count());
    for path in ["/", ".", "..", "/etc", "/journal"] {
        let found = std::fs::read_dir(path).map(Iterator::count);
        report(&format!("list {path}"), found);
    }
    report(
        "read /etc/passwd",
        std::fs::read("/etc/passwd").map(|bytes| bytes.len()),
    );
    report(
        "read ../../etc/passwd",
        std::fs::read("../../etc/passwd").map(|bytes| bytes.len()),
    );
    report("write /probe", std::fs::write("/probe", "x"));
    report(
        "resolve",
        ("localhost", 80).to_socket_addrs().map(Iterator::count),
    );
    report("connect", TcpStream::connect("127.0.0.1:22").map(|_| 1));
}

fn report<T: std::fmt::Debug>(what: &str, result: std::io::Result<T>) {
    match result {
        Ok(got) => log::info!("probe {what}: reached {got:?}"),
        Err(error) => log::info!("probe {what}: {:?}", error.kind()),
    }
}
