//! Jobs that wait for others. A job counts the ends that it still waits for and is not runnable before
//! there are none; each end is told to those that wait for it, so nobody looks.

use rusqlite::{OptionalExtension, params};

use crate::job::{
    After, Code, Command, ErrorContext, ErrorInfo, JobId, JobState, Outcome, Refusal, WantedEnd,
};

use super::StoreError;
use super::rows::{StoredJob, load_job_at, optional_word, word};
use super::writer::{Done, Work};

impl Work<'_> {
    /// What the jobs that a new one waits for have come to.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`StoreError::Refused`] when one ended in another way.
    pub(super) fn look_after(&self, after: &mut [After]) -> Done<()> {
        for one in after {
            let found: Option<(JobState, Option<Outcome>)> = self
                .db
                .prepare_cached("SELECT state, outcome FROM jobs WHERE id = ?1")?
                .query_row([one.job.as_bytes()], |row| {
                    Ok((word(row, 0)?, optional_word(row, 1)?))
                })
                .optional()?;
            let (state, outcome) = found.ok_or_else(|| StoreError::NotFound {
                what: "job",
                id: one.job.to_string(),
            })?;
            one.met = outcome.is_some_and(|outcome| one.wants.is_met_by(outcome));
            if let Some(outcome) = outcome.filter(|_| !one.met) {
                return Err(StoreError::Refused(Refusal {
                    code: Code::INVALID_STATE,
                    verb: "submit --after",
                    state,
                    why: unmet(one, outcome).into(),
                }));
            }
        }
        Ok(())
    }

    /// Writes down whom a new job waits for.
    pub(super) fn wait_for(&self, stored: &StoredJob) -> Done<()> {
        for one in stored.job.spec.after.iter().filter(|one| !one.met) {
            self.db
                .prepare_cached("INSERT OR IGNORE INTO dependencies (ends, job) VALUES (?1, ?2)")?
                .execute(params![one.job.as_bytes(), stored.seq])?;
        }
        Ok(())
    }

    /// A job has ended: those that wait for it go on, or never will.
    pub(super) fn tell_dependents(&mut self, ended: JobId, outcome: Outcome) -> Done<()> {
        for seq in self.dependents(ended)? {
            let mut stored = load_job_at(self.db, seq)?;
            if stored.job.state.is_final() || stored.job.intent.is_some() {
                continue;
            }
            let mut spec = stored.job.spec.clone();
            let of_it = spec.after.iter_mut().filter(|one| one.job == ended);
            let mut never = None;
            for one in of_it {
                one.met = one.wants.is_met_by(outcome);
                if !one.met {
                    never = Some(unmet(one, outcome));
                }
            }
            if let Some(why) = never {
                let error = error(why, &stored, self.now);
                self.apply(&mut stored, &Command::Unmet { error })?;
                continue;
            }
            let waits = spec.after.iter().filter(|one| !one.met).count();
            self.write_spec(seq, &spec)?;
            self.db
                .prepare_cached("UPDATE jobs SET waits = ?2 WHERE seq = ?1")?
                .execute(params![seq, waits])?;
            stored.job.spec = spec;
            self.changed(&stored);
        }
        Ok(())
    }

    fn dependents(&self, ended: JobId) -> Done<Vec<i64>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT job FROM dependencies WHERE ends = ?1 ORDER BY job")?;
        let rows = statement.query_map([ended.as_bytes()], |row| row.get(0))?;
        let found: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
        if !found.is_empty() {
            self.db
                .prepare_cached("DELETE FROM dependencies WHERE ends = ?1")?
                .execute([ended.as_bytes()])?;
        }
        Ok(found)
    }
}

fn unmet(after: &After, outcome: Outcome) -> String {
    let wanted = match after.wants {
        WantedEnd::Succeeded => "succeed",
        WantedEnd::Failed => "fail",
        WantedEnd::Any => "end",
    };
    format!(
        "it was to run once job {} would {wanted}, and that ended as {outcome}",
        after.job
    )
}

fn error(description: String, stored: &StoredJob, at: crate::job::Timestamp) -> ErrorInfo {
    ErrorInfo {
        code: Code::ABORT,
        context: ErrorContext::GeneralQueueManager,
        description,
        file: None,
        protocol: None,
        leg: None,
        attempt: stored.job.attempt,
        at,
        extended: None,
    }
}
