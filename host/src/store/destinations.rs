//! Destinations that jobs have to themselves (B-19).
//!
//! A row per destination, not per job: who comes next takes it over once its job has ended. Only jobs
//! that ask for it are kept here, so that all others cost nothing.

use rusqlite::{OptionalExtension, params};

use crate::job::{Code, FileSpec, JobId, JobSpec};

use super::StoreError;
use super::writer::{Done, Work};

/// `ERROR_SHARING_VIOLATION`, as a file in use is called where BITS is at home.
const IN_USE: Code = Code(0x8007_0020);

impl Work<'_> {
    /// Whether the destinations of these files are free, if their job wants them for itself.
    pub(super) fn check_destinations(&self, spec: &JobSpec, files: &[FileSpec]) -> Done<()> {
        if !spec.transfer().placing.exclusive {
            return Ok(());
        }
        for file in files {
            let holder: Option<[u8; 16]> = self
                .db
                .prepare_cached(
                    "SELECT jobs.id FROM destinations JOIN jobs ON jobs.id = destinations.job \
                     WHERE destinations.local = ?1 AND jobs.state NOT IN ('acknowledged', 'cancelled')",
                )?
                .query_row([&file.local], |row| row.get(0))
                .optional()?;
            if let Some(holder) = holder.map(JobId::from_bytes) {
                return Err(StoreError::Limit {
                    code: IN_USE,
                    message: format!(
                        "{} is the destination of job {holder}, which is open; wait for it or cancel it",
                        file.local
                    ),
                });
            }
        }
        Ok(())
    }

    /// Takes the destinations of files that were just accepted.
    pub(super) fn take_destinations(&self, job: JobId, spec: &JobSpec, files: &[FileSpec]) -> Done<()> {
        if !spec.transfer().placing.exclusive {
            return Ok(());
        }
        let mut take = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO destinations (local, job) VALUES (?1, ?2)")?;
        for file in files {
            take.execute(params![file.local, job.as_bytes()])?;
        }
        Ok(())
    }
}
