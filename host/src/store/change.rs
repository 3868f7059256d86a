//! Writing what people change about an open job: properties, owner, list of files.

use rusqlite::params;

use crate::job::{FileSpec, FilesChange, JobSpec, OwnerName};

use super::StoreError;
use super::jobs::remote_host;
use super::rows::{StoredJob, int, load_files, to_json};
use super::writer::{Done, Work};

impl Work<'_> {
    /// Whether a change of the list of files would change anything: a prefix that no name has and a
    /// name of a file that is here already do not (B-52, B-130).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such file, [`StoreError::Limit`] when another job has
    /// the destination of a new one for itself (B-19).
    pub(super) fn changes_files(&self, stored: &StoredJob, change: &FilesChange) -> Done<bool> {
        match change {
            FilesChange::None => Ok(false),
            FilesChange::Add(files) => {
                self.check_destinations(&stored.job.spec, files)?;
                Ok(!files.is_empty())
            }
            FilesChange::Rename { file, remote } => {
                let known = load_files(self.db, stored.seq, *file, 1)?.pop();
                let known = known.filter(|known| known.index == *file);
                let known = known.ok_or_else(|| StoreError::NotFound {
                    what: "file",
                    id: format!("{}:{file}", stored.job.id),
                })?;
                Ok(!known.transferred && known.remote != *remote)
            }
            FilesChange::RenamePrefix { from, to } => {
                let any: bool = self
                    .db
                    .prepare_cached(
                        "SELECT EXISTS (SELECT 1 FROM files WHERE job = ?1 AND transferred = 0 \
                         AND substr(remote, 1, length(?2)) = ?2)",
                    )?
                    .query_row(params![stored.seq, from], |row| row.get(0))?;
                Ok(any && from != to)
            }
        }
    }

    pub(super) fn write_files_change(&self, stored: &StoredJob, change: &FilesChange) -> Done<()> {
        match change {
            FilesChange::None => return Ok(()),
            FilesChange::Add(files) => {
                let before = stored.job.progress.files_total;
                self.insert_files(stored.seq, before, files)?;
                self.take_destinations(stored.job.id, &stored.job.spec, files)?;
                let known = files.iter().filter_map(|file| file.plan.known_total());
                let unknown = files.len() - known.clone().count();
                self.db
                    .prepare_cached(
                        "UPDATE jobs SET files_total = files_total + ?2, sizes_unknown = sizes_unknown + ?3, \
                         bytes_known = bytes_known + ?4 WHERE seq = ?1",
                    )?
                    .execute(params![
                        stored.seq,
                        int(files.len() as u64),
                        int(unknown as u64),
                        int(known.fold(0, u64::saturating_add)),
                    ])?;
            }
            FilesChange::Rename { file, remote } => {
                self.db
                    .prepare_cached(
                        "UPDATE files SET remote = ?3 WHERE job = ?1 AND idx = ?2 AND transferred = 0",
                    )?
                    .execute(params![stored.seq, file, remote])?;
            }
            FilesChange::RenamePrefix { from, to } => {
                self.db
                    .prepare_cached(
                        "UPDATE files SET remote = ?3 || substr(remote, length(?2) + 1) \
                         WHERE job = ?1 AND transferred = 0 AND substr(remote, 1, length(?2)) = ?2",
                    )?
                    .execute(params![stored.seq, from, to])?;
            }
        }
        self.note_host(stored.seq)
    }

    /// Slots are counted by the host of the first file.
    fn note_host(&self, job: i64) -> Done<()> {
        let first = load_files(self.db, job, 0, 1)?.pop();
        let host = first.map(|file| remote_host(&file.remote)).unwrap_or_default();
        self.db
            .prepare_cached("UPDATE jobs SET host = ?2 WHERE seq = ?1 AND host <> ?2")?
            .execute(params![job, host])?;
        Ok(())
    }

    pub(super) fn insert_files(&self, job: i64, first: u32, files: &[FileSpec]) -> Done<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO files (job, idx, remote, local, plan, bytes_total, bytes_transferred, transferred, \
             completed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0)",
        )?;
        for (index, file) in files.iter().enumerate() {
            let plan = (!file.plan.is_plain()).then(|| to_json(&file.plan)).transpose()?;
            let index = int(u64::from(first) + index as u64);
            let total = file.plan.known_total();
            insert.execute(params![job, index, file.remote, file.local, plan, total])?;
        }
        Ok(())
    }

    pub(super) fn write_spec(&self, job: i64, spec: &JobSpec) -> Done<()> {
        self.db
            .prepare_cached("UPDATE job_data SET spec = ?2 WHERE job = ?1")?
            .execute(params![job, to_json(spec)?])?;
        Ok(())
    }

    /// The new owner's open jobs are one more. Deliveries that were written stay whose they were (B-15:
    /// a callback keeps being called as the user who registered it).
    pub(super) fn write_owner(&mut self, job: i64, from: &OwnerName, to: &OwnerName) -> Done<()> {
        self.db
            .prepare_cached("UPDATE jobs SET owner = ?2 WHERE seq = ?1")?
            .execute(params![job, to.as_str()])?;
        self.ledger.count_open(self.db, from, -1)?;
        self.ledger.count_open(self.db, to, 1)
    }
}
