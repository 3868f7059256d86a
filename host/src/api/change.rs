//! Routes that change an open job: its properties, its files, its owner.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::Api;
use super::body::Body;
use super::failure::ApiError;
use super::jobs::{job_id, told};
use super::limits::check_spec;
use super::request::{FileRequest, PrefixRequest, RemoteRequest};
use super::server::Peer;
use super::view::{JobView, RenamedView};
use crate::job::{Code, Command, FileSpec, Job, JobChange, JobId, JobSpec, Profile, PropertyError};
use crate::store::NewJob;

/// `PATCH /v1/jobs/{id}`: B-05, B-41, B-156.
pub(super) async fn change(
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<JobView>, ApiError> {
    let id = job_id(&id)?;
    let values: Map<String, Value> = body.json()?;
    let job = api.store.job(id).await?;
    let named = |error| property(error, job.spec.profile);
    let change = JobChange::read(&values).map_err(named)?;
    if !job.state.is_final() {
        let spec = change.onto(&job.spec).map_err(named)?;
        check_spec(&spec)?;
        // A handler that was known once need not be known now.
        let handler = spec.handler.clone().filter(|_| change.handler.is_some());
        let new = as_new(&job, JobSpec { handler, ..spec });
        admit(&api, vec![new], |_, _| {}).await?;
    }
    let command = match change.only_priority() {
        Some(priority) => Command::SetPriority(priority),
        None => Command::Change(Box::new(change)),
    };
    told(&api, id, command).await
}

/// D-11: Delivery Optimization has codes of its own.
fn property(error: PropertyError, profile: Profile) -> ApiError {
    let code = match (profile, error.code) {
        (Profile::DeliveryOptimization, Code::UNKNOWN_PROPERTY_ID) => Code::DO_UNKNOWN_PROPERTY_ID,
        (Profile::DeliveryOptimization, Code::READ_ONLY_PROPERTY) => Code::DO_READ_ONLY_PROPERTY,
        (_, code) => code,
    };
    let status = if code == Code::NOTIMPL {
        StatusCode::NOT_IMPLEMENTED
    } else {
        StatusCode::BAD_REQUEST
    };
    ApiError::new(status, code, error.message)
}

/// `POST /v1/jobs/{id}/files`: one file or a list, added whole or not at all (B-42, B-120).
pub(super) async fn add_files(
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<JobView>, ApiError> {
    let id = job_id(&id)?;
    let (files, list): (Vec<FileRequest>, bool) = if body.is_list() {
        (body.json()?, true)
    } else {
        (vec![body.json()?], false)
    };
    let files: Vec<FileSpec> = files.into_iter().map(FileSpec::from).collect();
    let job = api.store.job(id).await?;
    admit_files(&api, &job, &files, list).await?;
    told(&api, id, Command::AddFiles(files)).await
}

/// `PATCH /v1/jobs/{id}/files/{index}`: B-52, B-130.
pub(super) async fn set_remote(
    State(api): State<Api>,
    Path((id, file)): Path<(String, String)>,
    body: Body,
) -> Result<Json<RenamedView>, ApiError> {
    let id = job_id(&id)?;
    let index: u32 = file
        .parse()
        .map_err(|_| ApiError::usage("a file is named by its position, from 0"))?;
    let RemoteRequest { remote } = body.json()?;
    let known = api.store.files(id, index, 1).await?;
    let renamed: Vec<FileSpec> = known
        .iter()
        .filter(|file| file.index == index && !file.transferred && file.remote != remote)
        .map(|file| file.renamed(remote.as_str()))
        .collect();
    let command = Command::SetRemote { file: index, remote };
    rename(&api, id, &renamed, command).await
}

/// `POST /v1/jobs/{id}/replace-prefix`: B-52.
pub(super) async fn replace_prefix(
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<RenamedView>, ApiError> {
    let id = job_id(&id)?;
    let PrefixRequest { from, to } = body.json()?;
    let mut renamed = Vec::new();
    for file in api.store.files(id, 0, u32::MAX).await? {
        if let Some(rest) = file
            .remote
            .strip_prefix(&from)
            .filter(|_| !file.transferred && from != to)
        {
            renamed.push(file.renamed(format!("{to}{rest}")));
        }
    }
    rename(&api, id, &renamed, Command::ReplacePrefix { from, to }).await
}

async fn rename(
    api: &Api,
    id: JobId,
    renamed: &[FileSpec],
    command: Command,
) -> Result<Json<RenamedView>, ApiError> {
    for file in renamed {
        let checked = api.host.check_remotes(file);
        checked.map_err(|(code, message)| ApiError::submission(code, message))?;
    }
    let Json(job) = told(api, id, command).await?;
    let changed = renamed.len() as u64;
    Ok(Json(RenamedView { job, changed }))
}

/// `POST /v1/jobs/{id}/take-ownership`: B-15.
pub(super) async fn take_ownership(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
) -> Result<Json<JobView>, ApiError> {
    let id: JobId = job_id(&id)?;
    let owner = peer.administrator()?;
    told(&api, id, Command::TakeOwnership(owner)).await
}

/// What the host would check if the job were submitted with these files now.
async fn admit_files(api: &Api, job: &Job, files: &[FileSpec], list: bool) -> Result<(), ApiError> {
    let bare = JobSpec {
        handler: None,
        ..job.spec.clone()
    };
    let each = files.iter().map(|file| NewJob {
        files: vec![file.clone()],
        ..as_new(job, bare.clone())
    });
    admit(api, each.collect(), move |index, error| {
        if list {
            error.problem.message = format!("file {index} of the list: {}", error.problem.message);
        }
    })
    .await
}

fn as_new(job: &Job, spec: JobSpec) -> NewJob {
    NewJob {
        owner: job.owner.clone(),
        kind: job.kind,
        priority: job.priority,
        spec,
        files: Vec::new(),
        key: None,
        suspended: false,
    }
}

/// The checks ask the file system, which may be slow or hang, so they run where nothing else waits.
async fn admit(
    api: &Api,
    jobs: Vec<NewJob>,
    place: impl Fn(usize, &mut ApiError) + Send + 'static,
) -> Result<(), ApiError> {
    let host = Arc::clone(&api.host);
    let checked = tokio::task::spawn_blocking(move || {
        let check = host.checker();
        for (index, job) in jobs.iter().enumerate() {
            check(job).map_err(|(code, message)| {
                let mut error = ApiError::submission(code, message);
                place(index, &mut error);
                error
            })?;
        }
        Ok(())
    });
    checked
        .await
        .unwrap_or_else(|_| Err(ApiError::busy("the host is ending").hint("ask the next host")))
}
