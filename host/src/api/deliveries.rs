//! Routes of deliveries: list, show, replay, purge.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;

use super::Api;
use super::body::Body;
use super::failure::ApiError;
use super::query::{LIST_DEFAULT, parse};
use super::request::{DeliveryQuery, DeliverySelection};
use super::view::{CountView, DeliveriesView, DeliveryRecord, DeliveryState};
use crate::job::{Code, DeliveryId};
use crate::store::DeliveryFilter;

/// `GET /v1/deliveries`
pub(super) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<DeliveriesView>, ApiError> {
    let query: DeliveryQuery = parse(query.as_deref())?;
    let filter = DeliveryFilter {
        id: None,
        states: query.states,
        plugin: query.plugin,
        job: query.job,
        limit: query.limit.unwrap_or(LIST_DEFAULT),
    };
    let deliveries = api.store.deliveries(filter).await?;
    Ok(Json(DeliveriesView { deliveries }))
}

/// `GET /v1/deliveries/{id}`
pub(super) async fn show(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<DeliveryRecord>, ApiError> {
    let id: DeliveryId = id.parse().map_err(|_| {
        let id: String = id.chars().take(60).flat_map(char::escape_default).collect();
        ApiError::usage(format!("`{id}` is not a delivery id"))
            .hint("`sexton delivery list` shows those there are")
    })?;
    Ok(Json(api.store.delivery(id).await?))
}

/// `POST /v1/deliveries/replay`
pub(super) async fn replay(State(api): State<Api>, body: Body) -> Result<Json<CountView>, ApiError> {
    let filter = selected(body.json_or_default()?)?;
    let count = api.store.replay(filter.clone()).await?;
    found(&api, &filter, count, "replayed").await
}

/// `POST /v1/deliveries/purge`
pub(super) async fn purge(State(api): State<Api>, body: Body) -> Result<Json<CountView>, ApiError> {
    let filter = selected(body.json_or_default()?)?;
    let count = api.store.purge(filter.clone()).await?;
    found(&api, &filter, count, "purged").await
}

/// A selection must say what it selects: nothing said is not "everything".
fn selected(selection: DeliverySelection) -> Result<DeliveryFilter, ApiError> {
    let named = selection.id.is_some()
        || selection.plugin.is_some()
        || selection.job.is_some()
        || !selection.states.is_empty();
    if named == selection.all {
        let message = if named {
            "`all` and a filter exclude each other"
        } else {
            "nothing says which deliveries"
        };
        return Err(ApiError::usage(message).hint("name an id, a plugin, a job or a state, or say all"));
    }
    let over = [DeliveryState::Dead, DeliveryState::Poison];
    if let Some(state) = selection.states.iter().find(|state| !over.contains(state)) {
        return Err(ApiError::usage(format!(
            "only dead or parked deliveries can be replayed or purged, not those that are {state}"
        ))
        .hint("the states are `dead` and `poison`"));
    }
    Ok(DeliveryFilter {
        id: selection.id,
        states: selection.states,
        plugin: selection.plugin,
        job: selection.job,
        limit: 0,
    })
}

/// No hit is an error only for one that was named.
async fn found(
    api: &Api,
    filter: &DeliveryFilter,
    count: u64,
    verb: &str,
) -> Result<Json<CountView>, ApiError> {
    match filter.id {
        Some(id) if count == 0 => {
            let delivery = api.store.delivery(id).await?;
            Err(ApiError::new(
                StatusCode::CONFLICT,
                Code::INVALID_STATE,
                format!("delivery {id} is {} and cannot be {verb}", delivery.state),
            )
            .hint("only dead or parked deliveries can"))
        }
        _ => Ok(Json(CountView { count })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_not_everything() {
        let nothing = selected(DeliverySelection::default()).unwrap_err();
        assert_eq!(nothing.status.as_u16(), 400);
        let all = DeliverySelection {
            all: true,
            ..DeliverySelection::default()
        };
        assert_eq!(selected(all).unwrap(), DeliveryFilter::default());
        let settled = DeliverySelection {
            states: vec![DeliveryState::Settled],
            ..DeliverySelection::default()
        };
        assert!(selected(settled).is_err());
    }
}
