//! `submit query …` and `job objects …`: pulling what a query finds (W-02…W-06).

use std::time::Duration;

use super::args_query::{ObjectsArgs, QueryArgs};
use super::error::{CliError, Complaint};
use super::exit::ExitStatus;
use super::follow::{rests, verdict};
use super::objects::{Form, Printer};
use super::output::Output;
use super::submit::{absolute, request};
use crate::api::client::Client;
use crate::api::request::{JobVerb, PageQuery, SubmitRequest};
use crate::api::view::{JobId, JobKind, JobView, QuerySpec};

/// Objects of one page.
const PAGE: u32 = 1_000;

/// How often a query that goes on is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How a pull is carried on.
pub(super) struct Pull {
    form: Form,
    detach: bool,
}

/// What is submitted, and how it is waited for.
pub(super) fn query(args: QueryArgs, json: bool) -> Result<(Pull, SubmitRequest), CliError> {
    let provider = match args.provider.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite:{}", absolute(path.as_ref())?),
        None => args.provider,
    };
    let form = match (json, args.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Table,
    };
    let pull = Pull {
        form,
        detach: args.detach,
    };
    let spec = QuerySpec {
        progress: args.progress,
        keep: args.keep || args.options.wait,
        limit: args.most,
        every: args.every,
        by: args.by,
        deadline: args.deadline,
        ..QuerySpec::new(provider, args.text)
    };
    let mut request = request(JobKind::Query, Vec::new(), args.options)?;
    request.query = Some(Box::new(spec));
    Ok((pull, request))
}

/// Prints objects as they come, until the query has ended. An interrupt cancels it (W-06).
pub(super) async fn pull(
    id: JobId,
    pull: Pull,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let mut printer = Printer::new(pull.form);
    let following = follow(id, &mut printer, client, output);
    let job = tokio::select! {
        job = following => job?,
        _ = tokio::signal::ctrl_c() => {
            if pull.detach {
                output.note(format!("query {id} goes on; `sexton job objects {id}` shows what it finds"));
                return Ok(ExitStatus::Failed);
            }
            client.command(id, JobVerb::Cancel).await?;
            return Err(CliError::Failed(Complaint::new(format!("query {id} was cancelled"))));
        }
    };
    verdict(&job, output)
}

async fn follow(
    id: JobId,
    printer: &mut Printer,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<JobView, CliError> {
    let mut page = PageQuery {
        offset: 0,
        limit: Some(PAGE),
    };
    let mut run = 0;
    loop {
        // Asked first: what is kept once it has ended is all there will be.
        let job = client.job(id).await?;
        let watches = job.query.as_ref().is_some_and(|query| query.every.is_some());
        loop {
            let found = client.objects(id, page).await?;
            let first = found.batches.first().map_or(run, |batch| batch.run);
            if first != run && !watches {
                // It was run again, and what it found before does not count: nothing is told twice.
                if run != 0 {
                    output.note("the query was run again; its objects begin anew");
                }
                run = first;
                if page.offset > 0 {
                    page.offset = 0;
                    continue;
                }
            }
            let rows: usize = found.batches.iter().map(|batch| batch.rows.len()).sum();
            found
                .batches
                .iter()
                .try_for_each(|batch| printer.batch(batch, output))?;
            page.offset = page
                .offset
                .saturating_add(u32::try_from(rows).unwrap_or(u32::MAX));
            if rows == 0 {
                break;
            }
        }
        if job.state.is_final() || rests(&job) {
            return Ok(job);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// `job objects …`
pub(super) async fn objects(
    args: &ObjectsArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let form = match (output.is_json(), args.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Table,
    };
    let mut printer = Printer::new(form);
    let (mut offset, mut left) = (args.offset, args.limit);
    loop {
        let page = PageQuery {
            offset,
            limit: Some(left.min(PAGE)),
        };
        let found = client.objects(args.id, page).await?;
        found
            .batches
            .iter()
            .try_for_each(|batch| printer.batch(batch, output))?;
        let rows: usize = found.batches.iter().map(|batch| batch.rows.len()).sum();
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        (offset, left) = (offset.saturating_add(rows), left.saturating_sub(rows));
        let more = found.total.saturating_sub(u64::from(offset));
        if rows == 0 || left == 0 || more == 0 {
            if more > 0 && rows > 0 {
                output.note(format!("{more} more; `--offset {offset}` goes on"));
            }
            break;
        }
    }
    Ok(ExitStatus::Done)
}
