//! Verbs about jobs: accepting, commanding, reporting, checkpointing.

use rusqlite::{OptionalExtension, params};

use crate::job::{Code, Command, Family, FileStatus, Job, JobId, JobKind, JobState, Progress, ReplyProgress};

use super::journal::Note;
use super::lanes::slot_group;
use super::rows::{Active, StoredJob, int, load_files, load_job, load_job_at, pool, rank, to_json};
use super::writer::{Done, Work};
use super::{FileCheckpoint, NewJob, RunId, StoreError, Submitted, Told};

impl Work<'_> {
    pub(super) fn submit(&mut self, new: &NewJob) -> Done<Submitted> {
        if let Some(key) = &new.key {
            let used = self
                .db
                .prepare_cached("SELECT job FROM job_keys WHERE owner = ?1 AND key = ?2")?
                .query_row(params![new.owner.as_str(), key], |row| row.get::<_, i64>(0))
                .optional()?;
            if let Some(seq) = used {
                return Ok(Submitted {
                    job: load_job_at(self.db, seq)?.job,
                    created: false,
                });
            }
        }
        self.check_limits(new)?;
        self.check_lane(new)?;
        self.check_destinations(&new.spec, &new.files)?;
        let mut job = self.fresh_job(new);
        self.look_after(&mut job.spec.after)?;
        let mut stored = StoredJob {
            seq: 0,
            entered: 1,
            claim: None,
            active: Active::default(),
            job,
        };
        self.insert_job(&mut stored, new)?;
        self.wait_for(&stored)?;
        self.take_destinations(stored.job.id, &new.spec, &new.files)?;
        self.ledger.count_open(self.db, &stored.job.owner, 1)?;
        self.ledger.job(None, Some(stored.job.state));
        self.count_in_lane(None, &stored.job)?;
        self.changed(&stored);
        self.notes.push(Note::created(&stored.job));
        Ok(Submitted {
            job: stored.job,
            created: true,
        })
    }

    /// B-16. All checks come before the first write.
    fn check_limits(&mut self, new: &NewJob) -> Done<()> {
        let profile = new.spec.profile;
        if new.files.len() > usize::try_from(profile.files_per_job()).unwrap_or(usize::MAX) {
            return Err(StoreError::Limit {
                code: Code::TOO_MANY_FILES_IN_JOB,
                message: format!(
                    "{} files; a job has at most {}",
                    new.files.len(),
                    profile.files_per_job()
                ),
            });
        }
        let open = self.ledger.open_jobs(self.db, &new.owner)?;
        if open >= i64::from(profile.jobs_per_owner()) {
            return Err(StoreError::Limit {
                code: Code::TOO_MANY_JOBS_PER_USER,
                message: format!(
                    "{} has {open} open jobs, the limit; complete or cancel some, or try later",
                    new.owner
                ),
            });
        }
        Ok(())
    }

    fn fresh_job(&self, new: &NewJob) -> Job {
        let transfer = matches!(
            new.kind,
            JobKind::Download | JobKind::Upload | JobKind::UploadReply
        );
        let files_total = u32::try_from(new.files.len()).unwrap_or(u32::MAX);
        let state = if new.suspended || (transfer && new.files.is_empty()) {
            JobState::Suspended
        } else {
            JobState::Queued
        };
        Job {
            id: JobId::fresh(),
            owner: new.owner.clone(),
            kind: new.kind,
            state,
            intent: None,
            outcome: None,
            priority: new.priority,
            revision: 1,
            attempt: 0,
            error_count: 0,
            retries: 0,
            call: crate::job::CallState::default(),
            no_progress_since: None,
            due: None,
            created: self.now,
            modified: self.now,
            transferred: None,
            progress: Progress {
                bytes_total: new.files.iter().try_fold(0_u64, |sum, file| {
                    Some(sum.saturating_add(file.plan.known_total()?))
                }),
                bytes_transferred: 0,
                files_total,
                files_transferred: 0,
            },
            reply: None,
            error: None,
            spec: new.spec.clone(),
        }
    }

    fn insert_job(&self, stored: &mut StoredJob, new: &NewJob) -> Done<()> {
        let job = &stored.job;
        let totals = new.files.iter().map(|file| file.plan.known_total());
        let (known, unknown) = totals.fold((0_u64, 0_u64), |(known, unknown), total| match total {
            Some(total) => (known.saturating_add(total), unknown),
            None => (known, unknown + 1),
        });
        // Only transfers take turns; others come in the order of their submission, whatever the clock says.
        let turn = match job.kind.family() {
            Family::Transfer => self.now.as_millis(),
            Family::Batch | Family::Query => 0,
        };
        self.db
            .prepare_cached(
                "INSERT INTO jobs (id, owner, kind, state, priority, revision, entered, attempt, error_count, \
                 retries, created, modified, looked_after, host, bytes_known, bytes_transferred, sizes_unknown, \
                 files_total, files_transferred, turn, pool, waits) \
                 VALUES (?1, ?2, ?3, ?4, ?5, 1, 1, 0, 0, 0, ?6, ?6, ?7, ?8, ?10, 0, ?11, ?9, 0, ?13, ?12, ?14)",
            )?
            .execute(params![
                job.id.as_bytes(),
                job.owner.as_str(),
                job.kind.as_str(),
                job.state.as_str(),
                rank(job.priority),
                self.now.as_millis(),
                self.now.after(new.spec.profile.inactivity()).as_millis(),
                slot_group(job.kind, &new.spec, new.files.first().map(|file| file.remote.as_str())),
                job.progress.files_total,
                int(known),
                int(unknown),
                pool(job.kind.family()),
                turn,
                job.spec.after.iter().filter(|one| !one.met).count(),
            ])?;
        stored.seq = self.db.last_insert_rowid();
        self.db
            .prepare_cached("INSERT INTO job_data (job, spec) VALUES (?1, ?2)")?
            .execute(params![stored.seq, to_json(&job.spec)?])?;
        if let Some(key) = &new.key {
            self.db
                .prepare_cached("INSERT INTO job_keys (owner, key, job) VALUES (?1, ?2, ?3)")?
                .execute(params![new.owner.as_str(), key, stored.seq])?;
        }
        self.insert_files(stored.seq, 0, &new.files)
    }

    pub(super) fn command(&mut self, id: JobId, command: &Command) -> Done<Job> {
        let mut stored = load_job(self.db, id)?;
        self.apply(&mut stored, command)?;
        Ok(stored.job)
    }

    /// The job of a run, if the run still is the job's (J-28).
    pub(super) fn fenced(&self, run: RunId) -> Done<StoredJob> {
        let stored = load_job(self.db, run.job)?;
        let claimed_by = stored.claim.map(|claim| claim.incarnation);
        let held = stored.job.state.is_running()
            && stored.job.attempt == run.attempt
            && claimed_by == Some(int(self.incarnation));
        if held { Ok(stored) } else { Err(StoreError::Fenced) }
    }

    /// What a run tells at once. A runner's commands are all legal while the job is its own.
    pub(super) fn hear(&mut self, run: RunId, told: &Told) -> Done<Job> {
        let mut stored = self.fenced(run)?;
        if told.connected {
            self.apply(&mut stored, &Command::Connected)?;
        }
        for file in &told.files {
            self.record(&mut stored, file)?;
        }
        if let Some(end) = &told.end {
            if !told.files.is_empty() {
                // With the sums as they now are.
                stored = self.fenced(run)?;
            }
            self.apply(&mut stored, end)?;
            // Where no handler is told of a failed call, the next to be asked is asked at once.
            self.ask_finally(&mut stored)?;
        }
        for one in &told.writes {
            self.write_state(&one.plugin, &one.writes)?;
        }
        Ok(stored.job)
    }

    fn record(&mut self, stored: &mut StoredJob, checkpoint: &FileCheckpoint) -> Done<()> {
        let file = &checkpoint.file;
        let before = load_files(self.db, stored.seq, file.index, 1)?.pop();
        let Some(before) = before.filter(|before| before.index == file.index) else {
            return Err(StoreError::NotFound {
                what: "file",
                id: format!("{}:{}", stored.job.id, file.index),
            });
        };
        self.write_file(stored.seq, file)?;
        self.write_progress(stored, &before, file)?;
        if self.write_reply(stored, checkpoint.reply)? || file.bytes_transferred > before.bytes_transferred {
            // Progress stops the no-progress clock (B-59); the runner's retries start over.
            stored.job.retries = 0;
            stored.job.no_progress_since = None;
        }
        if let Some(reply) = &checkpoint.arrived {
            self.raise_file(stored, reply)?;
        }
        if file.transferred && !before.transferred {
            self.raise_file(stored, file)?;
        }
        self.raise_modification(stored)?;
        self.changed(stored);
        Ok(())
    }

    pub(super) fn write_file(&self, job: i64, file: &FileStatus) -> Done<()> {
        self.db
            .prepare_cached(
                "UPDATE files SET temporary = ?3, bytes_total = ?4, bytes_transferred = ?5, validator = ?6, \
                 last_modified = ?7, transferred = ?8, session = ?9, remote = ?10 WHERE job = ?1 AND idx = ?2",
            )?
            .execute(params![
                job,
                file.index,
                file.temporary,
                file.bytes_total,
                file.bytes_transferred,
                file.validator,
                file.last_modified,
                file.transferred,
                file.session,
                file.remote,
            ])?;
        Ok(())
    }

    /// Sums over files are kept by difference, so that a job of many files costs no more per
    /// checkpoint than a job of one.
    pub(super) fn write_progress(
        &self,
        stored: &StoredJob,
        before: &FileStatus,
        after: &FileStatus,
    ) -> Done<()> {
        let signed = |value: u64| int(value);
        let bytes = signed(after.bytes_transferred) - signed(before.bytes_transferred);
        let known = signed(after.bytes_total.unwrap_or(0)) - signed(before.bytes_total.unwrap_or(0));
        let unknown = i64::from(after.bytes_total.is_none()) - i64::from(before.bytes_total.is_none());
        let files = i64::from(after.transferred) - i64::from(before.transferred);
        self.db
            .prepare_cached(
                "UPDATE jobs SET bytes_transferred = bytes_transferred + ?2, bytes_known = bytes_known + ?3, \
                 sizes_unknown = sizes_unknown + ?4, files_transferred = files_transferred + ?5, \
                 retries = CASE WHEN ?2 > 0 THEN 0 ELSE retries END, \
                 no_progress_since = CASE WHEN ?2 > 0 THEN NULL ELSE no_progress_since END, \
                 modified = ?6 WHERE seq = ?1",
            )?
            .execute(params![
                stored.seq,
                bytes,
                known,
                unknown,
                files,
                self.now.as_millis()
            ])?;
        Ok(())
    }

    /// Writes how much of the reply is here; true when more is than was. That stops the no-progress
    /// clock as bytes that are sent do.
    fn write_reply(&self, stored: &mut StoredJob, reply: Option<ReplyProgress>) -> Done<bool> {
        let before = std::mem::replace(&mut stored.job.reply, reply);
        if reply == before {
            return Ok(false);
        }
        let bytes = |reply: Option<ReplyProgress>| reply.map_or(0, |reply| reply.bytes_transferred);
        let more = bytes(reply) > bytes(before);
        self.db
            .prepare_cached(
                "UPDATE jobs SET reply_total = ?2, reply_transferred = ?3, \
                 retries = CASE WHEN ?4 THEN 0 ELSE retries END, \
                 no_progress_since = CASE WHEN ?4 THEN NULL ELSE no_progress_since END WHERE seq = ?1",
            )?
            .execute(params![
                stored.seq,
                reply.and_then(|reply| reply.bytes_total),
                reply.map(|reply| reply.bytes_transferred),
                more,
            ])?;
        Ok(more)
    }

    pub(super) fn files_completed(&mut self, id: JobId, indices: &[u32]) -> Done<()> {
        let stored = load_job(self.db, id)?;
        self.write_completed(&stored, indices)?;
        self.changed(&stored);
        Ok(())
    }

    pub(super) fn end_intent(&mut self, id: JobId, placed: &[u32], end: &Command) -> Done<Job> {
        let mut stored = load_job(self.db, id)?;
        // A refusal must come before the first write.
        crate::job::apply(&stored.job, end)?;
        self.write_completed(&stored, placed)?;
        self.apply(&mut stored, end)?;
        Ok(stored.job)
    }

    fn write_completed(&self, stored: &StoredJob, indices: &[u32]) -> Done<()> {
        let mut completed = self
            .db
            .prepare_cached("UPDATE files SET completed = 1 WHERE job = ?1 AND idx = ?2")?;
        for index in indices {
            completed.execute(params![stored.seq, index])?;
        }
        Ok(())
    }
}

/// The part of a remote name that slots are counted by: `host:port`, lower case.
#[must_use]
pub fn remote_host(remote: &str) -> String {
    url::Url::parse(remote)
        .ok()
        .and_then(|url| {
            let port = url.port_or_known_default().unwrap_or(0);
            url.host_str().map(|host| format!("{host}:{port}"))
        })
        .unwrap_or_default()
}
