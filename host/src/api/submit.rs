//! Submission: every limit of a job is checked here, before anything durable happens.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::body::Body;
use super::failure::ApiError;
use super::limits::{NAME_CHARS_MAX, check_key, check_spec};
use super::notify;
use super::request::SubmitRequest;
use super::server::Peer;
use super::view::{JobView, ListProblem, SubmittedView};
use super::{Api, HostHandle, activities};
use crate::job::{Code, FileSpec, JobSpec, OwnerName, Profile};
use crate::store::{NewJob, Submitted};

/// One submission is one transaction; more than this would hold the store's writer for long.
const JOBS_PER_REQUEST_MAX: usize = 10_000;
/// Refusals told of one list: what a person mends before trying again.
const REFUSALS_MAX: usize = 100;

/// `POST /v1/jobs`: one job, or a list that is accepted whole or not at all.
pub(super) async fn submit(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Response, ApiError> {
    if api.host.is_draining() {
        return Err(
            ApiError::busy("the host is ending and takes no new jobs").hint("submit to the next host")
        );
    }
    let owner = peer.owner()?;
    let profile = api.host.default_profile();
    if body.is_list() {
        let requests: Vec<SubmitRequest> = body.json()?;
        if requests.len() > JOBS_PER_REQUEST_MAX {
            return Err(ApiError::usage(format!(
                "{} jobs in one request; at most {JOBS_PER_REQUEST_MAX} are taken at once",
                requests.len()
            )));
        }
        let jobs = accept(&api, owner, profile, requests, true).await?;
        let submitted = api.store.submit_many(jobs).await?;
        let views: Vec<SubmittedView> = submitted.iter().map(view).collect();
        return Ok((StatusCode::CREATED, Json(views)).into_response());
    }
    let mut jobs = accept(&api, owner, profile, vec![body.json()?], false).await?;
    let Some(job) = jobs.pop() else {
        return Err(ApiError::usage("the request has no job"));
    };
    let submitted = api.store.submit(job).await?;
    let status = if submitted.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(view(&submitted))).into_response())
}

fn view(submitted: &Submitted) -> SubmittedView {
    SubmittedView {
        job: JobView::from(&submitted.job),
        new: submitted.created,
        warnings: warnings(&submitted.job.spec),
    }
}

/// B-60: a job that is cancelled for its inactivity before it would be given up never tells its handler.
fn warnings(spec: &JobSpec) -> Vec<String> {
    let inactivity = spec.profile.inactivity();
    let in_vain = spec.no_progress > inactivity;
    let days = inactivity.as_secs() / 86_400;
    in_vain
        .then(|| {
            format!(
                "the no-progress time-out is longer than the {days} days after which an inactive job is \
                 cancelled: the job may be cancelled before it is ever in error"
            )
        })
        .into_iter()
        .collect()
}

/// Checks requests one after the other. Of a `list` everything that is wrong is told at once, by its
/// place. The checks ask the file system, which may be slow or hang, so they run where nothing else waits.
async fn accept(
    api: &Api,
    owner: OwnerName,
    profile: Profile,
    requests: Vec<SubmitRequest>,
    list: bool,
) -> Result<Vec<NewJob>, ApiError> {
    let host = Arc::clone(&api.host);
    let checked = tokio::task::spawn_blocking(move || {
        let fits = host.checker();
        let check = |request| {
            let mut job = new_job(request, owner.clone(), profile)?;
            follow_activity(&*host, &mut job)?;
            host.complete_submit(&mut job);
            fits(&job).map_err(|(code, message)| ApiError::submission(code, message))?;
            Ok(job)
        };
        let (mut jobs, mut refused) = (Vec::with_capacity(requests.len()), Vec::new());
        for (index, request) in requests.into_iter().enumerate() {
            match check(request) {
                Ok(job) => jobs.push(job),
                Err(error) => refused.push((index, error)),
            }
            if refused.len() >= REFUSALS_MAX {
                break;
            }
        }
        match all_refusals(refused, list) {
            Some(error) => Err(error),
            None => Ok(jobs),
        }
    });
    checked
        .await
        .unwrap_or_else(|_| Err(ApiError::busy("the host is ending").hint("submit to the next host")))
}

/// C-88: an activity must be there. What a call does not say itself, its activity says; both are frozen,
/// so it is said for good.
fn follow_activity(host: &dyn HostHandle, job: &mut NewJob) -> Result<(), ApiError> {
    let Some(batch) = job.spec.batch.as_mut() else {
        return Ok(());
    };
    let Some(name) = batch.activity.as_ref() else {
        return Ok(());
    };
    let activity = host.activity(name).ok_or_else(|| activities::unknown(name))?;
    batch.deadline = batch.deadline.or(activity.deadline);
    batch.on_host_crash = batch.on_host_crash.or(activity.on_host_crash);
    Ok(())
}

/// The first refusal, and for a list every one of them with its place.
fn all_refusals(refused: Vec<(usize, ApiError)>, list: bool) -> Option<ApiError> {
    let entries = refused.iter().map(|(index, error)| ListProblem {
        index: *index,
        code: error.problem.code,
        message: error.problem.message.clone(),
    });
    let entries: Vec<ListProblem> = entries.collect();
    let (index, mut first) = refused.into_iter().next()?;
    if list {
        first.problem.message = format!("job {index} of the list: {}", first.problem.message);
        first.problem.list = entries;
    }
    Some(first)
}

/// Checks a request against every limit and fills in what it leaves to the profile.
pub(super) fn new_job(
    request: SubmitRequest,
    owner: OwnerName,
    default_profile: Profile,
) -> Result<NewJob, ApiError> {
    if let Some(key) = &request.key {
        check_key(key)?;
    }
    let profile = request.profile.unwrap_or(default_profile);
    let files_max = profile.files_per_job();
    if u32::try_from(request.files.len()).map_or(true, |files| files > files_max) {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            Code::TOO_MANY_FILES_IN_JOB,
            format!(
                "the job has {} files; at most {files_max} are allowed",
                request.files.len()
            ),
        ));
    }
    let name = request.name.unwrap_or_else(|| {
        if let Some(query) = &request.query {
            // A name is one line.
            let words: Vec<&str> = query.text.split_whitespace().collect();
            return words.join(" ").chars().take(NAME_CHARS_MAX).collect();
        }
        let first = request.files.first().map(|file| file.local.as_str());
        let last = first.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        last.chars().take(NAME_CHARS_MAX).collect()
    });
    let files: Vec<FileSpec> = request.files.into_iter().map(FileSpec::from).collect();
    let refused = |(code, why)| ApiError::new(StatusCode::BAD_REQUEST, code, why);
    request.transfer.check(&files).map_err(refused)?;
    let priority = request
        .transfer
        .http
        .priority(request.priority)
        .map_err(refused)?;
    let mut spec = JobSpec::new(name, profile).at_level(priority);
    spec.description = request.description;
    spec.context = request.context;
    spec.labels = request.labels;
    spec.hold = request.hold.unwrap_or(spec.hold);
    spec.handler = request.handler;
    spec.after = request.after;
    spec.notify_command = request.notify_command;
    if let Some(words) = &request.notify {
        spec.notify = Some(notify::flags(words, request.kind, profile)?);
    }
    if let Some(ms) = request.notify_interval_ms {
        spec.notify_interval = Duration::from_millis(ms);
    }
    if let Some(delay) = request.retry_delay_ms {
        spec.retry.initial = Duration::from_millis(delay);
        spec.retry.max = spec.retry.max.max(spec.retry.initial);
    }
    if let Some(limit) = request.no_progress_ms {
        spec.no_progress = Duration::from_millis(limit);
    }
    if !request.transfer.is_default() {
        spec.transfer = Some(Box::new(request.transfer));
    }
    spec.batch = request.batch;
    spec.query = request.query;
    spec.check_work(request.kind).map_err(refused)?;
    check_spec(&spec)?;
    Ok(NewJob {
        owner,
        kind: request.kind,
        priority,
        spec,
        files,
        key: request.key,
        suspended: request.suspended,
    })
}
