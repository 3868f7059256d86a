//! Routes of the reply of an upload-reply: what it says, and where it goes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use super::body::Body;
use super::failure::ApiError;
use super::jobs::job_id;
use super::request::ReplyRequest;
use super::view::JobView;
use crate::job::{Code, Command};

/// `GET /v1/jobs/{id}/reply`: its bytes, while the job is transferred (B-49).
pub(super) async fn read(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let id = job_id(&id)?;
    let job = api.store.job(id).await?;
    let files = api.store.files(id, 0, 1).await?;
    match api.host.reply_data(&job, files.first()).await {
        Ok(data) => {
            let binary = [(header::CONTENT_TYPE, "application/octet-stream")];
            Ok((binary, data).into_response())
        }
        Err((code @ (Code::NOTIMPL | Code::INVALID_STATE | Code::TOO_LARGE), why)) => {
            Err(ApiError::new(StatusCode::CONFLICT, code, why))
        }
        Err((code, why)) => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, code, why)),
    }
}

/// `PUT /v1/jobs/{id}/reply`: where it goes, until it comes (B-48).
pub(super) async fn name(
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<JobView>, ApiError> {
    let id = job_id(&id)?;
    let ReplyRequest { local } = body.json()?;
    // The law speaks first: a job without a reply has no use for a good path.
    let (host, path) = (Arc::clone(&api.host), local.clone());
    let checked = tokio::task::spawn_blocking(move || host.check_reply(&path)).await;
    let job = api.store.job(id).await?;
    crate::job::apply(&job, &Command::SetReply(local.clone()))
        .map_err(|refusal| ApiError::from(crate::store::StoreError::from(refusal)))?;
    match checked {
        Ok(Ok(())) => {}
        Ok(Err((code, why))) => return Err(ApiError::submission(code, why)),
        Err(_) => return Err(ApiError::busy("the host is ending").hint("ask the next host")),
    }
    let job = api.store.command(id, Command::SetReply(local)).await?;
    Ok(Json(JobView::from(&job)))
}
