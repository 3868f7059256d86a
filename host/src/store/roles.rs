//! One decider for each job and event, also while the operator changes who it is: deliveries that are not
//! over yet follow the routing of now.

use rusqlite::params;

use crate::job::{EventKind, PluginName, Role};

use super::rows::{load_job_at, word};
use super::writer::{Done, Work};

/// Jobs of one piece.
const JOBS: i64 = 500;

/// A delivery that is not over.
struct Open {
    seq: i64,
    of: i64,
    event: EventKind,
    plugin: PluginName,
    role: Role,
}

impl Work<'_> {
    /// Makes the decider that the routing names for a job the only one among its deliveries that are not
    /// over, for a piece of the jobs after row `after`. Where it names none, or one that was told as an
    /// observer and has nothing more to say, whoever was told to decide still does. Returns the last row seen, `None` at the end.
    ///
    /// A call under way keeps the role it was made with; its requests are refused at its settlement.
    pub(super) fn follow_routing(&mut self, after: i64) -> Done<Option<i64>> {
        let jobs = self.jobs_with_open_deliveries(after)?;
        for job in &jobs {
            self.follow_routing_of(*job)?;
        }
        Ok(jobs.last().copied())
    }

    fn jobs_with_open_deliveries(&self, after: i64) -> Done<Vec<i64>> {
        let mut statement = self.db.prepare_cached(
            "SELECT DISTINCT job FROM deliveries INDEXED BY deliveries_open WHERE state IN ('pending', 'running') AND job > ?1 \
             ORDER BY job LIMIT ?2",
        )?;
        let rows = statement.query_map(params![after, JOBS], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The same for one job.
    pub(super) fn follow_routing_of(&mut self, job: i64) -> Done<()> {
        let stored = load_job_at(self.db, job)?;
        for open in self.open_deliveries(job)? {
            let routes = self.router.routes(&stored.job, open.event);
            let Some(decider) = routes.iter().find(|route| route.role == Role::Decider) else {
                continue;
            };
            let role = if decider.plugin == open.plugin {
                Role::Decider
            } else {
                Role::Observer
            };
            if role != open.role && !self.is_over_for(open.of, &decider.plugin)? {
                self.db
                    .prepare_cached("UPDATE deliveries SET role = ?2 WHERE seq = ?1")?
                    .execute(params![open.seq, role.as_str()])?;
            }
        }
        Ok(())
    }

    /// Whether the one who would decide about an event now has been told of it while another decided.
    fn is_over_for(&self, event: i64, decider: &PluginName) -> Done<bool> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM deliveries WHERE event = ?1 AND plugin = ?2 AND role = 'observer' \
                 AND state NOT IN ('pending', 'running'))",
            )?
            .query_row(params![event, decider.as_str()], |row| row.get(0))?)
    }

    fn open_deliveries(&self, job: i64) -> Done<Vec<Open>> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq, kind, plugin, role, event FROM deliveries INDEXED BY deliveries_open WHERE job = ?1 AND state IN ('pending', 'running')",
        )?;
        let rows = statement.query_map([job], |row| {
            Ok(Open {
                seq: row.get(0)?,
                of: row.get(4)?,
                event: word(row, 1)?,
                plugin: word(row, 2)?,
                role: word(row, 3)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
