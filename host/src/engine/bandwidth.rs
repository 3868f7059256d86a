//! The bandwidth of the whole host: one bucket for all background transfers, one for each level.

use super::throttle::Bucket;
use crate::clock::Clock;
use crate::job::Priority;

/// Bytes a second that are in force; `None` is no limit, zero lets nothing through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// All background transfers together.
    pub background: Option<u64>,
    /// Foreground transfers together, which `background` does not concern (B-71, BP-08).
    pub foreground: Option<u64>,
    /// Of the background, those of high priority together.
    pub high: Option<u64>,
    /// Of the background, those of normal priority together.
    pub normal: Option<u64>,
    /// Of the background, those of low priority together.
    pub low: Option<u64>,
}

impl Rates {
    /// The limit of one level alone.
    #[must_use]
    pub const fn of(&self, level: Priority) -> Option<u64> {
        match level {
            Priority::Foreground => self.foreground,
            Priority::High => self.high,
            Priority::Normal => self.normal,
            Priority::Low => self.low,
        }
    }

    /// Whether transfers of this level may not run at all (B-72). Foreground ones always may.
    #[must_use]
    pub fn stop(&self, level: Priority) -> bool {
        level != Priority::Foreground && (self.background == Some(0) || self.of(level) == Some(0))
    }
}

/// What all runs of the host pay into.
#[derive(Debug)]
pub struct Bandwidth {
    background: Bucket,
    foreground: Bucket,
    high: Bucket,
    normal: Bucket,
    low: Bucket,
}

impl Bandwidth {
    /// Without any limit.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let bucket = || Bucket::new(clock.clone(), None);
        Self {
            background: bucket(),
            foreground: bucket(),
            high: bucket(),
            normal: bucket(),
            low: bucket(),
        }
    }

    /// These rates hold from now on, also for transfers that run.
    pub fn set(&self, rates: &Rates) {
        self.background.set(rates.background);
        self.foreground.set(rates.foreground);
        self.high.set(rates.high);
        self.normal.set(rates.normal);
        self.low.set(rates.low);
    }

    /// What a transfer of this level pays into.
    pub(super) fn buckets(&self, level: Priority) -> impl Iterator<Item = &Bucket> {
        let (own, shared) = match level {
            Priority::Foreground => (&self.foreground, None),
            Priority::High => (&self.high, Some(&self.background)),
            Priority::Normal => (&self.normal, Some(&self.background)),
            Priority::Low => (&self.low, Some(&self.background)),
        };
        std::iter::once(own).chain(shared)
    }
}
