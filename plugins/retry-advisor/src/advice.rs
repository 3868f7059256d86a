//! The rules, and the pure function that applies them to one error.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sexton_sdk::{Code, ErrorInfo, ErrorOrigin, Failure, JobSnapshot, Priority, codes, config};

/// What to do about a job in `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Try again after this long.
    Resume(Duration),
    /// Try again at once in the foreground, where one piece is fetched without ranges (B-160).
    Foreground,
    /// Delete the job.
    Cancel,
    /// Keep the files that are whole.
    Complete,
    /// Park it.
    Suspend,
    /// Leave it in `error` for a person.
    Leave,
}

/// What the operator wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    cancel_on: Vec<Pattern>,
    complete_on: Vec<Pattern>,
    suspend_on: Vec<Pattern>,
    foreground_on: Vec<Pattern>,
    resume_on: Vec<Pattern>,
    max_attempts: u32,
    delay: Duration,
    max_delay: Duration,
    on_fatal: Advice,
}

/// One word of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Status(u16),
    Code(Code),
    Name(String),
}

/// Above this a file is fetched in pieces even in the foreground, so that the server needs ranges after
/// all.
const FOREGROUND_MAX: u64 = 2 << 30;

/// The lists win over the class of the error; the number of errors wins over a retry.
pub(crate) fn advise(rules: &Rules, job: &JobSnapshot, error: &ErrorInfo) -> Advice {
    let error_count = job.error_count;
    let listed = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(error));
    if listed(&rules.cancel_on) {
        Advice::Cancel
    } else if listed(&rules.complete_on) {
        Advice::Complete
    } else if listed(&rules.suspend_on) {
        Advice::Suspend
    } else if listed(&rules.foreground_on) && fits_the_foreground(job, error) {
        Advice::Foreground
    } else if (listed(&rules.resume_on) || may_pass(error)) && error_count < rules.max_attempts {
        Advice::Resume(rules.delay_after(error_count))
    } else {
        rules.on_fatal
    }
}

/// Microsoft's own sample of `JobError`: not when the size is unknown or over 2 GB; and not when the job
/// is there already.
fn fits_the_foreground(job: &JobSnapshot, error: &ErrorInfo) -> bool {
    let size = error
        .file
        .as_ref()
        .map_or(job.bytes_total, |file| file.bytes_total);
    job.priority != Priority::Foreground && size.is_some_and(|size| size <= FOREGROUND_MAX)
}

/// Whether the same transfer can work later though nobody changes it.
fn may_pass(error: &ErrorInfo) -> bool {
    if let Some(status) = error.http_status() {
        return matches!(status, 408 | 425 | 429 | 500..);
    }
    let disk_full = codes::errno(28);
    error.code == disk_full || matches!(error.origin, ErrorOrigin::GeneralTransport | ErrorOrigin::Unknown)
}

impl Rules {
    /// Reads the `config` table; what is not there has the defaults of `config.toml`.
    pub(crate) fn from_config() -> Result<Self, Failure> {
        Ok(Self {
            cancel_on: patterns("cancel_on"),
            complete_on: patterns("complete_on"),
            suspend_on: patterns("suspend_on"),
            foreground_on: patterns("foreground_on"),
            resume_on: patterns("resume_on"),
            max_attempts: config::parse("max_attempts")?.unwrap_or(5),
            delay: config::duration("delay")?.unwrap_or(Duration::from_secs(30)),
            max_delay: config::duration("max_delay")?.unwrap_or(Duration::from_secs(3_600)),
            on_fatal: config::parse("on_fatal")?.unwrap_or(Advice::Leave),
        })
    }

    /// Doubles with every error.
    fn delay_after(&self, error_count: u32) -> Duration {
        let doublings = error_count.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.delay.saturating_mul(factor).min(self.max_delay)
    }
}

fn patterns(key: &str) -> Vec<Pattern> {
    config::list(key).into_iter().map(Pattern::new).collect()
}

impl Pattern {
    fn new(word: String) -> Self {
        let hex = word
            .strip_prefix("0x")
            .map(|digits| Code::from_str_radix(digits, 16));
        match (hex, word.parse()) {
            (Some(Ok(code)), _) => Self::Code(code),
            (_, Ok(status)) => Self::Status(status),
            _ => Self::Name(word),
        }
    }

    fn matches(&self, error: &ErrorInfo) -> bool {
        match self {
            Self::Status(status) => error.http_status() == Some(*status),
            Self::Code(code) => error.code == *code,
            Self::Name(name) => error.name == *name,
        }
    }
}

impl FromStr for Advice {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "cancel" => Ok(Self::Cancel),
            "complete" => Ok(Self::Complete),
            "suspend" => Ok(Self::Suspend),
            "leave" => Ok(Self::Leave),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreground => out.write_str("resume in the foreground"),
            Self::Resume(delay) => write!(out, "resume in {delay:?}"),
            Self::Cancel => out.write_str("cancel"),
            Self::Complete => out.write_str("complete"),
            Self::Suspend => out.write_str("suspend"),
            Self::Leave => out.write_str("leave it alone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use sexton_sdk::testing;

    use super::*;

    fn rules(pairs: &[(&str, &str)]) -> Rules {
        testing::reset();
        testing::set_config(pairs.iter().copied());
        Rules::from_config().unwrap()
    }

    /// A job that has had so many errors.
    fn advise(rules: &Rules, error_count: u32, error: &ErrorInfo) -> Advice {
        let job = JobSnapshot {
            error_count,
            ..testing::job()
        };
        super::advise(rules, &job, error)
    }

    #[test]
    fn b160_a_server_without_ranges_is_asked_again_in_the_foreground_for_what_is_small_enough() {
        let rules = rules(&[("foreground_on", "BG_E_INSUFFICIENT_RANGE_SUPPORT")]);
        let mut error = testing::error(codes::BG_E_INSUFFICIENT_RANGE_SUPPORT);
        error.name = "BG_E_INSUFFICIENT_RANGE_SUPPORT".into();
        let said = |bytes_total, priority| {
            let job = JobSnapshot {
                bytes_total,
                priority,
                ..testing::job()
            };
            super::advise(&rules, &job, &error)
        };
        assert_eq!(said(Some(2_147_483_648), Priority::Normal), Advice::Foreground);
        assert_eq!(said(Some(2_147_483_649), Priority::Normal), Advice::Leave);
        assert_eq!(said(None, Priority::Normal), Advice::Leave);
        assert_eq!(said(Some(1), Priority::Foreground), Advice::Leave, "no loop");
        assert_eq!(super::advise(&rules, &testing::job(), &http(403)), Advice::Leave);
    }

    fn http(status: u16) -> ErrorInfo {
        testing::error(codes::http(status))
    }

    #[test]
    fn without_rules_servers_get_five_chances_and_clients_none() {
        let rules = rules(&[]);
        assert_eq!(
            advise(&rules, 1, &http(503)),
            Advice::Resume(Duration::from_secs(30))
        );
        assert_eq!(
            advise(&rules, 4, &http(429)),
            Advice::Resume(Duration::from_secs(240))
        );
        assert_eq!(advise(&rules, 5, &http(503)), Advice::Leave);
        assert_eq!(advise(&rules, 1, &http(403)), Advice::Leave);
    }

    #[test]
    fn lists_win_over_the_class() {
        let rules = rules(&[
            ("cancel_on", "410,BG_E_REMOTE_FILE_CHANGED"),
            ("complete_on", "0x80190194"),
            ("suspend_on", "503"),
            ("resume_on", "403"),
            ("on_fatal", "cancel"),
        ]);
        assert_eq!(advise(&rules, 1, &http(410)), Advice::Cancel);
        assert_eq!(advise(&rules, 1, &http(404)), Advice::Complete);
        assert_eq!(advise(&rules, 1, &http(503)), Advice::Suspend);
        assert_eq!(
            advise(&rules, 1, &http(403)),
            Advice::Resume(Duration::from_secs(30))
        );
        assert_eq!(advise(&rules, 5, &http(403)), Advice::Cancel);
        let mut changed = testing::error(codes::BG_E_REMOTE_FILE_CHANGED);
        changed.name = "BG_E_REMOTE_FILE_CHANGED".into();
        assert_eq!(advise(&rules, 1, &changed), Advice::Cancel);
    }

    #[test]
    fn delays_double_up_to_their_limit() {
        let rules = rules(&[("delay", "1s"), ("max_delay", "5s"), ("max_attempts", "1000")]);
        let delays: Vec<u64> = [1, 2, 3, 4, 40, 900]
            .into_iter()
            .map(|count| rules.delay_after(count).as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4, 5, 5, 5]);
    }

    #[test]
    fn a_full_disk_and_the_network_may_pass_but_a_wrong_path_will_not() {
        let mut error = testing::error(codes::errno(28));
        error.origin = ErrorOrigin::LocalFile;
        assert!(may_pass(&error));
        error.code = codes::errno(13);
        assert!(!may_pass(&error));
        error.origin = ErrorOrigin::GeneralTransport;
        assert!(may_pass(&error));
    }
}
