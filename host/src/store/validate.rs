//! A handler or a person says whether a file that is here is good (B-55, B-97).

use crate::job::{Code, Command, FileRef, FileStatus, Refusal};

use super::StoreError;
use super::rows::{StoredJob, load_files};
use super::writer::{Done, Work};

impl Work<'_> {
    /// B-55: only what is wholly here, and not yet at its destination, can be judged.
    pub(super) fn check_validation(&self, stored: &StoredJob, command: &Command, file: &FileRef) -> Done<()> {
        if stored.job.state.is_final() || self.file_at(stored, file.index)?.transferred {
            return Ok(());
        }
        Err(StoreError::Refused(Refusal {
            code: Code::PENDING,
            verb: command.verb(),
            state: stored.job.state,
            why: "the file is not wholly here yet".into(),
        }))
    }

    /// The bytes of a file that is not good are as if they had never come: the next run begins it anew.
    pub(super) fn drop_bytes(&mut self, stored: &StoredJob, index: u32) -> Done<()> {
        let before = self.file_at(stored, index)?;
        let after = FileStatus {
            bytes_transferred: 0,
            validator: None,
            last_modified: None,
            transferred: false,
            session: None,
            ..before.clone()
        };
        self.write_file(stored.seq, &after)?;
        self.write_progress(stored, &before, &after)
    }

    fn file_at(&self, stored: &StoredJob, index: u32) -> Done<FileStatus> {
        let found = load_files(self.db, stored.seq, index, 1)?.pop();
        let found = found.filter(|file| file.index == index);
        found.ok_or_else(|| StoreError::NotFound {
            what: "file",
            id: format!("{}:{index}", stored.job.id),
        })
    }
}
