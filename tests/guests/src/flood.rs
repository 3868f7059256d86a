//! Moods that say, ask or write too much: each runs into one limit of the host.

use sexton_sdk::{Failure, Priority, Result, config, job, log, state};

/// Does what `mood` says, if it is one of these.
pub(crate) fn act(mood: &str) -> Option<Result> {
    match mood {
        "flood-stdout" => stdout(megabytes(8)),
        "flood-stderr" => stderr(megabytes(8)),
        "flood-stderr-then-panic" => {
            stderr(megabytes(8));
            panic!("moody drowns");
        }
        "flood-log" => lines(megabytes(20)),
        "long-line" => log::info!("long {}", "x".repeat(1 << 20)),
        "huge-line" => log::info!("huge {}", "x".repeat(5 << 20)),
        "escape" => escape(),
        "huge-message" => return Some(Err(Failure::permanent("x".repeat(1 << 20)))),
        "huger-message" => return Some(Err(Failure::permanent("x".repeat(5 << 20)))),
        "huge-key" => return Some(set(&"k".repeat(1 << 20), 1)),
        "huge-value" => return Some(set("value", (64 << 10) + 1)),
        "huger-value" => return Some(set("value", 5 << 20)),
        "many-writes" => return Some((0..=1_000).try_for_each(|key| set(&format!("{key}"), 1))),
        "much-written" => return Some(hoard(8 << 20)),
        "hoard" => return Some(hoard(7 << 20)),
        "huge-question" => {
            let found =
                config::get(&"k".repeat(1 << 20)).is_some() || state::get(&"k".repeat(1 << 20)).is_some();
            log::info!("found it: {found}");
        }
        "many-requests" => return Some((0..=100).try_for_each(|_| Ok(job::set_priority(Priority::High)?))),
        "many-questions" => (0..10_000).for_each(|_| drop(config::get("mood"))),
        "pollables" => wasi::pollables(),
        "random" => wasi::random(),
        _ => return None,
    }
    Some(Ok(()))
}

const LINE: usize = 1_020;

/// Lines that make so many megabytes; `flood_mb` says otherwise.
fn megabytes(default: usize) -> usize {
    let mb = config::parse("flood_mb").ok().flatten().unwrap_or(default);
    (mb << 20) / LINE
}

fn line() -> String {
    "flood ".repeat(LINE / 6)
}

fn stdout(lines: usize) {
    let line = line();
    (0..lines).for_each(|_| println!("{line}"));
}

fn stderr(lines: usize) {
    let line = line();
    (0..lines).for_each(|_| eprintln!("{line}"));
    eprintln!("last words of the flood");
}

fn lines(lines: usize) {
    let line = line();
    (0..lines).for_each(|turn| log::info!("{turn} {line}"));
}

/// Tries to paint the operator's terminal and to forge a second line.
fn escape() {
    log::warn!("\u{1b}[31mred\u{1b}[0m\nERROR forged line\r\u{7}\u{202e}backwards");
    eprintln!("\u{1b}]0;title\u{7}\u{1b}[2J");
}

fn set(key: &str, bytes: usize) -> Result {
    Ok(state::set(key, vec![b'x'; bytes])?)
}

/// Values of the largest size, and one byte more than `bytes` together, under keys that no other
/// call uses.
fn hoard(bytes: usize) -> Result {
    let turn = state::increment("turn")?;
    for value in 0..=bytes / (64 << 10) {
        set(&format!("{turn}-{value}"), 64 << 10)?;
    }
    Ok(())
}

#[cfg(target_arch = "wasm32")]
mod wasi {
    /// Each is a handle here and two resources on the host's side.
    pub(super) fn pollables() {
        let _hoard: Vec<_> = (0..1_000)
            .map(|_| wasip2::clocks::monotonic_clock::subscribe_duration(u64::MAX / 2))
            .collect();
    }

    /// More than one request may have.
    pub(super) fn random() {
        let bytes = wasip2::random::random::get_random_bytes((64 << 10) + 1);
        std::hint::black_box(bytes);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod wasi {
    pub(super) fn pollables() {}

    pub(super) fn random() {}
}
