//! Routes of batch work: what it printed, and what is queued again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use super::failure::ApiError;
use super::jobs::job_id;
use super::query::parse;
use super::request::OutputQuery;
use super::view::CountView;
use crate::job::{Command, JobKind, JobState, OutputAsk};
use crate::store::{JobFilter, StoreError};

/// What one answer has of an output.
const PIECE: usize = 256 << 10;

/// Jobs looked at in one piece for `requeue`.
const LOOKED_AT: usize = 500;

/// Of which run the answer is.
pub(super) const ATTEMPT: HeaderName = HeaderName::from_static("sexton-attempt");
/// How much before it was not kept.
pub(super) const DROPPED: HeaderName = HeaderName::from_static("sexton-dropped");
/// Where the next piece begins.
pub(super) const NEXT: HeaderName = HeaderName::from_static("sexton-next");

/// `GET /v1/jobs/{id}/output`: a piece of what a run printed, as it is; where it is empty, there is no more yet.
pub(super) async fn output(
    State(api): State<Api>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let id = job_id(&id)?;
    let query: OutputQuery = parse(query.as_deref())?;
    api.store.job(id).await?;
    let ask = OutputAsk {
        stream: query.stream,
        attempt: query.attempt,
        offset: query.offset,
        limit: PIECE,
    };
    let host = Arc::clone(&api.host);
    let page = tokio::task::spawn_blocking(move || host.output(id, &ask)).await;
    let page = page
        .unwrap_or_else(|_| Ok(crate::job::OutputPage::default()))
        .map_err(|(code, why)| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, code, why))?;
    let told = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (ATTEMPT, page.attempt.to_string()),
        (DROPPED, page.dropped.to_string()),
        (NEXT, page.next.to_string()),
    ];
    Ok((told, page.bytes).into_response())
}

/// `POST /v1/jobs/requeue`: every dead letter, each in a transaction of its own (C-81).
pub(super) async fn requeue_all(State(api): State<Api>) -> Result<Json<CountView>, ApiError> {
    let mut count = 0;
    let mut before = None;
    loop {
        let filter = JobFilter {
            states: vec![JobState::Error],
            before,
            limit: LOOKED_AT,
            ..JobFilter::default()
        };
        let jobs = api.store.jobs(filter).await?;
        for job in &jobs {
            if job.kind != JobKind::Batch || job.call.dead.is_none() {
                continue;
            }
            match api.store.command(job.id, Command::Requeue).await {
                Ok(_) => count += 1,
                // Somebody else has decided otherwise meanwhile.
                Err(StoreError::Refused(_) | StoreError::NotFound { .. }) => {}
                Err(why) => return Err(why.into()),
            }
        }
        before = jobs.last().map(|job| job.id);
        if jobs.len() < LOOKED_AT {
            return Ok(Json(CountView { count }));
        }
    }
}
