//! Following a job to its end: `job watch` and `submit --wait`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::{CliError, Complaint};
use super::exit::ExitStatus;
use super::jobview::state_text;
use super::output::Output;
use super::text::{bytes_of, clean};
use crate::api::client::{Client, Watch};
use crate::api::request::DeliveryQuery;
use crate::api::view::{DeliveryState, JobId, JobState, JobView, Outcome};

/// How often handlers are asked about while a job rests in `error` or is held.
const HANDLERS_INTERVAL: Duration = Duration::from_millis(300);

/// How far to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Until it is final.
    Final,
    /// Until nothing moves it any more by itself: also once it is in `error`, or held in
    /// `transferred`, and no handler is still to be called.
    Settled,
}

/// Follows a job, telling each change to `tell`, and returns it as it ended.
pub(super) async fn follow(
    id: JobId,
    until: Until,
    client: &Client,
    output: &mut Output<'_>,
    mut tell: impl FnMut(&JobView, &mut Output<'_>) -> Result<(), CliError>,
) -> Result<JobView, CliError> {
    let bar = bar(output);
    let mut watch = client.watch(id).await?;
    let mut last: Option<JobView> = None;
    loop {
        let next = match (&last, until) {
            (Some(job), Until::Settled) if rests(job) => {
                match next_or_settled(&mut watch, job, client).await? {
                    Some(next) => next,
                    None => break,
                }
            }
            _ => watch.next().await?,
        };
        let Some(job) = next else { break };
        tell(&job, output)?;
        draw(&bar, &job);
        let ended = job.state.is_final();
        last = Some(job);
        if ended {
            break;
        }
    }
    bar.finish_and_clear();
    match last {
        Some(job) if job.state.is_final() || (until == Until::Settled && rests(&job)) => Ok(job),
        _ => Err(CliError::NoHost(
            Complaint::new(format!("the host stopped telling of job {id} before its end")).hint(format!(
                "the job is durable; once a host runs, `sexton job watch {id}` goes on"
            )),
        )),
    }
}

/// Nothing but a handler or a person moves it.
fn rests(job: &JobView) -> bool {
    let resting = matches!(job.state, JobState::Error | JobState::Suspended)
        || (job.state == JobState::Transferred && job.hold);
    resting && job.intent.is_none()
}

/// The job's next change, or `None` when no handler is left that could change it.
async fn next_or_settled(
    watch: &mut Watch,
    job: &JobView,
    client: &Client,
) -> Result<Option<Option<JobView>>, CliError> {
    let query = DeliveryQuery {
        states: vec![DeliveryState::Pending, DeliveryState::Running],
        job: Some(job.id),
        limit: Some(1),
        ..DeliveryQuery::default()
    };
    loop {
        match tokio::time::timeout(HANDLERS_INTERVAL, watch.next()).await {
            Ok(next) => return Ok(Some(next?)),
            Err(_) if client.deliveries(&query).await?.deliveries.is_empty() => {
                // A handler's decision and its settlement are one commit: with no delivery left,
                // the job is what it will stay, unless it has just changed.
                let now = client.job(job.id).await?;
                if now.revision == job.revision {
                    return Ok(None);
                }
            }
            Err(_) => {}
        }
    }
}

/// Says how a job ended that was waited for.
pub(super) fn verdict(job: &JobView, output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    match (job.state, job.outcome) {
        (JobState::Acknowledged, Some(Outcome::Succeeded) | None) => Ok(ExitStatus::Done),
        (JobState::Acknowledged, Some(Outcome::Partial)) => {
            output.note(format!(
                "job {} is done in part: {} of {} files",
                job.id, job.files_transferred, job.files_total
            ));
            Ok(ExitStatus::Done)
        }
        (JobState::Transferred, _) => {
            output.note(format!(
                "job {} is transferred and held; `sexton job complete {}` completes it",
                job.id, job.id
            ));
            Ok(ExitStatus::Done)
        }
        _ => Err(CliError::Failed(failure(job))),
    }
}

fn failure(job: &JobView) -> Complaint {
    let how = match job.state {
        JobState::Cancelled => "was cancelled",
        JobState::Error => "is in error",
        JobState::Suspended => "is suspended",
        _ => "failed",
    };
    let complaint = Complaint::new(format!("job {} ({}) {how}", job.id, job.name));
    let complaint = match &job.error {
        Some(error) => complaint.cause(format!(
            "{} (0x{:08X}{}{})",
            error.description,
            error.code.0,
            if error.name.is_empty() { "" } else { " " },
            error.name
        )),
        None => complaint,
    };
    match job.state {
        JobState::Error => complaint.hint(format!(
            "`sexton job error {}` shows more; `sexton job resume {}` tries again",
            job.id, job.id
        )),
        JobState::Suspended => complaint.hint(format!(
            "a handler or a person stopped it; `sexton job resume {}` lets it go on",
            job.id
        )),
        _ => complaint,
    }
}

fn bar(output: &Output<'_>) -> ProgressBar {
    if !output.draws_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style("{spinner} {msg}"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn draw(bar: &ProgressBar, job: &JobView) {
    if bar.is_hidden() {
        return;
    }
    match job.bytes_total {
        Some(total) => {
            if bar.length() != Some(total) {
                bar.set_length(total);
                bar.set_style(style(
                    "{spinner} {msg} [{wide_bar}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta}",
                ));
            }
            bar.set_position(job.bytes_transferred);
            bar.set_message(state_text(job));
        }
        None => bar.set_message(format!(
            "{} {} ({})",
            state_text(job),
            clean(&job.name),
            bytes_of(job.bytes_transferred, None)
        )),
    }
}
