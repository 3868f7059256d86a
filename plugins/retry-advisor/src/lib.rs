//! Decides about failed transfers: try again later, keep what is whole, give up, or leave it to a
//! person. The rules are a table in the operator's configuration; [`advice`] applies them.

mod advice;

use sexton_sdk::{CallInfo, ErrorInfo, JobCallback, JobSnapshot, JobState, Priority, Result, job, log};

use advice::{Advice, Rules, advise};

struct RetryAdvisor;

sexton_sdk::export!(RetryAdvisor: JobCallback);

impl JobCallback for RetryAdvisor {
    fn job_error(call: &CallInfo, snapshot: &JobSnapshot, error: &ErrorInfo) -> Result {
        // Rules first: a mistake in them should show at the first error, whoever decides.
        let advice = advise(&Rules::from_config()?, snapshot, error);
        let name = &snapshot.name;
        if !call.decides {
            log::warn!("{name}: would {advice}, but another handler decides; see `decide` in [[subscribe]]");
            return Ok(());
        }
        if job::current_state() != JobState::Error {
            log::info!("{name}: has moved on since the error, nothing to decide");
            return Ok(());
        }
        log::info!(
            "{name}: {advice} after error {} ({})",
            snapshot.error_count,
            error.description
        );
        match advice {
            Advice::Foreground => {
                job::set_priority(Priority::Foreground)?;
                job::resume()?;
            }
            Advice::Resume(delay) => job::resume_after(delay)?,
            Advice::Cancel => job::cancel()?,
            Advice::Complete => job::complete()?,
            Advice::Suspend => job::suspend()?,
            Advice::Leave => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sexton_sdk::testing::{self, Request};

    use super::*;

    #[test]
    fn a_missing_file_is_given_up_and_a_busy_server_asked_again() {
        testing::reset();
        testing::set_config([("cancel_on", "404, 410"), ("delay", "10s")]);
        let (call, job) = (testing::call(), testing::job());
        RetryAdvisor::job_error(&call, &job, &testing::error(0x8019_0194)).unwrap();
        assert_eq!(testing::take_requests(), [Request::Cancel]);

        testing::set_job_state(JobState::Error);
        RetryAdvisor::job_error(&call, &job, &testing::error(0x8019_01F7)).unwrap();
        assert_eq!(
            testing::take_requests(),
            [Request::Resume(Some(Duration::from_secs(10)))]
        );
    }

    #[test]
    fn it_keeps_its_hands_off_a_job_that_has_moved_on() {
        testing::reset();
        testing::set_job_state(JobState::Queued);
        RetryAdvisor::job_error(&testing::call(), &testing::job(), &testing::error(0x8019_01F7)).unwrap();
        assert_eq!(testing::take_requests(), []);
    }

    #[test]
    fn as_an_observer_it_only_says_what_it_would_do() {
        testing::reset();
        let mut call = testing::call();
        call.decides = false;
        RetryAdvisor::job_error(&call, &testing::job(), &testing::error(0x8019_01F7)).unwrap();
        assert_eq!(testing::take_requests(), []);
        assert!(testing::take_log()[0].1.contains("another handler decides"));
    }

    #[test]
    fn a_mistake_in_the_rules_is_a_permanent_failure() {
        testing::reset();
        testing::set_config([("on_fatal", "explode")]);
        let failure =
            RetryAdvisor::job_error(&testing::call(), &testing::job(), &testing::error(1)).unwrap_err();
        assert_eq!(failure.kind, sexton_sdk::FailureKind::Permanent);
        assert!(failure.message.contains("explode"));
    }
}
