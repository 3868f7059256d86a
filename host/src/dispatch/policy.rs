//! From a failed attempt to what follows it: the operator's policies, applied.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::PluginConfig;
use crate::job::{
    EventKind, FailureClass, FailurePolicy, FailureRecord, Interface, JobState, Next, PluginName, Policy,
    Role, Then, Timestamp, Tries, jitter_fraction, next_step,
};
use crate::store::{AfterFailure, Claim, Stage};

use super::router::has_command;

/// Host faults in a row after which a delivery is parked: it is ours to mend, not the handler's.
const HOST_FAULTS_MAX: u32 = 5;

/// Rounds of handler and notify command before the delivery is buried.
const COMMAND_ROUNDS: u32 = 10;

/// Wait before an overloaded plugin is tried again.
const OVERLOAD_WAIT: Duration = Duration::from_millis(250);

/// The policies of all plugins, with the interfaces' defaults.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    plugins: BTreeMap<PluginName, PluginConfig>,
    /// After how many FailFasts a delivery is parked.
    pub crash_limit: u32,
    /// FailFast acts as dead letter for this start (C-36).
    pub ignore_handler_failures: bool,
}

impl Policies {
    /// Policies of the configuration's `[plugin.NAME]` tables.
    #[must_use]
    pub fn new(plugins: BTreeMap<PluginName, PluginConfig>, crash_limit: u32) -> Self {
        Self {
            plugins,
            crash_limit,
            ignore_handler_failures: false,
        }
    }

    fn of(&self, plugin: &PluginName, event: EventKind) -> FailurePolicy {
        let preset = match event.interface() {
            Interface::JobCallback | Interface::JobEnd => Policy::Bits,
            Interface::AsyncErrorNotify => Policy::ComPlus,
            Interface::ObjectSink => Policy::three_times(),
            Interface::FinalRetry | Interface::ServiceCall | Interface::Provider => Policy::DeadLetter,
        };
        match self.plugins.get(plugin) {
            Some(config) => FailurePolicy {
                default: config.on_failure.clone().unwrap_or(preset),
                by_class: config.on.clone(),
            },
            None => FailurePolicy::new(preset),
        }
    }

    /// What follows this failure. `has_final` says whether the component exports `final-retry`.
    #[must_use]
    pub fn after(
        &self,
        claim: &Claim,
        record: &FailureRecord,
        has_final: bool,
        now: Timestamp,
    ) -> AfterFailure {
        if !record.class.is_charged() {
            return uncharged(claim, record, now);
        }
        let delivery = &claim.delivery;
        let again = |delay: Duration, stage| AfterFailure::Retry {
            due: now.after(delay),
            stage,
        };
        match delivery.stage {
            Stage::Final => {
                return AfterFailure::Dead {
                    why: format!("the final callback failed too: {}", record.message),
                };
            }
            Stage::Command => return after_command(claim, record, now),
            Stage::Handler => {}
        }
        let policy = self.of(&delivery.plugin, delivery.event);
        let has_command = runs_command(claim);
        if has_command && !policy.of(record.class).is_fail_fast() && !climbs_first(&policy, record.class) {
            return again(Duration::ZERO, Stage::Command);
        }
        let tries = Tries {
            charged: delivery.charged,
            age: now.since(delivery.created),
        };
        let jitter = jitter_fraction(delivery.id.as_bytes(), delivery.attempt);
        match next_step(&policy, record.class, tries, record.retry_after, jitter) {
            Next::Retry(delay) => again(delay, Stage::Handler),
            Next::FinalCallback if has_final => again(Duration::ZERO, Stage::Final),
            Next::FinalCallback => AfterFailure::Dead {
                why: "the ladder is used up and there is no final callback".to_owned(),
            },
            Next::NotifyCommand if has_command => again(Duration::ZERO, Stage::Command),
            Next::NotifyCommand => AfterFailure::Dead {
                why: "the ladder is used up and the job has no notify command".to_owned(),
            },
            Next::DeadLetter(why) => AfterFailure::Dead { why },
            Next::FailFast if self.ignore_handler_failures => AfterFailure::Dead {
                why: "FailFast, ignored for this start (--ignore-handler-failures)".to_owned(),
            },
            Next::FailFast => AfterFailure::FailFast {
                crash_limit: self.crash_limit,
            },
        }
    }
}

/// B-114, B-115: for errors and ends of transfer only, while the job rests there, and in place of who
/// decides: an observer that fails leaves nothing undone.
pub(super) fn runs_command(claim: &Claim) -> bool {
    let event = claim.delivery.event;
    let rests = match claim.job.state {
        JobState::Error => event != EventKind::JobTransferred,
        JobState::Transferred => event == EventKind::JobTransferred,
        _ => false,
    };
    rests
        && has_command(event)
        && claim.delivery.role == Role::Decider
        && !claim.job.spec.notify_command.is_empty()
}

/// A ladder that names the command as its end is climbed before; otherwise the command runs at the
/// first failure. There is nothing to climb for a handler that says trying again is of no use.
fn climbs_first(policy: &FailurePolicy, class: FailureClass) -> bool {
    let named = matches!(policy.of(class), Policy::Own(ladder) if ladder.then == Then::NotifyCommand);
    named && (class != FailureClass::ErrorPermanent || policy.by_class.contains_key(&class))
}

/// B-102: both failed, so the whole notification is made again after the minimum retry delay.
fn after_command(claim: &Claim, record: &FailureRecord, now: Timestamp) -> AfterFailure {
    if claim.job.state.is_final() {
        return AfterFailure::Dead {
            why: "handler and notify command failed, and the job has ended".to_owned(),
        };
    }
    if claim.delivery.rounds + 1 >= COMMAND_ROUNDS {
        return AfterFailure::Dead {
            why: format!(
                "handler and notify command failed in {COMMAND_ROUNDS} rounds: {}",
                record.message
            ),
        };
    }
    AfterFailure::Retry {
        due: now.after(claim.job.spec.retry.initial),
        stage: Stage::Handler,
    }
}

fn uncharged(claim: &Claim, record: &FailureRecord, now: Timestamp) -> AfterFailure {
    let stage = claim.delivery.stage;
    if record.class == FailureClass::HostFault {
        if claim.delivery.host_faults + 1 >= HOST_FAULTS_MAX {
            let why = format!(
                "the host failed {HOST_FAULTS_MAX} times in a row: {}",
                record.message
            );
            return AfterFailure::Park { why };
        }
        let wait = Duration::from_secs(1 << claim.delivery.host_faults.min(6));
        return AfterFailure::Retry {
            due: now.after(wait),
            stage,
        };
    }
    AfterFailure::Retry {
        due: now.after(OVERLOAD_WAIT),
        stage,
    }
}
