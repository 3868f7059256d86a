//! The plugin room: loads, checks, limits and calls components, and returns what they said.
//! It never sees the store; a call reaches durable state through a [`CallView`].

mod bindings;
mod call;
mod compile;
mod engine;
mod entry;
mod failure;
mod folder;
mod follow;
mod guest;
mod http;
mod inspect;
mod keep;
mod limits;
mod load;
mod refusal;
mod room;
mod scan;
mod services;
mod settings;
mod text;
mod ticker;
mod turn;
mod vet;
mod wasi;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::compile::compile_component;
pub use self::room::{Exports, PluginRoom, RoomError, RoomOptions};
pub use self::vet::Vetter;

use crate::job::{
    Code, DeliveryId, ErrorInfo, EventKind, FileStatus, Interface, Job, Outcome, PluginName, Role, SinkEvent,
};

/// Which handler function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The function of an event.
    Event(EventKind),
    /// `service-call.on-call`
    OnCall,
    /// `provider.fetch`
    Fetch,
}

impl Function {
    /// Work of a job rather than news of one: it has its own slots, and the job's deadline.
    #[must_use]
    pub const fn is_work(self) -> bool {
        matches!(self, Self::OnCall | Self::Fetch)
    }

    /// Its name in WIT.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event(kind) => kind.as_str(),
            Self::OnCall => "on-call",
            Self::Fetch => "fetch",
        }
    }
}

/// One call into one handler: plain data, taken before the call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub function: Function,
    /// The idempotency key.
    pub delivery: DeliveryId,
    /// The event's id and position.
    pub event_id: String,
    /// Position of the event in this host's history.
    pub seq: u64,
    /// Attempt of the delivery, from 1.
    pub attempt: u32,
    /// The job has moved on since the event.
    pub stale: bool,
    /// Decides or observes.
    pub role: Role,
    /// The job as it stands.
    pub job: Job,
    /// Its files, at most the first 100.
    pub files: Vec<FileStatus>,
    /// The event's own error (or the job's last one for `on-ended`).
    pub error: Option<ErrorInfo>,
    /// The file of `file-transferred`.
    pub file: Option<FileStatus>,
    /// The outcome of `on-ended`.
    pub outcome: Option<Outcome>,
    /// What the sink of a query is told.
    pub sink: Option<SinkEvent>,
    /// What a component that works is given.
    pub task: Option<Task>,
}

/// What a component that works is given.
#[derive(Clone, Debug)]
pub struct Task {
    /// What it is to do.
    pub ask: Ask,
    /// How long it may take.
    pub deadline: Duration,
}

/// What it is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `service-call.on-call` with this input.
    Call(String),
    /// `provider.fetch`.
    Fetch {
        /// The query.
        text: String,
        /// At most this many objects.
        limit: Option<u64>,
        /// Where the page before ended.
        cursor: Option<String>,
    },
}

impl Call {
    /// The call of a component that does the work of `job`, or part of it. It has no say over the job.
    #[must_use]
    pub fn of_work(job: Job, ask: Ask, deadline: Duration) -> Self {
        let function = match ask {
            Ask::Call(_) => Function::OnCall,
            Ask::Fetch { .. } => Function::Fetch,
        };
        Self {
            function,
            delivery: DeliveryId::from_bytes(*job.id.as_bytes()),
            event_id: job.id.to_string(),
            seq: 0,
            attempt: job.attempt,
            stale: false,
            role: Role::Observer,
            job,
            files: Vec::new(),
            error: None,
            file: None,
            outcome: None,
            sink: None,
            task: Some(Task { ask, deadline }),
        }
    }
}

/// What a call may read of durable state. Defined here, implemented where the store is known.
#[async_trait]
pub trait CallView: Send + Sync {
    /// The committed value of one key of this plugin's state.
    ///
    /// # Errors
    /// A sentence when the store cannot be read: the call then fails as a host fault.
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>, String>;

    /// How many bytes of state this plugin has committed, keys and values together.
    ///
    /// # Errors
    /// As for [`CallView::state`].
    async fn state_bytes(&self) -> Result<u64, String>;

    /// Whether a file of `job` may and can be fetched from `remote`.
    ///
    /// # Errors
    /// As for [`CallView::state`]; inside, the code and a sentence for the guest's author.
    async fn check_remote(&self, job: &Job, file: u32, remote: &str) -> Result<RemoteChecked, String>;
}

/// What was found of a remote name.
pub type RemoteChecked = Result<(), (Code, String)>;

/// A component as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PluginInfo {
    /// The stem of its file.
    pub name: PluginName,
    /// SHA-256 of what serves, hex; empty when nothing does.
    pub digest: String,
    /// Size of what serves, in bytes.
    pub size: u64,
    /// The handler interfaces it exports.
    pub interfaces: BTreeSet<Interface>,
    /// Whether a component serves.
    pub serving: bool,
    /// What is wrong with the file in the folder, if anything: one sentence with what to do.
    pub problem: Option<String>,
    /// SHA-256 of the refused file, when a last good one serves instead.
    pub refused_digest: Option<String>,
}

/// Whether these bytes can be a plugin at all, in the loader's words. Nothing is compiled, so a
/// component that passes may still be refused.
///
/// # Errors
/// What they are instead, and what to do.
pub fn check_bytes(bytes: &[u8]) -> Result<(), String> {
    let (size, max) = (bytes.len() as u64, folder::SIZE_MAX);
    if size > max {
        return Err(refusal::Refusal::TooLarge { size, max }.to_string());
    }
    inspect::triage(bytes).map_err(|refusal| refusal.to_string())
}

/// Forgets the last good component of a plugin, for when no host runs; says whether there was one.
///
/// # Errors
/// When that cannot be made durable.
pub fn forget_last_good(state_dir: &std::path::Path, plugin: &PluginName) -> std::io::Result<bool> {
    let dir = room::kept_dir(state_dir);
    if !dir.exists() {
        return Ok(false);
    }
    keep::Keep::open(dir)?.forget(plugin)
}

/// Shared handle types used by the room's users.
pub type SharedView = Arc<dyn CallView>;

#[cfg(test)]
mod tests;
