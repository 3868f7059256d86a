//! `job …`

use std::time::Duration;

use super::args_job::JobCommand;
use super::batch;
use super::change;
use super::error::CliError;
use super::exit::ExitStatus;
use super::follow::{Until, follow, verdict};
use super::jobview::{self, state_text, state_tone};
use super::list;
use super::output::Output;
use super::query;
use super::submit::parse_url;
use super::submit_set;
use super::text::bytes_of;
use super::upload;
use crate::api::client::Client;
use crate::api::request::{JobVerb, ValidationRequest};
use crate::api::view::{JobId, JobView};

pub(super) async fn run(
    command: JobCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    match command {
        JobCommand::List(args) => list::run(*args, client, output).await,
        JobCommand::Create(args) => change::create(*args, client, output).await,
        JobCommand::Add(args) => change::add(*args, client, output).await,
        JobCommand::Set(args) => change::set(*args, client, output).await,
        JobCommand::Show { id } => {
            let job = client.job(id).await?;
            if output.is_json() {
                output.object(&job)?;
            } else {
                jobview::show(&job, output)?;
            }
            Ok(ExitStatus::Done)
        }
        JobCommand::Error { id, language } => {
            let error = client.error(id).await?;
            if output.is_json() {
                output.object(&error)?;
            } else {
                jobview::show_error(&error, output)?;
            }
            language.note(output);
            Ok(ExitStatus::Done)
        }
        JobCommand::Watch { ids } => match ids.as_slice() {
            [id] => watch(*id, client, output).await,
            ids => submit_set::watch(ids, client, output).await,
        },
        JobCommand::Suspend { ids } => each(&ids, JobVerb::Suspend, client, output).await,
        JobCommand::Resume { ids, after } => {
            let after = after.unwrap_or(Duration::ZERO);
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            each(&ids, JobVerb::Resume { after_ms }, client, output).await
        }
        JobCommand::Cancel { ids } => each(&ids, JobVerb::Cancel, client, output).await,
        JobCommand::Complete { ids, require_all } => {
            let verb = if require_all {
                JobVerb::CompleteWhole
            } else {
                JobVerb::Complete
            };
            each(&ids, verb, client, output).await
        }
        JobCommand::Objects(args) => query::objects(&args, client, output).await,
        JobCommand::Reply { id } => {
            upload::print_reply(id, client, output).await?;
            Ok(ExitStatus::Done)
        }
        JobCommand::SetRemote { id, index, url } => {
            let url = parse_url(&url)?;
            let renamed = client.set_remote(id, index, url.as_str()).await?;
            change::renamed(&renamed, output)
        }
        JobCommand::ReplacePrefix { id, from, to } => {
            let renamed = client.replace_prefix(id, &from, &to).await?;
            change::renamed(&renamed, output)
        }
        JobCommand::SetValidation { id, index, valid } => {
            let verb = JobVerb::SetValidation(ValidationRequest { index, valid });
            each(&[id], verb, client, output).await
        }
        JobCommand::Logs(args) => batch::logs(&args, client, output).await,
        JobCommand::Requeue(args) => batch::requeue(&args, client, output).await,
        JobCommand::TakeOwnership { ids } => each(&ids, JobVerb::TakeOwnership, client, output).await,
    }
}

/// Every change is a line of JSON, or one for people when the state moved.
async fn watch(id: JobId, client: &Client, output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    let mut told = String::new();
    let job = follow(id, Until::Final, client, output, |job, output| {
        if output.is_json() {
            return output.object(job);
        }
        let state = state_text(job);
        if state != told && (!output.draws_progress() || job.state.is_final()) {
            tell(job, output)?;
            told = state;
        }
        Ok(())
    })
    .await?;
    verdict(&job, output)
}

/// Tells each job the same; one that refuses does not keep the rest from being told.
pub(super) async fn each(
    ids: &[JobId],
    verb: JobVerb,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let mut status = ExitStatus::Done;
    for id in ids {
        match client.command(*id, verb).await {
            Ok(job) => tell(&job, output)?,
            Err(error) => {
                let error = CliError::from(error);
                let exit = error.exit();
                if exit == ExitStatus::NoHost || ids.len() == 1 {
                    return Err(error);
                }
                output.complain(&error);
                if status == ExitStatus::Done {
                    status = exit;
                }
            }
        }
    }
    Ok(status)
}

pub(super) fn tell(job: &JobView, output: &mut Output<'_>) -> Result<(), CliError> {
    if output.is_json() {
        return output.object(job);
    }
    let state = output.paint(state_tone(job), &state_text(job));
    let progress = bytes_of(job.bytes_transferred, job.bytes_total);
    output.line(format!("{}  {state}  {progress}", job.id))
}
