//! Wires the rooms: start order, drain, and the commands that need no host.

mod activities;
mod admit;
mod components;
mod demo;
mod explain;
mod handle;
mod host;
mod listing;
mod local;
mod plugins;
mod signals;
mod telemetry;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::{CliError, Complaint, ExitStatus, Local, Output, Task};
use crate::config::{self, Config, ConfigErrors, Overrides};

pub use host::{HostOptions, Started, start, start_over};

/// The program: parses the command line and hands it on.
#[must_use]
pub fn main() -> ExitCode {
    let args = match crate::cli::parse() {
        Ok(args) => args,
        Err(status) => return status.into(),
    };
    let global = args.global;
    let status = match args.command.task() {
        Task::Client(command) => {
            match config::client_socket(global.socket.as_deref(), global.config.as_deref(), &environment) {
                Ok(socket) => crate::cli::run_client(command, &global, &socket),
                Err(errors) => say(global.json, Err(bad_config(&errors))),
            }
        }
        Task::Local(local) => run_local(local, &global),
    };
    status.into()
}

fn run_local(command: Local, global: &crate::cli::Global) -> ExitStatus {
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    let mut output = Output::new(&mut stdout, &mut stderr, global.json);
    let result = match command {
        Local::Run {
            ignore_handler_failures,
        } => host::run(global.config.as_deref(), ignore_handler_failures),
        Local::Demo { stay } => demo::run(stay, &mut output),
        Local::Init { dir } => local::init(dir, &mut output),
        Local::Config(command) => local::config(command, global, &mut output),
        Local::Db(command) => local::db(command, global, &mut output),
        Local::Error { code, language } => explain::code(&code, &language, &mut output),
        Local::Completions { shell } => local::completions(shell),
        Local::PluginAdd(args) => plugins::add(&args, global, &mut output),
        Local::PluginRemove(args) => plugins::remove(&args, global, &mut output),
        Local::CompileComponent {
            input,
            output: compiled,
        } => local::compile_component(&input, &compiled),
        Local::ReapChildren => Ok(local::reap_children()),
        Local::LaunchCommand(launch) => Ok(local::launch_command(&launch)),
    };
    output.finish(result)
}

fn say(json: bool, result: Result<ExitStatus, CliError>) -> ExitStatus {
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    Output::new(&mut stdout, &mut stderr, json).finish(result)
}

/// The process's environment, read only here.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The configuration as this command sees it.
fn load_config(explicit: Option<&std::path::Path>) -> Result<Config, CliError> {
    Config::load(explicit, &environment, &Overrides::default()).map_err(|errors| bad_config(&errors))
}

fn bad_config(errors: &ConfigErrors) -> CliError {
    CliError::Config(Complaint::new(
        errors.to_string().trim_end().trim_start_matches("error: "),
    ))
}

/// The running program, to be started again as compiler or demo host.
fn this_program() -> Result<PathBuf, CliError> {
    std::env::current_exe()
        .map_err(|why| CliError::Failed(Complaint::new("the program's own file cannot be found").cause(why)))
}
