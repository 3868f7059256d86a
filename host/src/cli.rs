//! The cli room: arguments, output and exit codes; a client of the control API.
//!
//! `main` parses [`Args`] with [`parse`] and hands each [`Task`] on: [`Task::Client`] to
//! [`run_client`], [`Task::Local`] to `app`, which needs no host for it.

mod activity;
mod args;
mod args_about;
mod args_activity;
mod args_batch;
mod args_delivery;
mod args_http;
mod args_job;
mod args_limits;
mod args_notify;
mod args_placing;
mod args_query;
mod args_upload;
mod batch;
mod change;
mod delivery;
mod error;
mod exit;
mod follow;
mod follow_all;
mod job;
mod jobset;
mod jobview;
mod language;
mod list;
mod objects;
mod output;
mod plugin;
mod query;
mod show_batch;
mod show_http;
mod show_query;
mod status;
mod submit;
mod submit_set;
mod table;
mod task;
#[cfg(test)]
mod tests;
mod text;
mod upload;
mod value;

use std::path::Path;

use crate::api::client::Client;

pub use args::{
    Args, Command, ConfigCommand, DbCommand, DownloadArgs, Global, SetFileArgs, SubmitArgs, SubmitCommand,
    SubmitOptions, completions, parse, parse_from,
};
pub use args_about::AboutArgs;
pub use args_activity::{ActivityCommand, ActivityCreateArgs};
pub use args_batch::{BatchArgs, CallArgs, CallOptions, LaunchArgs, LogArgs, RequeueArgs};
pub use args_delivery::{
    DeliveryChoice, DeliveryCommand, DeliveryFilters, PluginAddArgs, PluginCommand, PluginRemoveArgs,
};
pub use args_job::{AddArgs, CreateArgs, JobCommand, ListArgs, SetArgs};
pub use args_notify::{NotifyArgs, RegisterArgs};
pub use args_query::{ObjectsArgs, QueryArgs};
pub use args_upload::{ReplyArgs, SendingArgs, UploadArgs, UploadReplyArgs};
pub use error::{CliError, Complaint, report};
pub use exit::ExitStatus;
pub use language::{LanguageArgs, TEXTS};
pub use list::Sort;
pub use output::Output;
pub use table::{Cell, Table, Tone};
pub use task::{ClientCommand, Local, Task};
pub use text::clean;
pub use value::Moment;

/// Carries out a client command against the host at `socket`, and returns how to exit. What went
/// wrong has been said.
///
/// Runs its own small runtime: call it from plain code, not from within one.
pub fn run_client(command: ClientCommand, global: &Global, socket: &Path) -> ExitStatus {
    let (mut stdout, mut stderr) = (std::io::stdout().lock(), std::io::stderr());
    let mut output = Output::new(&mut stdout, &mut stderr, global.json);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(command, &Client::new(socket), &mut output)),
        Err(error) => Err(CliError::Output(error)),
    };
    output.finish(result)
}

/// Carries out a client command.
///
/// # Errors
/// What stops it; [`report`] says it and [`CliError::exit`] is the exit code.
pub async fn dispatch(
    command: ClientCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    match command {
        ClientCommand::Submit(command) => submit::run(command, client, output).await,
        ClientCommand::Job(command) => job::run(command, client, output).await,
        ClientCommand::Delivery(command) => delivery::run(command, client, output).await,
        ClientCommand::Activity(command) => activity::run(command, client, output).await,
        ClientCommand::PluginList => plugin::list(client, output).await,
        ClientCommand::PluginReload => plugin::reload(client, output).await,
        ClientCommand::Status => status::show(client, output).await,
        ClientCommand::Reload => status::reload(client, output).await,
    }
}
