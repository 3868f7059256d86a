//! What follows a failed delivery: the presets and own policies, and the one pure function that
//! turns a failure into the next step.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Backoff, FailureClass};

/// Longest delay a handler may ask for.
const WISH_MAX: Duration = Duration::from_secs(3600);

/// The queued-components ladder: five levels after the input queue, three tries on each (C-71, C-72).
const QUEUED_LEVELS: [u64; 5] = [60, 120, 240, 480, 960];
const QUEUED_TRIES: u32 = 3;

/// What ends a ladder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// Keep it for a person.
    #[default]
    DeadLetter,
    /// End the process.
    FailFast,
    /// Run the job's notify command.
    NotifyCommand,
}

/// A ladder of retries with an end.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// Calls in all, the first included; `None` is no cap.
    pub attempts: Option<u32>,
    /// The delays between them.
    pub backoff: Backoff,
    /// Each delay is spread by ± this fraction.
    pub jitter: f64,
    /// No retry when the event is older than this.
    pub age: Duration,
    /// What comes after the last.
    pub then: Then,
}

/// A preset or an own ladder.
#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    /// Again until it succeeds: 1 s doubling to 5 min, ±10 %, at most 14 days (B-101).
    Bits,
    /// Levels of 1, 2, 4, 8 and 16 min with three tries each, then the final callback (C-71…C-76).
    Queued,
    /// The process terminates (C-32).
    ComPlus,
    /// Kept for a person at once.
    DeadLetter,
    /// The process terminates.
    FailFast,
    /// As written.
    Own(Ladder),
}

impl Policy {
    /// What handlers of queries have: nothing waits for them, so they are not called for ever.
    #[must_use]
    pub fn three_times() -> Self {
        let bits = Self::Bits.ladder().map(|ladder| Ladder {
            attempts: Some(3),
            ..ladder
        });
        bits.map_or(Self::DeadLetter, Self::Own)
    }

    fn ladder(&self) -> Option<Ladder> {
        match self {
            Self::Bits => Some(Ladder {
                attempts: None,
                backoff: Backoff {
                    initial: Duration::from_secs(1),
                    factor: 2.0,
                    max: Duration::from_secs(300),
                },
                jitter: 0.1,
                age: Duration::from_secs(14 * 86_400),
                then: Then::DeadLetter,
            }),
            Self::Own(ladder) => Some(ladder.clone()),
            Self::Queued | Self::ComPlus | Self::DeadLetter | Self::FailFast => None,
        }
    }

    /// Whether every failure under it ends the process.
    #[must_use]
    pub const fn is_fail_fast(&self) -> bool {
        matches!(self, Self::ComPlus | Self::FailFast)
    }
}

/// A plugin's policies: one for all classes, and others where a class differs.
#[derive(Clone, Debug, PartialEq)]
pub struct FailurePolicy {
    /// Where no class is named.
    pub default: Policy,
    /// By class.
    pub by_class: BTreeMap<FailureClass, Policy>,
}

impl FailurePolicy {
    /// One policy for every class.
    #[must_use]
    pub const fn new(default: Policy) -> Self {
        Self {
            default,
            by_class: BTreeMap::new(),
        }
    }

    /// The policy of `class`.
    #[must_use]
    pub fn of(&self, class: FailureClass) -> &Policy {
        self.by_class.get(&class).unwrap_or(&self.default)
    }
}

/// What happened to a delivery so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// Charged attempts, the failed one included.
    pub charged: u32,
    /// Age of the delivery.
    pub age: Duration,
}

/// The next step of a failed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Call again after the delay.
    Retry(Duration),
    /// Call `final-server-retry`, then bury it if that fails too.
    FinalCallback,
    /// Run the notify command.
    NotifyCommand,
    /// Bury it, for this reason.
    DeadLetter(String),
    /// End the process.
    FailFast,
}

/// What follows a *charged* failure of `class` under `policy`.
///
/// `wish` is the delay the handler asked for (at most an hour counts); `jitter` in `0.0..1.0`
/// spreads the delay and comes from outside, so that this function stays pure.
#[must_use]
pub fn next_step(
    policy: &FailurePolicy,
    class: FailureClass,
    tries: Tries,
    wish: Option<Duration>,
    jitter: f64,
) -> Next {
    let chosen = policy.of(class);
    match chosen {
        Policy::ComPlus | Policy::FailFast => return Next::FailFast,
        Policy::DeadLetter => return Next::DeadLetter(format!("the policy for {class} is dead-letter")),
        Policy::Queued => return queued_step(class, tries, wish),
        Policy::Bits | Policy::Own(_) => {}
    }
    let own_class = policy.by_class.contains_key(&class);
    if class == FailureClass::ErrorPermanent && matches!(chosen, Policy::Own(_)) && !own_class {
        return Next::DeadLetter("the handler said that trying again is of no use".to_owned());
    }
    let Some(ladder) = chosen.ladder() else {
        return Next::FailFast;
    };
    if ladder.attempts.is_some_and(|cap| tries.charged >= cap) {
        return end(ladder.then, format!("failed {} times", tries.charged));
    }
    let base = ladder.backoff.delay(tries.charged.saturating_sub(1));
    let spread = 1.0 + ladder.jitter * (2.0 * jitter - 1.0);
    let delay = wish.map_or_else(|| base.mul_f64(spread.max(0.0)), |wish| wish.min(WISH_MAX));
    if tries.age + delay > ladder.age {
        return end(
            ladder.then,
            format!("still failing after {}", humantime::format_duration(ladder.age)),
        );
    }
    Next::Retry(delay)
}

fn queued_step(class: FailureClass, tries: Tries, wish: Option<Duration>) -> Next {
    if class == FailureClass::ErrorPermanent {
        return Next::FinalCallback;
    }
    // One try on the input queue, then three on each level (C-72).
    let after_input = tries.charged.saturating_sub(1);
    let level = usize::try_from(after_input / QUEUED_TRIES).unwrap_or(usize::MAX);
    match QUEUED_LEVELS.get(level) {
        Some(seconds) => Next::Retry(wish.map_or(Duration::from_secs(*seconds), |wish| wish.min(WISH_MAX))),
        None => Next::FinalCallback,
    }
}

fn end(then: Then, why: String) -> Next {
    match then {
        Then::DeadLetter => Next::DeadLetter(why),
        Then::FailFast => Next::FailFast,
        Then::NotifyCommand => Next::NotifyCommand,
    }
}

/// A fraction in `0.0..1.0` drawn from the bytes of an id: the same delivery and attempt always
/// get the same jitter, so a replay of the record explains itself.
#[must_use]
pub fn jitter_fraction(id: &[u8; 16], attempt: u32) -> f64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325 ^ u64::from(attempt);
    for byte in id {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(policy: Policy, class: FailureClass, charged: u32, age: u64) -> Next {
        let tries = Tries {
            charged,
            age: Duration::from_secs(age),
        };
        next_step(&FailurePolicy::new(policy), class, tries, None, 0.5)
    }

    #[test]
    fn bits_calls_again_from_one_second_to_five_minutes() {
        let delays: Vec<_> = (1..=11)
            .map(|n| step(Policy::Bits, FailureClass::Trap, n, 0))
            .collect();
        let expected: Vec<_> = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
            .map(|s| Next::Retry(Duration::from_secs(s)))
            .into();
        assert_eq!(delays, expected);
        assert!(matches!(
            step(Policy::Bits, FailureClass::ErrorPermanent, 1, 0),
            Next::Retry(_)
        ));
        assert!(matches!(
            step(Policy::Bits, FailureClass::Trap, 9, 14 * 86_400),
            Next::DeadLetter(_)
        ));
    }

    #[test]
    fn c71_c72_queued_climbs_five_levels_three_tries_each() {
        let minutes: Vec<u64> = (1..=15)
            .map(|n| match step(Policy::Queued, FailureClass::Timeout, n, 0) {
                Next::Retry(delay) => delay.as_secs() / 60,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(minutes, [1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8, 16, 16, 16]);
        assert_eq!(
            step(Policy::Queued, FailureClass::Timeout, 16, 0),
            Next::FinalCallback
        );
        assert_eq!(
            step(Policy::Queued, FailureClass::ErrorPermanent, 1, 0),
            Next::FinalCallback
        );
    }

    #[test]
    fn c32_com_plus_ends_the_process_for_every_class() {
        for class in FailureClass::ALL.iter().copied().filter(|c| c.is_charged()) {
            assert_eq!(step(Policy::ComPlus, class, 1, 0), Next::FailFast);
        }
    }

    #[test]
    fn jitter_keeps_within_its_fraction() {
        for (jitter, millis) in [(0.0, 900), (0.5, 1000), (0.999_999, 1099)] {
            let tries = Tries {
                charged: 1,
                age: Duration::ZERO,
            };
            let next = next_step(
                &FailurePolicy::new(Policy::Bits),
                FailureClass::Trap,
                tries,
                None,
                jitter,
            );
            let Next::Retry(delay) = next else {
                panic!("{next:?}")
            };
            assert_eq!(delay.as_millis(), millis);
        }
    }

    #[test]
    fn a_handlers_wish_is_capped_at_an_hour() {
        let tries = Tries {
            charged: 1,
            age: Duration::ZERO,
        };
        let wish = Some(Duration::from_secs(90_000));
        let next = next_step(
            &FailurePolicy::new(Policy::Bits),
            FailureClass::ErrorTransient,
            tries,
            wish,
            0.5,
        );
        assert_eq!(next, Next::Retry(WISH_MAX));
    }
}
