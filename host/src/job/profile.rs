//! Profiles: the numbers a job lives by. `bits` and `delivery-optimization` carry the documented
//! numbers of their ancestors, `sexton` carries ours.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Code, ErrorContext, ErrorInfo, Priority};

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;

/// Which ancestor's numbers a job follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Retries after 5 s doubling to 10 min; 8 background slots.
    #[default]
    Sexton,
    /// The rows' own numbers: 600 s between retries, one background slot, `--hold` implied.
    Bits,
    /// Delivery Optimization's numbers and its error codes.
    DeliveryOptimization,
}

/// A delay that may grow: `initial`, then times `factor` each time, never above `max`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first delay.
    #[serde(rename = "initial_ms", with = "super::time::millis")]
    pub initial: Duration,
    /// What each further delay is multiplied by; 1 keeps it constant.
    pub factor: f64,
    /// The longest delay.
    #[serde(rename = "max_ms", with = "super::time::millis")]
    pub max: Duration,
}

impl Backoff {
    /// The delay before retry number `retry` (0 is the first).
    #[must_use]
    pub fn delay(&self, retry: u32) -> Duration {
        let grown = self.initial.as_secs_f64() * self.factor.powi(i32::try_from(retry.min(64)).unwrap_or(64));
        if grown.is_finite() && grown < self.max.as_secs_f64() {
            Duration::from_secs_f64(grown.max(0.0))
        } else {
            self.max
        }
    }
}

impl Profile {
    /// The delay between retries of a transient error (B-57), of a job that is submitted at this level:
    /// whoever waits for a file of Delivery Optimization waits no longer than its agent does (DC-06).
    #[must_use]
    pub fn retry(self, level: Priority) -> Backoff {
        match (self, level) {
            (Self::Sexton, _) => Backoff {
                initial: Duration::from_secs(5),
                factor: 2.0,
                max: Duration::from_secs(10 * MINUTE),
            },
            (Self::DeliveryOptimization, Priority::Foreground) => Backoff {
                initial: Duration::from_secs(1),
                factor: 2.0,
                max: Duration::from_secs(30),
            },
            (Self::Bits | Self::DeliveryOptimization, _) => Backoff {
                initial: Duration::from_secs(600),
                factor: 1.0,
                max: Duration::from_secs(600),
            },
        }
    }

    /// How long a job may go without a byte of progress, counted from the first transient error
    /// (B-59, D-09); the level as of [`Profile::retry`].
    #[must_use]
    pub fn no_progress(self, level: Priority) -> Duration {
        match (self, level) {
            (Self::Sexton | Self::Bits, _) => Duration::from_secs(14 * DAY),
            (Self::DeliveryOptimization, Priority::Foreground) => Duration::from_secs(5 * MINUTE),
            (Self::DeliveryOptimization, _) => Duration::from_secs(DAY),
        }
    }

    /// What the end of [`Profile::no_progress`] is called (DC-06).
    #[must_use]
    pub const fn no_progress_code(self) -> Code {
        match self {
            Self::Sexton | Self::Bits => Code::NO_PROGRESS,
            Self::DeliveryOptimization => Code::DO_DOWNLOAD_NO_PROGRESS,
        }
    }

    /// Where an error arose, as it is told: Delivery Optimization knows nothing but the refusal of the
    /// remote file (D-04). What is recorded is the precise context in every profile (B-79).
    #[must_use]
    pub fn context_of(self, error: &ErrorInfo) -> ErrorContext {
        match self {
            Self::Sexton | Self::Bits => error.context,
            Self::DeliveryOptimization if error.code == Code::http(403) => ErrorContext::RemoteFile,
            Self::DeliveryOptimization => ErrorContext::None,
        }
    }

    /// How long a job may lie in a state that nothing moves before it is cancelled (B-62, D-08).
    #[must_use]
    pub fn inactivity(self) -> Duration {
        match self {
            Self::Sexton | Self::Bits => Duration::from_secs(90 * DAY),
            Self::DeliveryOptimization => Duration::from_secs(30 * DAY),
        }
    }

    /// How long a job may connect and transfer, all its runs together (B-61).
    #[must_use]
    pub fn max_time(self) -> Duration {
        match self {
            Self::Sexton | Self::Bits | Self::DeliveryOptimization => Duration::from_secs(90 * DAY),
        }
    }

    /// Background transfers at the same time, where the configuration does not say (B-68).
    #[must_use]
    pub fn slots(self) -> u64 {
        match self {
            Self::Sexton => 8,
            Self::Bits | Self::DeliveryOptimization => 1,
        }
    }

    /// Open jobs one owner may have (B-16).
    #[must_use]
    pub fn jobs_per_owner(self) -> u32 {
        match self {
            Self::Sexton => 100_000,
            Self::Bits | Self::DeliveryOptimization => 60,
        }
    }

    /// Files one job may have (B-16).
    #[must_use]
    pub fn files_per_job(self) -> u32 {
        match self {
            Self::Sexton => 100_000,
            Self::Bits | Self::DeliveryOptimization => 200,
        }
    }

    /// Whether a finished job waits for a person or handler to complete it (B-04).
    #[must_use]
    pub fn holds(self) -> bool {
        !matches!(self, Self::Sexton)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d09_delivery_optimization_gives_up_after_a_day_without_a_byte() {
        // Its documents name an hour for some levels and a day for others: the day is for all but those
        // that somebody waits for, whose number is the agent's (DC-06).
        for level in [Priority::High, Priority::Normal, Priority::Low] {
            let seconds = Profile::DeliveryOptimization.no_progress(level).as_secs();
            assert_eq!(seconds, 86_400, "{level}");
        }
    }

    #[test]
    fn dc06_in_the_foreground_retries_double_to_30_s_and_5_minutes_without_a_byte_are_the_end() {
        let profile = Profile::DeliveryOptimization;
        let retry = profile.retry(Priority::Foreground);
        let seconds: Vec<u64> = (0..7).map(|n| retry.delay(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(profile.no_progress(Priority::Foreground).as_secs(), 300);
        assert_eq!(profile.no_progress_code(), Code(0x80D0_2002));
        assert_eq!(profile.retry(Priority::High).delay(0).as_secs(), 600);
        for other in [Profile::Sexton, Profile::Bits] {
            let levels = [Priority::Foreground, Priority::Normal];
            assert_eq!(other.retry(levels[0]), other.retry(levels[1]));
            assert_eq!(other.no_progress_code(), Code::NO_PROGRESS);
        }
    }

    #[test]
    fn b59_the_others_give_up_after_fourteen_days() {
        for profile in [Profile::Sexton, Profile::Bits] {
            assert_eq!(profile.no_progress(Priority::Foreground).as_secs(), 1_209_600);
        }
    }

    #[test]
    fn d10_there_is_one_background_slot_beside_all_foreground_jobs() {
        assert_eq!(Profile::DeliveryOptimization.slots(), 1);
    }

    #[test]
    fn b57_the_default_retry_delay_doubles_to_ten_minutes() {
        let retry = Profile::Sexton.retry(Priority::Normal);
        let seconds: Vec<u64> = (0..9).map(|n| retry.delay(n).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(Profile::Bits.retry(Priority::Normal).delay(7).as_secs(), 600);
        assert_eq!(retry.delay(u32::MAX).as_secs(), 600);
    }
}
