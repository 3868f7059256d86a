//! Jobs that wait for others: what each must have come to.
//!
//! A job is named by its id, so it was there before: nothing can wait in a circle.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::model::words;
use super::{JobId, Outcome};

/// Each is looked up when the job is submitted, and written anew when one of them ends.
pub(super) const AFTER_MAX: usize = 32;

words! {
    /// What the end of another job must be.
    WantedEnd {
        /// It succeeded, all of it.
        Succeeded = "succeeded",
        /// It failed, succeeded in part, or was cancelled.
        Failed = "failed",
        /// It ended.
        Any = "any",
    }
}

/// Another job that must end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// Which.
    pub job: JobId,
    /// How.
    #[serde(default = "WantedEnd::of_silence")]
    pub wants: WantedEnd,
    /// It has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub met: bool,
}

impl WantedEnd {
    const fn of_silence() -> Self {
        Self::Succeeded
    }

    /// Whether this end is the one.
    #[must_use]
    pub fn is_met_by(self, outcome: Outcome) -> bool {
        let succeeded = outcome == Outcome::Succeeded;
        match self {
            Self::Succeeded => succeeded,
            Self::Failed => !succeeded,
            Self::Any => true,
        }
    }
}

/// Not the words for a job that must end first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write it as ID, or as ID:succeeded, ID:failed or ID:any")]
pub struct NoAfter;

impl FromStr for After {
    type Err = NoAfter;

    fn from_str(text: &str) -> Result<Self, NoAfter> {
        let (id, wants) = match text.split_once(':') {
            Some((id, word)) => (id, word.parse().map_err(|_| NoAfter)?),
            None => (text, WantedEnd::Succeeded),
        };
        Ok(Self {
            job: id.parse().map_err(|_| NoAfter)?,
            wants,
            met: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_to_wait_for_is_read_as_it_is_written() {
        let id = JobId::fresh();
        for (text, wants) in [
            (id.to_string(), WantedEnd::Succeeded),
            (format!("{id}:succeeded"), WantedEnd::Succeeded),
            (format!("{id}:failed"), WantedEnd::Failed),
            (format!("{id}:any"), WantedEnd::Any),
        ] {
            let after: After = text.parse().unwrap();
            assert_eq!((after.job, after.wants, after.met), (id, wants, false));
        }
        for bad in ["", "x", "x:any", &format!("{id}:"), &format!("{id}:well")] {
            assert_eq!(bad.parse::<After>(), Err(NoAfter), "{bad}");
        }
    }

    #[test]
    fn every_end_meets_what_is_wanted_of_it_and_nothing_else() {
        for outcome in Outcome::ALL.iter().copied() {
            let succeeded = outcome == Outcome::Succeeded;
            assert_eq!(WantedEnd::Succeeded.is_met_by(outcome), succeeded);
            assert_eq!(WantedEnd::Failed.is_met_by(outcome), !succeeded);
            assert!(WantedEnd::Any.is_met_by(outcome));
        }
    }
}
