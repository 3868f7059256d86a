//! Waiting for something to become true.

use std::time::{Duration, Instant};

/// Longest wait: far beyond what anything takes, so that only what never happens reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is something, and returns it.
///
/// # Panics
/// When nothing comes in time; `what` says what was waited for.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "it did not happen in {PATIENCE:?}: {what}"
        );
        std::thread::sleep(PAUSE);
    }
}

/// Looks until it is true.
///
/// # Panics
/// When it does not become true in time.
#[track_caller]
pub fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    until(what, || look().then_some(()));
}
