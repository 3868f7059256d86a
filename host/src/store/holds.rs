//! Bringing jobs in line with what holds transfers: a network that is gone, a policy that stops them.

use rusqlite::params;

use crate::job::{Command, ErrorContext, ErrorInfo, HoldReason, Priority};

use super::rows::{int, load_job_at, rank};
use super::writer::{Done, Work};

/// Jobs moved in one transaction; the rest follows in the next.
const AT_ONCE: usize = 500;

/// What holds transfers now, and which.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// Why.
    pub reason: HoldReason,
    /// Whose: transfers of these levels.
    pub levels: Vec<Priority>,
    /// What the error object of each says.
    pub description: String,
}

/// The conditions that jobs are to be brought in line with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HoldJobs {
    /// What holds; where two hold a job, the first is named.
    pub holds: Vec<Hold>,
    /// The network has come back: every job in `transient-error` goes on, unless it is held (B-29).
    pub network_returned: bool,
}

/// Names of this machine in the `host` column, and none at all: such jobs need no network (B-31). A
/// job counts by its first file, as for slots.
const ON_LOOPBACK: &str =
    "(host = '' OR host LIKE '127.%' OR host LIKE '[::1]:%' OR host LIKE 'localhost:%')";

/// The same of one remote host as [`super::remote_host`] names it.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    ["127.", "[::1]:", "localhost:"]
        .iter()
        .any(|name| host.starts_with(name))
        || host.is_empty()
}

impl Work<'_> {
    /// Returns whether there is more to do.
    pub(super) fn hold_jobs(&mut self, ask: &HoldJobs) -> Done<bool> {
        let mut left = AT_ONCE;
        if ask.network_returned {
            self.network_returned(ask, &mut left)?;
        }
        self.let_go(ask, &mut left)?;
        for hold in &ask.holds {
            self.hold(hold, &mut left)?;
        }
        Ok(left == 0)
    }

    fn seqs_of(&self, sql: &str, values: impl rusqlite::Params) -> Done<Vec<i64>> {
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map(values, |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// B-29. Who is held for another reason, which still stands, would only come back.
    fn network_returned(&mut self, ask: &HoldJobs, left: &mut usize) -> Done<()> {
        let standing = ask.holds.iter().map(|hold| format!("'{}'", hold.reason));
        let standing = standing.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT seq FROM jobs WHERE state = 'transient-error' AND intent IS NULL AND pool = 0 \
             AND coalesce(held, '') NOT IN ({standing}) ORDER BY seq LIMIT ?1"
        );
        let seqs = self.seqs_of(&sql, [int(*left as u64)])?;
        self.tell(seqs, left, |_| Command::NetworkReturned)
    }

    /// B-28: whose condition is over.
    fn let_go(&mut self, ask: &HoldJobs, left: &mut usize) -> Done<()> {
        for reason in HoldReason::ALL.iter().copied() {
            for level in Priority::ALL.iter().copied() {
                let stands = |hold: &Hold| hold.reason == reason && hold.levels.contains(&level);
                if ask.holds.iter().any(stands) {
                    continue;
                }
                let seqs = self.seqs_of(
                    "SELECT seq FROM jobs INDEXED BY jobs_held \
                     WHERE held = ?1 AND priority = ?2 AND intent IS NULL ORDER BY seq LIMIT ?3",
                    params![reason.as_str(), rank(level), int(*left as u64)],
                )?;
                self.tell(seqs, left, |_| Command::HoldOver)?;
            }
        }
        Ok(())
    }

    /// B-31, B-72, B-95: what waits for a slot.
    fn hold(&mut self, hold: &Hold, left: &mut usize) -> Done<()> {
        let reach = match hold.reason {
            HoldReason::Network | HoldReason::Cost => format!("AND NOT {ON_LOOPBACK}"),
            HoldReason::Bandwidth | HoldReason::Power | HoldReason::Operator => String::new(),
        };
        let sql = format!(
            "SELECT seq FROM jobs INDEXED BY jobs_runnable \
             WHERE state = 'queued' AND intent IS NULL AND due IS NULL AND waits = 0 AND pool = 0 AND priority = ?1 \
             {reach} ORDER BY turn, seq LIMIT ?2"
        );
        for level in &hold.levels {
            let seqs = self.seqs_of(&sql, params![rank(*level), int(*left as u64)])?;
            let at = self.now;
            self.tell(seqs, left, |attempt| Command::Held {
                error: hold.error(attempt, at),
            })?;
        }
        Ok(())
    }

    fn tell(&mut self, seqs: Vec<i64>, left: &mut usize, command: impl Fn(u32) -> Command) -> Done<()> {
        *left = left.saturating_sub(seqs.len());
        for seq in seqs {
            let mut stored = load_job_at(self.db, seq)?;
            let command = command(stored.job.attempt);
            self.apply(&mut stored, &command)?;
        }
        Ok(())
    }
}

impl Hold {
    /// Whether it keeps a transfer of this level and remote host from running.
    #[must_use]
    pub fn concerns(&self, level: Priority, host: &str) -> bool {
        let near = matches!(self.reason, HoldReason::Network | HoldReason::Cost) && is_loopback(host);
        self.levels.contains(&level) && !near
    }

    /// The error object of a job that it holds.
    #[must_use]
    pub fn error(&self, attempt: u32, at: crate::job::Timestamp) -> ErrorInfo {
        ErrorInfo {
            code: self.reason.code(),
            context: ErrorContext::GeneralQueueManager,
            description: self.description.clone(),
            file: None,
            protocol: None,
            leg: None,
            attempt,
            at,
            extended: None,
        }
    }
}
