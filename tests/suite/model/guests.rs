//! What stands around the real engine: guests in the hands of the schedule, a routing, and the pen
//! that writes the trace.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sexton::dispatch::Handlers;
use sexton::job::{
    self, Code, DeliveryId, EventKind, FailureClass, FailureRecord, PluginName, Reply, Role, Route, Router,
    Timestamp,
};
use sexton::plugin::{Call, Exports, SharedView};
use sexton::store::Did;
use tokio::sync::{oneshot, watch};

use super::agreement;
use super::settle::Said;
use super::trace::Line;

pub(super) const FUNCTIONS: [EventKind; 4] = [
    EventKind::JobError,
    EventKind::JobTransferred,
    EventKind::OnError,
    EventKind::OnEnded,
];

/// What was seen so far. Whatever belongs to a dead host is not written any more.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) lines: Vec<Line>,
    /// Which host may write.
    pub(super) host: u64,
}

pub(super) type Shared = Arc<Mutex<Seen>>;

pub(super) fn write(seen: &Shared, host: u64, line: Line) {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.host != host {
        return;
    }
    let ends = match &line {
        Line::Killed => true,
        Line::Did(Did::Settled(settlement, Some(_)), ..) => settlement.ends_the_host(),
        _ => false,
    };
    seen.lines.push(line);
    seen.host += u64::from(ends);
}

/// Guests in the hands of the schedule.
pub(super) struct Hands {
    pub(super) seen: Shared,
    pub(super) host: u64,
    pub(super) exports: Mutex<Arc<BTreeMap<PluginName, Exports>>>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) held: Mutex<Vec<Held>>,
}

pub(super) struct Held {
    pub(super) delivery: DeliveryId,
    pub(super) attempt: u32,
    pub(super) job: job::Job,
    pub(super) digest: String,
    pub(super) end: oneshot::Sender<Reply>,
}

impl Handlers for Hands {
    fn call<'a, 'b, 'c>(
        &'a self,
        plugin: &'b PluginName,
        call: Call,
        _: SharedView,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
    {
        let digest = self.exports().get(plugin).map(|known| known.digest.clone());
        Box::pin(async move {
            let (end, ended) = oneshot::channel();
            let held = Held {
                delivery: call.delivery,
                attempt: call.attempt,
                job: call.job,
                digest: digest.unwrap_or_default(),
                end,
            };
            self.held.lock().unwrap().push(held);
            write(&self.seen, self.host, Line::Called(call.delivery, call.attempt));
            match ended.await {
                Ok(reply) => reply,
                Err(_) => std::future::pending().await,
            }
        })
    }

    fn exports(&self) -> Arc<BTreeMap<PluginName, Exports>> {
        Arc::clone(&self.exports.lock().unwrap())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// The first handler decides.
pub(super) struct Named(pub(super) Vec<bool>);

impl Router for Named {
    fn routes(&self, _: &job::Job, event: EventKind) -> Vec<Route> {
        let roles = std::iter::once(Role::Decider).chain(std::iter::repeat(Role::Observer));
        let handlers = self.0.iter().zip(roles).enumerate();
        handlers
            .filter(|(_, (named, _))| **named && FUNCTIONS.contains(&event))
            .map(|(handler, (_, role))| Route {
                plugin: name(handler),
                role,
            })
            .collect()
    }
}

pub(super) fn name(handler: usize) -> PluginName {
    format!("h{handler}").parse().expect("a name")
}

/// What a call brings back that came to `said`.
pub(super) fn reply(job: &job::Job, attempt: u32, digest: &str, said: Said, at: Timestamp) -> Reply {
    let fails = |class| {
        let digest = if class == FailureClass::HostFault {
            ""
        } else {
            digest
        };
        Err(Box::new(FailureRecord {
            class,
            code: Code::FAIL,
            message: "no".into(),
            last_words: String::new(),
            frames: Vec::new(),
            limit: None,
            peak_memory: 0,
            digest: digest.to_owned(),
            attempt,
            at,
            duration: Duration::ZERO,
            retry_after: None,
        }))
    };
    let (verdict, requests) = match said {
        Said::Ack | Said::Write => (Ok(()), Vec::new()),
        Said::Decide(command) => (Ok(()), vec![agreement::real(command, job)]),
        Said::Fail(_) => (fails(FailureClass::Trap), Vec::new()),
        Said::Fault(_) => (fails(FailureClass::HostFault), Vec::new()),
    };
    Reply {
        verdict,
        requests,
        state_writes: Vec::new(),
        digest: digest.to_owned(),
        duration: Duration::ZERO,
        peak_memory: 0,
        answer: sexton::job::Answer::Nothing,
    }
}
