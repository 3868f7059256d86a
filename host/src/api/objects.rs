//! Objects of a query that are kept: whatever is pushed to a handler can be pulled, too (CJ-10).

use axum::Json;
use axum::extract::{Path, RawQuery, State};

use super::Api;
use super::failure::ApiError;
use super::jobs::job_id;
use super::query::{LIST_DEFAULT, parse};
use super::request::PageQuery;
use super::view::ObjectsView;

/// `GET /v1/jobs/{id}/objects`
pub(super) async fn list(
    State(api): State<Api>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<ObjectsView>, ApiError> {
    let id = job_id(&id)?;
    let page: PageQuery = parse(query.as_deref())?;
    let limit = page.limit.map_or(LIST_DEFAULT as u64, u64::from);
    let page = api.store.objects(id, u64::from(page.offset), limit).await?;
    Ok(Json(ObjectsView::from(page)))
}
