//! Routes of jobs: list, show, files, error object, commands.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;

use super::Api;
use super::body::Body;
use super::failure::ApiError;
use super::limits::DELAY_MS_MAX;
use super::query::{LIST_DEFAULT, parse};
use super::request::{CompleteRequest, JobQuery, PageQuery, ResumeRequest, ValidationRequest};
use super::view::{ErrorView, FileView, FilesView, JobView, JobsView};
use crate::job::{Code, Command, FileRef, JobId, Profile, legal_verbs};
use crate::store::{JobFilter, StoreError};

/// Files in the view of one job; the files route pages through all.
const SHOWN_FILES_MAX: u32 = 100;

/// The id in a path.
pub(super) fn job_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| {
        let text: String = text.chars().take(60).flat_map(char::escape_default).collect();
        ApiError::usage(format!("`{text}` is not a job id")).hint("`sexton job list` shows those there are")
    })
}

/// `GET /v1/jobs`
pub(super) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<JobsView>, ApiError> {
    let query: JobQuery = parse(query.as_deref())?;
    let filter = JobFilter {
        states: query.states,
        owner: query.owner,
        before: query.before,
        limit: query.limit.unwrap_or(LIST_DEFAULT),
    };
    let page = api.store.jobs_matching(filter, query.wanted).await?;
    Ok(Json(JobsView {
        jobs: page.jobs.iter().map(JobView::from).collect(),
        next: page.next,
    }))
}

/// `GET /v1/jobs/{id}`
pub(super) async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<JobView>, ApiError> {
    let id = job_id(&id)?;
    let job = api.store.job(id).await?;
    let files = api.store.files(id, 0, SHOWN_FILES_MAX).await?;
    Ok(Json(JobView::with_files(&job, &files)))
}

/// `GET /v1/jobs/{id}/files`
pub(super) async fn files(
    State(api): State<Api>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<FilesView>, ApiError> {
    let id = job_id(&id)?;
    let page: PageQuery = parse(query.as_deref())?;
    // A job without files and a job that is not there must not look the same.
    api.store.job(id).await?;
    let files = api
        .store
        .files(id, page.offset, page.limit.unwrap_or(SHOWN_FILES_MAX))
        .await?;
    Ok(Json(FilesView {
        files: files.iter().map(FileView::from).collect(),
    }))
}

/// `GET /v1/jobs/{id}/error`: B-77, B-80.
pub(super) async fn error(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<ErrorView>, ApiError> {
    let job = api.store.job(job_id(&id)?).await?;
    match &job.error {
        Some(error) => Ok(Json(ErrorView::of(error, job.spec.profile))),
        None => {
            let code = match job.spec.profile {
                Profile::DeliveryOptimization => Code::DO_ERROR_INFORMATION_UNAVAILABLE,
                Profile::Sexton | Profile::Bits => Code::ERROR_INFORMATION_UNAVAILABLE,
            };
            Err(ApiError::new(
                StatusCode::CONFLICT,
                code,
                format!("job {} is {} and has no error object", job.id, job.state),
            )
            .hint("the error object exists from the error until bytes flow again"))
        }
    }
}

/// `POST /v1/jobs/{id}/{verb}`
pub(super) async fn command(
    State(api): State<Api>,
    Path((id, verb)): Path<(String, String)>,
    body: Body,
) -> Result<Json<JobView>, ApiError> {
    let id = job_id(&id)?;
    let command = match verb.as_str() {
        "suspend" => Command::Suspend,
        "cancel" => Command::Cancel,
        "requeue" => Command::Requeue,
        "complete" => {
            let request: CompleteRequest = body.json_or_default()?;
            if request.require_all {
                Command::CompleteWhole
            } else {
                Command::Complete
            }
        }
        "set-validation" => {
            let request: ValidationRequest = body.json()?;
            let file = api.store.files(id, request.index, 1).await?.pop();
            let file = file.filter(|file| file.index == request.index).ok_or_else(|| {
                let message = format!("job {id} has no file {}", request.index);
                ApiError::new(StatusCode::NOT_FOUND, Code::FILE_NOT_AVAILABLE, message)
            })?;
            Command::Validate {
                file: Box::new(FileRef::of(&file)),
                valid: request.valid,
                at: api.clock.now(),
            }
        }
        "resume" => {
            let request: ResumeRequest = body.json_or_default()?;
            if request.after_ms > DELAY_MS_MAX {
                return Err(ApiError::usage("the delay is over ten years"));
            }
            Command::Resume {
                after: Duration::from_millis(request.after_ms),
                at: api.clock.now(),
            }
        }
        _ => return Err(super::server::unknown_route()),
    };
    told(&api, id, command).await
}

/// Puts a command to the store. Where the law says no, the hint says what it would permit (BP-10).
pub(super) async fn told(api: &Api, id: JobId, command: Command) -> Result<Json<JobView>, ApiError> {
    match api.store.command(id, command).await {
        Ok(job) => Ok(Json(JobView::from(&job))),
        Err(refused @ StoreError::Refused(_)) => {
            let error = ApiError::from(refused);
            let verbs = api.store.job(id).await.map(|job| legal_verbs(&job));
            match verbs {
                Ok(verbs) if !verbs.is_empty() => {
                    Err(error.hint(format!("as it stands it takes: {}", verbs.join(", "))))
                }
                _ => Err(error),
            }
        }
        Err(error) => Err(error.into()),
    }
}
