//! Arguments of batch work: commands, calls into components, and what they printed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::args_about::AboutArgs;
use super::value::{duration, job_id, label, words};
use crate::api::view::{ActivityName, JobId, OnHostCrash, PluginName};

/// `submit batch …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
#[command(after_long_help = ENDS)]
pub struct BatchArgs {
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub argv: Vec<String>,
    /// A variable of its environment, which has PATH, HOME, LANG, USER, TMPDIR and TZ of the host's; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub env: Vec<(String, String)>,
    /// The directory it starts in [default: this one]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// What it reads, up to 1 MiB; `-` is what is piped in here [default: nothing]
    #[arg(long, value_name = "FILE")]
    pub stdin: Option<PathBuf>,
    /// What holds for calls of both kinds.
    #[command(flatten)]
    pub options: CallOptions,
}

/// `submit call …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
pub struct CallArgs {
    /// The component
    pub component: PluginName,
    /// What it is given
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub input: String,
    /// What holds for calls of both kinds.
    #[command(flatten)]
    pub options: CallOptions,
}

/// What holds for calls of both kinds.
#[derive(Clone, Debug, Default, PartialEq, ClapArgs)]
pub struct CallOptions {
    /// The lane it runs in [default: one of its own]
    #[arg(long, value_name = "NAME")]
    pub activity: Option<ActivityName>,
    /// How long one run may take [default: as the host is configured]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub deadline: Option<Duration>,
    /// Its own handler, told once when it has failed for good: it decides before any subscription
    #[arg(long, value_name = "PLUGIN", visible_alias = "handler")]
    pub on_error: Option<PluginName>,
    /// What becomes of it when the host ends while it runs [default: as the host is configured]
    #[arg(long, value_parser = words(OnHostCrash::ALL, OnHostCrash::as_str))]
    pub on_host_crash: Option<OnHostCrash>,
    /// Try it again when it fails, at so many levels [default: as the host is configured]
    #[arg(long, value_name = "LEVELS")]
    pub retry_levels: Option<u32>,
    /// The delay of the first level; it doubles with each [default: 1m]
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "retry_levels")]
    pub retry_base: Option<Duration>,
    /// Tries at each level [default: 3]
    #[arg(long, value_name = "COUNT", requires = "retry_levels")]
    pub retry_tries: Option<u32>,
    /// Fail rather than start later than this long from now
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub start_within: Option<Duration>,
    /// Fail rather than go on later than this long from now
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub finish_within: Option<Duration>,
    /// What is said of it.
    #[command(flatten)]
    pub about: AboutArgs,
    /// Stay in `error` or `transferred` until somebody says how it goes on
    #[arg(long)]
    pub hold: bool,
    /// Do not start until `job resume`
    #[arg(long, conflicts_with_all = ["wait", "sync"])]
    pub suspended: bool,
    /// Follow the job to its end; exit 1 if it failed
    #[arg(long)]
    pub wait: bool,
    /// Run it once, print what it prints, and exit 1 if it failed: no handler is called for that
    #[arg(long, conflicts_with_all = ["wait", "on_error", "retry_levels", "hold"])]
    pub sync: bool,
}

/// `job logs …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
pub struct LogArgs {
    /// The job
    #[arg(value_parser = job_id)]
    pub id: JobId,
    /// Go on as more is printed, until the job rests
    #[arg(short, long)]
    pub follow: bool,
    /// Only what it printed on standard output
    #[arg(long, conflicts_with = "stderr")]
    pub stdout: bool,
    /// Only what it printed on standard error, to standard output here
    #[arg(long)]
    pub stderr: bool,
    /// Of which run, from 1 [default: the last]
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
}

/// `job requeue …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
pub struct RequeueArgs {
    /// The jobs: calls that failed
    #[arg(required_unless_present = "all", value_parser = job_id)]
    pub ids: Vec<JobId>,
    /// Every dead letter
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
}

/// `launch-command …`
#[derive(Clone, Debug, PartialEq, Eq, ClapArgs)]
pub struct LaunchArgs {
    /// Where it is written why it could not
    #[arg(long)]
    pub fault: PathBuf,
    /// Where it starts
    #[arg(long)]
    pub dir: PathBuf,
    /// Whether it reads what follows on standard input
    #[arg(long)]
    pub input: bool,
    /// What it becomes
    #[arg(last = true)]
    pub argv: Vec<String>,
}

const ENDS: &str = "\
The command runs without a shell, in a process group of its own, and nothing of that group outlives it or the
host. It fails with SX_E_EXIT_STATUS, SX_E_SIGNAL, SX_E_DEADLINE, SX_E_OUT_OF_MEMORY, SX_E_SPAWN (it could not be
started), SX_E_INTERRUPTED (the host ended) or SX_E_EXPIRED; `sexton job error` has its last words, `sexton job logs`
what it printed. A relative path of the program starts at its directory.";
