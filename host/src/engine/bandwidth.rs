//! The bandwidth of the whole host: one bucket for all background transfers, one for each level.

use super::throttle::Bucket;
use crate::clock::Clock;
use crate::config::Rates;
use crate::job::Priority;

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
