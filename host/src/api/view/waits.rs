//! What a job waits for, since when, and what ends it: never a silent hold (BP-04).

use serde::{Deserialize, Serialize};

use crate::job::{Family, HoldReason, Job, JobState, Priority, Timestamp, WantedEnd};

/// What keeps a job from going on by itself right now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitView {
    /// `slot`, `activity`, `after`, `start`, `retry`, `completion`, or a condition: `network`, `bandwidth`, `cost`, `power`,
    /// `operator`.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when at the latest, where that is known.
    pub until: Option<Timestamp>,
    /// What ends it, in words.
    pub ends: String,
}

impl WaitView {
    /// What `job` waits for; `None` while it runs, rests by somebody's wish, or has ended.
    #[must_use]
    pub fn of(job: &Job) -> Option<Self> {
        if job.intent.is_some() {
            return None;
        }
        let held = job.error.as_ref().filter(|_| job.due.is_none());
        let held = held.and_then(|error| HoldReason::of(error.code));
        let (reason, ends) = match (job.state, held) {
            (JobState::Queued, _) if job.spec.after.iter().any(|one| !one.met) => after(job),
            (JobState::Queued, _) if job.due.is_some() => ("start", "its start comes".to_owned()),
            (JobState::Queued, _) if job.kind.family() != Family::Transfer => lane(job),
            (JobState::Queued, _) if job.priority == Priority::Foreground => (
                "slot",
                "the host takes it: foreground jobs need no free slot".to_owned(),
            ),
            (JobState::Queued, _) => {
                let ends = format!(
                    "a background slot is free, or one of its remote host, and no job of priority {} is before it",
                    before(job.priority)
                );
                ("slot", ends)
            }
            (JobState::TransientError, Some(reason)) => (reason.as_str(), reason.ends().to_owned()),
            (JobState::TransientError, None) => ("retry", "the delay before its retry is over".to_owned()),
            (JobState::Transferred, _) if job.spec.hold => {
                ("completion", "`sexton job complete`, or its handler".to_owned())
            }
            _ => return None,
        };
        Some(Self {
            reason: reason.to_owned(),
            since: job.modified,
            until: job.due,
            ends,
        })
    }
}

/// The jobs that must end first.
fn after(job: &Job) -> (&'static str, String) {
    let open = job.spec.after.iter().filter(|one| !one.met);
    let each: Vec<String> = open
        .map(|one| match one.wants {
            WantedEnd::Succeeded => format!("job {} succeeds", one.job),
            WantedEnd::Failed => format!("job {} fails", one.job),
            WantedEnd::Any => format!("job {} ends", one.job),
        })
        .collect();
    ("after", each.join(" and "))
}

/// What a job that is no transfer waits for.
fn lane(job: &Job) -> (&'static str, String) {
    match job.spec.batch.as_ref().and_then(|batch| batch.activity.as_ref()) {
        Some(activity) => (
            "activity",
            format!(
                "its turn in the activity comes and a slot for batch jobs is free; `sexton activity show {activity}` \
                 says whether that is paused, and its hours"
            ),
        ),
        None => ("slot", format!("a slot for jobs of kind {} is free", job.kind)),
    }
}

fn before(priority: Priority) -> &'static str {
    match priority {
        Priority::Foreground | Priority::High => "high",
        Priority::Normal => "high or normal",
        Priority::Low => "high, normal or low",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::{Command, ErrorContext, ErrorInfo, JobKind, JobSpec, Profile, apply};
    use crate::store::NewJob;

    fn job() -> Job {
        crate::api::tests::fake::queued(NewJob {
            owner: "uid-0".parse().unwrap(),
            kind: JobKind::Download,
            priority: Priority::Normal,
            spec: JobSpec::new("x", Profile::Sexton),
            files: Vec::new(),
            key: None,
            suspended: false,
        })
    }

    fn reason(job: &Job) -> Option<String> {
        WaitView::of(job).map(|waits| waits.reason)
    }

    #[test]
    fn bp04_every_wait_has_a_reason_and_what_rests_or_runs_has_none() {
        let mut waits = job();
        assert_eq!(reason(&waits).as_deref(), Some("slot"));
        waits.due = Some(Timestamp::from_millis(9));
        assert_eq!(WaitView::of(&waits).unwrap().until, waits.due);
        assert_eq!(reason(&waits).as_deref(), Some("start"));
        for state in [
            JobState::Connecting,
            JobState::Transferring,
            JobState::Suspended,
            JobState::Error,
            JobState::Transferred,
            JobState::Acknowledged,
            JobState::Cancelled,
        ] {
            let rests = Job { state, ..job() };
            assert_eq!(reason(&rests), None, "{state}");
        }
        let mut done = Job {
            state: JobState::Transferred,
            ..job()
        };
        done.spec.hold = true;
        assert_eq!(reason(&done).as_deref(), Some("completion"));
    }

    #[test]
    fn a_call_waits_for_its_activity_and_another_job_for_a_slot() {
        let mut waits = Job {
            kind: JobKind::Query,
            priority: Priority::Foreground,
            ..job()
        };
        assert_eq!(reason(&waits).as_deref(), Some("slot"));
        waits.kind = JobKind::Batch;
        let work = crate::job::Work::Command(crate::job::CommandSpec::default());
        waits.spec.batch = Some(Box::new(crate::job::BatchSpec {
            activity: Some("nightly".parse().unwrap()),
            ..crate::job::BatchSpec::new(work)
        }));
        let told = WaitView::of(&waits).unwrap();
        assert_eq!(told.reason, "activity");
        assert!(told.ends.contains("activity show nightly"), "{}", told.ends);
    }

    #[test]
    fn bp04_a_hold_is_told_from_a_retry() {
        let error = |code| ErrorInfo {
            code,
            context: ErrorContext::None,
            description: String::new(),
            file: None,
            protocol: None,
            leg: None,
            attempt: 0,
            at: Timestamp::default(),
            extended: None,
        };
        for held in HoldReason::ALL.iter().copied() {
            let mut subject = job();
            let error = error(held.code());
            apply(&subject, &Command::Held { error })
                .unwrap()
                .carry_out(&mut subject);
            assert_eq!(reason(&subject).as_deref(), Some(held.as_str()));
            // What a server says with the same code is tried again by itself.
            subject.due = Some(Timestamp::default().after(Duration::from_secs(5)));
            assert_eq!(reason(&subject).as_deref(), Some("retry"));
        }
    }
}
