//! The files of a transfer: as they were asked for, and as they stand.

use serde::{Deserialize, Serialize};

use super::FilePlan;

/// One file of a transfer as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Where it is fetched from.
    pub remote: String,
    /// Absolute path it is put at on completion; of an upload, what is sent.
    pub local: String,
    /// How it is fetched or sent, where that is not plain.
    #[serde(default, skip_serializing_if = "FilePlan::is_plain")]
    pub plan: FilePlan,
}

impl FileSpec {
    /// A plain file.
    #[must_use]
    pub fn new(remote: impl Into<String>, local: impl Into<String>) -> Self {
        Self {
            remote: remote.into(),
            local: local.into(),
            plan: FilePlan::default(),
        }
    }
}

/// One file of a transfer as it stands (B-09).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// Position in the job, from 0, in order of addition (B-12).
    pub index: u32,
    /// Where it is fetched from.
    pub remote: String,
    /// Absolute path it is put at on completion.
    pub local: String,
    /// The temporary file beside the destination, once there is one (B-121).
    pub temporary: Option<String>,
    /// Size, where the server told.
    pub bytes_total: Option<u64>,
    /// Bytes that are durable.
    pub bytes_transferred: u64,
    /// Strong `ETag` or `Last-Modified` that a resumed request must match.
    pub validator: Option<String>,
    /// `Last-Modified` of the server, to be set on the finished file (B-124).
    pub last_modified: Option<String>,
    /// All bytes are in the temporary file.
    pub transferred: bool,
    /// Renamed to its destination.
    pub completed: bool,
    /// How it is fetched or sent, where that is not plain.
    #[serde(default, skip_serializing_if = "FilePlan::is_plain")]
    pub plan: FilePlan,
    /// What its runner needs to go on with it in a later run, in the runner's own words (an upload
    /// session, the segments that are here): at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl FileStatus {
    /// A file of which nothing is here yet.
    #[must_use]
    pub fn new(index: u32, spec: FileSpec) -> Self {
        Self {
            index,
            remote: spec.remote,
            local: spec.local,
            temporary: None,
            bytes_total: spec.plan.known_total(),
            bytes_transferred: 0,
            validator: None,
            last_modified: None,
            transferred: false,
            completed: false,
            plan: spec.plan,
            session: None,
        }
    }

    /// [`FileStatus::remote`] as listings and handlers get it.
    #[must_use]
    pub fn shown_remote(&self) -> String {
        without_password(&self.remote)
    }
}

/// A password in a URL is for the server it goes to, not for listings, logs and handlers.
pub(crate) fn without_password(remote: &str) -> String {
    match url::Url::parse(remote) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("***")) {
            Ok(()) => url.into(),
            Err(()) => remote.to_owned(),
        },
        _ => remote.to_owned(),
    }
}

/// Sums over a job's files (B-07).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Sum of the sizes; `None` while any is unknown.
    pub bytes_total: Option<u64>,
    /// Durable bytes.
    pub bytes_transferred: u64,
    /// How many files the job has.
    pub files_total: u32,
    /// How many are wholly fetched or sent.
    pub files_transferred: u32,
}
