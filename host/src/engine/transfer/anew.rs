//! How often files were begun anew, so that it has an end.
//!
//! A file starts over when nothing proves that the rest belongs to what is here (B-94). A server whose
//! nodes name one file differently, or that serves no ranges and cuts every body, would have it fetched
//! from its first byte for ever: each run makes progress, so no time-out ends it (BP-09).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::classify::Class;
use super::fault::Fault;
use crate::job::{Code, ErrorContext, JobId};

/// Start-overs of one file before it is an error that a handler decides about. A file that is
/// published anew while it is fetched, or a bad line, does not come to this many.
pub(super) const START_OVERS_MAX: u32 = 10;

/// Start-overs of the files of jobs that are not done.
///
/// Deliberately not durable: it bounds a loop, and one that a restart of the host begins anew is
/// still bounded by the restarts. `resume` after the error counts from zero.
#[derive(Debug, Default)]
pub(super) struct StartOvers(Mutex<HashMap<JobId, HashMap<u32, u32>>>);

/// Why a file starts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The server shows another version, or nothing that names one.
    Changed(&'static str),
    /// The server has this version but does not serve a part of it.
    NoRange(&'static str),
    /// The server has forgotten an upload.
    SessionLost(&'static str),
}

impl Why {
    /// What happened, in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Changed(words) | Self::NoRange(words) | Self::SessionLost(words) => words,
        }
    }

    fn code(self) -> Code {
        match self {
            Self::Changed(_) => Code::REMOTE_FILE_CHANGED,
            Self::NoRange(_) => Code::INSUFFICIENT_RANGE_SUPPORT,
            Self::SessionLost(_) => Code::SESSION_NOT_FOUND,
        }
    }

    /// The fault of a file that starts over too often, now (transient) or at all (fatal).
    pub(super) fn fault(self, class: Class, times: &str) -> Fault {
        Fault {
            code: self.code(),
            class,
            context: ErrorContext::RemoteFile,
            what: format!("{}, {times}", self.words()),
            retry_after: None,
        }
    }
}

impl StartOvers {
    /// Counts one.
    ///
    /// # Errors
    /// The fault that ends the job when it was one too many.
    pub(super) fn count(&self, job: JobId, file: u32, why: Why) -> Result<(), Fault> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = jobs.entry(job).or_default().entry(file).or_default();
        *count += 1;
        if *count > START_OVERS_MAX {
            let times = format!("and the file was begun anew {START_OVERS_MAX} times already");
            return Err(why.fault(Class::Fatal, &times));
        }
        Ok(())
    }

    /// The job is done, or a handler decides about it.
    pub(super) fn forget(&self, job: JobId) {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.remove(&job);
    }
}
