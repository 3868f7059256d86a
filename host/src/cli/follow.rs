//! Following a job to its end: `job watch` and `submit --wait`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::{CliError, Complaint};
use super::exit::ExitStatus;
use super::jobview::state_text;
use super::output::Output;
use super::text::clean;
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
pub(super) fn rests(job: &JobView) -> bool {
    let resting = matches!(job.state, JobState::Error | JobState::Suspended)
        || (job.state == JobState::Transferred && job.hold);
    resting && job.intent.is_none()
}

/// Whether a handler is still to be called about a job.
pub(super) async fn handlers_wait(job: JobId, client: &Client) -> Result<bool, CliError> {
    let query = DeliveryQuery {
        states: vec![DeliveryState::Pending, DeliveryState::Running],
        job: Some(job),
        limit: Some(1),
        ..DeliveryQuery::default()
    };
    Ok(!client.deliveries(&query).await?.deliveries.is_empty())
}

/// The job's next change, or `None` when no handler is left that could change it.
async fn next_or_settled(
    watch: &mut Watch,
    job: &JobView,
    client: &Client,
) -> Result<Option<Option<JobView>>, CliError> {
    loop {
        match tokio::time::timeout(HANDLERS_INTERVAL, watch.next()).await {
            Ok(next) => return Ok(Some(next?)),
            Err(_) if !handlers_wait(job.id, client).await? => {
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

pub(super) fn bar(output: &Output<'_>) -> ProgressBar {
    if !output.draws_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style("{spinner} {msg}"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Where the size is known: how much of it, how fast, how long still. Where it is not, the first two.
fn draw(bar: &ProgressBar, job: &JobView) {
    if bar.is_hidden() {
        return;
    }
    let known = job.bytes_total.filter(|total| *total > 0);
    if bar.position() == 0 || bar.length() != known {
        match known {
            Some(total) => {
                bar.set_length(total);
                bar.set_style(style(
                    "{spinner} {msg} [{wide_bar}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
                ));
            }
            None => bar.set_style(style("{spinner} {msg} {bytes}, {bytes_per_sec}, {elapsed}")),
        }
        // What earlier runs fetched says nothing of how fast this one is.
        bar.set_position(job.bytes_transferred);
        bar.reset_eta();
    }
    bar.set_position(job.bytes_transferred);
    bar.set_message(message(job));
}

/// What stands before the numbers: the state, the name, and the files where there are several.
fn message(job: &JobView) -> String {
    let files = match job.files_total {
        0 | 1 => String::new(),
        total => format!(" ({} of {total} files)", job.files_transferred),
    };
    format!("{} {}{files}", state_text(job), clean(&job.name))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;
    use serde_json::json;

    use super::*;

    /// A terminal that keeps what is written to it.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(line)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a bar shows of a job, on a terminal of 120 columns.
    fn shown(change: serde_json::Value) -> String {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        let bar = ProgressBar::with_draw_target(None, target);
        draw(&bar, &crate::cli::tests::job(change));
        bar.abandon();
        let text = paper.0.lock().unwrap();
        text.clone()
    }

    #[test]
    fn a_bar_shows_rate_and_time_left_where_the_size_is_known() {
        let text = shown(
            json!({"bytes_total": 4096, "bytes_transferred": 1024, "files_total": 3, "files_transferred": 1}),
        );
        for words in [
            "transferring f",
            "(1 of 3 files)",
            "1.00 KiB of 4.00 KiB",
            "/s, ",
            " left",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(
            !text.contains("\u{1b}[2J") || !text.contains('\u{1b}'),
            "names are escaped: {text:?}"
        );
    }

    #[test]
    fn a_bar_without_a_size_shows_what_is_here_and_how_fast() {
        let text = shown(json!({"bytes_total": null, "bytes_transferred": 2048}));
        assert!(text.contains("2.00 KiB, ") && text.contains("/s"), "{text}");
        assert!(!text.contains("left"), "{text}");
    }
}
