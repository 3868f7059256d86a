//! The real plugin room, seen by a dispatcher whose host has troubles of its own.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sexton::dispatch::Handlers;
use sexton::job::{Code, Command, FailureClass, FailureRecord, PluginName, Priority, Reply, Timestamp};
use sexton::plugin::{Call, Exports, PluginRoom, SharedView};
use sexton::store::Store;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Lets a number of calls go wrong that are not the handler's fault.
pub(super) struct Strained {
    room: PluginRoom,
    trouble: Option<FailureClass>,
    left: AtomicU32,
    store: Mutex<Option<Arc<dyn Store>>>,
    calls: watch::Sender<u32>,
}

impl Strained {
    /// Nothing is wrong.
    pub(super) fn not(room: PluginRoom) -> Self {
        Self {
            room,
            trouble: None,
            left: AtomicU32::new(0),
            store: Mutex::new(None),
            calls: watch::Sender::new(0),
        }
    }

    /// The first `times` calls meet `class`.
    pub(super) fn new(room: PluginRoom, class: &str, times: u32) -> Self {
        Self {
            trouble: Some(class.parse().unwrap()),
            left: AtomicU32::new(times),
            ..Self::not(room)
        }
    }

    /// Where jobs are changed behind a handler's back.
    pub(super) fn store(&self, store: &Arc<dyn Store>) {
        *self.store.lock().unwrap() = Some(Arc::clone(store));
    }

    /// The host is gone.
    pub(super) fn forget(&self) {
        *self.store.lock().unwrap() = None;
    }

    /// Once a call has begun.
    pub(super) async fn called(&self) {
        let mut calls = self.calls.subscribe();
        calls.wait_for(|calls| *calls > 0).await.unwrap();
    }

    async fn strained(&self, plugin: &PluginName, call: Call, view: SharedView) -> Reply {
        self.calls.send_modify(|calls| *calls += 1);
        let again = |left: u32| left.checked_sub(1);
        let trouble = self.trouble.filter(|_| {
            self.left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, again)
                .is_ok()
        });
        let (job, attempt) = (call.job.id, call.attempt);
        match trouble {
            None => self.room.call(plugin, call, view).await,
            // The host dies meanwhile.
            Some(FailureClass::Interrupted) => std::future::pending().await,
            // The job moves while its handler thinks.
            Some(FailureClass::Conflict) => {
                let reply = self.room.call(plugin, call, view).await;
                let store = self.store.lock().unwrap().clone().unwrap();
                let priority = if attempt.is_multiple_of(2) {
                    Priority::Low
                } else {
                    Priority::High
                };
                store.command(job, Command::SetPriority(priority)).await.unwrap();
                reply
            }
            Some(class) => failed(class, attempt),
        }
    }
}

impl Handlers for Strained {
    fn call<'s, 'p, 'f>(
        &'s self,
        plugin: &'p PluginName,
        call: Call,
        view: SharedView,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'f>>
    where
        's: 'f,
        'p: 'f,
        Self: 'f,
    {
        Box::pin(self.strained(plugin, call, view))
    }

    fn exports(&self) -> Arc<BTreeMap<PluginName, Exports>> {
        self.room.exports()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.room.changes()
    }

    fn threads(&self) -> Handle {
        self.room.handle()
    }
}

fn failed(class: FailureClass, attempt: u32) -> Reply {
    Reply {
        verdict: Err(Box::new(FailureRecord {
            class,
            code: Code::FAIL,
            message: "not its fault".into(),
            last_words: String::new(),
            frames: Vec::new(),
            limit: None,
            peak_memory: 0,
            digest: String::new(),
            attempt,
            at: Timestamp::default(),
            duration: Duration::ZERO,
            retry_after: None,
        })),
        requests: Vec::new(),
        state_writes: Vec::new(),
        digest: String::new(),
        duration: Duration::ZERO,
        peak_memory: 0,
        answer: sexton::job::Answer::Nothing,
    }
}
