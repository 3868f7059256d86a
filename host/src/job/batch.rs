//! What a batch job runs: a command, or a component's `service-call` (COM+ `IServiceCall`, C-07).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::words;
use super::{ActivityName, Code, PluginName, Timestamp};

/// Program and arguments together; what the kernel takes in one `execve` at the least.
const ARGV_BYTES_MAX: usize = 128 << 10;
/// Names and values together, for the same reason.
const ENV_BYTES_MAX: usize = 128 << 10;
/// The delay has grown a thousandfold by then.
pub const LEVELS_MAX: u32 = 10;
/// More is a loop by another name.
pub const TRIES_MAX: u32 = 100;
/// It is kept in the job's row.
const INPUT_BYTES_MAX: usize = 1 << 20;

words! {
    /// What becomes of a call that was running when the host died.
    OnHostCrash {
        /// It failed with `SX_E_INTERRUPTED`, and its handler is told.
        Error = "error",
        /// It is run again.
        Rerun = "rerun",
    }
}

words! {
    /// Why a call is a dead letter: it lies in `error`, and nothing but `job requeue` moves it.
    DeadCall {
        /// It was running whenever the host died (CJ-07).
        HostCrash = "host-crash",
        /// Its last retry failed, and so did its final callback, or there is none (C-76).
        Exhausted = "exhausted",
        /// It was never started, and its final callback could not help (C-77).
        NeverStarted = "never-started",
    }
}

/// What becomes of a call that fails: so many tries at each level, each after the level's delay (C-71…C-73).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallLadder {
    /// The delay of the first level; it doubles with each.
    #[serde(rename = "base_ms", with = "super::time::millis")]
    pub base: Duration,
    /// How many levels there are.
    pub levels: u32,
    /// Tries at each.
    pub tries: u32,
}

impl Default for CallLadder {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(60),
            levels: 5,
            tries: 3,
        }
    }
}

/// How a call stands beside its job's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallState {
    /// How often in a row the host died while it ran (CJ-07).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub crashes: u32,
    /// Its last run ended before it had begun (C-77).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unstarted: bool,
    /// Why nothing moves it any more by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<DeadCall>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl CallState {
    /// Nothing has happened yet.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One unit of batch work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSpec {
    /// What is run.
    pub work: Work,
    /// The lane it runs in; none is a lane of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<ActivityName>,
    /// How long one run may take; absent, what the activity or the host says.
    #[serde(
        default,
        rename = "deadline_ms",
        with = "super::time::opt_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub deadline: Option<Duration>,
    /// After a crash of the host while it ran; absent, what the activity or the host says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_host_crash: Option<OnHostCrash>,
    /// After so many crashes in a row while it ran it is not run again (CJ-07); absent, what the host says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash_limit: Option<u32>,
    /// How it is tried again when it fails; absent, what the activity or the host says, which may be not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<CallLadder>,
    /// It is no use to start it later than this (C-84).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_by: Option<Timestamp>,
    /// It is no use to go on with it after this (C-84).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_by: Option<Timestamp>,
    /// Its submitter waits for it and owns its error: it is run once, and `on-error` is not called (C-04).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sync: bool,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Work {
    /// A program.
    Command(CommandSpec),
    /// A component that exports `service-call`.
    Call(CallSpec),
}

/// A program to run; never a shell string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What its environment has beside `PATH`, `HOME` and what says which job it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Absolute path it starts in; absent, `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// What it reads on standard input; absent, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
}

/// A component to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSpec {
    /// Which.
    pub component: PluginName,
    /// What it is given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
}

impl BatchSpec {
    /// Work of which nothing else is said.
    #[must_use]
    pub const fn new(work: Work) -> Self {
        Self {
            work,
            activity: None,
            deadline: None,
            on_host_crash: None,
            crash_limit: None,
            retry: None,
            start_by: None,
            finish_by: None,
            sync: false,
        }
    }

    /// The same without what may be secret or long: values of the environment, and standard input.
    #[must_use]
    pub fn shown(&self) -> Self {
        let mut shown = self.clone();
        if let Work::Command(command) = &mut shown.work {
            command.env.values_mut().for_each(|value| "…".clone_into(value));
            if let Some(input) = &mut command.stdin {
                *input = format!("{} bytes", input.len());
            }
        }
        shown
    }

    /// Whether it can be run at all.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong.
    pub fn check(&self) -> Result<(), (Code, String)> {
        self.check_limits()?;
        match &self.work {
            Work::Command(command) => command.check(),
            Work::Call(call) => at_most("input", call.input.len(), INPUT_BYTES_MAX),
        }
    }
}

impl BatchSpec {
    fn check_limits(&self) -> Result<(), (Code, String)> {
        let invalid = |why: &str| Err((Code::INVALIDARG, why.to_owned()));
        if self.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return invalid("a deadline of nothing lets nothing run");
        }
        if self.crash_limit == Some(0) {
            return invalid("`crash_limit` is at least 1");
        }
        match self.retry {
            Some(ladder) if ladder.levels > LEVELS_MAX || ladder.tries > TRIES_MAX => {
                let why =
                    format!("a call is tried at no more than {LEVELS_MAX} levels, {TRIES_MAX} times at each");
                Err((Code::INVALIDARG, why))
            }
            _ => Ok(()),
        }
    }
}

impl CommandSpec {
    fn check(&self) -> Result<(), (Code, String)> {
        let invalid = |why: &str| Err((Code::INVALIDARG, why.to_owned()));
        if self.argv.first().is_none_or(String::is_empty) {
            return invalid("the command has no program");
        }
        let mut texts = self.argv.iter().chain(self.env.keys()).chain(self.env.values());
        if texts.any(|text| text.contains('\0')) {
            return invalid("a zero byte cannot be passed to a program");
        }
        if self.env.keys().any(|name| name.is_empty() || name.contains('=')) {
            return invalid("a name of its environment is empty or has a `=`");
        }
        if self.dir.as_ref().is_some_and(|dir| !dir.starts_with('/')) {
            return invalid("the directory it starts in is not absolute");
        }
        at_most(
            "command",
            self.argv.iter().map(|text| text.len() + 1).sum(),
            ARGV_BYTES_MAX,
        )?;
        let env = self.env.iter().map(|(name, value)| name.len() + value.len() + 2);
        at_most("environment", env.sum(), ENV_BYTES_MAX)?;
        at_most(
            "standard input",
            self.stdin.as_ref().map_or(0, String::len),
            INPUT_BYTES_MAX,
        )
    }
}

fn at_most(what: &str, found: usize, most: usize) -> Result<(), (Code, String)> {
    if found <= most {
        return Ok(());
    }
    let why = format!("the {what} has {found} bytes; at most {most} are taken");
    Err((Code::STRING_TOO_LONG, why))
}
