//! Routes of activities: list, create, show, pause, resume.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::body::Body;
use super::failure::ApiError;
use super::request::ActivityRequest;
use super::view::{ActivitiesView, ActivityView};
use super::{ActivityRefusal, Api};
use crate::job::{ActivityName, Code, InvalidName};

/// `GET /v1/activities`
pub(super) async fn list(State(api): State<Api>) -> Result<Json<ActivitiesView>, ApiError> {
    let activities = api.host.activities().await?;
    Ok(Json(ActivitiesView { activities }))
}

/// `POST /v1/activities`
pub(super) async fn create(State(api): State<Api>, body: Body) -> Result<Response, ApiError> {
    let request: ActivityRequest = body.json()?;
    match api.host.create_activity(request.name, &request.spec).await {
        Ok(view) => Ok((StatusCode::CREATED, Json(view)).into_response()),
        Err(ActivityRefusal::Bad(bad)) => {
            let why = format!("`{}`: {}", bad.key, bad.why);
            Err(ApiError::new(StatusCode::BAD_REQUEST, bad.code, why))
        }
        Err(ActivityRefusal::Store(why)) => Err(why.into()),
    }
}

/// `GET /v1/activities/{name}`
pub(super) async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<ActivityView>, ApiError> {
    let name = parse(&name)?;
    let mut all = api.host.activities().await?.into_iter();
    all.find(|view| view.name == name)
        .map(Json)
        .ok_or_else(|| unknown(&name))
}

/// `POST /v1/activities/{name}/pause`
pub(super) async fn pause(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<ActivityView>, ApiError> {
    set(&api, &name, true).await
}

/// `POST /v1/activities/{name}/resume`
pub(super) async fn resume(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<ActivityView>, ApiError> {
    set(&api, &name, false).await
}

async fn set(api: &Api, name: &str, paused: bool) -> Result<Json<ActivityView>, ApiError> {
    let name = parse(name)?;
    let view = api.host.pause_activity(&name, paused).await?;
    view.map(Json).ok_or_else(|| unknown(&name))
}

fn parse(name: &str) -> Result<ActivityName, ApiError> {
    name.parse()
        .map_err(|error: InvalidName| ApiError::usage(error.to_string()))
}

/// C-88: what is sent to nobody is an error at once.
pub(super) fn unknown(name: &ActivityName) -> ApiError {
    let why = format!("there is no activity `{name}`");
    ApiError::new(StatusCode::NOT_FOUND, Code::NOT_FOUND, why).hint(format!(
        "`sexton activity list` shows those there are; `sexton activity create {name}` makes it"
    ))
}
