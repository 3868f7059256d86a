//! What a person can tell a job to do as it stands.

use std::time::Duration;

use super::{Command, Job, Timestamp, apply};

/// The verbs that the law permits now and that would change something, for messages (BP-10).
#[must_use]
pub fn legal_verbs(job: &Job) -> Vec<&'static str> {
    let resume = Command::Resume {
        after: Duration::ZERO,
        at: Timestamp::default(),
    };
    let verbs = [resume, Command::Suspend, Command::Complete, Command::Cancel];
    let legal = verbs.iter().filter(|verb| {
        let said = apply(job, verb);
        said.is_ok_and(|transition| !transition.is_noop(job))
    });
    legal.map(Command::verb).collect()
}

#[cfg(test)]
mod tests {
    use super::super::law_tests::job;
    use super::super::{JobKind, JobState};
    use super::*;

    #[test]
    fn bp10_the_verbs_that_help_depend_on_state_and_kind() {
        let verbs = |state| legal_verbs(&job(state));
        assert_eq!(
            verbs(JobState::Error),
            ["resume", "suspend", "complete", "cancel"]
        );
        assert_eq!(verbs(JobState::Suspended), ["resume", "complete", "cancel"]);
        assert_eq!(verbs(JobState::Transferring), ["suspend", "complete", "cancel"]);
        assert!(verbs(JobState::Cancelled).is_empty());
        let upload = Job {
            kind: JobKind::Upload,
            ..job(JobState::Error)
        };
        assert_eq!(legal_verbs(&upload), ["resume", "suspend", "cancel"]);
    }
}
