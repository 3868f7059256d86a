//! How fast bytes may come and go: a bucket that transfers share, and what one run pays into.
//!
//! A bucket keeps two sums: what the rate has earned so far, and what was taken. Whoever takes waits
//! until the first has reached the second. So a rate that changes takes effect on those who wait, they
//! go in the order in which they asked, and a timer that fires late loses nothing.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::bandwidth::Bandwidth;
use crate::clock::Clock;
use crate::job::{Priority, Timestamp};

/// What may go at once after a rest, as a part of a second: enough that timers of a millisecond cost
/// no throughput, too little to be seen as a burst.
const AT_ONCE: f64 = 0.1;

/// A rate that several may share.
#[derive(Debug)]
pub(super) struct Bucket {
    clock: Clock,
    /// Read without the lock: what is not limited costs one load.
    limited: AtomicBool,
    sums: Mutex<Sums>,
    changed: Notify,
}

#[derive(Debug)]
struct Sums {
    rate: Option<u64>,
    earned: f64,
    taken: f64,
    at: Timestamp,
    /// Goes up when the limit is lifted: who waited for an earlier one has nothing to wait for.
    era: u64,
}

impl Bucket {
    pub(super) fn new(clock: Clock, rate: Option<u64>) -> Self {
        let at = clock.now();
        Self {
            clock,
            limited: AtomicBool::new(rate.is_some()),
            sums: Mutex::new(Sums {
                rate,
                earned: 0.0,
                taken: 0.0,
                at,
                era: 0,
            }),
            changed: Notify::new(),
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_limited(&self) -> bool {
        self.limited.load(Ordering::Relaxed)
    }

    /// Bytes a second from now on; `None` is no limit, zero lets nothing through.
    pub(super) fn set(&self, rate: Option<u64>) {
        {
            let mut sums = self.sums();
            if sums.rate == rate {
                return;
            }
            sums.settle(self.clock.now());
            sums.rate = rate;
            if rate.is_none() {
                (sums.earned, sums.taken) = (0.0, 0.0);
                sums.era += 1;
            }
            self.limited.store(rate.is_some(), Ordering::Relaxed);
        }
        self.changed.notify_waiters();
    }

    /// All that was ever taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> f64 {
        self.sums().taken
    }

    /// Takes `bytes`; they may go when [`Bucket::wait`] returns.
    fn reserve(&self, bytes: u64) -> Option<Ticket> {
        if !self.is_limited() {
            return None;
        }
        let mut sums = self.sums();
        sums.settle(self.clock.now());
        sums.taken += as_float(bytes);
        Some(Ticket {
            place: sums.taken,
            era: sums.era,
        })
    }

    async fn wait(&self, ticket: Option<Ticket>) {
        let Some(Ticket { place, era }) = ticket else {
            return;
        };
        loop {
            let changed = self.changed.notified();
            let now = self.clock.now();
            let due = {
                let mut sums = self.sums();
                sums.settle(now);
                match sums.wait(place) {
                    _ if sums.era != era => return,
                    Wait::None => return,
                    Wait::Seconds(seconds) => Some(now.after(seconds_up(seconds))),
                    Wait::ForChange => None,
                }
            };
            tokio::select! {
                () = self.clock.timer(due) => {}
                () = changed => {}
            }
        }
    }
}

/// A place in the order of those who take.
#[derive(Clone, Copy)]
struct Ticket {
    place: f64,
    era: u64,
}

enum Wait {
    None,
    Seconds(f64),
    ForChange,
}

impl Sums {
    /// Brings what was earned up to `now`. What nobody took is not kept.
    fn settle(&mut self, now: Timestamp) {
        let passed = now.since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let rate = as_float(self.rate.unwrap_or(0));
        self.earned = (self.earned + passed * rate).min(self.taken);
    }

    fn wait(&self, place: f64) -> Wait {
        let Some(rate) = self.rate else { return Wait::None };
        let rate = as_float(rate);
        let lacking = place - self.earned - rate * AT_ONCE;
        if lacking <= 0.0 {
            Wait::None
        } else if rate > 0.0 {
            Wait::Seconds(lacking / rate)
        } else {
            Wait::ForChange
        }
    }
}

/// Sums of bytes are exact up to 9 PB, and a little off beyond.
#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact to the byte")]
fn as_float(bytes: u64) -> f64 {
    bytes as f64
}

/// In whole milliseconds, as timers go, and never none.
fn seconds_up(seconds: f64) -> std::time::Duration {
    let longest = 86_400.0;
    std::time::Duration::from_secs_f64(seconds.clamp(0.0, longest) + 0.001)
}

/// A run's level, which may change while it runs (B-67).
#[derive(Clone, Debug)]
pub(crate) struct LiveLevel(Arc<AtomicU8>);

const LEVELS: [Priority; 4] = [
    Priority::Foreground,
    Priority::High,
    Priority::Normal,
    Priority::Low,
];

impl LiveLevel {
    pub(super) fn new(level: Priority) -> Self {
        let live = Self(Arc::default());
        live.set(level);
        live
    }

    pub(super) fn set(&self, level: Priority) {
        let place = LEVELS.iter().position(|one| *one == level).unwrap_or(0);
        self.0.store(u8::try_from(place).unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Priority {
        let place = usize::from(self.0.load(Ordering::Relaxed));
        LEVELS.get(place).copied().unwrap_or(Priority::Foreground)
    }
}

/// What one run pays into for the bytes that it moves: its job's own limit, and those of its level.
///
/// Take before bytes are sent; after bytes have come, before more are read.
#[derive(Clone, Debug)]
pub struct Throttle {
    own: Option<Arc<Bucket>>,
    level: LiveLevel,
    bandwidth: Arc<Bandwidth>,
}

impl Throttle {
    pub(super) fn new(own: Option<Arc<Bucket>>, level: LiveLevel, bandwidth: Arc<Bandwidth>) -> Self {
        Self {
            own,
            level,
            bandwidth,
        }
    }

    /// Whether there is any limit now: without one nothing need be taken.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.own.is_some() || self.bandwidth.buckets(self.level.get()).any(Bucket::is_limited)
    }

    /// Takes `bytes`, and returns when they may go. Dropped before that, they count all the same: they
    /// may have been moved.
    pub async fn take(&self, bytes: u64) {
        // All at once, so that the waits run beside each other and the slowest alone counts.
        let shared = self.bandwidth.buckets(self.level.get());
        let tickets: Vec<_> = self
            .own
            .as_deref()
            .into_iter()
            .chain(shared)
            .map(|bucket| (bucket, bucket.reserve(bytes)))
            .collect();
        for (bucket, ticket) in tickets {
            bucket.wait(ticket).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Rates;

    impl Bucket {
        async fn take(&self, bytes: u64) {
            self.wait(self.reserve(bytes)).await;
        }
    }

    fn clock() -> Clock {
        Clock::simulated(Timestamp::from_millis(1_700_000_000_000))
    }

    /// How long `take` waits, in milliseconds of simulated time.
    async fn waited(clock: &Clock, take: impl Future<Output = ()>) -> u128 {
        let began = clock.now();
        tokio::pin!(take);
        loop {
            tokio::select! {
                biased;
                () = &mut take => return clock.now().since(began).as_millis(),
                () = tokio::task::yield_now() => clock.advance(Duration::from_millis(1)),
            }
        }
    }

    #[tokio::test]
    async fn b70_a_bucket_lets_its_rate_through_and_keeps_nothing_of_a_rest() {
        let clock = clock();
        let bucket = Bucket::new(clock.clone(), Some(1000));
        assert_eq!(waited(&clock, bucket.take(100)).await, 0, "a tenth of a second");
        let whole = waited(&clock, async {
            for _ in 0..20 {
                bucket.take(100).await;
            }
        });
        let whole = whole.await;
        assert!((2000..2010).contains(&whole), "{whole} ms for 2,000 bytes");
        clock.advance(Duration::from_secs(3600));
        let after = waited(&clock, bucket.take(1100)).await;
        assert!(
            (1000..1005).contains(&after),
            "an hour's rest is not saved up: {after}"
        );
    }

    #[tokio::test]
    async fn b72_a_changed_rate_takes_effect_on_who_waits() {
        let clock = clock();
        let bucket = Bucket::new(clock.clone(), Some(0));
        let take = bucket.take(10_000);
        tokio::pin!(take);
        for _ in 0..50 {
            clock.advance(Duration::from_secs(3600));
            let done = futures::poll!(&mut take);
            assert!(done.is_pending(), "nothing goes through zero");
        }
        bucket.set(Some(10_000));
        let rest = waited(&clock, take).await;
        assert!((900..910).contains(&rest), "{rest}");
        let lifted = bucket.take(1 << 30);
        tokio::pin!(lifted);
        assert!(futures::poll!(&mut lifted).is_pending());
        bucket.set(None);
        assert_eq!(waited(&clock, lifted).await, 0);
        assert!(!bucket.is_limited());
    }

    #[tokio::test]
    async fn b71_foreground_pays_only_into_its_own_limit() {
        let clock = clock();
        let bandwidth = Arc::new(Bandwidth::new(clock.clone()));
        let level = LiveLevel::new(Priority::Foreground);
        let throttle = Throttle::new(None, level.clone(), Arc::clone(&bandwidth));
        bandwidth.set(&Rates {
            background: Some(0),
            ..Rates::default()
        });
        assert!(!throttle.is_limited());
        assert_eq!(waited(&clock, throttle.take(1 << 40)).await, 0);
        // B-67: the level changes while it runs.
        level.set(Priority::Low);
        assert!(throttle.is_limited());
        level.set(Priority::Foreground);
        bandwidth.set(&Rates {
            foreground: Some(1000),
            ..Rates::default()
        });
        let capped = waited(&clock, throttle.take(1100)).await;
        assert!((1000..1005).contains(&capped), "{capped}");
    }

    #[tokio::test]
    async fn b72_a_level_has_its_part_of_what_all_background_transfers_share() {
        let clock = clock();
        let bandwidth = Arc::new(Bandwidth::new(clock.clone()));
        bandwidth.set(&Rates {
            background: Some(2000),
            low: Some(500),
            ..Rates::default()
        });
        let throttle = |level| Throttle::new(None, LiveLevel::new(level), Arc::clone(&bandwidth));
        let low = waited(&clock, throttle(Priority::Low).take(1050)).await;
        assert!((2000..2005).contains(&low), "{low}");
        clock.advance(Duration::from_secs(60));
        let high = waited(&clock, throttle(Priority::High).take(2200)).await;
        assert!((1000..1005).contains(&high), "{high}");
    }
}
