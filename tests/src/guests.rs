//! The components of `tests/guests`, as the build script left them.

/// Behaves as its configuration says: `mood`, or `mood.job-error` for one function.
pub const MOODY: &str = env!("GUEST_MOODY");
/// Cancels every job in error.
pub const MINIMAL: &str = env!("GUEST_MINIMAL");
/// Reads its configuration, logs one line, does what `action` says.
pub const DECIDER: &str = env!("GUEST_DECIDER");
/// Traps as soon as it is instantiated.
pub const START_TRAP: &str = env!("GUEST_START_TRAP");
/// Exports nothing that a host could call.
pub const NOTHING: &str = env!("GUEST_NOTHING");
/// Speaks a version that no host speaks yet.
pub const FUTURE: &str = env!("GUEST_FUTURE");

/// Asks over HTTP as its configuration says: `authority`, `path`, `body_mb`.
pub const ASKER: &str = env!("GUEST_ASKER");

/// A sink of queries that logs what it is told.
pub const SINK: &str = env!("GUEST_SINK");
/// Does batch work as its input says.
pub const WORKER: &str = env!("GUEST_WORKER");
/// Answers `numbers N`.
pub const TABLES: &str = env!("GUEST_TABLES");

/// The bytes of a component.
///
/// # Panics
/// When the build script's file is gone.
#[must_use]
pub fn bytes(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// The same component under another digest: an empty custom section at its end says `mark`.
///
/// # Panics
/// When `mark` is not shorter than 100 bytes.
#[must_use]
pub fn marked(path: &str, mark: &str) -> Vec<u8> {
    let name = u8::try_from(mark.len()).unwrap_or(u8::MAX);
    assert!(name < 100, "one byte of LEB128 holds the lengths");
    let mut bytes = bytes(path);
    // Section id 0, its size, the length of its name, its name.
    bytes.extend_from_slice(&[0, name + 1, name]);
    bytes.extend_from_slice(mark.as_bytes());
    bytes
}

/// `moody` as its `number`th version: its mood `version` says the number, so that what ran can be
/// compared with what is recorded.
///
/// # Panics
/// When the component does not hold its number once.
#[must_use]
pub fn version(number: u32) -> Vec<u8> {
    let mut bytes = bytes(MOODY);
    let mark = b"sexton-version-000000";
    let mut found = bytes
        .windows(mark.len())
        .enumerate()
        .filter(|(_, window)| window == mark);
    let (at, _) = found.next().expect("the number is in the file");
    assert!(found.next().is_none(), "the number is in the file more than once");
    bytes[at..at + mark.len()].copy_from_slice(version_mark(number).as_bytes());
    bytes
}

/// What the `number`th version of `moody` says of itself.
#[must_use]
pub fn version_mark(number: u32) -> String {
    format!("sexton-version-{number:06}")
}
