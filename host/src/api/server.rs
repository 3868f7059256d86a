//! The server: who may connect, how long they may idle, and which path goes where.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, patch, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::body::BODY_BYTES_MAX;
use super::failure::ApiError;
use super::watch::{WATCHES_MAX, Watches};
use super::{Api, activities, batch, change, deliveries, host, jobs, reply, submit, watch};
use crate::job::{Code, OwnerName};

/// Connections at the same time; more wait in the system's queue. A connection costs a few KiB, and
/// no person or script on one machine needs more.
pub(super) const CONNECTIONS_MAX: usize = 256;

/// A connection that has not sent a whole request head for this long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long answers under way may take once the host ends.
const GOODBYE: Duration = Duration::from_secs(5);

/// Pause after a failed `accept` (out of file descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// `None` when the kernel would not say.
    pub(super) uid: Option<u32>,
}

impl Peer {
    /// The owner of what it submits.
    pub(super) fn owner(self) -> Result<OwnerName, ApiError> {
        self.uid
            .and_then(|uid| format!("uid-{uid}").parse().ok())
            .ok_or_else(|| denied(self, rustix::process::geteuid().as_raw()))
    }

    /// The same, if it is the host's own user or root (B-15).
    pub(super) fn administrator(self) -> Result<OwnerName, ApiError> {
        let own = rustix::process::geteuid().as_raw();
        if self.may_enter(own) {
            self.owner()
        } else {
            Err(denied(self, own))
        }
    }

    /// The host's own uid and root.
    fn may_enter(self, own: u32) -> bool {
        self.uid.is_some_and(|uid| uid == own || uid == 0)
    }
}

/// Answers requests until `shutdown`, then ends what is under way, and removes the socket file.
pub async fn serve(listener: UnixListener, api: Api, shutdown: CancellationToken) {
    let routes = routes(api, shutdown.clone());
    let own = rustix::process::geteuid().as_raw();
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (listener.accept().await, slot)
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (accepted, slot) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, routes.clone(), own, shutdown.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!("the control socket accepts nothing for now: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Removed while still listening: no other host can have taken the name meanwhile.
    if let Ok(address) = listener.local_addr()
        && let Some(path) = address.as_pathname()
    {
        let _ = std::fs::remove_file(path);
    }
    drop(listener);
    let goodbye = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
        tracing::warn!("{} control connections were cut", connections.len());
    }
}

/// One connection from hello to goodbye.
async fn connection(stream: UnixStream, routes: Router, own: u32, shutdown: CancellationToken) {
    let uid = stream.peer_cred().ok().map(|cred| cred.uid());
    let peer = Peer { uid };
    let routes = if peer.may_enter(own) {
        routes
    } else {
        tracing::warn!(uid, "a foreign user was refused at the control socket");
        Router::new().fallback(move || async move { denied(peer, own) })
    };
    let service = TowerToHyperService::new(routes.layer(Extension(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("a control connection ended: {error}");
    }
}

fn denied(peer: Peer, own: u32) -> ApiError {
    let who = peer
        .uid
        .map_or_else(|| "an unknown user".to_owned(), |uid| format!("uid {uid}"));
    ApiError::new(
        StatusCode::FORBIDDEN,
        Code::ACCESSDENIED,
        format!("{who} may not use this host, which belongs to uid {own}"),
    )
    .hint("ask as that user or as root")
}

/// Every path there is.
pub(super) fn routes(api: Api, shutdown: CancellationToken) -> Router {
    let watches = Watches {
        slots: Arc::new(Semaphore::new(WATCHES_MAX)),
        shutdown,
    };
    let job = get(jobs::show).patch(change::change);
    let files = get(jobs::files).post(change::add_files);
    Router::new()
        .route("/v1/jobs", get(jobs::list).post(submit::submit))
        .route("/v1/jobs/requeue", post(batch::requeue_all))
        .route("/v1/jobs/{id}", job)
        .route("/v1/jobs/{id}/output", get(batch::output))
        .route("/v1/jobs/{id}/files", files)
        .route("/v1/jobs/{id}/files/{index}", patch(change::set_remote))
        .route("/v1/jobs/{id}/error", get(jobs::error))
        .route("/v1/jobs/{id}/objects", get(super::objects::list))
        .route("/v1/jobs/{id}/reply", get(reply::read).put(reply::name))
        .route("/v1/jobs/{id}/watch", get(watch::watch))
        .route("/v1/jobs/{id}/replace-prefix", post(change::replace_prefix))
        .route("/v1/jobs/{id}/take-ownership", post(change::take_ownership))
        .route("/v1/jobs/{id}/{verb}", post(jobs::command))
        .route("/v1/plugins", get(host::plugins))
        .route("/v1/plugins/rescan", post(host::rescan))
        .route("/v1/plugins/{name}", delete(host::forget))
        .route("/v1/plugins/{name}/state", delete(host::purge))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/replay", post(deliveries::replay))
        .route("/v1/deliveries/purge", post(deliveries::purge))
        .route("/v1/deliveries/{id}", get(deliveries::show))
        .route("/v1/activities", get(activities::list).post(activities::create))
        .route("/v1/activities/{name}", get(activities::show))
        .route("/v1/activities/{name}/pause", post(activities::pause))
        .route("/v1/activities/{name}/resume", post(activities::resume))
        .route("/v1/status", get(host::status))
        .route("/v1/reload", post(host::reload))
        .fallback(|| async { unknown_route() })
        .method_not_allowed_fallback(|| async { unknown_route() })
        .layer(middleware::from_fn(log))
        .layer(Extension(watches))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api)
}

/// A path this version does not have.
pub(super) fn unknown_route() -> ApiError {
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        Code::NOTIMPL,
        format!("this host ({}) has no such request", env!("CARGO_PKG_VERSION")),
    )
    .hint("host and client may be of different versions; `sexton status` shows the host's")
}

/// One debug line per request; method and path only, which hold no secrets.
async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), "control request");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b13_only_the_hosts_own_user_and_root_enter() {
        let may = |uid| Peer { uid }.may_enter(1000);
        assert!(may(Some(1000)) && may(Some(0)));
        assert!(!may(Some(1001)) && !may(None));
    }

    #[test]
    fn b15_only_an_administrator_takes_a_job() {
        let own = rustix::process::geteuid().as_raw();
        let owner = Peer { uid: Some(own) }.administrator().unwrap();
        assert_eq!(owner.as_str(), format!("uid-{own}"));
        let refused = Peer { uid: Some(own + 1) }.administrator().unwrap_err();
        assert_eq!(refused.problem.code, Code::ACCESSDENIED);
    }
}
