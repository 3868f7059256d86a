//! `submit -f FILE`: a set of jobs, submitted whole or not at all, and followed together.

use std::path::Path;

use super::args::SetFileArgs;
use super::error::CliError;
use super::exit::ExitStatus;
use super::follow::Until;
use super::follow_all::{follow_all, verdicts};
use super::jobset::{self, JobSet};
use super::output::Output;
use crate::api::client::{Client, ClientError};
use crate::api::view::{JobId, SubmittedView};

pub(super) async fn run(
    args: SetFileArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let Some(file) = args.file else {
        return Ok(ExitStatus::Usage);
    };
    let submitted = submit(&file, client).await?;
    for one in &submitted {
        if output.is_json() {
            output.object(one)?;
        } else {
            output.line(one.job.id.to_string())?;
        }
    }
    let known = submitted.iter().filter(|one| !one.new).count();
    if known > 0 {
        output.note(format!(
            "{known} keys had been used before; these are their first jobs"
        ));
    }
    if !args.wait {
        return Ok(ExitStatus::Done);
    }
    let ids: Vec<JobId> = submitted.iter().map(|one| one.job.id).collect();
    follow(&ids, Until::Settled, client, output).await
}

/// Several jobs to their ends.
pub(super) async fn watch(
    ids: &[JobId],
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    follow(ids, Until::Final, client, output).await
}

async fn follow(
    ids: &[JobId],
    until: Until,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let jobs = follow_all(ids, until, client, output).await?;
    if output.is_json() {
        for job in &jobs {
            output.object(job)?;
        }
    }
    verdicts(&jobs, output)
}

async fn submit(file: &Path, client: &Client) -> Result<Vec<SubmittedView>, CliError> {
    let set = jobset::jobs(file)?;
    let submitted = client.submit_many(&set.requests).await;
    submitted.map_err(|error| placed(error, &set))
}

/// What the host says of a job by its number is said by its place in the file.
fn placed(error: ClientError, set: &JobSet) -> CliError {
    if let ClientError::Refused { problem, .. } = &error
        && !problem.list.is_empty()
    {
        let faults = problem.list.iter();
        let faults = faults.map(|fault| format!("{}: {}", set.place(fault.index), fault.message));
        return jobset::not_taken(set.name(), "submitted", faults.collect());
    }
    CliError::from(error)
}
