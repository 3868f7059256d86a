//! Routes of the host itself: plugins, status, configuration.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Api;
use super::failure::ApiError;
use super::view::{CountView, PluginView, PluginsView, StatusView, WaitingView};
use crate::job::{Code, PluginName};
use crate::store::Counts;

/// `GET /v1/plugins`
pub(super) async fn plugins(State(api): State<Api>) -> Json<PluginsView> {
    Json(PluginsView {
        plugins: api.host.plugins(),
    })
}

/// `POST /v1/plugins/rescan`
pub(super) async fn rescan(State(api): State<Api>) -> Json<PluginsView> {
    api.host.rescan_plugins().await;
    plugins(State(api)).await
}

/// `DELETE /v1/plugins/{name}`
pub(super) async fn forget(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<CountView>, ApiError> {
    match api.host.forget_plugin(&plugin_name(&name)?).await {
        Ok(known) => Ok(Json(CountView {
            count: u64::from(known),
        })),
        Err(why) => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, Code::FAIL, why)
            .hint("see that the state directory can be written, then try again")),
    }
}

/// `DELETE /v1/plugins/{name}/state`
pub(super) async fn purge(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<CountView>, ApiError> {
    let count = api.host.purge_plugin(&plugin_name(&name)?).await?;
    Ok(Json(CountView { count }))
}

fn plugin_name(name: &str) -> Result<PluginName, ApiError> {
    name.parse()
        .map_err(|error: crate::job::InvalidName| ApiError::usage(error.to_string()))
}

/// `POST /v1/reload`
pub(super) async fn reload(State(api): State<Api>) -> Result<Json<StatusView>, ApiError> {
    match api.host.reload_config().await {
        Ok(()) => Ok(status(State(api)).await),
        Err(why) => Err(
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, Code::INVALIDARG, why)
                .hint("the configuration in force stays; `sexton config check` checks the file"),
        ),
    }
}

/// `GET /v1/status`: answers even when the store does not.
pub(super) async fn status(State(api): State<Api>) -> Json<StatusView> {
    let host = api.host.status().await;
    let mut degraded = host.degraded;
    let counts = api.store.counts().await.unwrap_or_else(|error| {
        degraded.push(error.to_string());
        Counts::default()
    });
    if let Some(why) = api.store.trouble().await {
        degraded.push(format!(
            "{why}; nothing new is accepted, and what runs waits to be recorded until this is mended"
        ));
    }
    let waiting = api.store.waiting().await.unwrap_or_default();
    // Last: the two before may have been the first to meet it.
    if let Some(damage) = api.store.damage() {
        degraded.retain(|words| !words.contains(&damage));
        degraded.push(format!(
            "the store: {damage}; what it still takes may be lost. Stop the host, run `sexton db check`, restore a backup"
        ));
    }
    let plugins = api.host.plugins();
    let waiting = waiting.into_iter().filter(|(_, deliveries)| *deliveries > 0);
    Json(StatusView {
        version: host.version,
        pid: host.pid,
        started: host.started,
        uptime_ms: u64::try_from(api.clock.now().since(host.started).as_millis()).unwrap_or(u64::MAX),
        state: host.state,
        counts,
        waiting: waiting
            .map(|(plugin, deliveries)| WaitingView {
                reason: absence(&plugin, &plugins),
                plugin,
                deliveries,
            })
            .collect(),
        degraded,
        config_file: host.config_file,
        config_problem: host.config_problem,
        fail_fast: host.fail_fast,
    })
}

/// Why deliveries to a plugin cannot be made now.
fn absence(plugin: &PluginName, plugins: &[PluginView]) -> Option<String> {
    if plugin.is_notify_command() {
        return None;
    }
    match plugins.iter().find(|view| view.name == *plugin) {
        Some(view) if view.serving => None,
        Some(view) if view.problem.is_some() => view.problem.clone(),
        Some(_) | None => Some(format!(
            "absent: there is no {plugin}.wasm in the plugin folder; \
             `sexton delivery purge --plugin {plugin} --state pending` drops what waits for it"
        )),
    }
}
