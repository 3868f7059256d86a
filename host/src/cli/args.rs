//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use super::args_about::AboutArgs;
use super::args_activity::ActivityCommand;
use super::args_batch::{BatchArgs, CallArgs, LaunchArgs};
use super::args_delivery::{DeliveryCommand, PluginCommand};
use super::args_http::HttpArgs;
use super::args_job::JobCommand;
use super::args_limits::LimitArgs;
use super::args_notify::NotifyArgs;
use super::args_placing::PlacingArgs;
use super::args_query::QueryArgs;
use super::args_upload::{UploadArgs, UploadReplyArgs};
use super::exit::ExitStatus;
use super::language::LanguageArgs;
use super::value::{duration, profile_parser};
use crate::api::view::{PluginName, Profile};

/// Runs unattended background work and calls your handler when it ends or goes wrong.
#[derive(Debug, Parser)]
#[command(
    name = "sexton",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Exit codes: 0 done · 1 the job or check failed · 2 usage · 3 configuration · \
    4 no host at the socket · 5 unknown id, illegal state, no error object · 6 denied · \
    7 store unusable, locked or newer · 8 refused for now, try later · 70 FailFast in `exit` mode"
)]
pub struct Args {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct Global {
    /// The host's control socket [default: as the configuration file says]
    #[arg(
        long,
        global = true,
        env = "SEXTON_SOCKET",
        value_name = "PATH",
        help_heading = "Global options"
    )]
    pub socket: Option<PathBuf>,
    /// The configuration file [default: ./sexton.toml, then the user's, then /etc/sexton's]
    #[arg(
        long,
        global = true,
        env = "SEXTON_CONFIG",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
    /// Write JSON: one object, or one per line for lists
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the host in the foreground
    ///
    /// SIGTERM and SIGINT let running work end, for as long as `[host] drain` says, and exit with 0. A
    /// second one ends at once with exit code 1. SIGHUP reads the configuration again.
    Run {
        /// Keep failed deliveries as dead letters where FailFast would end the process
        #[arg(long)]
        ignore_handler_failures: bool,
    },
    /// Make a directory with a configuration file, a plugin folder and a state directory
    Init {
        /// Where [default: the current directory]
        dir: Option<PathBuf>,
    },
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Watch a handler mend a failing download, on this machine alone
    Demo {
        /// Keep the host running at the end
        #[arg(long)]
        stay: bool,
    },
    /// Submit a job, or a file of jobs, and print each id
    Submit(SubmitArgs),
    /// List, follow and direct jobs
    #[command(subcommand)]
    Job(JobCommand),
    /// List, add and remove plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Make, list, pause and resume activities: lanes of batch jobs
    #[command(subcommand)]
    Activity(ActivityCommand),
    /// List deliveries to handlers; replay or purge dead ones
    #[command(subcommand)]
    Delivery(DeliveryCommand),
    /// Explain an error code: its name, what it says, and what to do
    Error {
        /// The code: 0x80200013, BG_E_INSUFFICIENT_RANGE_SUPPORT, HTTP_403, 403, -2145386477
        #[arg(allow_negative_numbers = true)]
        code: String,
        /// The language of the texts
        #[command(flatten)]
        language: LanguageArgs,
    },
    /// Show how the host is
    Status,
    /// Have the host read its configuration again
    Reload,
    /// Check the store
    #[command(subcommand)]
    Db(DbCommand),
    /// Write a completion script for a shell to stdout
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Compile a component for this machine (run by the host in a child process)
    #[command(hide = true)]
    CompileComponent {
        /// The component
        input: PathBuf,
        /// Where the compiled code is put
        output: PathBuf,
    },
    /// End commands when the host is gone (run by the host beside itself)
    #[command(hide = true)]
    ReapChildren,
    /// Become a command once told to (run by the host as a command)
    #[command(hide = true)]
    LaunchCommand(LaunchArgs),
}

/// `config …`
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Say what is wrong with the configuration file, with line and column
    Check {
        /// The file [default: as `--config`]
        file: Option<PathBuf>,
    },
    /// Print the configuration in force, defaults included
    Show {
        /// The file [default: as `--config`]
        file: Option<PathBuf>,
    },
    /// Print the JSON schema of the configuration file
    Schema,
}

/// `db …`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum DbCommand {
    /// Check the whole store; no host may be running
    Check,
}

/// `submit …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct SubmitArgs {
    /// One job.
    #[command(subcommand)]
    pub command: Option<SubmitCommand>,
    /// Or a file of jobs.
    #[command(flatten)]
    pub set: SetFileArgs,
}

/// `submit -f …`
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct SetFileArgs {
    /// Submit every job of this file, all or none; `-` is the standard input
    ///
    /// TOML with `[[job]]` tables, a JSON list, or one JSON object a line. The fields of a job are those of the API;
    /// those it lacks are taken from `[defaults]`.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub file: Option<PathBuf>,
    /// Follow all jobs to their ends; exit 1 if one failed
    #[arg(long)]
    pub wait: bool,
}

/// What is submitted by itself.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum SubmitCommand {
    /// Fetch a file
    Download(Box<DownloadArgs>),
    /// Send a file
    Upload(Box<UploadArgs>),
    /// Send a file and fetch the server's reply
    UploadReply(Box<UploadReplyArgs>),
    /// Run a command: its program and arguments follow `--`, and there is no shell
    Batch(Box<BatchArgs>),
    /// Call a component that exports `service-call`
    Call(Box<CallArgs>),
    /// Ask a provider
    Query(Box<QueryArgs>),
}

/// `submit download …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
pub struct DownloadArgs {
    /// Where it is fetched from
    pub url: String,
    /// A file, or a directory to put it in [default: the URL's file name, here]
    pub dest: Option<PathBuf>,
    /// How it is fetched, checked and placed.
    #[command(flatten)]
    pub placing: PlacingArgs,
    /// Options of every submission.
    #[command(flatten)]
    pub options: SubmitOptions,
}

/// Options of every submission.
#[derive(Clone, Debug, Default, PartialEq, ClapArgs)]
pub struct SubmitOptions {
    /// What is said of it.
    #[command(flatten)]
    pub about: AboutArgs,
    /// Wait to be completed with `job complete` once everything is transferred
    #[arg(long)]
    pub hold: bool,
    /// The job's own handler: it decides before any subscription
    #[arg(long, value_name = "PLUGIN")]
    pub handler: Option<PluginName>,
    /// Whose numbers the job follows [default: as the host is configured]
    #[arg(long, value_parser = profile_parser())]
    pub profile: Option<Profile>,
    /// Do not start until `job resume`
    #[arg(long, conflicts_with = "wait")]
    pub suspended: bool,
    /// First delay between retries, such as `30s` [default: the profile's]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub retry_delay: Option<Duration>,
    /// Give up after this long without progress; `0s` makes any error fatal [default: the profile's]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub no_progress: Option<Duration>,
    /// Run this when the handler fails or there is none: the program's whole path and all arguments that follow, up to `;`
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true, value_terminator = ";")]
    pub notify_command: Vec<String>,
    /// Its limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// What handlers are told.
    #[command(flatten)]
    pub notify: NotifyArgs,
    /// Follow the job to its end; exit 1 if it failed
    #[arg(long)]
    pub wait: bool,
    /// How servers are spoken to.
    #[command(flatten)]
    pub http: HttpArgs,
}

/// The command line of this process.
///
/// # Errors
/// How to exit when there is nothing to run: [`ExitStatus::Done`] after `--help` and `--version`,
/// [`ExitStatus::Usage`] after a mistake. It has been said.
pub fn parse() -> Result<Args, ExitStatus> {
    parse_from(std::env::args_os()).map_err(|error| {
        // Nowhere to say it: the exit code still tells.
        let _ = error.print();
        if error.use_stderr() {
            ExitStatus::Usage
        } else {
            ExitStatus::Done
        }
    })
}

/// Any command line, the program's name first.
///
/// # Errors
/// What is wrong with it, or the text of `--help` and `--version`.
pub fn parse_from(line: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    Args::try_parse_from(line)
}

/// The command line without what is hidden: the generators would offer that all the same.
fn shown(whole: &clap::Command) -> clap::Command {
    let subcommands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    clap::Command::new("sexton")
        .disable_help_subcommand(true)
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args(whole.get_arguments().cloned())
        .subcommands(subcommands.cloned())
}

/// Writes the completion script of `shell`.
///
/// # Errors
/// When `out` cannot be written.
pub fn completions(shell: Shell, out: &mut dyn Write) -> std::io::Result<()> {
    // The generator takes no for an error; a buffer never says no.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(&Args::command()), "sexton", &mut script);
    out.write_all(&script)
}
