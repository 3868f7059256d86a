//! How many bytes a job may have: its own cap (B-76), held against what has come.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::job::FileStatus;

/// The cap of one job and how far each of its files is.
#[derive(Debug)]
pub struct Quota {
    most: u64,
    files: Mutex<BTreeMap<u32, u64>>,
}

impl Quota {
    /// At most `most` bytes in all; `files` are as they stand.
    #[must_use]
    pub fn new(most: u64, files: &[FileStatus]) -> Self {
        let here = files.iter().map(|file| (file.index, file.bytes_transferred));
        Self {
            most,
            files: Mutex::new(here.collect()),
        }
    }

    /// The cap, where the file `index` having so many bytes takes the job over it.
    #[must_use]
    pub fn exceeded(&self, index: u32, bytes: u64) -> Option<u64> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(index, bytes);
        let all = files.values().fold(0_u64, |sum, one| sum.saturating_add(*one));
        (all > self.most).then_some(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::FileSpec;

    #[test]
    fn b76_the_cap_counts_all_files_of_the_job() {
        let file = |index, bytes| FileStatus {
            bytes_transferred: bytes,
            ..FileStatus::new(index, FileSpec::new("http://h/x", "/x"))
        };
        let quota = Quota::new(100, &[file(0, 60), file(1, 0)]);
        assert_eq!(quota.exceeded(1, 40), None);
        assert_eq!(quota.exceeded(1, 41), Some(100));
        assert_eq!(quota.exceeded(0, 0), None, "a file that starts over gives back");
        assert_eq!(quota.exceeded(1, 100), None);
    }
}
