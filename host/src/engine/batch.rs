//! The runner of batch work (COM+ `IServiceCall`): commands in process groups of their own, and calls
//! into components.

mod command;
mod ended;
mod launch;
mod output;
mod rules;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::config::{BatchConfig, Unrecoverable};
use crate::fail_fast::{Children, FailFast, Report};
use crate::job::{
    BatchSpec, CallSpec, Code, ErrorContext, ErrorInfo, FileStatus, Job, JobState, Outcome, StateWrite,
    Timestamp, Work,
};
use crate::store::{DeliveryFilter, Run, Store};

use super::runner::{IntentControl, RunControl, RunEnd, Runner};

pub use launch::launch;
pub use output::Outputs;
pub use rules::BatchRules;

/// How a call into a component ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// It returned what it was asked for.
    Returned {
        /// What it said.
        output: String,
        /// What it wrote to its state, to be committed with the end of the run.
        writes: Vec<StateWrite>,
    },
    /// It returned a failure: transient ones are worth another try.
    Failed {
        /// Its own code.
        code: Code,
        /// Its own words.
        message: String,
        /// It will not pass.
        permanent: bool,
    },
    /// It did not return: a trap, its memory limit, its deadline, an exit (C-35).
    Trapped {
        /// Which of these.
        code: Code,
        /// The trap's words.
        message: String,
    },
}

/// What a component is called with.
#[derive(Clone, Debug)]
pub struct ComponentCall<'a> {
    /// Which component, and its input.
    pub call: &'a CallSpec,
    /// For which job.
    pub job: &'a Job,
    /// When it must have returned.
    pub deadline: Option<Timestamp>,
    /// Fires when it is to be given up.
    pub stop: CancellationToken,
}

/// Who calls components that export `service-call`.
#[async_trait]
pub trait ComponentRunner: Send + Sync + 'static {
    /// Calls one, and returns when it has ended.
    ///
    /// # Errors
    /// A sentence when there is no such component, or none that can be called so.
    async fn call(&self, call: ComponentCall<'_>) -> Result<CallEnd, String>;
}

/// What a [`BatchRunner`] is made of.
pub struct BatchParts {
    /// `[batch]`
    pub config: BatchConfig,
    /// This program, which starts commands.
    pub program: PathBuf,
    /// What commands print.
    pub outputs: Outputs,
    /// Where their groups are registered.
    pub children: Children,
    /// How long what was asked to end may take before it is killed.
    pub grace: Duration,
    /// What an unrecoverable call may do to the process.
    pub fail_fast: FailFast,
    /// Where the deliveries of a failed call are.
    pub store: Arc<dyn Store>,
    /// Who calls components; without, such jobs fail.
    pub components: Option<Arc<dyn ComponentRunner>>,
}

/// Runs batch work.
pub struct BatchRunner {
    parts: BatchParts,
}

impl BatchRunner {
    /// A runner of these parts.
    #[must_use]
    pub const fn new(parts: BatchParts) -> Self {
        Self { parts }
    }

    async fn component(&self, job: &Job, spec: &BatchSpec, call: &CallSpec, control: &RunControl) -> RunEnd {
        let now = control.clock.now();
        let failed = |code, description: String| error(job, code, description, control.clock.now());
        let Some(components) = &self.parts.components else {
            let why = format!("this host calls no components: {} was not called", call.component);
            return RunEnd::Fatal {
                error: failed(Code::SX_SPAWN, why),
            };
        };
        if control.connected().await.is_err() {
            return RunEnd::Stopped;
        }
        let component = call.component.clone();
        let call = ComponentCall {
            call,
            job,
            deadline: deadline(spec, now).map(|(at, _)| at),
            stop: control.stop.clone(),
        };
        let ended = components.call(call).await;
        if control.stop.is_cancelled() && !matches!(ended, Ok(CallEnd::Returned { .. })) {
            return interrupted(job, control.clock.now());
        }
        match ended {
            Ok(CallEnd::Returned { output, writes }) => {
                let outputs = &self.parts.outputs;
                outputs.keep(job.id, job.attempt, output.as_bytes()).await;
                control.keep_writes(component, writes);
                RunEnd::Finished
            }
            Ok(CallEnd::Failed {
                code,
                message,
                permanent: true,
            }) => RunEnd::Fatal {
                error: failed(code, message),
            },
            Ok(CallEnd::Failed { code, message, .. } | CallEnd::Trapped { code, message }) => {
                RunEnd::Transient {
                    error: failed(code, message),
                    retry_after: None,
                }
            }
            Err(why) => RunEnd::Fatal {
                error: failed(Code::SX_SPAWN, why),
            },
        }
    }
}

#[async_trait]
impl Runner for BatchRunner {
    async fn run(&self, run: Run, control: RunControl) -> RunEnd {
        let job = &run.job;
        let now = control.clock.now();
        let Some(spec) = job.spec.batch.as_deref() else {
            let why = "nothing says what it runs".to_owned();
            return RunEnd::Fatal {
                error: error(job, Code::INVALIDARG, why, now),
            };
        };
        if let Some(late) = late(job, spec, now) {
            return RunEnd::Fatal { error: late };
        }
        match &spec.work {
            Work::Command(what) => command::run(&self.parts, job, spec, what, &control).await,
            Work::Call(call) => self.component(job, spec, call, &control).await,
        }
    }

    async fn complete(&self, _: &Job, _: &[FileStatus], _: &IntentControl) -> Result<Outcome, ErrorInfo> {
        Ok(Outcome::Succeeded)
    }

    async fn cancel(&self, _: &Job, _: &[FileStatus], _: &IntentControl) -> Result<(), ErrorInfo> {
        Ok(())
    }

    /// `[batch] unrecoverable = "fail-fast"`: a failed call that nobody is told of ends the host (CX-13).
    async fn ended(&self, job: &Job) {
        if self.parts.config.unrecoverable != Unrecoverable::FailFast || job.state != JobState::Error {
            return;
        }
        let of_job = DeliveryFilter {
            job: Some(job.id),
            limit: 1,
            ..DeliveryFilter::default()
        };
        match self.parts.store.deliveries(of_job).await {
            Ok(told) if told.is_empty() => {}
            // Somebody is told; or nobody knows, and what is not known is no reason to end the process.
            Ok(_) | Err(_) => return,
        }
        let said = job.error.as_ref().map_or("", |error| error.description.as_str());
        self.parts.fail_fast.terminate(&Report {
            at: job.modified,
            reason: format!("batch job {} failed and has no handler: {said}", job.id),
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            delivery: None,
            job: Some(job.id),
            plugin: None,
            failure: None,
        })
    }
}

/// When a run must have ended, and whether that is because its result is of no use later.
fn deadline(spec: &BatchSpec, now: Timestamp) -> Option<(Timestamp, bool)> {
    let own = spec.deadline.map(|deadline| (now.after(deadline), false));
    let useful = spec.finish_by.map(|at| (at, true));
    own.into_iter().chain(useful).min()
}

/// C-84: what comes too late is not begun.
fn late(job: &Job, spec: &BatchSpec, now: Timestamp) -> Option<ErrorInfo> {
    let first = job.retries == 0;
    let (by, what) = match (spec.start_by, spec.finish_by) {
        (Some(by), _) if first && now > by => (by, "started"),
        (_, Some(by)) if now >= by => (by, "finished"),
        _ => return None,
    };
    let why = format!("it was to be {what} by {by}, and its turn came at {now}");
    Some(error(job, Code::SX_EXPIRED, why, now))
}

/// It was told to end before it had: the host is ending, or somebody has decided otherwise.
fn interrupted(job: &Job, at: Timestamp) -> RunEnd {
    let why = "the host ended while this ran, and it was ended with it".to_owned();
    RunEnd::Interrupted {
        error: error(job, Code::SX_INTERRUPTED, why, at),
    }
}

fn error(job: &Job, code: Code, description: String, at: Timestamp) -> ErrorInfo {
    ErrorInfo {
        code,
        context: ErrorContext::RemoteApplication,
        description,
        file: None,
        protocol: None,
        leg: None,
        attempt: job.attempt,
        at,
        extended: None,
    }
}
