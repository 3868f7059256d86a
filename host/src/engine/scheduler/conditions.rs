//! What keeps transfers from running although nothing is wrong with them: a network that is gone, a
//! bandwidth policy of zero, the operator. Nothing here costs anything while no condition holds.

use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{NetworkMode, TransferRules};
use crate::engine::Bandwidth;
use crate::job::{Command, HoldReason, Priority, Timestamp};
use crate::store::{Hold, HoldJobs};

use super::lanes::LaneGate;
use super::{Engine, Running};

/// Levels that a bandwidth policy and the operator concern (B-71).
const BACKGROUND: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// The rules, the network, and what follows from them now.
pub(super) struct Conditions {
    pub(super) rules: watch::Receiver<Arc<TransferRules>>,
    pub(super) network: watch::Receiver<bool>,
    pub(super) bandwidth: Arc<Bandwidth>,
    /// What holds transfers now.
    holds: Vec<Hold>,
    connected: bool,
    /// The network has come back, and not every job has been told (B-29).
    returned: bool,
    pub(super) lanes: LaneGate,
    /// When a window opens or closes, or something is to be looked at again.
    pub(super) next_change: Option<Timestamp>,
}

impl Conditions {
    pub(super) fn new(
        clock: &Clock,
        rules: watch::Receiver<Arc<TransferRules>>,
        network: watch::Receiver<bool>,
    ) -> Self {
        Self {
            rules,
            network,
            bandwidth: Arc::new(Bandwidth::new(clock.clone())),
            holds: Vec::new(),
            connected: true,
            returned: false,
            lanes: LaneGate::new(watch::channel(Arc::default()).1),
            next_change: None,
        }
    }

    /// Whether anything is held now.
    pub(super) fn any(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Whether rules or network have changed since they were last looked at.
    pub(super) fn have_changed(&self) -> bool {
        let changed = |said: Result<bool, _>| said.unwrap_or(false);
        let activities = self.lanes.activities.has_changed();
        changed(self.rules.has_changed()) || changed(self.network.has_changed()) || changed(activities)
    }

    /// What holds a transfer of this level to this remote host.
    fn of(&self, level: Priority, host: &str) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.concerns(level, host))
    }

    /// What holds transfers now.
    pub(super) fn holds(&self) -> &[Hold] {
        &self.holds
    }

    /// Looks at rules, network and time anew.
    fn refresh(&mut self, now: Timestamp) {
        let rules = Arc::clone(&self.rules.borrow_and_update());
        let seen = *self.network.borrow_and_update();
        let (rates, until) = rules.bandwidth.at(now, &TimeZone::system());
        self.bandwidth.set(&rates);
        self.next_change = until.into_iter().chain(self.lanes.refresh(now)).min();
        let connected = match rules.network {
            NetworkMode::Auto => seen,
            NetworkMode::Up => true,
            NetworkMode::Down => false,
        };
        if connected && !self.connected {
            self.returned = true;
            tracing::info!("the network is back");
        } else if !connected && self.connected {
            tracing::warn!("there is no network; transfers wait for it");
        }
        self.connected = connected;
        self.holds.clear();
        if !connected {
            let words = match rules.network {
                NetworkMode::Down => "there is no network, as `[transfer] network` says",
                NetworkMode::Auto | NetworkMode::Up => "there is no network: no route leads off this machine",
            };
            self.hold(HoldReason::Network, Priority::ALL.to_vec(), words.to_owned());
        }
        if let Some(reason) = rules.hold {
            let words = format!("the operator holds background transfers (`[transfer] hold`): {reason}");
            self.hold(reason, BACKGROUND.to_vec(), words);
        }
        let stopped: Vec<Priority> = BACKGROUND
            .into_iter()
            .filter(|level| rates.stop(*level))
            .collect();
        if !stopped.is_empty() {
            let mut words = "the bandwidth policy is zero now".to_owned();
            if let Some(until) = until {
                words = format!("{words}; it is looked at again at {until}");
            }
            self.hold(HoldReason::Bandwidth, stopped, words);
        }
    }

    fn hold(&mut self, reason: HoldReason, levels: Vec<Priority>, description: String) {
        self.holds.push(Hold {
            reason,
            levels,
            description,
        });
    }
}

impl Engine {
    /// Brings what runs and what waits in line with the conditions as they are now. True when that is
    /// done; more is done at the next wake, which is at once.
    pub(super) async fn weigh(&mut self) -> bool {
        let now = self.clock.now();
        let closed = self.conditions.lanes.closed();
        self.conditions.refresh(now);
        self.want_claim |= *closed != *self.conditions.lanes.closed();
        for running in self.running.values().filter(|one| one.is_transfer()) {
            if let Some(hold) = self.conditions.of(running.level.get(), &running.host) {
                let error = hold.error(running.run.attempt, now);
                running.end_with(Command::Held { error });
            }
        }
        let ask = HoldJobs {
            holds: self.conditions.holds.clone(),
            network_returned: self.conditions.returned,
        };
        match self.store.hold_jobs(ask).await {
            Ok(false) => {
                self.conditions.returned = false;
                true
            }
            Ok(true) => {
                self.want_weigh = true;
                self.next_timer = Some(now);
                false
            }
            Err(why) => {
                self.want_weigh = true;
                self.store_failed("held transfers cannot be brought in line", &why);
                false
            }
        }
    }
}

impl Running {
    /// Asks the run to stop, and says what its end is then; whoever asked first is heard.
    pub(super) fn end_with(&self, command: Command) {
        if !self.stop.is_cancelled() {
            let _ = self.verdict.set(command);
            self.stop.cancel();
        }
    }
}
