//! `job …`

use std::time::Duration;

use super::args::JobCommand;
use super::error::CliError;
use super::exit::ExitStatus;
use super::follow::{Until, follow, verdict};
use super::jobview::{self, state_text, state_tone};
use super::output::Output;
use super::text::bytes_of;
use crate::api::client::Client;
use crate::api::request::{ChangeRequest, JobQuery, JobVerb, ValidationRequest};
use crate::api::view::{JobId, JobState, JobView};

/// Jobs asked for in one request.
const PAGE: usize = 1000;

pub(super) async fn run(
    command: JobCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    match command {
        JobCommand::List { states, hooks, limit } => list(states, hooks, limit, client, output).await,
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
        JobCommand::Watch { id } => watch(id, client, output).await,
        JobCommand::Suspend { ids } => each(&ids, JobVerb::Suspend, client, output).await,
        JobCommand::Resume { ids, after } => {
            let after = after.unwrap_or(Duration::ZERO);
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            each(&ids, JobVerb::Resume { after_ms }, client, output).await
        }
        JobCommand::Cancel { ids } => each(&ids, JobVerb::Cancel, client, output).await,
        JobCommand::Complete { ids } => each(&ids, JobVerb::Complete, client, output).await,
        JobCommand::Set {
            id,
            priority,
            register,
        } => {
            let mut change = ChangeRequest {
                priority,
                ..ChangeRequest::default()
            };
            register.fill(&mut change);
            let job = client.change(id, &change).await?;
            tell(&job, output)?;
            Ok(ExitStatus::Done)
        }
        JobCommand::SetValidation { id, index, valid } => {
            let verb = JobVerb::SetValidation(ValidationRequest { index, valid });
            each(&[id], verb, client, output).await
        }
    }
}

async fn list(
    states: Vec<JobState>,
    hooks: bool,
    limit: u32,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let mut query = JobQuery {
        states,
        ..JobQuery::default()
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut left = limit;
    let mut listed = Vec::new();
    while left > 0 {
        let page = if hooks { PAGE } else { left.min(PAGE) };
        query.limit = Some(page);
        let mut jobs = client.jobs(&query).await?.jobs;
        let whole = jobs.len() == page;
        query.before = jobs.last().map(|job| job.id);
        if hooks {
            jobs.retain(|job| job.handler.is_some() || !job.notify_command.is_empty());
            jobs.truncate(left);
        }
        left -= jobs.len();
        if output.is_json() {
            for job in &jobs {
                output.object(job)?;
            }
        } else {
            listed.extend(jobs);
        }
        if !whole {
            break;
        }
    }
    if output.is_json() {
        return Ok(ExitStatus::Done);
    }
    if listed.is_empty() {
        output.note("there are no such jobs");
        return Ok(ExitStatus::Done);
    }
    let table = if hooks {
        jobview::hooks(&listed)
    } else {
        jobview::table(&listed, output.now())
    };
    output.table(&table)?;
    if listed.len() == limit {
        output.note(format!(
            "there may be more than these {limit}; `--limit` shows them"
        ));
    }
    Ok(ExitStatus::Done)
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
async fn each(
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

fn tell(job: &JobView, output: &mut Output<'_>) -> Result<(), CliError> {
    if output.is_json() {
        return output.object(job);
    }
    let state = output.paint(state_tone(job), &state_text(job));
    let progress = bytes_of(job.bytes_transferred, job.bytes_total);
    output.line(format!("{}  {state}  {progress}", job.id))
}
