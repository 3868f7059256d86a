//! Who carries a command out: a running host, or `app` without one.

use std::path::PathBuf;

use clap_complete::Shell;

use super::args::{Command, ConfigCommand, DbCommand, SubmitArgs};
use super::args_activity::ActivityCommand;
use super::args_batch::LaunchArgs;
use super::args_delivery::{DeliveryCommand, PluginAddArgs, PluginCommand, PluginRemoveArgs};
use super::args_job::JobCommand;
use super::language::LanguageArgs;

/// A command, sorted by who carries it out.
#[derive(Debug)]
pub enum Task {
    /// `app`, without a host.
    Local(Local),
    /// A running host: [`super::run_client`].
    Client(ClientCommand),
}

/// What needs no host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// `run`
    Run {
        /// FailFast acts as dead letter for this start (C-36).
        ignore_handler_failures: bool,
    },
    /// `init`
    Init {
        /// Where; `None` is here.
        dir: Option<PathBuf>,
    },
    /// `config …`
    Config(ConfigCommand),
    /// `demo`
    Demo {
        /// Keep the host running at the end.
        stay: bool,
    },
    /// `plugin add`: a file operation.
    PluginAdd(PluginAddArgs),
    /// `plugin remove`: a file operation; with `--purge` the host, if one runs, forgets the state.
    PluginRemove(PluginRemoveArgs),
    /// `db …`
    Db(DbCommand),
    /// `error`
    Error {
        /// The code, however it is written.
        code: String,
        /// In which language.
        language: LanguageArgs,
    },
    /// `completions`: see [`super::completions`].
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// `compile-component`
    CompileComponent {
        /// The component.
        input: PathBuf,
        /// Where the compiled code is put.
        output: PathBuf,
    },
    /// `reap-children`
    ReapChildren,
    /// `launch-command`
    LaunchCommand(LaunchArgs),
}

/// What is asked of a running host.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientCommand {
    /// `submit …`
    Submit(SubmitArgs),
    /// `job …`
    Job(JobCommand),
    /// `activity …`
    Activity(ActivityCommand),
    /// `delivery …`
    Delivery(DeliveryCommand),
    /// `plugin list`
    PluginList,
    /// `plugin reload`
    PluginReload,
    /// `status`
    Status,
    /// `reload`
    Reload,
}

impl Command {
    /// Who carries it out.
    #[must_use]
    pub fn task(self) -> Task {
        match self {
            Self::Run {
                ignore_handler_failures,
            } => Task::Local(Local::Run {
                ignore_handler_failures,
            }),
            Self::Init { dir } => Task::Local(Local::Init { dir }),
            Self::Config(command) => Task::Local(Local::Config(command)),
            Self::Demo { stay } => Task::Local(Local::Demo { stay }),
            Self::Db(command) => Task::Local(Local::Db(command)),
            Self::Error { code, language } => Task::Local(Local::Error { code, language }),
            Self::Completions { shell } => Task::Local(Local::Completions { shell }),
            Self::CompileComponent { input, output } => {
                Task::Local(Local::CompileComponent { input, output })
            }
            Self::ReapChildren => Task::Local(Local::ReapChildren),
            Self::LaunchCommand(launch) => Task::Local(Local::LaunchCommand(launch)),
            Self::Plugin(PluginCommand::Add(args)) => Task::Local(Local::PluginAdd(args)),
            Self::Plugin(PluginCommand::Remove(args)) => Task::Local(Local::PluginRemove(args)),
            Self::Plugin(PluginCommand::List) => Task::Client(ClientCommand::PluginList),
            Self::Plugin(PluginCommand::Reload) => Task::Client(ClientCommand::PluginReload),
            Self::Submit(command) => Task::Client(ClientCommand::Submit(command)),
            Self::Job(command) => Task::Client(ClientCommand::Job(command)),
            Self::Activity(command) => Task::Client(ClientCommand::Activity(command)),
            Self::Delivery(command) => Task::Client(ClientCommand::Delivery(command)),
            Self::Status => Task::Client(ClientCommand::Status),
            Self::Reload => Task::Client(ClientCommand::Reload),
        }
    }
}
