//! Taking runnable jobs for the engine: of each pool the oldest of each level, round the remote hosts
//! whose slots are all in use, at a cost that does not depend on how many jobs wait for those. Each pool
//! has a part of the index for itself, so that none is looked through for another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use crate::job::{Command, Family, Priority};

use super::jobs::remote_host;
use super::lanes::LaneRules;
use super::rows::{JobClaim, int, load_files, load_job_at, pool, rank};
use super::writer::{Done, Work};
use super::{ClaimJobs, Hold, Run};

/// Files of a run that are read inside the transaction. Those of larger jobs are read beside it, so
/// that a job of many files holds up nobody.
pub(super) const FILES_IN_CLAIM: u32 = 64;

/// Jobs of one level that a claim looks at in order of age.
const LOOK_JOBS: usize = 256;

/// Remote hosts that a claim looks at after that. The next claim goes on where this one ended, so
/// that every host has its turn however many there are.
const LOOK_HOSTS: usize = 256;

/// How often a claim chooses anew after it held what it had chosen; what is left then has its next claim.
const HELD_ROUNDS: usize = 8;

/// A running background job that makes room for others (B-25, B-68).
#[derive(Clone, Debug)]
pub struct Yielding {
    /// Its level: it yields to every higher one.
    pub level: Priority,
    /// Its remote host.
    pub host: String,
    /// Its time slice is over: it yields to its own level too.
    pub slice_over: bool,
}

impl Yielding {
    /// Whether it makes room for a job of this level.
    #[must_use]
    pub fn yields_to(&self, level: Priority) -> bool {
        level < self.level || (self.slice_over && level == self.level)
    }
}

/// Where each level's look over the remote hosts goes on. Kept in memory: a new start begins anew.
#[derive(Default)]
pub(super) struct Turns(BTreeMap<(i64, i64), String>);

/// What a claim has taken of a pool so far.
struct Taken<'a> {
    /// Whose slots.
    pool: i64,
    /// Free slots.
    slots: usize,
    /// Running jobs that would make room.
    yielding: &'a [Yielding],
    /// Most jobs of one remote host.
    per_host: usize,
    /// What the lanes of batch work say.
    lanes: Option<LaneRules<'a>>,
    hosts: BTreeMap<String, usize>,
    seqs: Vec<i64>,
    /// Slots that are free for the level being looked at, those that others would make room in included.
    free: usize,
    level: Priority,
}

impl<'a> Taken<'a> {
    fn of_transfers(ask: &'a ClaimJobs) -> Self {
        Self {
            slots: ask.background,
            yielding: &ask.yielding,
            per_host: ask.per_host,
            hosts: ask.busy_hosts.clone(),
            ..Self::of(Family::Transfer, 0)
        }
    }

    fn of(family: Family, slots: usize) -> Self {
        Self {
            pool: pool(family),
            slots,
            yielding: &[],
            per_host: usize::MAX,
            lanes: None,
            hosts: BTreeMap::new(),
            seqs: Vec::new(),
            free: 0,
            level: Priority::High,
        }
    }

    fn begin(&mut self, level: Priority) {
        self.level = level;
        self.free = (self.slots + self.yielding().count()).saturating_sub(self.seqs.len());
    }

    fn yielding(&self) -> impl Iterator<Item = &Yielding> {
        let level = self.level;
        self.yielding.iter().filter(move |one| one.yields_to(level))
    }

    fn is_saturated(&self, host: &str) -> bool {
        let busy = self.hosts.get(host).copied().unwrap_or(0);
        let yields = self.yielding().filter(|one| one.host == host).count();
        busy >= self.most_of(host).saturating_add(yields)
    }

    /// Most jobs that a remote host, or a lane, may have.
    fn most_of(&self, host: &str) -> usize {
        self.lanes
            .as_ref()
            .map_or(self.per_host, |lanes| lanes.width(host))
    }

    /// Whether the job may run now.
    fn admits(&mut self, work: &Work<'_>, seq: i64, host: &str) -> Done<bool> {
        if self.is_saturated(host) {
            return Ok(false);
        }
        match &mut self.lanes {
            Some(lanes) => lanes.admits(work, host, seq),
            None => Ok(true),
        }
    }

    fn take(&mut self, seq: i64, host: String) {
        *self.hosts.entry(host).or_insert(0) += 1;
        self.seqs.push(seq);
        self.free = self.free.saturating_sub(1);
    }
}

impl Work<'_> {
    /// Claims jobs; of each, at most [`FILES_IN_CLAIM`] files are filled in.
    pub(super) fn claim_jobs(&mut self, ask: &ClaimJobs) -> Done<Vec<Run>> {
        let mut free = Vec::new();
        for _ in 0..HELD_ROUNDS {
            let chosen = self.choose(ask)?;
            let all = chosen.len();
            free = self.hold_chosen(chosen, &ask.holds)?;
            if free.len() == all {
                break;
            }
        }
        free.into_iter().map(|seq| self.start(seq, ask.lease)).collect()
    }

    /// Holds those of the chosen that a condition keeps from running: they were submitted since the last
    /// look at the conditions. Returns the others.
    fn hold_chosen(&mut self, chosen: Vec<i64>, holds: &[Hold]) -> Done<Vec<i64>> {
        if holds.is_empty() {
            return Ok(chosen);
        }
        let mut free = Vec::new();
        for seq in chosen {
            let mut stored = load_job_at(self.db, seq)?;
            let first = load_files(self.db, seq, 0, 1)?.pop();
            let host = first.map(|file| remote_host(&file.remote)).unwrap_or_default();
            let is_transfer = stored.job.kind.family() == Family::Transfer;
            let hold = holds
                .iter()
                .find(|hold| is_transfer && hold.concerns(stored.job.priority, &host));
            match hold {
                Some(hold) => {
                    let error = hold.error(stored.job.attempt, self.now);
                    self.apply(&mut stored, &Command::Held { error })?;
                }
                None => free.push(seq),
            }
        }
        Ok(free)
    }

    /// Rows of jobs that may run, the first levels first.
    fn choose(&mut self, ask: &ClaimJobs) -> Done<Vec<i64>> {
        let mut seqs = self.oldest_transfers(Priority::Foreground, ask.foreground)?;
        let background = [Priority::High, Priority::Normal, Priority::Low];
        self.take(Taken::of_transfers(ask), &background, &mut seqs)?;
        let lanes = Arc::clone(self.lanes);
        let calls = Taken {
            lanes: Some(LaneRules::new(&lanes, &ask.closed_lanes)),
            hosts: ask.busy_lanes.clone(),
            ..Taken::of(Family::Batch, ask.batch)
        };
        self.take(calls, Priority::ALL, &mut seqs)?;
        self.take(Taken::of(Family::Query, ask.queries), Priority::ALL, &mut seqs)?;
        Ok(seqs)
    }

    /// Takes what runs in the slots of one pool, level by level.
    fn take(&mut self, mut taken: Taken<'_>, levels: &[Priority], seqs: &mut Vec<i64>) -> Done<()> {
        for level in levels {
            taken.begin(*level);
            if taken.free > 0 && !self.take_in_order(&mut taken)? {
                self.take_round_hosts(&mut taken)?;
            }
        }
        seqs.append(&mut taken.seqs);
        Ok(())
    }

    fn start(&mut self, seq: i64, lease: Duration) -> Done<Run> {
        let mut stored = load_job_at(self.db, seq)?;
        stored.claim = Some(JobClaim {
            incarnation: int(self.incarnation),
            expires: self.now.after(lease).as_millis(),
        });
        self.apply(&mut stored, &Command::Start)?;
        let files = load_files(self.db, seq, 0, FILES_IN_CLAIM)?;
        Ok(Run {
            job: stored.job,
            files,
            active: stored.active.ended,
        })
    }

    /// The oldest runnable transfers of a level, whatever their remote host.
    fn oldest_transfers(&self, level: Priority, most: usize) -> Done<Vec<i64>> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let mut statement = self.db.prepare_cached(
            "SELECT seq FROM jobs INDEXED BY jobs_runnable \
             WHERE state = 'queued' AND intent IS NULL AND due IS NULL AND waits = 0 AND pool = 0 AND priority = ?1 \
             ORDER BY turn, seq LIMIT ?2",
        )?;
        let rows = statement.query_map(params![rank(level), int(most as u64)], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Takes the oldest jobs of hosts that have a free slot. False when it had looked at enough before
    /// the slots were filled: what is left may be behind very many jobs of saturated hosts.
    fn take_in_order(&self, taken: &mut Taken<'_>) -> Done<bool> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq, host FROM jobs INDEXED BY jobs_runnable \
             WHERE state = 'queued' AND intent IS NULL AND due IS NULL AND waits = 0 AND pool = ?1 AND priority = ?2 \
             ORDER BY turn, seq",
        )?;
        let mut rows = statement.query([taken.pool, rank(taken.level)])?;
        let mut skipped = 0;
        while taken.free > 0 {
            if skipped >= LOOK_JOBS {
                return Ok(false);
            }
            let Some(row) = rows.next()? else { break };
            let host: String = row.get(1)?;
            let seq = row.get(0)?;
            if taken.admits(self, seq, &host)? {
                taken.take(seq, host);
            } else {
                skipped += 1;
            }
        }
        Ok(true)
    }

    /// Steps from host to host: one look at each, then the oldest first.
    fn take_round_hosts(&mut self, taken: &mut Taken<'_>) -> Done<()> {
        let turn = (taken.pool, rank(taken.level));
        let began = self.turns.0.get(&turn).cloned().unwrap_or_default();
        let mut at = began.clone();
        let mut wrapped = false;
        let mut found = Vec::new();
        for _ in 0..LOOK_HOSTS {
            let Some(mut host) = self.next_host(turn, &at)? else {
                if wrapped || began.is_empty() {
                    break;
                }
                wrapped = true;
                at = String::new();
                continue;
            };
            if wrapped && host >= began {
                break;
            }
            if !taken.is_saturated(&host) {
                found.extend(self.of_host(&host, taken)?);
            }
            // The least text that comes after it.
            host.push('\0');
            at = host;
        }
        self.turns.0.insert(turn, at);
        found.sort_unstable();
        for (_, seq, host) in found {
            // Jobs that were already taken in order come up again.
            if taken.free > 0 && !taken.seqs.contains(&seq) && taken.admits(self, seq, &host)? {
                taken.take(seq, host);
            }
        }
        Ok(())
    }

    fn next_host(&self, (pool, level): (i64, i64), from: &str) -> Done<Option<String>> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT host FROM jobs INDEXED BY jobs_by_host WHERE state = 'queued' AND intent IS NULL \
                 AND due IS NULL AND waits = 0 AND pool = ?1 AND priority = ?2 AND host >= ?3 ORDER BY host LIMIT 1",
            )?
            .query_row(params![pool, level, from], |row| row.get(0))
            .optional()?)
    }

    /// As many jobs of a host as it has free slots, those of this claim included.
    fn of_host(&self, host: &str, taken: &Taken<'_>) -> Done<Vec<(i64, i64, String)>> {
        let most = taken.most_of(host).min(taken.free + taken.seqs.len());
        let mut statement = self.db.prepare_cached(
            "SELECT turn, seq FROM jobs INDEXED BY jobs_by_host WHERE state = 'queued' AND intent IS NULL \
             AND due IS NULL AND waits = 0 AND pool = ?1 AND priority = ?2 AND host = ?3 ORDER BY turn, seq LIMIT ?4",
        )?;
        let asked = params![taken.pool, rank(taken.level), host, int(most as u64)];
        let rows = statement.query_map(asked, |row| Ok((row.get(0)?, row.get(1)?, host.to_owned())))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
