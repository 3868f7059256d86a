//! The error object (B-77…B-81): what a job's last error was, as data that survives restarts.

use serde::{Deserialize, Serialize};

use super::ExtendedStatus;
use super::file::without_password;
use super::model::words;
use super::{Code, FileStatus, Timestamp};

words! {
    /// Where in the work the error arose (B-79), numbered as in BITS by declaration order.
    ErrorContext {
        /// No context.
        None = "none",
        /// Not known.
        Unknown = "unknown",
        /// The engine itself.
        GeneralQueueManager = "general-queue-manager",
        /// Making a notification.
        QueueManagerNotification = "queue-manager-notification",
        /// A local file.
        LocalFile = "local-file",
        /// The remote file.
        RemoteFile = "remote-file",
        /// The way to the server.
        GeneralTransport = "general-transport",
        /// The program behind the server, or the command of a batch.
        RemoteApplication = "remote-application",
        /// The certificate callback.
        ServerCertificateCallback = "server-certificate-callback",
    }
}

words! {
    /// Which half of an upload-reply failed (B-81).
    Leg {
        /// Fetching.
        Download = "download",
        /// Sending.
        Upload = "upload",
        /// Fetching the reply.
        Reply = "reply",
    }
}

impl ErrorContext {
    /// The number that BITS gives it.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The documented sentence for the context.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::None => "no context",
            Self::Unknown => "the context is not known",
            Self::GeneralQueueManager => "the error occurred in the engine",
            Self::QueueManagerNotification => "the error occurred while a notification was made",
            Self::LocalFile => "the error occurred while the local file was processed",
            Self::RemoteFile => "the error occurred while the remote file was processed",
            Self::GeneralTransport => "the error occurred on the way to the server",
            Self::RemoteApplication => "the error occurred in the program that did the work",
            Self::ServerCertificateCallback => "the error occurred while the certificate was checked",
        }
    }
}

/// The file an error is tied to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Position in the job, from 0.
    pub index: u32,
    /// The remote name, without credentials.
    pub remote: String,
    /// The local path.
    pub local: String,
}

impl FileRef {
    /// [`FileRef::remote`] as listings and handlers get it, whoever filled it in.
    #[must_use]
    pub fn shown_remote(&self) -> String {
        without_password(&self.remote)
    }
}

impl FileRef {
    /// A file as it stands, its remote name without what may be secret.
    #[must_use]
    pub fn of(file: &FileStatus) -> Self {
        let remote = url::Url::parse(&file.remote).map(|mut url| {
            // What is no address with a user cannot lose one.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.into()
        });
        Self {
            index: file.index,
            remote: remote.unwrap_or_default(),
            local: file.local.clone(),
        }
    }
}

/// The error object. It exists from the error until the job next reaches `transferring` (B-80).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// What went wrong.
    pub code: Code,
    /// Where.
    pub context: ErrorContext,
    /// A sentence about this very error.
    pub description: String,
    /// The file being worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileRef>,
    /// `http`, `https`, `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Which direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<Leg>,
    /// The run of the job in which it happened, from 1.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// What a query's error has beyond that (W-40).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended: Option<Box<ExtendedStatus>>,
}
