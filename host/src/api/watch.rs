//! `GET /v1/jobs/{id}/watch`: one line of JSON for the job as it is, then one after each committed
//! change, until it is final.
//!
//! Lines are the state when they are written, not a log: changes that come faster than
//! [`LINE_INTERVAL`] are told together, and a receiver that lagged simply reads the job again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Api;
use super::failure::ApiError;
use super::jobs::job_id;
use super::view::{ErrorBody, JobView};
use crate::job::{Job, JobId};
use crate::store::{Change, Store, StoreError};

/// At most ten lines a second: as fast as a person can read a progress bar.
const LINE_INTERVAL: Duration = Duration::from_millis(100);

/// Watches at the same time, half of all connections, so that watchers never shut out commands.
pub(super) const WATCHES_MAX: usize = super::server::CONNECTIONS_MAX / 2;

/// What all watches share.
#[derive(Clone)]
pub(super) struct Watches {
    pub(super) slots: Arc<Semaphore>,
    pub(super) shutdown: CancellationToken,
}

/// The route.
pub(super) async fn watch(
    State(api): State<Api>,
    Extension(watches): Extension<Watches>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = job_id(&id)?;
    let slot = watches
        .slots
        .try_acquire_owned()
        .map_err(|_| ApiError::busy(format!("{WATCHES_MAX} watches are open, which is the limit")))?;
    // Subscribed before the first read, so that no change falls between.
    let changes = api.store.changes();
    let first = api.store.job(id).await?;
    let mut pace = tokio::time::interval(LINE_INTERVAL);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch {
        store: api.store,
        id,
        changes,
        pace,
        shutdown: watches.shutdown,
        next: Some(first),
        told: None,
        ended: false,
        _slot: slot,
    };
    let lines = futures::stream::unfold(watch, |mut watch| async move {
        let line = watch.line().await?;
        Some((Ok::<_, Infallible>(line), watch))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

struct Watch {
    store: Arc<dyn Store>,
    id: JobId,
    changes: broadcast::Receiver<Change>,
    pace: Interval,
    shutdown: CancellationToken,
    next: Option<Job>,
    told: Option<Job>,
    ended: bool,
    _slot: OwnedSemaphorePermit,
}

impl Watch {
    /// The next line, or the end.
    async fn line(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(job) = self.next.take() {
            self.pace.tick().await;
            return Some(self.tell(job));
        }
        loop {
            let shutdown = self.shutdown.clone();
            let open = tokio::select! {
                () = shutdown.cancelled() => return None,
                open = self.changed() => open,
            };
            match self.store.job(self.id).await {
                Ok(job) if self.told.as_ref() == Some(&job) && open => {}
                Ok(job) if self.told.as_ref() == Some(&job) => return None,
                Ok(job) => return Some(self.tell(job)),
                Err(StoreError::NotFound { .. }) => return None,
                Err(error) => {
                    self.ended = true;
                    let error = ApiError::from(error).problem;
                    return Some(json_line(&ErrorBody { error }));
                }
            }
        }
    }

    /// Returns when the job may have changed and a line may be written; false when no more changes
    /// will come.
    async fn changed(&mut self) -> bool {
        loop {
            match self.changes.recv().await {
                Ok(Change::Job { id, .. }) if id == self.id => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return false,
            }
        }
        self.pace.tick().await;
        // What came meanwhile is in the job that is read next.
        loop {
            match self.changes.try_recv() {
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Closed) => return false,
            }
        }
    }

    fn tell(&mut self, job: Job) -> Bytes {
        self.ended = job.state.is_final();
        let line = json_line(&JobView::from(&job));
        self.told = Some(job);
        line
    }
}

fn json_line(value: &impl Serialize) -> Bytes {
    // These types hold no maps with keys that are not text, so writing them cannot fail.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
