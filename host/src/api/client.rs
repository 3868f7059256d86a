//! The client of the control API: one connection per request, over the host's Unix socket.
//!
//! Plain hyper, because nothing else is needed here: no name is resolved, no certificate checked,
//! no connection reused.

mod watch;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::net::UnixStream;

use super::batch::{ATTEMPT, DROPPED, NEXT};
use super::query::encode;
use super::request::{
    ActivityRequest, CompleteRequest, DeliveryQuery, DeliverySelection, FileRequest, JobQuery, JobVerb,
    OutputQuery, PageQuery, PrefixRequest, RemoteRequest, ReplyRequest, ResumeRequest, SubmitRequest,
};
use super::view::{
    ActivitiesView, ActivityName, ActivityView, CountView, DeliveriesView, DeliveryId, DeliveryRecord,
    ErrorBody, ErrorView, FilesView, JobId, JobView, JobsView, ObjectsView, OutputPage, PluginName,
    PluginsView, Priority, Problem, RenamedView, StatusView, SubmittedView,
};

pub use watch::Watch;

/// Longest wait for an answer to begin. The host answers when its commit is durable; a disk that
/// needs longer than this is not coming back.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The largest answer: a list of 1,000 jobs with 64 KiB of context each fits.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Why the client has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no host answers at the socket {}", socket.display())]
    NoHost {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The socket is another user's.
    #[error("the socket {} may not be opened", socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The host said no.
    #[error("{}", problem.message)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        problem: Box<Problem>,
    },
    /// The connection broke, or the answer made no sense.
    #[error("the host at {} did not answer: {why}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What happened.
        why: String,
    },
}

/// A client of the host at one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// # Errors
/// All methods: [`ClientError`].
impl Client {
    /// A client of the host at `socket`. Connects with each request.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Submits a job.
    pub async fn submit(&self, job: &SubmitRequest) -> Result<SubmittedView, ClientError> {
        self.post("/v1/jobs", job).await
    }

    /// Submits jobs, all or none.
    pub async fn submit_many(&self, jobs: &[SubmitRequest]) -> Result<Vec<SubmittedView>, ClientError> {
        self.post("/v1/jobs", &jobs).await
    }

    /// Jobs, newest first.
    pub async fn jobs(&self, query: &JobQuery) -> Result<JobsView, ClientError> {
        self.get(&format!("/v1/jobs{}", encode(query))).await
    }

    /// One job with its first files.
    pub async fn job(&self, id: JobId) -> Result<JobView, ClientError> {
        self.get(&format!("/v1/jobs/{id}")).await
    }

    /// A job's files.
    pub async fn files(&self, id: JobId, page: PageQuery) -> Result<FilesView, ClientError> {
        self.get(&format!("/v1/jobs/{id}/files{}", encode(&page))).await
    }

    /// Objects of a query that are kept.
    pub async fn objects(&self, id: JobId, page: PageQuery) -> Result<ObjectsView, ClientError> {
        self.get(&format!("/v1/jobs/{id}/objects{}", encode(&page))).await
    }

    /// A job's error object.
    pub async fn error(&self, id: JobId) -> Result<ErrorView, ClientError> {
        self.get(&format!("/v1/jobs/{id}/error")).await
    }

    /// Follows a job.
    pub async fn watch(&self, id: JobId) -> Result<Watch, ClientError> {
        let response = self
            .send(Method::GET, &format!("/v1/jobs/{id}/watch"), Bytes::new())
            .await?;
        let body = self.accepted(response).await?.into_body();
        Ok(Watch::new(self.socket.clone(), body))
    }

    /// Tells a job to do something.
    pub async fn command(&self, id: JobId, verb: JobVerb) -> Result<JobView, ClientError> {
        let path = format!("/v1/jobs/{id}/{}", verb.as_str());
        match verb {
            JobVerb::SetValidation(request) => self.post(&path, &request).await,
            JobVerb::Resume { after_ms } => self.post(&path, &ResumeRequest { after_ms }).await,
            JobVerb::CompleteWhole => self.post(&path, &CompleteRequest { require_all: true }).await,
            JobVerb::Suspend
            | JobVerb::Cancel
            | JobVerb::Complete
            | JobVerb::TakeOwnership
            | JobVerb::Requeue => self.ask(Method::POST, &path, Bytes::new()).await,
        }
    }

    /// A piece of what a batch job printed; empty where there is no more yet.
    pub async fn output(&self, id: JobId, query: &OutputQuery) -> Result<OutputPage, ClientError> {
        let path = format!("/v1/jobs/{id}/output{}", encode(query));
        let response = self.send(Method::GET, &path, Bytes::new()).await?;
        let response = self.accepted(response).await?;
        let number = |name: HeaderName| {
            let text = response.headers().get(name)?.to_str().ok()?;
            text.parse::<u64>().ok()
        };
        let (attempt, dropped, next) = (number(ATTEMPT), number(DROPPED), number(NEXT));
        let (Some(attempt), Some(dropped), Some(next)) = (attempt, dropped, next) else {
            return Err(self.broken("its answer does not say where it begins"));
        };
        Ok(OutputPage {
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            dropped,
            next,
            bytes: self.whole(response.into_body()).await?.to_vec(),
        })
    }

    /// Queues every dead letter again.
    pub async fn requeue_all(&self) -> Result<CountView, ClientError> {
        self.ask(Method::POST, "/v1/jobs/requeue", Bytes::new()).await
    }

    /// Changes a job's level.
    pub async fn set_priority(&self, id: JobId, priority: Priority) -> Result<JobView, ClientError> {
        let mut values = Map::new();
        values.insert("priority".to_owned(), priority.as_str().into());
        self.change(id, &values).await
    }

    /// Changes properties of a job; what is not named stays.
    pub async fn change(&self, id: JobId, values: &Map<String, Value>) -> Result<JobView, ClientError> {
        let body = self.json(values)?;
        self.ask(Method::PATCH, &format!("/v1/jobs/{id}"), body).await
    }

    /// The reply of a job that is transferred.
    pub async fn reply(&self, id: JobId) -> Result<Bytes, ClientError> {
        let path = format!("/v1/jobs/{id}/reply");
        let response = self.send(Method::GET, &path, Bytes::new()).await?;
        let response = self.accepted(response).await?;
        self.whole(response.into_body()).await
    }

    /// Says where the reply of a job goes.
    pub async fn set_reply(&self, id: JobId, local: String) -> Result<JobView, ClientError> {
        let body = self.json(&ReplyRequest { local })?;
        self.ask(Method::PUT, &format!("/v1/jobs/{id}/reply"), body).await
    }

    /// Adds files to a job, all or none.
    pub async fn add_files(&self, id: JobId, files: &[FileRequest]) -> Result<JobView, ClientError> {
        self.post(&format!("/v1/jobs/{id}/files"), &files).await
    }

    /// Has one file fetched from elsewhere.
    pub async fn set_remote(&self, id: JobId, file: u32, remote: &str) -> Result<RenamedView, ClientError> {
        let remote = remote.to_owned();
        let body = self.json(&RemoteRequest { remote })?;
        self.ask(Method::PATCH, &format!("/v1/jobs/{id}/files/{file}"), body)
            .await
    }

    /// Has every file whose remote name begins with `from` fetched from `to`.
    pub async fn replace_prefix(&self, id: JobId, from: &str, to: &str) -> Result<RenamedView, ClientError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.post(
            &format!("/v1/jobs/{id}/replace-prefix"),
            &PrefixRequest { from, to },
        )
        .await
    }

    /// All activities.
    pub async fn activities(&self) -> Result<ActivitiesView, ClientError> {
        self.get("/v1/activities").await
    }

    /// One activity.
    pub async fn activity(&self, name: &ActivityName) -> Result<ActivityView, ClientError> {
        self.get(&format!("/v1/activities/{name}")).await
    }

    /// Makes an activity.
    pub async fn create_activity(&self, activity: &ActivityRequest) -> Result<ActivityView, ClientError> {
        self.post("/v1/activities", activity).await
    }

    /// Pauses an activity, or lets it go on.
    pub async fn pause_activity(
        &self,
        name: &ActivityName,
        paused: bool,
    ) -> Result<ActivityView, ClientError> {
        let verb = if paused { "pause" } else { "resume" };
        let path = format!("/v1/activities/{name}/{verb}");
        self.ask(Method::POST, &path, Bytes::new()).await
    }

    /// All plugins.
    pub async fn plugins(&self) -> Result<PluginsView, ClientError> {
        self.get("/v1/plugins").await
    }

    /// Has the host look at its plugin folder.
    pub async fn rescan_plugins(&self) -> Result<PluginsView, ClientError> {
        self.ask(Method::POST, "/v1/plugins/rescan", Bytes::new()).await
    }

    /// Forgets a plugin whose file is gone; counts 1 if there was anything of it.
    pub async fn forget_plugin(&self, name: &PluginName) -> Result<CountView, ClientError> {
        self.ask(Method::DELETE, &format!("/v1/plugins/{name}"), Bytes::new())
            .await
    }

    /// Forgets a plugin's state.
    pub async fn purge_plugin(&self, name: &PluginName) -> Result<CountView, ClientError> {
        self.ask(Method::DELETE, &format!("/v1/plugins/{name}/state"), Bytes::new())
            .await
    }

    /// Deliveries, newest first.
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<DeliveriesView, ClientError> {
        self.get(&format!("/v1/deliveries{}", encode(query))).await
    }

    /// One delivery with its attempts.
    pub async fn delivery(&self, id: DeliveryId) -> Result<DeliveryRecord, ClientError> {
        self.get(&format!("/v1/deliveries/{id}")).await
    }

    /// Makes dead or parked deliveries due again.
    pub async fn replay(&self, selection: &DeliverySelection) -> Result<CountView, ClientError> {
        self.post("/v1/deliveries/replay", selection).await
    }

    /// Drops dead or parked deliveries.
    pub async fn purge(&self, selection: &DeliverySelection) -> Result<CountView, ClientError> {
        self.post("/v1/deliveries/purge", selection).await
    }

    /// How the host is.
    pub async fn status(&self) -> Result<StatusView, ClientError> {
        self.get("/v1/status").await
    }

    /// Has the host read its configuration again.
    pub async fn reload(&self) -> Result<StatusView, ClientError> {
        self.ask(Method::POST, "/v1/reload", Bytes::new()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = self.json(body)?;
        self.ask(Method::POST, path, body).await
    }

    fn json(&self, value: &impl Serialize) -> Result<Bytes, ClientError> {
        serde_json::to_vec(value)
            .map(Bytes::from)
            .map_err(|error| self.broken(error))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let response = self.send(method, path, body).await?;
        let response = self.accepted(response).await?;
        let bytes = self.whole(response.into_body()).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.broken(format_args!("its answer is not understood ({error})")))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|source| {
            let socket = self.socket.clone();
            match source.kind() {
                io::ErrorKind::PermissionDenied => ClientError::Denied { socket, source },
                _ => ClientError::NoHost { socket, source },
            }
        })?;
        let exchange = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let mut request = Request::new(Full::new(body));
            *request.method_mut() = method;
            *request.uri_mut() = path.parse().unwrap_or_default();
            let headers = request.headers_mut();
            headers.insert(HOST, hyper::header::HeaderValue::from_static("sexton"));
            headers.insert(
                CONTENT_TYPE,
                hyper::header::HeaderValue::from_static("application/json"),
            );
            sender.send_request(request).await
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.broken(error)),
            Err(_) => Err(self.broken(format_args!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))),
        }
    }

    /// The response if it is a success, the host's words otherwise.
    async fn accepted(&self, response: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = self.whole(response.into_body()).await?;
        let body: ErrorBody = serde_json::from_slice(&bytes)
            .map_err(|_| self.broken(format_args!("what is there answered {status}, and is no host")))?;
        Err(ClientError::Refused {
            status: status.as_u16(),
            problem: Box::new(body.error),
        })
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes, ClientError> {
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect();
        match tokio::time::timeout(ANSWER_TIMEOUT, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(self.broken(error)),
            Err(_) => Err(self.broken("its answer stopped half-way")),
        }
    }

    fn broken(&self, why: impl std::fmt::Display) -> ClientError {
        ClientError::Broken {
            socket: self.socket.clone(),
            why: why.to_string(),
        }
    }
}
