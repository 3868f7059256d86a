//! What a batch job runs: a command, or a component's `service-call` (COM+ `IServiceCall`, C-07).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::words;
use super::{ActivityName, Code, PluginName};

/// Program and arguments together; what the kernel takes in one `execve` at the least.
const ARGV_BYTES_MAX: usize = 128 << 10;
/// Names and values together, for the same reason.
const ENV_BYTES_MAX: usize = 128 << 10;
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
        }
    }

    /// Whether it can be run at all.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong.
    pub fn check(&self) -> Result<(), (Code, String)> {
        match &self.work {
            Work::Command(command) => command.check(),
            Work::Call(call) => at_most("input", call.input.len(), INPUT_BYTES_MAX),
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
