//! What the handlers of one job are told: its notify flags (B-98) and their interval (B-110).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::words;
use super::{Code, EventKind, Family, JobKind, JobSpec, Profile};

words! {
    /// One of the flags of `SetNotifyFlags`.
    NotifyFlag {
        /// Tell of `job-transferred`.
        JobTransferred = "job-transferred",
        /// Tell of `job-error`.
        JobError = "job-error",
        /// Tell of nothing; the other flags do not count.
        Disable = "disable",
        /// Tell of `job-modification`.
        JobModification = "job-modification",
        /// Tell of `file-transferred`.
        FileTransferred = "file-transferred",
    }
}

/// The flag of on-demand jobs, which there are none of (B-109, B-127).
const FILE_RANGES: &str = "file-ranges-transferred";

/// Why flags are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FlagsRefused(String);

impl FlagsRefused {
    /// B-98: whatever is not a flag here is `E_NOTIMPL`.
    pub const CODE: Code = Code::NOTIMPL;
}

impl NotifyFlag {
    /// The number that BITS gives it.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::JobTransferred => 1,
            Self::JobError => 2,
            Self::Disable => 4,
            Self::JobModification => 8,
            Self::FileTransferred => 0x10,
        }
    }

    /// The flag that lets an event through; the end of a job and what is not of transfers have none.
    const fn of(event: EventKind) -> Option<Self> {
        match event {
            EventKind::JobTransferred => Some(Self::JobTransferred),
            EventKind::JobError => Some(Self::JobError),
            EventKind::JobModification => Some(Self::JobModification),
            EventKind::FileTransferred => Some(Self::FileTransferred),
            EventKind::OnEnded
            | EventKind::OnError
            | EventKind::FinalServerRetry
            | EventKind::FinalClientRetry
            | EventKind::OnObjectReady
            | EventKind::OnProgress
            | EventKind::OnObjectPut
            | EventKind::OnCompleted => None,
        }
    }

    /// The flags that `words` name, for a job of this kind and profile.
    ///
    /// # Errors
    /// [`FlagsRefused`] for a word that is no flag, and for one that the profile does not have (D-07).
    pub fn parse(words: &[String], kind: JobKind, profile: Profile) -> Result<BTreeSet<Self>, FlagsRefused> {
        let flags = Self::read(words)?;
        Self::allowed(&flags, kind, profile).map_err(|why| FlagsRefused(why.to_owned()))?;
        Ok(flags)
    }

    /// The flags that `words` name, for whatever job.
    ///
    /// # Errors
    /// [`FlagsRefused`] for a word that is no flag.
    pub fn read(words: &[String]) -> Result<BTreeSet<Self>, FlagsRefused> {
        let mut flags = BTreeSet::new();
        for word in words {
            if word == FILE_RANGES {
                let why = format!("`{FILE_RANGES}` is for on-demand jobs, which this host does not have");
                return Err(FlagsRefused(why));
            }
            let flag = word
                .parse()
                .map_err(|why| FlagsRefused(format!("no such notify flag: {why}")))?;
            flags.insert(flag);
        }
        Ok(flags)
    }

    /// Whether a job of this kind and profile can have these flags.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn allowed(flags: &BTreeSet<Self>, kind: JobKind, profile: Profile) -> Result<(), &'static str> {
        if kind.family() != Family::Transfer {
            return Err("notify flags are for transfers");
        }
        if profile == Profile::DeliveryOptimization && flags.contains(&Self::Disable) {
            return Err("the profile `delivery-optimization` does not have the flag `disable`");
        }
        Ok(())
    }
}

impl JobSpec {
    /// Handlers hear of changes at most this often, unless the job says otherwise (B-110).
    pub const NOTIFY_INTERVAL: Duration = Duration::from_millis(500);

    /// Whether the job lets any handler be told of `event`. Without flags it is for the subscriptions to
    /// say; with flags they narrow what subscriptions ask for.
    #[must_use]
    pub fn tells(&self, event: EventKind) -> bool {
        match (&self.notify, NotifyFlag::of(event)) {
            (Some(flags), Some(flag)) => flags.contains(&flag) && !flags.contains(&NotifyFlag::Disable),
            (None, _) | (_, None) => true,
        }
    }

    /// Whether the job's own handler is told of `event`: by default of `job-transferred` and `job-error`
    /// (B-98), and of what has no flag.
    #[must_use]
    pub fn tells_own(&self, event: EventKind) -> bool {
        let default = !matches!(event, EventKind::JobModification | EventKind::FileTransferred);
        self.tells(event) && (self.notify.is_some() || default)
    }

    pub(super) const fn default_interval() -> Duration {
        Self::NOTIFY_INTERVAL
    }

    pub(super) fn is_default_interval(interval: &Duration) -> bool {
        *interval == Self::NOTIFY_INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use super::super::Interface;
    use super::*;

    fn flags(words: &[&str]) -> Result<BTreeSet<NotifyFlag>, FlagsRefused> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        NotifyFlag::parse(&words, JobKind::Download, Profile::Sexton)
    }

    #[test]
    fn b98_flags_have_the_numbers_of_bits_and_unknown_ones_are_not_implemented() {
        let numbers: Vec<_> = NotifyFlag::ALL.iter().map(|flag| flag.number()).collect();
        assert_eq!(numbers, [1, 2, 4, 8, 0x10]);
        assert_eq!(FlagsRefused::CODE, Code(0x8000_4001));
        assert!(
            flags(&["on-ended"]).is_err(),
            "the end of a job cannot be switched off"
        );
        assert!(flags(&["job-error", "whatever"]).is_err());
        assert_eq!(flags(&["job-error", "job-error"]).unwrap().len(), 1);
        let batch = NotifyFlag::parse(&[], JobKind::Batch, Profile::Sexton);
        assert!(batch.is_err(), "only transfers have them");
    }

    #[test]
    fn b109_file_ranges_are_refused_by_name() {
        let refused = flags(&["file-ranges-transferred"]).unwrap_err().to_string();
        assert!(refused.contains("on-demand"), "{refused}");
    }

    #[test]
    fn d07_delivery_optimization_has_neither_disable_nor_file_ranges() {
        for word in ["disable", "file-ranges-transferred"] {
            let words = [word.to_owned()];
            assert!(NotifyFlag::parse(&words, JobKind::Download, Profile::DeliveryOptimization).is_err());
        }
        let rest = [
            "job-transferred",
            "job-error",
            "job-modification",
            "file-transferred",
        ];
        let rest = rest.map(str::to_owned);
        assert!(NotifyFlag::parse(&rest, JobKind::Download, Profile::DeliveryOptimization).is_ok());
    }

    #[test]
    fn b98_by_default_the_own_handler_hears_of_transferred_and_error() {
        let mut spec = JobSpec::new("x", Profile::Sexton);
        let own = |spec: &JobSpec| -> Vec<&str> {
            let told = EventKind::ALL.iter().filter(|event| spec.tells_own(**event));
            let told = told.filter(|event| !event.occurs_in(Family::Query));
            let told = told.filter(|event| event.interface() != Interface::FinalRetry);
            told.map(|event| event.as_str()).collect()
        };
        assert_eq!(own(&spec), ["job-transferred", "job-error", "on-error"]);
        spec.notify = Some(flags(&["file-transferred", "job-modification"]).unwrap());
        assert_eq!(own(&spec), ["job-modification", "file-transferred", "on-error"]);
        spec.notify = Some(flags(&["job-error", "disable"]).unwrap());
        assert_eq!(own(&spec), ["on-error"], "with `disable` the others do not count");
        assert!(!spec.tells(EventKind::JobError));
    }
}
