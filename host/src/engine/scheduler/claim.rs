//! Who runs: taking jobs into slots, and making room for those that come first (B-25, B-67, B-68).
//!
//! Room is made only for a job that is there to use it: the store hands it over together with the
//! slot it will have, the job that makes room is asked to stop, and the other begins once it has.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::engine::Throttle;
use crate::engine::run::run_job;
use crate::engine::runner::RunControl;
use crate::engine::throttle::{Bucket, LiveLevel};
use crate::job::{Command, Family, Job, JobId, Priority};
use crate::store::{ClaimJobs, Run, Yielding, remote_host};

use super::{Ended, Engine, FOREGROUND_PER_CLAIM, LEASE, Running};

impl Running {
    fn is_background(&self) -> bool {
        self.level.get() != Priority::Foreground
    }

    fn is_leaving(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// What would have to begin again would never end, slice by slice.
    fn has_had_its_turn(&self) -> bool {
        self.slice_over && self.resumable.load(Ordering::Relaxed)
    }

    /// Only a transfer can go on later from where it stands.
    fn yielding(&self) -> Option<Yielding> {
        (self.is_transfer && self.is_background() && !self.is_leaving()).then(|| Yielding {
            level: self.level.get(),
            host: self.host.clone(),
            slice_over: self.has_had_its_turn(),
        })
    }
}

fn host_of(run: &Run) -> String {
    let first = run.files.first();
    first.map(|file| remote_host(&file.remote)).unwrap_or_default()
}

fn is_background(job: &Job) -> bool {
    job.priority != Priority::Foreground
}

impl Engine {
    pub(super) async fn claim(&mut self) {
        if self.claim_in_doubt
            && let Err(why) = self.give_back().await
        {
            return self.store_failed("jobs of a failed claim cannot be given back", &why);
        }
        match self.store.claim_jobs(self.ask()).await {
            Ok(runs) => {
                self.want_claim = runs.len() >= FOREGROUND_PER_CLAIM;
                runs.into_iter().for_each(|run| self.start(run));
            }
            Err(why) => {
                self.claim_in_doubt = true;
                self.store_failed("jobs cannot be claimed", &why);
            }
        }
    }

    fn ask(&self) -> ClaimJobs {
        let mut busy_hosts = BTreeMap::new();
        let mut background = 0;
        let waiting = self.waiting.values().filter(|run| is_background(&run.job));
        let staying = self
            .running
            .values()
            .filter(|one| one.is_background() && !one.is_leaving());
        for host in staying.map(|one| one.host.clone()).chain(waiting.map(host_of)) {
            *busy_hosts.entry(host).or_insert(0) += 1;
            background += 1;
        }
        let per_host = self.settings.slots_per_host;
        let full = background >= self.settings.slots;
        let yielding = self.running.values().filter_map(|one| {
            let scarce = full || busy_hosts.get(&one.host).is_some_and(|busy| *busy >= per_host);
            one.yielding().filter(|_| scarce)
        });
        ClaimJobs {
            background: self.settings.slots.saturating_sub(background),
            foreground: FOREGROUND_PER_CLAIM,
            per_host,
            lease: LEASE,
            yielding: yielding.collect(),
            holds: self.conditions.holds().to_vec(),
            busy_hosts,
        }
    }

    /// Whether a slot is free for it now, those who leave still counted.
    fn fits(&self, run: &Run) -> bool {
        if !is_background(&run.job) {
            return true;
        }
        let host = host_of(run);
        let (mut all, mut there) = (0, 0);
        for one in self.running.values().filter(|one| one.is_background()) {
            all += 1;
            there += usize::from(one.host == host);
        }
        all < self.settings.slots && there < self.settings.slots_per_host
    }

    fn start(&mut self, run: Run) {
        if self.running.contains_key(&run.job.id) {
            self.waiting.insert(run.job.id, run);
        } else if self.fits(&run) {
            self.begin(run);
        } else {
            self.make_room(&run);
            self.waiting.insert(run.job.id, run);
        }
    }

    /// Asks one that yields to stop: of the same remote host if that is what is full, of the lowest
    /// level, whose slice is over, and of those the one that began last.
    fn make_room(&self, run: &Run) {
        let (host, level) = (host_of(run), run.job.priority);
        let on_host = self
            .running
            .values()
            .filter(|one| one.is_background() && !one.is_leaving() && one.host == host);
        let coming = self.waiting.values().filter(|run| host_of(run) == host);
        let host_is_full = on_host.count() + coming.count() >= self.settings.slots_per_host;
        let yields = |one: &&Running| {
            let there = !host_is_full || one.host == host;
            there && one.yielding().is_some_and(|it| it.yields_to(level))
        };
        let victim = self
            .running
            .values()
            .filter(yields)
            .max_by_key(|one| (one.level.get(), one.has_had_its_turn(), one.began));
        if let Some(victim) = victim {
            victim.end_with(if victim.has_had_its_turn() {
                Command::SliceOver
            } else {
                Command::Yield
            });
        }
    }

    /// Begins what was claimed before and can run now, the first levels first.
    pub(super) fn start_waiting(&mut self) {
        let mut waiting: Vec<(Priority, JobId)> = self
            .waiting
            .values()
            .map(|run| (run.job.priority, run.job.id))
            .collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            let free = !self.running.contains_key(&id);
            if free
                && self.waiting.get(&id).is_some_and(|run| self.fits(run))
                && let Some(run) = self.waiting.remove(&id)
            {
                self.begin(run);
            }
        }
    }

    fn begin(&mut self, run: Run) {
        let id = run.job.id;
        let stop = CancellationToken::new();
        let level = LiveLevel::new(run.job.priority);
        let verdict = Arc::new(OnceLock::new());
        let limits = &run.job.spec.transfer().limits;
        let now = self.clock.now();
        let max_time = limits.max_time(run.job.spec.profile);
        let expires = now.after(max_time.saturating_sub(run.active));
        let own = limits
            .rate
            .map(|rate| Bucket::new(self.clock.clone(), Some(rate)));
        let throttle = Throttle::new(
            own.map(Arc::new),
            level.clone(),
            Arc::clone(&self.conditions.bandwidth),
        );
        let (store, clock) = (Arc::clone(&self.store), self.clock.clone());
        let control = RunControl::new(&run, Arc::clone(&store), clock.clone(), stop, throttle);
        let running = Running {
            run: run.id(),
            revision: run.job.revision,
            stop: control.stop.clone(),
            verdict: Arc::clone(&verdict),
            host: host_of(&run),
            level,
            is_transfer: run.job.kind.family() == Family::Transfer,
            is_batch: run.job.kind.family() == Family::Batch,
            began: now,
            resumable: Arc::clone(&control.resumable),
            slice_over: false,
            max_time,
            expires,
            alarm: expires,
        };
        self.running.insert(id, running);
        self.set_alarm(id);
        let runner = self.runners.get(&run.job.kind).map(Arc::clone);
        let span = tracing::info_span!("job", job = %id, attempt = run.job.attempt);
        let work = async move { Ended::Run(id, run_job(run, runner, control, verdict, store, clock).await) };
        self.tasks.spawn(work.instrument(span));
    }
}
