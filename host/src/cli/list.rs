//! `job list`: pages of the host put together, sorted, with a line about them all.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::args_job::ListArgs;
use super::error::CliError;
use super::exit::ExitStatus;
use super::jobview::{self, state_text};
use super::output::Output;
use crate::api::client::Client;
use crate::api::request::{JobMatch, JobQuery};
use crate::api::view::{JobView, Priority};

/// Jobs asked for in one request.
const PAGE: usize = 1000;

/// Jobs that are looked through to sort them: what one host holds at most for one owner.
const SORTED_MAX: usize = 100_000;

/// What comes first in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The newest.
    #[default]
    Created,
    /// What changed last.
    Modified,
    /// By name.
    Name,
    /// What runs, then what waits, then what has ended.
    State,
    /// What is furthest.
    Progress,
    /// The most urgent.
    Priority,
}

impl Sort {
    /// Every way.
    pub(super) const ALL: &'static [Self] = &[
        Self::Created,
        Self::Modified,
        Self::Name,
        Self::State,
        Self::Progress,
        Self::Priority,
    ];

    /// The word on the command line.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Modified => "modified",
            Self::Name => "name",
            Self::State => "state",
            Self::Progress => "progress",
            Self::Priority => "priority",
        }
    }

    /// Jobs that are equal in this stay newest first.
    fn compare(self, a: &JobView, b: &JobView) -> Ordering {
        match self {
            Self::Created => Ordering::Equal,
            Self::Modified => b.modified.cmp(&a.modified),
            Self::Name => a.name.cmp(&b.name),
            Self::State => a.state.cmp(&b.state),
            Self::Progress => done(b).total_cmp(&done(a)),
            Self::Priority => rank(a.priority).cmp(&rank(b.priority)),
        }
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// No way to sort.
#[derive(Debug, thiserror::Error)]
#[error("not a way to sort")]
pub struct UnknownSort;

impl FromStr for Sort {
    type Err = UnknownSort;

    fn from_str(word: &str) -> Result<Self, UnknownSort> {
        let known = Self::ALL.iter().find(|sort| sort.as_str() == word);
        known.copied().ok_or(UnknownSort)
    }
}

/// How much of a job is here; one whose size nobody knows has only begun.
fn done(job: &JobView) -> f64 {
    match job.bytes_total {
        Some(0) => 1.0,
        #[expect(clippy::cast_precision_loss, reason = "only compared")]
        Some(total) => job.bytes_transferred as f64 / total as f64,
        None => 0.0,
    }
}

fn rank(priority: Priority) -> usize {
    let at = Priority::ALL.iter().position(|one| *one == priority);
    at.unwrap_or_default()
}

pub(super) async fn run(
    args: ListArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let (sort, reverse) = (args.sort, args.reverse);
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let all = sort != Sort::Created || reverse;
    let (plain, hooks) = (args.is_plain(), args.hooks);
    let query = query(args, output);
    let most = if all { SORTED_MAX } else { limit };
    let (mut jobs, more) = pages(query, most, hooks, all, client, output).await?;
    if output.is_json() && !all {
        return Ok(ExitStatus::Done);
    }
    jobs.sort_by(|a, b| sort.compare(a, b));
    if reverse {
        jobs.reverse();
    }
    let cut = jobs.len() > limit;
    let found = jobs.len();
    jobs.truncate(limit);
    if output.is_json() {
        for job in &jobs {
            output.object(job)?;
        }
        return Ok(ExitStatus::Done);
    }
    if jobs.is_empty() {
        output.note("there are no such jobs");
        return Ok(ExitStatus::Done);
    }
    let table = if hooks {
        jobview::hooks(&jobs)
    } else {
        jobview::table(&jobs, output.now())
    };
    output.table(&table)?;
    let counts = if plain && (more || cut) {
        let counts = client.status().await?.counts.jobs;
        counts
            .into_iter()
            .map(|(state, n)| (state.to_string(), n))
            .collect()
    } else {
        by_state(&jobs)
    };
    output.note(summary(jobs.len(), &counts));
    if more {
        let last = jobs
            .last()
            .filter(|_| !all)
            .map(|job| format!(" `--before {}` goes on.", job.id));
        output.note(format!(
            "there may be more than these {}; `--limit` shows them.{}",
            if all { found } else { limit },
            last.unwrap_or_default()
        ));
    } else if cut {
        output.note(format!("{found} fit; `--limit` shows more of them"));
    }
    Ok(ExitStatus::Done)
}

impl ListArgs {
    /// Every job is asked for.
    fn is_plain(&self) -> bool {
        let shown = Self {
            limit: self.limit,
            sort: self.sort,
            reverse: self.reverse,
            ..Self::default()
        };
        *self == shown
    }
}

fn query(args: ListArgs, output: &Output<'_>) -> JobQuery {
    let now = output.now();
    JobQuery {
        states: args.states,
        owner: args.owner,
        before: args.before,
        limit: None,
        wanted: JobMatch {
            kind: args.kind,
            name: args.name,
            labels: args.labels,
            priority: args.priority,
            since: args.since.map(|since| since.at(now)),
            until: args.until.map(|until| until.at(now)),
            error: args.error,
            host: args.host,
            remote: args.remote,
            local: args.local,
        },
    }
}

/// At most `most` jobs, with `hooks` only those that have any, and whether there may be more. Unless they are `kept` to be sorted, JSON is
/// written page by page.
async fn pages(
    mut query: JobQuery,
    most: usize,
    hooks: bool,
    kept: bool,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(Vec<JobView>, bool), CliError> {
    let mut listed = Vec::new();
    let mut left = most;
    loop {
        query.limit = Some(if hooks { PAGE } else { left.min(PAGE) });
        let mut page = client.jobs(&query).await?;
        query.before = page.next;
        if hooks {
            page.jobs
                .retain(|job| job.handler.is_some() || !job.notify_command.is_empty());
            if page.jobs.len() > left {
                page.jobs.truncate(left);
                query.before = page.jobs.last().map(|job| job.id);
            }
        }
        left = left.saturating_sub(page.jobs.len());
        if output.is_json() && !kept {
            for job in &page.jobs {
                output.object(job)?;
            }
        } else {
            listed.extend(page.jobs);
        }
        if query.before.is_none() || left == 0 {
            return Ok((listed, query.before.is_some()));
        }
    }
}

fn by_state(jobs: &[JobView]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for job in jobs {
        *counts.entry(state_text(job)).or_insert(0) += 1;
    }
    counts
}

/// `3 jobs: 2 error, 1 queued`; with all there are where not all are shown.
fn summary(shown: usize, counts: &BTreeMap<String, u64>) -> String {
    let total: u64 = counts.values().sum();
    let of = if total == shown as u64 {
        String::new()
    } else {
        format!(" of {total}")
    };
    let counts: Vec<String> = counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let jobs = if total == 1 { "job" } else { "jobs" };
    format!("{shown}{of} {jobs}: {}", counts.join(", "))
}
