//! Following many jobs at once: the host is asked how they stand, however many they are, because it has
//! not as many watches to give.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::error::{CliError, Complaint};
use super::exit::ExitStatus;
use super::follow::{self, Until, handlers_wait, rests, style};
use super::jobview::state_text;
use super::output::Output;
use super::text::{bytes, clean};
use crate::api::client::{Client, ClientError};
use crate::api::request::JobQuery;
use crate::api::view::{JobId, JobState, JobView, Outcome};

/// Jobs that are asked for one by one; of more a list is read.
const ONE_BY_ONE_MAX: usize = 50;

/// Jobs in one page of a list.
const PAGE: usize = 1000;

/// Resting jobs whose handlers are asked about in one round.
const RESTING_PER_ROUND: usize = 50;

/// Pause between two rounds over few jobs, and over many.
const ROUND: Duration = Duration::from_millis(250);
const ROUND_OF_MANY: Duration = Duration::from_secs(1);

/// Failed jobs that are named at the end.
const NAMED_MAX: usize = 20;

/// Follows jobs and returns them as they ended, in the order of `ids`. One that the host has forgotten
/// meanwhile is as it was last seen.
pub(super) async fn follow_all(
    ids: &[JobId],
    until: Until,
    client: &Client,
    output: &Output<'_>,
) -> Result<Vec<JobView>, CliError> {
    let mut round = Round {
        open: ids.iter().copied().collect(),
        seen: BTreeMap::new(),
        until,
    };
    let meter = Meter::new(ids.len(), output);
    loop {
        round.look(client).await?;
        meter.draw(&round);
        if round.open.is_empty() {
            meter.bar.finish_and_clear();
            return Ok(ids.iter().filter_map(|id| round.seen.get(id).cloned()).collect());
        }
        let many = round.open.len() > ONE_BY_ONE_MAX;
        tokio::time::sleep(if many { ROUND_OF_MANY } else { ROUND }).await;
    }
}

struct Round {
    /// Not at their end yet.
    open: BTreeSet<JobId>,
    /// As each was last seen.
    seen: BTreeMap<JobId, JobView>,
    until: Until,
}

impl Round {
    /// Asks how the open jobs stand and takes out those that are at their end.
    async fn look(&mut self, client: &Client) -> Result<(), CliError> {
        if self.open.len() > ONE_BY_ONE_MAX {
            self.read_list(client).await?;
        } else {
            self.read_each(client).await?;
        }
        let ended = |id: &JobId| self.seen.get(id).is_none_or(|job| job.state.is_final());
        let mut over: Vec<JobId> = self.open.iter().copied().filter(ended).collect();
        if self.until == Until::Settled {
            let resting = self
                .open
                .iter()
                .filter_map(|id| self.seen.get(id))
                .filter(|job| rests(job));
            for job in resting.take(RESTING_PER_ROUND) {
                // A handler's decision and its settlement are one commit: with no delivery left, the job
                // is what it will stay, unless it has just changed.
                if !handlers_wait(job.id, client).await? && client.job(job.id).await?.revision == job.revision
                {
                    over.push(job.id);
                }
            }
        }
        for id in over {
            self.open.remove(&id);
        }
        Ok(())
    }

    async fn read_each(&mut self, client: &Client) -> Result<(), CliError> {
        for id in &self.open {
            match client.job(*id).await {
                Ok(job) => drop(self.seen.insert(*id, job)),
                Err(ClientError::Refused { status: 404, .. }) if self.seen.contains_key(id) => {
                    self.seen
                        .entry(*id)
                        .and_modify(|job| job.state = JobState::Acknowledged);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn read_list(&mut self, client: &Client) -> Result<(), CliError> {
        let mut query = JobQuery {
            limit: Some(PAGE),
            ..JobQuery::default()
        };
        let mut missing = self.open.clone();
        while !missing.is_empty() {
            let page = client.jobs(&query).await?;
            for job in page.jobs {
                if missing.remove(&job.id) {
                    self.seen.insert(job.id, job);
                }
            }
            match page.next {
                Some(next) => query.before = Some(next),
                None => break,
            }
        }
        // The host has forgotten what is in no list.
        for id in missing {
            self.seen
                .entry(id)
                .and_modify(|job| job.state = JobState::Acknowledged);
        }
        Ok(())
    }
}

/// One bar for all: jobs that are over, bytes, their rate.
struct Meter {
    bar: ProgressBar,
    started: Instant,
}

impl Meter {
    fn new(jobs: usize, output: &Output<'_>) -> Self {
        let bar = follow::bar(output);
        bar.set_length(jobs as u64);
        bar.set_style(style(
            "{spinner} {pos} of {len} jobs [{wide_bar}] {msg}, {eta} left",
        ));
        Self {
            bar,
            started: Instant::now(),
        }
    }

    fn draw(&self, round: &Round) {
        let here: u64 = round.seen.values().map(|job| job.bytes_transferred).sum();
        let failed = round.seen.values().filter(|job| failed(job)).count();
        let seconds = self.started.elapsed().as_secs().max(1);
        let failed = match failed {
            0 => String::new(),
            n => format!(", {n} failed"),
        };
        self.bar
            .set_message(format!("{}, {}/s{failed}", bytes(here), bytes(here / seconds)));
        let over = self
            .bar
            .length()
            .unwrap_or(0)
            .saturating_sub(round.open.len() as u64);
        self.bar.set_position(over);
    }
}

/// It did not end as it was meant to.
fn failed(job: &JobView) -> bool {
    matches!(
        job.state,
        JobState::Error | JobState::Cancelled | JobState::Suspended
    ) || matches!(job.outcome, Some(Outcome::Failed | Outcome::Cancelled))
}

/// Says how jobs ended that were waited for.
pub(super) fn verdicts(jobs: &[JobView], output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    let bad: Vec<&JobView> = jobs.iter().filter(|job| failed(job)).collect();
    let held = jobs
        .iter()
        .filter(|job| job.state == JobState::Transferred)
        .count();
    if held > 0 {
        output.note(format!(
            "{held} are transferred and held; `sexton job complete` completes them"
        ));
    }
    let partial = jobs
        .iter()
        .filter(|job| job.outcome == Some(Outcome::Partial))
        .count();
    if partial > 0 {
        output.note(format!("{partial} are done in part"));
    }
    if bad.is_empty() {
        return Ok(ExitStatus::Done);
    }
    for job in bad.iter().take(NAMED_MAX) {
        let why = job.error.as_ref().map(|error| format!(": {}", error.description));
        let name = clean(&job.name);
        output.note(format!(
            "{} ({name}) {}{}",
            job.id,
            state_text(job),
            why.unwrap_or_default()
        ));
    }
    let complaint = Complaint::new(format!("{} of {} jobs failed", bad.len(), jobs.len()));
    Err(CliError::Failed(complaint.hint(
        "`sexton job error ID` shows more; `sexton job resume ID` tries again",
    )))
}
