//! Submission: every limit of a job is checked here, before anything durable happens.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::body::Body;
use super::failure::ApiError;
use super::notify;
use super::request::SubmitRequest;
use super::server::Peer;
use super::view::{JobView, SubmittedView};
use crate::job::{Code, FileSpec, JobSpec, OwnerName, Priority, Profile};
use crate::store::{NewJob, Submitted};

/// B-05.
const NAME_CHARS_MAX: usize = 256;
/// B-05.
const DESCRIPTION_CHARS_MAX: usize = 1024;
/// Handlers get it with every call, so it is data beside the job, not the job's payload.
const CONTEXT_BYTES_MAX: usize = 64 << 10;
/// Handlers get them with every call.
const LABELS_MAX: usize = 32;
const LABEL_KEY_BYTES_MAX: usize = 64;
const LABEL_VALUE_BYTES_MAX: usize = 1024;
/// It is indexed.
const KEY_BYTES_MAX: usize = 256;
/// One submission is one transaction; more than this would hold the store's writer for long.
const JOBS_PER_REQUEST_MAX: usize = 10_000;

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
        let jobs = accept(&api, owner, profile, requests, |index, error| {
            error.problem.message = format!("job {index} of the list: {}", error.problem.message);
        });
        let submitted = api.store.submit_many(jobs.await?).await?;
        let views: Vec<SubmittedView> = submitted.iter().map(view).collect();
        return Ok((StatusCode::CREATED, Json(views)).into_response());
    }
    let mut jobs = accept(&api, owner, profile, vec![body.json()?], |_, _| {}).await?;
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
    }
}

/// Checks requests one after the other; `place` says in the first error which of them it was. The
/// checks ask the file system, which may be slow or hang, so they run where nothing else waits.
async fn accept(
    api: &Api,
    owner: OwnerName,
    profile: Profile,
    requests: Vec<SubmitRequest>,
    place: impl Fn(usize, &mut ApiError) + Send + 'static,
) -> Result<Vec<NewJob>, ApiError> {
    let host = Arc::clone(&api.host);
    let check = move |request| {
        let job = new_job(request, owner.clone(), profile)?;
        host.check_submit(&job)
            .map_err(|(code, message)| ApiError::submission(code, message))?;
        Ok(job)
    };
    let checked = tokio::task::spawn_blocking(move || {
        let requests = requests.into_iter().enumerate();
        let jobs = requests.map(|(index, request)| {
            check(request).map_err(|mut error| {
                place(index, &mut error);
                error
            })
        });
        jobs.collect::<Result<Vec<_>, ApiError>>()
    });
    checked
        .await
        .unwrap_or_else(|_| Err(ApiError::busy("the host is ending").hint("submit to the next host")))
}

/// Checks a request against every limit and fills in what it leaves to the profile.
pub(super) fn new_job(
    request: SubmitRequest,
    owner: OwnerName,
    default_profile: Profile,
) -> Result<NewJob, ApiError> {
    check_texts(&request)?;
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
        let first = request.files.first().map(|file| file.local.as_str());
        let last = first.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        last.chars().take(NAME_CHARS_MAX).collect()
    });
    let mut spec = JobSpec::new(name, profile);
    spec.description = request.description;
    spec.context = request.context;
    spec.labels = request.labels;
    spec.hold = request.hold.unwrap_or(spec.hold);
    spec.handler = request.handler;
    spec.notify_command = request.notify_command;
    if let Some(words) = &request.notify {
        spec.notify = Some(notify::flags(words, request.kind, profile)?);
    }
    if let Some(ms) = request.notify_interval_ms {
        spec.notify_interval = notify::interval(ms)?;
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
    Ok(NewJob {
        owner,
        kind: request.kind,
        priority: request.priority.unwrap_or(Priority::Normal),
        spec,
        files: request.files.into_iter().map(FileSpec::from).collect(),
        key: request.key,
        suspended: request.suspended,
    })
}

fn check_texts(request: &SubmitRequest) -> Result<(), ApiError> {
    let name = request.name.as_deref().unwrap_or_default();
    let label_keys = request.labels.keys().map(String::len).max().unwrap_or(0);
    let label_values = request.labels.values().map(String::len).max().unwrap_or(0);
    let key = request.key.as_ref().map_or(0, String::len);
    let delays = [request.retry_delay_ms, request.no_progress_ms];
    let longest = delays.into_iter().flatten().max().unwrap_or(0);
    for (what, found, most, unit) in [
        ("name", name.chars().count(), NAME_CHARS_MAX, "characters"),
        (
            "description",
            request.description.chars().count(),
            DESCRIPTION_CHARS_MAX,
            "characters",
        ),
        ("context", request.context.len(), CONTEXT_BYTES_MAX, "bytes"),
        ("key", key, KEY_BYTES_MAX, "bytes"),
        ("list of labels", request.labels.len(), LABELS_MAX, "entries"),
        ("longest label key", label_keys, LABEL_KEY_BYTES_MAX, "bytes"),
        (
            "longest label value",
            label_values,
            LABEL_VALUE_BYTES_MAX,
            "bytes",
        ),
    ] {
        if found > most {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                Code::STRING_TOO_LONG,
                format!("the {what} has {found} {unit}; at most {most} are allowed"),
            ));
        }
    }
    if longest > DELAY_MS_MAX {
        return Err(ApiError::usage("a delay is over ten years"));
    }
    for (what, empty) in [
        ("key", request.key.as_ref().is_some_and(String::is_empty)),
        ("label key", request.labels.keys().any(String::is_empty)),
    ] {
        if empty {
            return Err(ApiError::usage(format!("the {what} is empty")));
        }
    }
    notify::check_command(&request.notify_command)
}

/// Ten years: far beyond use, far below what time arithmetic can hold.
pub(super) const DELAY_MS_MAX: u64 = 10 * 365 * 86_400_000;
