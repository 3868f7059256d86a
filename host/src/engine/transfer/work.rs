//! One file while it is worked on: what is here of it, what is to be asked next, and what an answer
//! teaches about it.

use std::path::PathBuf;
use std::sync::Arc;

use super::answer::{Asked, Lenient, Version};
use super::classify::Class;
use super::fault::Fault;
use super::sink::Sink;
use crate::job::{Code, DownloadSession, ErrorContext, FileStatus, PlacingSpec};

/// One file while it is worked on.
pub(super) struct Work {
    pub(super) status: FileStatus,
    pub(super) session: DownloadSession,
    pub(super) path: PathBuf,
    pub(super) temp: Option<Arc<Sink>>,
    /// The store counts bytes that may no longer count: say so before they are cut off.
    pub(super) recorded: bool,
    /// How often it was begun anew at this place in this run.
    pub(super) restarts: u32,
    /// Nothing comes after it: that it is whole is recorded together with the end of the run.
    pub(super) last: bool,
}

/// What the next request asks for.
pub(super) enum Next {
    /// Nothing: all bytes are here.
    Nothing,
    /// This.
    Ask(Asked),
    /// The whole anew, as nothing proves that the rest belongs to what is here.
    Anew,
}

impl Work {
    /// The size of the whole remote file, as far as it is known.
    fn size(&self) -> Option<u64> {
        if self.status.plan.ranges.is_empty() {
            self.status.bytes_total
        } else {
            self.session.size.or(self.status.plan.size)
        }
    }

    /// What is to be asked of `place`.
    pub(super) fn next(&self, place: u32, placing: &PlacingSpec) -> Next {
        let here = self.status.bytes_transferred;
        if here > 0 && self.status.bytes_total == Some(here) {
            return Next::Nothing;
        }
        let Some(piece) = self.status.plan.piece_at(here, self.size()) else {
            return Next::Nothing;
        };
        let from = piece.offset + (here - piece.at);
        let until = piece.end.filter(|_| !self.status.plan.ranges.is_empty());
        if here == 0 {
            return Next::Ask(Asked {
                from,
                until,
                fresh: true,
                ..Asked::default()
            });
        }
        match self.proof(place, placing) {
            Some(asked) => Next::Ask(Asked { from, until, ..asked }),
            None => Next::Anew,
        }
    }

    /// What would prove that bytes of `place` belong to those that are here; no range yet.
    pub(super) fn proof(&self, place: u32, placing: &PlacingSpec) -> Option<Asked> {
        let own = self.session.place == place;
        let summed = self.status.plan.checksum.is_some();
        let total = self.size();
        let asked = Asked {
            total,
            ..Asked::default()
        };
        let modified = self.status.last_modified.clone();
        if total.is_some() && summed && (placing.is_lenient() || !own) {
            let lenient = Some(Lenient { modified: None });
            return Some(Asked { lenient, ..asked });
        }
        if total.is_some() && placing.is_lenient() && modified.is_some() {
            let lenient = Some(Lenient { modified });
            return Some(Asked { lenient, ..asked });
        }
        // A date of one server says little of another's file.
        let validator = self.status.validator.clone();
        let validator = validator.filter(|validator| own || validator.starts_with('"'))?;
        Some(Asked {
            validator: Some(validator),
            ..asked
        })
    }

    /// Takes in what an answer says of the size.
    ///
    /// # Errors
    /// When it is not the size that the submitter knows (D-12), or a range lies past it (B-87).
    pub(super) fn learn(&mut self, size: Option<u64>) -> Result<(), Fault> {
        let plan = &self.status.plan;
        if let (Some(told), Some(known)) = (size, plan.size)
            && told != known
        {
            return Err(wrong_size(told, known));
        }
        if let Some(size) = size
            && !plan.fits(size)
        {
            return Err(beyond(&format!(
                "a range lies past the end of the remote file of {size} bytes"
            )));
        }
        let size = size.or(plan.size);
        if !plan.ranges.is_empty() {
            self.session.size = size;
        }
        self.status.bytes_total = plan.total(size);
        Ok(())
    }

    /// The file from its first byte, in this version.
    pub(super) fn reset(&mut self, place: u32, version: Version) {
        self.status.temporary = Some(self.path.to_string_lossy().into_owned());
        self.status.bytes_transferred = 0;
        self.status.validator = version.validator;
        self.status.last_modified = version.last_modified;
        self.session.place = place;
        self.session.segments.clear();
    }

    /// What the status keeps of the session.
    pub(super) fn remember(&mut self) {
        self.status.session = self.session.write();
    }
}

/// A remote file that has not the size that the submitter knows (D-12).
pub(super) fn wrong_size(told: u64, known: u64) -> Fault {
    Fault {
        code: Code::VALIDATION_FAILED,
        class: Class::Fatal,
        context: ErrorContext::RemoteFile,
        what: format!("the remote file has {told} bytes, not the {known} that the job names"),
        retry_after: None,
    }
}

/// A range that is not there (B-87).
pub(super) fn beyond(what: &str) -> Fault {
    Fault {
        code: Code::INVALID_RANGE,
        class: Class::Fatal,
        context: ErrorContext::RemoteFile,
        what: what.to_owned(),
        retry_after: None,
    }
}
