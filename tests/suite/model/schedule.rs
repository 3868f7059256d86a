//! The schedule: what people, runners, guests and outside hands do to the real engine.

use std::collections::BTreeMap;
use std::time::Duration;

use sexton::job::{self, FileSpec, JobKind, JobSpec, Priority, Profile};
use sexton::store::{ClaimJobs, DeliveryFilter, Fault, JobFilter, NewJob, Store, Verb};

use super::agreement;
use super::engine::{Engine, Moved};
use super::guests::name;
use super::law::Command;
use super::settle::Said;
use super::trace::Line;

/// One move of the schedule; numbers pick among what there is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Move {
    Submit {
        batch: bool,
        hold: bool,
    },
    Run {
        fails: bool,
    },
    Ask(u8, Command),
    Intents,
    End(u8, Said),
    Wait,
    Kill,
    Swap(u8),
    /// A component goes, or comes back.
    Toggle(u8),
    Name,
    Replay(u8),
    Purge(u8),
    LoseAnswer,
}

impl Engine {
    pub(super) async fn carry_out(&mut self, one: Move) -> Moved {
        match one {
            Move::Submit { batch, hold } => self.submit(batch, hold).await?,
            Move::Run { fails } => self.run_job(fails).await,
            Move::Ask(pick, command) => self.ask(pick, command).await,
            Move::Intents => self.carry_out_intents().await,
            Move::End(pick, said) => self.end(pick, said)?,
            Move::Wait => self.clock.advance(Duration::from_secs(10)),
            Move::Kill => {
                self.up.as_ref().expect("a host").trace.kill().await;
                self.note(Line::Killed);
            }
            Move::Swap(handler) => {
                self.digests[usize::from(handler)] += 1;
                self.serve();
                let digest = format!("d{}", self.digests[usize::from(handler)]);
                self.route([(name(handler.into()), Some(digest))].into()).await?;
            }
            Move::Toggle(handler) => self.toggle(handler),
            Move::Name if self.named[1] => {}
            Move::Name => {
                self.named[1] = true;
                self.note(Line::Names(1));
                self.route(BTreeMap::new()).await?;
            }
            Move::Replay(pick) => {
                if let Some(filter) = self.buried(pick).await {
                    self.store().replay(filter).await.map_err(|why| why.to_string())?;
                }
            }
            Move::Purge(pick) => {
                if let Some(filter) = self.buried(pick).await {
                    self.store().purge(filter).await.map_err(|why| why.to_string())?;
                }
            }
            Move::LoseAnswer => self.store().fail(Verb::Settle, Fault::After, 1),
        }
        Ok(())
    }

    async fn submit(&self, batch: bool, hold: bool) -> Moved {
        let mut spec = JobSpec::new("x", Profile::Sexton);
        spec.hold = hold;
        let file = FileSpec::new("http://h:1/x", "/tmp/x");
        let new = NewJob {
            owner: "uid-0".parse().expect("a name"),
            kind: if batch { JobKind::Batch } else { JobKind::Download },
            priority: Priority::Normal,
            spec,
            files: if batch { Vec::new() } else { vec![file] },
            key: None,
            suspended: false,
        };
        self.store()
            .submit(new)
            .await
            .map(drop)
            .map_err(|why| why.to_string())
    }

    /// What a runner would do; refusals are in the trace.
    async fn run_job(&self, fails: bool) {
        let ask = ClaimJobs {
            background: 1,
            foreground: 0,
            busy_hosts: BTreeMap::new(),
            per_host: 100,
            yielding: Vec::new(),
            holds: Vec::new(),
            batch: 0,
            queries: 0,
            lease: Duration::from_secs(30),
            ..ClaimJobs::default()
        };
        let runs = self.store().claim_jobs(ask).await.unwrap_or_default();
        for run in runs {
            let command = if fails {
                Command::FatalError
            } else {
                Command::Finished
            };
            let command = agreement::real(command, &run.job);
            let _ = self.store().report(run.id(), command).await;
        }
    }

    async fn jobs(&self) -> Vec<job::Job> {
        self.store().jobs(JobFilter::default()).await.unwrap_or_default()
    }

    async fn ask(&self, pick: u8, command: Command) {
        let jobs = self.jobs().await;
        if let Some(job) = picked(&jobs, pick) {
            // The trace tells whether the law refused it.
            let _ = self.store().command(job.id, agreement::real(command, job)).await;
        }
    }

    async fn carry_out_intents(&self) {
        for job in self.store().intents(100).await.unwrap_or_default() {
            let _ = self
                .store()
                .command(job.id, agreement::real(Command::IntentDone, &job))
                .await;
        }
    }

    async fn buried(&self, pick: u8) -> Option<DeliveryFilter> {
        let states = vec![job::DeliveryState::Dead, job::DeliveryState::Poison];
        let filter = DeliveryFilter {
            states,
            ..DeliveryFilter::default()
        };
        let buried = self.store().deliveries(filter).await.unwrap_or_default();
        let id = picked(&buried, pick)?.id;
        Some(DeliveryFilter {
            id: Some(id),
            ..DeliveryFilter::default()
        })
    }
}

fn picked<T>(all: &[T], pick: u8) -> Option<&T> {
    all.get(usize::from(pick) % all.len().max(1))
}
