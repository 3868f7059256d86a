//! [`Policies::after`] as a table: every class of failure under every preset.

use std::time::Duration;

use super::super::Policies;
use super::scene::policies;
use super::scripted::failure;
use crate::job::{
    DeliveryId, DeliveryState, EventKind, FailureClass, Job, JobId, JobKind, JobSpec, JobState, Ladder,
    Policy, Priority, Profile, Progress, Role, Then, Timestamp,
};
use crate::store::{AfterFailure, Claim, DeliveryRecord, Stage};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn job() -> Job {
    Job {
        id: JobId::fresh(),
        owner: "uid-0".parse().unwrap(),
        kind: JobKind::Download,
        state: JobState::Error,
        intent: None,
        outcome: None,
        priority: Priority::Normal,
        revision: 3,
        attempt: 1,
        error_count: 1,
        retries: 0,
        call: crate::job::CallState::default(),
        no_progress_since: None,
        reply: None,
        due: None,
        created: NOW,
        modified: NOW,
        transferred: None,
        progress: Progress::default(),
        error: None,
        spec: JobSpec::new("x", Profile::Sexton),
    }
}

/// The first attempt of `event` for `a`.
fn claim(event: EventKind) -> Claim {
    let job = job();
    Claim {
        delivery: DeliveryRecord {
            id: DeliveryId::fresh(),
            event_id: "e".into(),
            seq: 1,
            event,
            job: job.id,
            owner: job.owner.clone(),
            plugin: "a".parse().unwrap(),
            role: Role::Decider,
            state: DeliveryState::Running,
            stage: Stage::Handler,
            attempt: 1,
            charged: 1,
            host_faults: 0,
            rounds: 0,
            due: None,
            created: NOW,
            ended: None,
            result: None,
            digest: String::new(),
            last_failure: None,
            attempts: Vec::new(),
        },
        job,
        files: Vec::new(),
        error: None,
        file: None,
        outcome: None,
        stale: false,
        sink: None,
    }
}

/// What follows, in one word.
fn word(next: &AfterFailure) -> &'static str {
    match next {
        AfterFailure::Retry { stage, due } => match stage {
            Stage::Handler if *due > NOW => "again",
            Stage::Handler => "again at once",
            Stage::Final => "final",
            Stage::Command => "command",
        },
        AfterFailure::Dead { .. } => "dead",
        AfterFailure::Park { .. } => "parked",
        AfterFailure::FailFast { crash_limit: 2 } => "fail-fast",
        AfterFailure::FailFast { .. } => "fail-fast with another limit",
    }
}

fn after(policies: &Policies, claim: &Claim, class: FailureClass) -> &'static str {
    word(&policies.after(claim, &failure(class, 1, None), true, NOW))
}

fn ladder(then: Then, attempts: u32) -> Policy {
    Policy::Own(Ladder {
        attempts: Some(attempts),
        backoff: Profile::Sexton.retry(Priority::Normal),
        jitter: 0.0,
        age: Duration::from_secs(1_000),
        then,
    })
}

/// (policy, errors that may pass and everything that goes wrong by itself, permanent errors).
fn table() -> Vec<(Policy, &'static str, &'static str)> {
    vec![
        (Policy::Bits, "again", "again"),
        (Policy::Queued, "again", "final"),
        (Policy::ComPlus, "fail-fast", "fail-fast"),
        (Policy::FailFast, "fail-fast", "fail-fast"),
        (Policy::DeadLetter, "dead", "dead"),
        (ladder(Then::DeadLetter, 2), "again", "dead"),
        (ladder(Then::DeadLetter, 1), "dead", "dead"),
        (ladder(Then::FailFast, 2), "again", "dead"),
        (ladder(Then::FailFast, 1), "fail-fast", "dead"),
        (ladder(Then::NotifyCommand, 2), "again", "dead"),
        (ladder(Then::NotifyCommand, 1), "dead", "dead"),
    ]
}

#[test]
fn every_class_under_every_policy() {
    let claim = claim(EventKind::JobError);
    for (policy, passing, permanent) in table() {
        let all = policies(Some(policy.clone()), &[]);
        for class in FailureClass::ALL.iter().copied() {
            let expected = match class {
                FailureClass::ErrorPermanent => permanent,
                _ if class.is_charged() => passing,
                _ => "again",
            };
            assert_eq!(after(&all, &claim, class), expected, "{class} under {policy:?}");
        }
    }
}

#[test]
fn every_class_under_every_policy_of_its_own() {
    let claim = claim(EventKind::JobError);
    for (policy, passing, permanent) in table() {
        for class in FailureClass::ALL.iter().copied() {
            let other = if policy == Policy::DeadLetter {
                Policy::ComPlus
            } else {
                Policy::DeadLetter
            };
            let own = policies(Some(other), &[(class, policy.clone())]);
            let expected = match (class, &policy) {
                // A ladder written for permanent errors is climbed.
                (FailureClass::ErrorPermanent, Policy::Own(_)) => passing,
                (FailureClass::ErrorPermanent, _) => permanent,
                _ if class.is_charged() => passing,
                _ => "again",
            };
            assert_eq!(after(&own, &claim, class), expected, "{class} under {policy:?}");
        }
    }
}

#[test]
fn every_class_with_a_notify_command() {
    let mut claim = claim(EventKind::JobError);
    claim.job.spec.notify_command = vec!["/bin/true".into()];
    for (policy, passing, _) in table() {
        let all = policies(Some(policy.clone()), &[]);
        for class in FailureClass::ALL
            .iter()
            .copied()
            .filter(|class| class.is_charged())
        {
            let climbs = policy == ladder(Then::NotifyCommand, 2) && class != FailureClass::ErrorPermanent;
            let expected = match &policy {
                Policy::ComPlus | Policy::FailFast => passing,
                _ if climbs => "again",
                _ => "command",
            };
            assert_eq!(after(&all, &claim, class), expected, "{class} under {policy:?}");
        }
    }
}

#[test]
fn the_interfaces_have_their_own_defaults() {
    let none = Policies::new(std::collections::BTreeMap::new(), 2);
    for (event, expected) in [
        (EventKind::JobError, "again"),
        (EventKind::JobTransferred, "again"),
        (EventKind::OnEnded, "again"),
        (EventKind::OnError, "fail-fast"),
    ] {
        assert_eq!(
            after(&none, &claim(event), FailureClass::Trap),
            expected,
            "{event}"
        );
    }
}

#[test]
fn ignored_fail_fasts_are_dead_letters_in_every_class() {
    let claim = claim(EventKind::OnError);
    let mut ignoring = policies(Some(Policy::ComPlus), &[]);
    ignoring.ignore_handler_failures = true;
    for class in FailureClass::ALL
        .iter()
        .copied()
        .filter(|class| class.is_charged())
    {
        assert_eq!(after(&ignoring, &claim, class), "dead", "{class}");
    }
}

#[test]
fn without_a_final_callback_the_ladder_ends_in_the_dead_letters() {
    let queued = policies(Some(Policy::Queued), &[]);
    let record = failure(FailureClass::ErrorPermanent, 1, None);
    let next = queued.after(&claim(EventKind::JobError), &record, false, NOW);
    assert_eq!(word(&next), "dead");
}

#[test]
fn b159_no_command_for_other_events_nor_for_jobs_that_went_on() {
    let bits = policies(Some(Policy::Bits), &[]);
    let with = |event, state| {
        let mut claim = claim(event);
        claim.job.spec.notify_command = vec!["/bin/true".into()];
        claim.job.state = state;
        after(&bits, &claim, FailureClass::Trap)
    };
    assert_eq!(with(EventKind::JobError, JobState::Error), "command");
    assert_eq!(with(EventKind::OnError, JobState::Error), "command");
    assert_eq!(with(EventKind::JobTransferred, JobState::Transferred), "command");
    assert_eq!(with(EventKind::JobError, JobState::Queued), "again");
    assert_eq!(with(EventKind::JobTransferred, JobState::Acknowledged), "again");
    assert_eq!(with(EventKind::FileTransferred, JobState::Transferred), "again");
    assert_eq!(with(EventKind::OnEnded, JobState::Acknowledged), "again");
}

#[test]
fn faults_of_the_host_keep_the_step_they_happened_on() {
    let bits = policies(Some(Policy::Bits), &[]);
    let mut claim = claim(EventKind::JobError);
    for stage in [Stage::Handler, Stage::Final, Stage::Command] {
        claim.delivery.stage = stage;
        let record = failure(FailureClass::HostFault, 1, None);
        let next = bits.after(&claim, &record, true, NOW);
        assert!(
            matches!(next, AfterFailure::Retry { stage: kept, .. } if kept == stage),
            "{next:?}"
        );
    }
    claim.delivery.host_faults = 4;
    assert_eq!(after(&bits, &claim, FailureClass::HostFault), "parked");
}
