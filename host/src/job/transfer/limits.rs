//! How much, how fast and how long a transfer may be.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::{Code, Profile};

/// Two kilobits a second: what BITS makes of anything slower that is not a stop (B-72).
const RATE_FLOOR: u64 = 250;

/// Shortest maximum download time: less would end a job while it connects.
const TIME_MIN: Duration = Duration::from_secs(1);

/// Longest maximum download time: ten years, as of every delay of a job.
const TIME_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How much, how fast and how long a transfer may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSpec {
    /// Bytes a second, whatever its priority (BP-08).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Most bytes of all its files together; more is a fatal error (B-76).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Longest time that it may connect and transfer, all runs together; absent, the profile's (B-61).
    #[serde(
        rename = "max_time_ms",
        with = "crate::job::time::opt_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_time: Option<Duration>,
}

impl LimitSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {
        rate: None,
        max_bytes: None,
        max_time: None,
    };

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// How long a job of this profile may connect and transfer (B-61).
    #[must_use]
    pub fn max_time(&self, profile: Profile) -> Duration {
        self.max_time.unwrap_or_else(|| profile.max_time())
    }

    /// Whether it can be kept.
    ///
    /// # Errors
    /// The code and a sentence.
    pub fn check(&self) -> Result<(), (Code, String)> {
        if self.rate == Some(0) {
            let why = "a rate of zero would never end; suspend the job instead";
            return Err((Code::INVALIDARG, why.to_owned()));
        }
        if self
            .max_bytes
            .is_some_and(|most| most == 0 || i64::try_from(most).is_err())
        {
            let why = "`max_bytes` is outside of 1 to 9223372036854775807".to_owned();
            return Err((Code::MAX_DOWNLOAD_SIZE_INVALID_VALUE, why));
        }
        if self
            .max_time
            .is_some_and(|time| time < TIME_MIN || time > TIME_MAX)
        {
            let why = "`max_time_ms` is outside of one second to ten years".to_owned();
            return Err((Code::INVALIDARG, why));
        }
        Ok(())
    }
}

/// Bytes a second of a text: a size (`2MB`, with or without `/s`) or bits (`800kbps`, `16Mbps`). What
/// is not zero and below 2 kbps counts as 2 kbps, as in BITS (B-72).
#[must_use]
pub fn rate(text: &str) -> Option<u64> {
    let text = text.trim();
    let bits = [
        ("kbps", 1_000_u64),
        ("Mbps", 1_000_000),
        ("Gbps", 1_000_000_000),
        ("bps", 1),
    ];
    let found = bits
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let bytes = match found {
        Some((number, factor)) => {
            let number: u64 = number.trim().parse().ok()?;
            number.checked_mul(factor)?.div_ceil(8)
        }
        None => {
            let size = text.strip_suffix("/s").unwrap_or(text);
            size.parse::<bytesize::ByteSize>().ok()?.as_u64()
        }
    };
    Some(if bytes == 0 { 0 } else { bytes.max(RATE_FLOOR) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b72_rates_are_sizes_or_bits_and_at_least_two_kilobits() {
        for (text, bytes) in [
            ("2MB", Some(2_000_000)),
            ("2MiB/s", Some(2 << 20)),
            ("1000kbps", Some(125_000)),
            ("16 Mbps", Some(2_000_000)),
            ("2kbps", Some(250)),
            ("1kbps", Some(250)),
            ("1B", Some(250)),
            ("0", Some(0)),
            ("0kbps", Some(0)),
            ("fast", None),
            ("-1kbps", None),
            ("", None),
        ] {
            assert_eq!(rate(text), bytes, "{text}");
        }
    }

    #[test]
    fn b76_a_cap_that_cannot_be_has_its_own_code() {
        let capped = |max_bytes| LimitSpec {
            max_bytes: Some(max_bytes),
            ..LimitSpec::DEFAULT
        };
        assert_eq!(capped(1).check(), Ok(()));
        for bad in [0, u64::MAX] {
            assert_eq!(capped(bad).check().unwrap_err().0, Code(0x8020_0063));
        }
    }

    #[test]
    fn b61_ninety_days_unless_the_job_says_otherwise() {
        for profile in [Profile::Sexton, Profile::Bits, Profile::DeliveryOptimization] {
            let seconds = LimitSpec::DEFAULT.max_time(profile).as_secs();
            assert_eq!(seconds, 7_776_000, "{profile:?}");
        }
        let own = |seconds| LimitSpec {
            max_time: Some(Duration::from_secs(seconds)),
            ..LimitSpec::DEFAULT
        };
        assert_eq!(own(60).max_time(Profile::Bits).as_secs(), 60);
        assert!(own(60).check().is_ok() && own(0).check().is_err());
        assert!(own(400_000_000).check().is_err());
    }
}
