//! The places of one file: its own, then its mirrors in order, until one of them gives it.

use super::address;
use super::classify::Class;
use super::fault::Fault;
use crate::job::{Code, DownloadSession, ErrorContext, FileStatus};

/// Characters of one place's fault that the error of all of them repeats.
const WORDS_MAX: usize = 200;

/// A place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// 0 is the file's own.
    pub(super) number: u32,
    /// The remote name.
    pub(super) remote: String,
}

/// The places in the order in which a run tries them: the one whose bytes are here first, as no other
/// can go on with them as surely.
pub(super) fn places(status: &FileStatus, session: &DownloadSession) -> Vec<Place> {
    let all = std::iter::once(&status.remote).chain(&status.plan.mirrors);
    let mut places: Vec<Place> = (0..)
        .zip(all)
        .map(|(number, remote)| Place {
            number,
            remote: remote.clone(),
        })
        .collect();
    let begun = usize::try_from(session.place).unwrap_or_default();
    if status.bytes_transferred > 0 && begun < places.len() {
        let first = places.remove(begun);
        places.insert(0, first);
    }
    places
}

/// What went wrong at each place of a file.
#[derive(Debug, Default)]
pub(super) struct Tried(Vec<(String, Fault)>);

impl Tried {
    /// Whether another place could do better: the fault is not ours, nor that of the job's own cap.
    pub(super) fn is_theirs(fault: &Fault) -> bool {
        fault.context != ErrorContext::LocalFile && fault.code != Code::MAX_DOWNLOAD_SIZE_LIMIT_REACHED
    }

    /// Takes note of one.
    pub(super) fn note(&mut self, place: &Place, fault: Fault) {
        self.0.push((address::display_url(&place.remote), fault));
    }

    /// The fault of the file: of one place its own; of several it names them all, and passes if it may
    /// pass at one of them.
    pub(super) fn fault(self) -> Option<Fault> {
        let mut faults = self.0.iter().map(|(_, fault)| fault);
        let transient = faults.clone().find(|fault| fault.class == Class::Transient);
        let chosen = transient.or_else(|| faults.next())?.clone();
        if self.0.len() < 2 {
            return Some(chosen);
        }
        let each = self.0.iter().map(|(place, fault)| {
            let what: String = fault.what.chars().take(WORDS_MAX).collect();
            format!("{place}: {what}")
        });
        let what = format!("no place of it would do: {}", each.collect::<Vec<_>>().join("; "));
        Some(Fault { what, ..chosen })
    }
}
