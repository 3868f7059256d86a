//! Time made explicit, so that tests can hold it. Only this file reads the clock.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::job::Timestamp;

/// Where the time comes from: the machine, or a test.
///
/// Real time is the wall clock read once at start plus a monotonic duration, so that moving the
/// wall clock moves no timer while the host runs (B-63).
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real { wall: Timestamp, started: Instant },
    Simulated(Arc<Simulated>),
}

#[derive(Debug)]
struct Simulated {
    now: Mutex<Timestamp>,
    moved: Notify,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn real() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Self(Source::Real {
            wall: Timestamp::from_millis(millis),
            started: Instant::now(),
        })
    }

    /// A clock that moves only when [`Clock::advance`] says so.
    #[must_use]
    pub fn simulated(start: Timestamp) -> Self {
        Self(Source::Simulated(Arc::new(Simulated {
            now: Mutex::new(start),
            moved: Notify::new(),
        })))
    }

    /// The time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Real { wall, started } => wall.after(started.elapsed()),
            Source::Simulated(simulated) => match simulated.now.lock() {
                Ok(now) => *now,
                Err(poisoned) => *poisoned.into_inner(),
            },
        }
    }

    /// Moves a simulated clock; a real one goes its own way.
    pub fn advance(&self, by: Duration) {
        if let Source::Simulated(simulated) = &self.0 {
            let mut now = match simulated.now.lock() {
                Ok(now) => now,
                Err(poisoned) => poisoned.into_inner(),
            };
            *now = now.after(by);
            drop(now);
            simulated.moved.notify_waiters();
        }
    }

    /// Returns once the timer is due; never when there is none.
    pub async fn timer(&self, due: Option<Timestamp>) {
        match due {
            Some(due) => self.sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Returns once it is `at` or later.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Source::Real { .. } => tokio::time::sleep(at.since(self.now())).await,
            Source::Simulated(simulated) => loop {
                let moved = simulated.moved.notified();
                if self.now() >= at {
                    return;
                }
                moved.await;
            },
        }
    }
}

/// How often, and how many times, a test looks before it gives up.
#[cfg(test)]
pub(crate) const POLL: Duration = Duration::from_millis(2);
#[cfg(test)]
pub(crate) const POLLS: u32 = 10_000;

/// Polls until it is so: tasks under test run on the machine's time, only their timers are simulated.
#[cfg(test)]
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..POLLS {
        if so() {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
    panic!("never {what}")
}
