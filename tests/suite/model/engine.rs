//! The real engine on a random schedule: real store, real dispatcher, a simulated clock, and guests
//! that end when and how the schedule says. What it does becomes a trace that the model follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sexton::clock::Clock;
use sexton::config::PluginConfig;
use sexton::dispatch::{DispatchSettings, Dispatcher, Handlers, Policies};
use sexton::fail_fast::{Children, Ending, FailFast};
use sexton::job::{Backoff, Ladder, PluginName, Policy, Then, Timestamp};
use sexton::plugin::Exports;
use sexton::store::{FaultStore, SqliteOptions, SqliteStore, Standing, Store, StoreError, TraceStore};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::guests::{FUNCTIONS, Hands, Named, Shared, name, reply, write};
use super::rows::index;
use super::schedule::Move;
use super::settle::{Next, Said};
use super::trace::{Follower, Line};

/// Longer than any wait of the policies used here.
const LONG: Duration = Duration::from_secs(100);

/// A host that runs.
pub(super) struct Up {
    pub(super) trace: Arc<TraceStore>,
    faults: Arc<FaultStore>,
    hands: Arc<Hands>,
    dispatcher: JoinHandle<()>,
}

/// The engine, with the model beside it.
pub(super) struct Engine {
    dir: tempfile::TempDir,
    pub(super) clock: Clock,
    then: Next,
    seen: Shared,
    pub(super) follower: Follower,
    followed: usize,
    pub(super) up: Option<Up>,
    pub(super) named: Vec<bool>,
    serving: Vec<bool>,
    pub(super) digests: Vec<u32>,
}

pub(super) type Moved = Result<(), String>;

impl Engine {
    pub(super) fn new(then: Next) -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            clock: Clock::simulated(Timestamp::from_millis(1_700_000_000_000)),
            then,
            seen: Shared::default(),
            follower: Follower::new(then),
            followed: 0,
            up: None,
            named: vec![true, false],
            serving: vec![true; 2],
            digests: vec![1; 2],
        }
    }

    /// Carries out a schedule, lets everything end, and returns the trace.
    pub(super) async fn run(mut self, moves: &[Move]) -> Result<Vec<Line>, String> {
        self.quiet().await?;
        for one in moves {
            self.carry_out(*one)
                .await
                .map_err(|why| format!("{one:?}: {why}"))?;
            self.quiet()
                .await
                .map_err(|why| format!("after {one:?}: {why}"))?;
        }
        self.finish().await?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(seen.lines.clone())
    }

    /// From here every guest acknowledges, so every delivery must come to its end.
    async fn finish(&mut self) -> Moved {
        for handler in 0..index(self.serving.len()) {
            if !self.serving[usize::from(handler)] {
                self.toggle(handler);
            }
        }
        for _ in 0..100 {
            self.quiet().await?;
            if self.follower.is_over() {
                return Ok(());
            }
            self.end(0, Said::Ack)?;
            self.clock.advance(LONG);
        }
        Err(format!("it never ends: {:#?}", self.follower.state))
    }

    /// Follows the trace until host and model agree that nothing happens by itself. Whatever the
    /// model can do, the engine must do.
    async fn quiet(&mut self) -> Moved {
        for _ in 0..10_000 {
            self.follow()?;
            if self.follower.state.host.is_none() {
                self.open().await?;
                self.follow()?;
            }
            if self.follower.is_quiet(self.clock.now()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(format!("the engine does not go on in {:#?}", self.follower.state))
    }

    fn follow(&mut self) -> Moved {
        let lines = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.lines[self.followed..].to_vec()
        };
        self.followed += lines.len();
        lines.iter().try_for_each(|line| self.follower.take(line))
    }

    /// A new start on what the last one left.
    async fn open(&mut self) -> Moved {
        // A dead host says no goodbye to the store.
        if let Some(dead) = self.up.take() {
            dead.dispatcher.abort();
        }
        let sqlite = self.take_lock().await?;
        let host = self.seen.lock().unwrap_or_else(PoisonError::into_inner).host;
        let (seen, clock) = (Arc::clone(&self.seen), self.clock.clone());
        let listener =
            move |did, standing: Standing| write(&seen, host, Line::Did(did, standing, clock.now()));
        let trace = Arc::new(TraceStore::new(Arc::new(sqlite), Arc::new(listener)));
        let standing = trace.standing().await.map_err(|why| why.to_string())?;
        write(&self.seen, host, Line::Opened(standing));
        let faults = Arc::new(FaultStore::new(Arc::clone(&trace) as Arc<dyn Store>));
        let hands = Arc::new(Hands {
            seen: Arc::clone(&self.seen),
            host,
            exports: Mutex::new(Arc::new(self.exports())),
            changed: watch::channel(0).0,
            held: Mutex::default(),
        });
        let dispatcher = self.dispatcher(&faults, &hands);
        self.up = Some(Up {
            trace,
            faults,
            hands,
            dispatcher: tokio::spawn(dispatcher.run(CancellationToken::new())),
        });
        self.route(BTreeMap::new()).await
    }

    fn dispatcher(&self, faults: &Arc<FaultStore>, hands: &Arc<Hands>) -> Dispatcher {
        let config = PluginConfig {
            on_failure: Some(Policy::Own(Ladder {
                attempts: Some(2),
                backoff: Backoff {
                    initial: Duration::from_secs(10),
                    factor: 1.0,
                    max: Duration::from_secs(10),
                },
                jitter: 0.0,
                age: Duration::from_secs(86_400_000),
                then: if self.then == Next::FailFast {
                    Then::FailFast
                } else {
                    Then::DeadLetter
                },
            })),
            ..PluginConfig::default()
        };
        let plugins = (0..2).map(|handler| (name(handler), config.clone())).collect();
        Dispatcher::new(
            Arc::clone(faults) as Arc<dyn Store>,
            Arc::clone(hands) as Arc<dyn Handlers>,
            Arc::new(RwLock::new(Policies::new(plugins, 2))),
            self.clock.clone(),
            DispatchSettings {
                calls: 64,
                calls_per_plugin: 4,
                drain: Duration::ZERO,
            },
            FailFast {
                ending: Ending::Held,
                report_dir: self.dir.path().join("reports"),
                children: Children::default(),
            },
        )
    }

    /// Opens the store once nothing of the dead host holds its lock any more: what was aborted is
    /// dropped by other threads, in their own time.
    async fn take_lock(&self) -> Result<SqliteStore, String> {
        let options = SqliteOptions {
            state_dir: self.dir.path().join("state"),
            clock: self.clock.clone(),
            force: false,
        };
        for _ in 0..10_000 {
            match SqliteStore::open(options.clone()).await {
                Err(StoreError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                other => return other.map_err(|why| why.to_string()),
            }
        }
        Err("something of the dead host lives on".to_owned())
    }

    fn exports(&self) -> BTreeMap<PluginName, Exports> {
        let serving = self.digests.iter().zip(&self.serving).enumerate();
        serving
            .filter(|(_, (_, serving))| **serving)
            .map(|(handler, (digest, _))| {
                let exports = Exports {
                    digest: format!("d{digest}"),
                    functions: FUNCTIONS.into(),
                    final_retry: false,
                    work: BTreeSet::new(),
                };
                (name(handler), exports)
            })
            .collect()
    }

    pub(super) fn store(&self) -> Arc<FaultStore> {
        Arc::clone(&self.up.as_ref().expect("a host").faults)
    }

    pub(super) fn note(&self, line: Line) {
        let host = self.up.as_ref().map_or(0, |up| up.hands.host);
        write(&self.seen, host, line);
    }

    pub(super) async fn route(&self, renewed: BTreeMap<PluginName, Option<String>>) -> Moved {
        let router = Arc::new(Named(self.named.clone()));
        self.store()
            .set_router(router, renewed)
            .await
            .map_err(|why| why.to_string())
    }

    /// Tells dispatch what serves now.
    pub(super) fn serve(&self) {
        let hands = &self.up.as_ref().expect("a host").hands;
        *hands.exports.lock().unwrap() = Arc::new(self.exports());
        hands.changed.send_modify(|version| *version += 1);
    }

    pub(super) fn toggle(&mut self, handler: u8) {
        let serving = &mut self.serving[usize::from(handler)];
        *serving = !*serving;
        let serves = *serving;
        self.note(Line::Served(handler, serves));
        self.serve();
    }

    /// A guest ends. Where it may not decide, the room would refuse, and it just acknowledges.
    pub(super) fn end(&mut self, pick: u8, said: Said) -> Moved {
        self.follow()?;
        let held = {
            let mut held = self.up.as_ref().expect("a host").hands.held.lock().unwrap();
            if held.is_empty() {
                return Ok(());
            }
            let at = usize::from(pick) % held.len();
            held.swap_remove(at)
        };
        let said = match said {
            Said::Decide(command) if !self.follower.may_decide(held.delivery, command) => Said::Ack,
            other => other,
        };
        self.note(Line::Ended(held.delivery, said));
        let _ = held.end.send(reply(
            &held.job,
            held.attempt,
            &held.digest,
            said,
            self.clock.now(),
        ));
        Ok(())
    }
}
