//! When the scheduler cannot be sure that what it runs is what the store says: after missed changes,
//! and after a claim of which nobody knows whether it was committed.

use std::collections::HashSet;

use crate::job::{Command, Job, JobId, JobState};
use crate::store::{JobFilter, RunId, StoreError};

use super::Engine;

/// Running jobs looked through after a claim in doubt; more than one host ever runs.
const RUNNING_MAX: usize = 100_000;

impl Engine {
    /// After missed changes: whatever no longer runs is stopped, and everything is looked for.
    pub(super) async fn look_again(&mut self) {
        self.want_claim = true;
        self.want_intents = true;
        self.want_weigh = true;
        self.next_timer = Some(self.clock.now());
        let known: HashSet<JobId> = self.running.keys().chain(self.waiting.keys()).copied().collect();
        for id in known {
            let attempt = match self.store.job(id).await {
                Ok(job) => job.state.is_running().then_some(job.attempt),
                Err(StoreError::NotFound { .. }) => None,
                Err(why) => {
                    self.want_look = true;
                    return self.store_failed("missed changes cannot be looked up", &why);
                }
            };
            if let Some(running) = self
                .running
                .get(&id)
                .filter(|one| Some(one.run.attempt) != attempt)
            {
                running.stop.cancel();
            }
            if self
                .waiting
                .get(&id)
                .is_some_and(|run| Some(run.job.attempt) != attempt)
            {
                self.waiting.remove(&id);
            }
        }
    }

    /// Whether one of ours runs it or is about to.
    fn holds(&self, job: &Job) -> bool {
        let running = self.running.get(&job.id).map(|running| running.run.attempt);
        let waiting = self.waiting.get(&job.id).map(|run| run.job.attempt);
        running == Some(job.attempt) || waiting == Some(job.attempt)
    }

    /// Jobs of a claim that was committed though it was told to have failed go back to the queue.
    /// The fence keeps this from jobs of other hosts.
    pub(super) async fn give_back(&mut self) -> Result<(), StoreError> {
        let running = JobFilter {
            states: vec![JobState::Connecting, JobState::Transferring],
            limit: RUNNING_MAX,
            ..JobFilter::default()
        };
        for job in self.store.jobs(running).await? {
            if self.holds(&job) {
                continue;
            }
            let run = RunId {
                job: job.id,
                attempt: job.attempt,
            };
            match self.store.report(run, Command::Yield).await {
                Ok(_) => tracing::warn!(job = %job.id, "given back: its claim failed halfway"),
                Err(why @ (StoreError::Backend(_) | StoreError::Closed)) => return Err(why),
                Err(_) => {}
            }
        }
        self.claim_in_doubt = false;
        Ok(())
    }
}
