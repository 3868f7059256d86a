//! One call into one handler: a fresh instance, limits on everything, and a reply whatever happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Engine, Store};

use super::bindings::{self, CallError, Returned};
use super::failure::Finding;
use super::guest::Guest;
use super::load::Served;
use super::services::Services;
use super::ticker::{Running, Ticker};
use super::{Call, Function, SharedView};
use crate::clock::Clock;
use crate::job::{Answer, FailureRecord, Reply};

/// How long a call waits for a slot: as long as the default deadline, after which at least one slot
/// must have become free unless every plugin was given more time.
const SLOT_WAIT: Duration = Duration::from_secs(5);

/// What all calls share.
pub(super) struct Core {
    /// The one engine.
    pub(super) engine: Engine,
    /// Makes guests yield.
    pub(super) ticker: Ticker,
    /// What time it is.
    pub(super) clock: Clock,
    /// One permit for each call that may run.
    pub(super) slots: Arc<Semaphore>,
    /// The same for components that do a job's work, which may take long: handlers never wait for them.
    pub(super) work_slots: Arc<Semaphore>,
}

impl Core {
    /// Room for one call; `None` when there was none for too long.
    async fn slot(&self, function: Function, deadline: Duration) -> Option<OwnedSemaphorePermit> {
        if function.is_work() {
            let waited = tokio::time::timeout(deadline, Arc::clone(&self.work_slots).acquire_owned());
            return waited.await.ok()?.ok();
        }
        // Dispatch starts no more calls than there are slots, so a timer is hardly ever needed.
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(permit);
        }
        let waited = tokio::time::timeout(SLOT_WAIT, Arc::clone(&self.slots).acquire_owned());
        waited.await.ok()?.ok()
    }
}

/// What a call leaves behind; the reply is handed on first, because giving the instance back takes
/// as long as the call itself (HB-21).
pub(super) struct Done {
    /// For the caller.
    pub(super) reply: Reply,
    /// Dropped afterwards, in this order: the instance, then its slot.
    pub(super) rest: Option<(Store<Guest>, OwnedSemaphorePermit)>,
}

/// How a call ended.
enum Ended {
    Answered(Returned),
    Broken(CallError),
    TimedOut,
}

/// Runs `call` in `served`. A panic of a host function is not caught here: like every panic of the
/// host it is a broken invariant, and the panic hook ends the process.
pub(super) async fn run(core: Arc<Core>, served: Arc<Served>, call: Arc<Call>, view: SharedView) -> Done {
    let (core, served) = (&*core, &*served);
    let refuse = |finding| Done::without_instance(failed(&core.clock, &call, &served.digest, finding));
    let Some(index) = served.surface.handler(call.function) else {
        let name = call.function.name();
        return refuse(Finding::host_fault(format!(
            "plugin {} does not export {name}",
            served.name
        )));
    };
    let settings = &served.settings;
    let deadline = call.task.as_ref().map_or(settings.deadline, |task| task.deadline);
    let Some(permit) = core.slot(call.function, deadline).await else {
        return refuse(Finding::overload("no slot became free in time"));
    };
    let started = Instant::now();
    let ends = started + deadline;
    let config = Arc::clone(&settings.config);
    let services = Services::for_call(
        served.name.clone(),
        config,
        core.clock.clone(),
        Arc::clone(&call),
        view,
    );
    let guest = match Guest::new(settings, services, ends) {
        Ok(guest) => guest,
        Err(why) => return refuse(Finding::host_fault(why)),
    };
    let mut store = guest.into_store(&core.engine, ends);
    let running: Running = core.ticker.running();
    let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
    let answer = bindings::call(&mut store, &served.pre, index, &call, deadline_ms);
    let ended = match tokio::time::timeout(deadline, answer).await {
        Ok(Ok(returned)) => Ended::Answered(returned),
        Ok(Err(error)) => Ended::Broken(error),
        Err(_) => Ended::TimedOut,
    };
    drop(running);
    let took = (started.elapsed(), deadline);
    let reply = conclude(core, served, &call, store.data_mut(), ended, took);
    Done {
        reply,
        rest: Some((store, permit)),
    }
}

impl Done {
    fn without_instance(reply: Reply) -> Self {
        Self { reply, rest: None }
    }
}

fn conclude(
    core: &Core,
    served: &Served,
    call: &Call,
    guest: &mut Guest,
    ended: Ended,
    (duration, deadline): (Duration, Duration),
) -> Reply {
    let finished = match ended {
        Ended::Answered(Ok(answer)) => Ok(answer),
        Ended::Answered(Err(failure)) => Err((Finding::returned(&failure), failure.fault)),
        Ended::Broken(error) => Err((Finding::broken(&error, &guest.meter, deadline), None)),
        Ended::TimedOut => Err((Finding::timeout(deadline), None)),
    };
    report_output(served, guest);
    let peak_memory = guest.meter.peak();
    let (finding, fault) = match finished {
        Err(finding) => finding,
        Ok(answer) => {
            let (requests, state_writes) = guest.services.take_decisions();
            return Reply {
                verdict: Ok(()),
                requests,
                state_writes,
                digest: served.digest.clone(),
                duration,
                peak_memory,
                answer,
            };
        }
    };
    // What a failed call had decided dies with it (HB-04).
    let mut reply = failed(&core.clock, call, &served.digest, finding);
    reply.duration = duration;
    reply.peak_memory = peak_memory;
    reply.answer = fault.map_or(Answer::Nothing, Answer::Fault);
    if let Err(record) = &mut reply.verdict {
        record.duration = duration;
        record.peak_memory = peak_memory;
        record.last_words = guest.stderr.words();
        tracing::warn!(class = %record.class, code = %record.code, attempt = record.attempt,
            "the handler failed: {}", record.message);
    }
    reply
}

/// What the guest printed goes to the log, for its author.
fn report_output(served: &Served, guest: &Guest) {
    let dropped = guest.services.dropped_lines();
    if dropped > 0 {
        tracing::warn!(target: "sexton::guest", plugin = %served.name, dropped, "too many log lines");
    }
    if tracing::enabled!(target: "sexton::guest", tracing::Level::DEBUG) {
        for (stream, sink) in [("stdout", &guest.stdout), ("stderr", &guest.stderr)] {
            for line in sink.words().lines() {
                tracing::debug!(target: "sexton::guest", plugin = %served.name, stream, "{line}");
            }
        }
    }
}

/// The reply of a call that failed before or without an instance.
pub(super) fn failed(clock: &Clock, call: &Call, digest: &str, finding: Finding) -> Reply {
    let record = FailureRecord {
        class: finding.class,
        code: finding.code,
        message: finding.message,
        last_words: String::new(),
        frames: finding.frames,
        limit: finding.limit,
        peak_memory: 0,
        digest: digest.to_owned(),
        attempt: call.attempt,
        at: clock.now(),
        duration: Duration::ZERO,
        retry_after: finding.retry_after,
    };
    Reply {
        verdict: Err(Box::new(record)),
        requests: Vec::new(),
        state_writes: Vec::new(),
        digest: digest.to_owned(),
        duration: Duration::ZERO,
        peak_memory: 0,
        answer: Answer::Nothing,
    }
}
