//! Handlers that answer by script and remember how they were called.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::super::Handlers;
use crate::clock::Clock;
use crate::job::{Code, Command, EventKind, FailureClass, FailureRecord, PluginName, Reply, Timestamp};
use crate::plugin::{Call, Exports, Function, SharedView};

/// What a handler does when it is called.
pub(super) enum Say {
    /// Acknowledges.
    Ack,
    /// Acknowledges with decisions.
    Decide(Vec<Command>),
    /// Fails.
    Fail(FailureClass),
    /// Fails and asks for a delay.
    Wish(FailureClass, Duration),
    /// Waits for the gate, then does this.
    Held(Box<Say>),
}

/// One call as the handler saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) plugin: String,
    pub(super) function: Function,
    pub(super) at: Timestamp,
    pub(super) call: Call,
}

/// Handlers by script. A plugin whose script is used up does its last word again.
pub(super) struct Scripted {
    clock: Clock,
    scripts: Mutex<BTreeMap<String, VecDeque<Say>>>,
    calls: Mutex<Vec<Seen>>,
    running: Mutex<BTreeMap<String, usize>>,
    most: Mutex<BTreeMap<String, usize>>,
    exports: Mutex<Arc<BTreeMap<PluginName, Exports>>>,
    changed: watch::Sender<u64>,
    gate: watch::Sender<bool>,
}

/// Under this name the running calls of all plugins are counted together.
const ALL: &str = "*";

impl Scripted {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            scripts: Mutex::default(),
            calls: Mutex::default(),
            running: Mutex::default(),
            most: Mutex::default(),
            exports: Mutex::default(),
            changed: watch::channel(0).0,
            gate: watch::channel(false).0,
        }
    }

    pub(super) fn script(&self, plugin: &str, says: Vec<Say>) {
        self.scripts
            .lock()
            .unwrap()
            .insert(plugin.to_owned(), says.into());
    }

    /// From here `plugin` serves, with these functions.
    pub(super) fn serve(&self, plugin: &str, functions: &[EventKind], final_retry: bool) {
        let exports = Exports {
            digest: "d".to_owned(),
            functions: functions.iter().copied().collect(),
            final_retry,
            work: BTreeSet::new(),
        };
        let mut serving = self.exports.lock().unwrap();
        let mut next = BTreeMap::clone(&serving);
        next.insert(plugin.parse().unwrap(), exports);
        *serving = Arc::new(next);
        drop(serving);
        self.changed.send_modify(|version| *version += 1);
    }

    /// Lets held calls go on.
    pub(super) fn open(&self) {
        self.gate.send_replace(true);
    }

    pub(super) fn calls(&self) -> Vec<Seen> {
        self.calls.lock().unwrap().clone()
    }

    pub(super) fn calls_of(&self, plugin: &str) -> usize {
        self.calls().iter().filter(|seen| seen.plugin == plugin).count()
    }

    /// Most calls of `plugin` that ever ran at once.
    pub(super) fn most(&self, plugin: &str) -> usize {
        self.most.lock().unwrap().get(plugin).copied().unwrap_or(0)
    }

    pub(super) fn most_of_all(&self) -> usize {
        self.most(ALL)
    }

    fn next(&self, plugin: &str) -> Say {
        let mut scripts = self.scripts.lock().unwrap();
        let Some(script) = scripts.get_mut(plugin) else {
            return Say::Ack;
        };
        match script.pop_front() {
            Some(Say::Fail(class)) if script.is_empty() => {
                script.push_back(Say::Fail(class));
                Say::Fail(class)
            }
            Some(say) => say,
            None => Say::Ack,
        }
    }

    fn count(&self, plugin: &str, by: isize) {
        for name in [plugin, ALL] {
            let mut running = self.running.lock().unwrap();
            let now = running.entry(name.to_owned()).or_insert(0);
            *now = now.checked_add_signed(by).unwrap();
            let mut most = self.most.lock().unwrap();
            let high = most.entry(name.to_owned()).or_insert(0);
            *high = (*high).max(*now);
        }
    }

    async fn reply(&self, say: Say, attempt: u32) -> Reply {
        let (verdict, requests) = match say {
            Say::Ack => (Ok(()), Vec::new()),
            Say::Decide(requests) => (Ok(()), requests),
            Say::Fail(class) => (Err(failure(class, attempt, None)), Vec::new()),
            Say::Wish(class, wish) => (Err(failure(class, attempt, Some(wish))), Vec::new()),
            Say::Held(then) => {
                let mut gate = self.gate.subscribe();
                gate.wait_for(|open| *open).await.unwrap();
                return Box::pin(self.reply(*then, attempt)).await;
            }
        };
        Reply {
            verdict,
            requests,
            state_writes: Vec::new(),
            digest: "d".to_owned(),
            duration: Duration::ZERO,
            peak_memory: 0,
            answer: crate::job::Answer::Nothing,
        }
    }
}

#[async_trait]
impl Handlers for Scripted {
    async fn call(&self, plugin: &PluginName, call: Call, _: SharedView) -> Reply {
        let name = plugin.as_str().to_owned();
        self.count(&name, 1);
        let attempt = call.attempt;
        self.calls.lock().unwrap().push(Seen {
            plugin: name.clone(),
            function: call.function,
            at: self.clock.now(),
            call,
        });
        let say = self.next(&name);
        let reply = self.reply(say, attempt).await;
        self.count(&name, -1);
        reply
    }

    fn exports(&self) -> Arc<BTreeMap<PluginName, Exports>> {
        Arc::clone(&self.exports.lock().unwrap())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

pub(super) fn failure(class: FailureClass, attempt: u32, wish: Option<Duration>) -> Box<FailureRecord> {
    Box::new(FailureRecord {
        class,
        code: Code::FAIL,
        message: "no".into(),
        last_words: String::new(),
        frames: Vec::new(),
        limit: None,
        peak_memory: 0,
        digest: "d".into(),
        attempt,
        at: Timestamp::default(),
        duration: Duration::ZERO,
        retry_after: wish,
    })
}
