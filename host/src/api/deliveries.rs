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
        before: query.before,
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
    let filter = selected(body.json_or_default()?, &BURIED)?;
    let count = api.store.replay(filter.clone()).await?;
    found(&api, &filter, count, "replayed").await
}

/// `POST /v1/deliveries/purge`
pub(super) async fn purge(State(api): State<Api>, body: Body) -> Result<Json<CountView>, ApiError> {
    let [dead, poison] = BURIED;
    let mut filter = selected(body.json_or_default()?, &[dead, poison, DeliveryState::Pending])?;
    pending_of_nobody(&api, &mut filter).await?;
    let count = api.store.purge(filter.clone()).await?;
    found(&api, &filter, count, "purged").await
}

/// Deliveries that wait for a plugin that is gone may be dropped; those of one that serves are about
/// to be made, and are not.
async fn pending_of_nobody(api: &Api, filter: &mut DeliveryFilter) -> Result<(), ApiError> {
    let named = match filter.id {
        Some(id) => {
            let delivery = api.store.delivery(id).await?;
            if delivery.state == DeliveryState::Pending {
                filter.states = vec![DeliveryState::Pending];
            }
            Some(delivery.plugin)
        }
        None => filter.plugin.clone(),
    };
    if !filter.states.contains(&DeliveryState::Pending) {
        return Ok(());
    }
    let Some(plugin) = named else {
        return Err(ApiError::usage(
            "pending deliveries are dropped for one plugin at a time, which is gone",
        )
        .hint("name it: `--plugin NAME --state pending`"));
    };
    let serves = api
        .host
        .plugins()
        .iter()
        .any(|view| view.name == plugin && view.serving);
    if serves {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            Code::INVALID_STATE,
            format!("plugin {plugin} serves, so its pending deliveries are made and cannot be purged"),
        )
        .hint(format!(
            "`sexton plugin remove {plugin}` first, or wait until they are dead"
        )));
    }
    Ok(())
}

/// What is over without having been settled.
const BURIED: [DeliveryState; 2] = [DeliveryState::Dead, DeliveryState::Poison];

/// A selection must say what it selects: nothing said is not "everything".
fn selected(selection: DeliverySelection, allowed: &[DeliveryState]) -> Result<DeliveryFilter, ApiError> {
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
    if let Some(state) = selection.states.iter().find(|state| !allowed.contains(state)) {
        let allowed: Vec<&str> = allowed.iter().map(|state| state.as_str()).collect();
        return Err(ApiError::usage(format!(
            "deliveries that are {state} can be neither replayed nor purged so"
        ))
        .hint(format!("the states are {}", allowed.join(", "))));
    }
    Ok(DeliveryFilter {
        before: None,
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
            .hint("only dead or parked deliveries can; pending ones can be purged once their plugin is gone"))
        }
        _ => Ok(Json(CountView { count })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_not_everything() {
        let nothing = selected(DeliverySelection::default(), &BURIED).unwrap_err();
        assert_eq!(nothing.status.as_u16(), 400);
        let all = DeliverySelection {
            all: true,
            ..DeliverySelection::default()
        };
        assert_eq!(selected(all, &BURIED).unwrap(), DeliveryFilter::default());
        let settled = DeliverySelection {
            states: vec![DeliveryState::Settled],
            ..DeliverySelection::default()
        };
        assert!(selected(settled, &BURIED).is_err());
    }
}
