//! The api room: the control API `/v1`, HTTP over a Unix socket, and its client.
//!
//! The server puts what people ask to the store and to a [`HostHandle`], which `app` implements; it
//! decides nothing by itself. Client and server share the types of [`view`] and [`request`].
//!
//! Every answer that is not a success is `{"error": {"code", "name", "message", "hint"}}`; the
//! HTTP status says which family it is of (see [`failure::ApiError`]).

mod activities;
mod batch;
mod body;
mod change;
pub mod client;
mod deliveries;
pub mod failure;
mod host;
mod jobs;
mod limits;
mod notify;
mod objects;
mod query;
mod reply;
pub mod request;
mod server;
mod socket;
mod submit;
#[cfg(test)]
mod tests;
pub mod view;
mod watch;

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::job::{
    ActivityDraft, ActivityName, ActivitySpec, BadActivity, Code, FileSpec, FileStatus, Job, JobId,
    OutputAsk, OutputPage, PluginName, Profile,
};
use crate::store::{NewJob, Store, StoreError};

pub use server::serve;
pub use socket::{ListenError, listen};
use view::{ActivityView, HostStatus, PluginView};

/// What the control API is made of.
#[derive(Clone)]
pub struct Api {
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// The rest of the host.
    pub host: Arc<dyn HostHandle>,
    /// Where the time comes from.
    pub clock: Clock,
}

/// Whether a job can be accepted: the code, and a sentence that says what is wrong and what would be
/// right. What is the same for all jobs of a list is looked up once.
pub type Checker<'a> = Box<dyn Fn(&NewJob) -> Result<(), (Code, String)> + 'a>;

/// Why an activity is not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ActivityRefusal {
    /// It cannot be.
    #[error(transparent)]
    Bad(#[from] BadActivity),
    /// It could not be made durable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the control API needs of the host beside its store.
#[async_trait]
pub trait HostHandle: Send + Sync + 'static {
    /// Every plugin that has a file, a table or a subscription.
    fn plugins(&self) -> Vec<PluginView>;

    /// Looks at the plugin folder now; returns once what was found serves or is refused.
    async fn rescan_plugins(&self);

    /// Reads the configuration again and applies it if it is good.
    ///
    /// # Errors
    /// What is wrong with it, with line and column; the old configuration stays.
    async fn reload_config(&self) -> Result<(), String>;

    /// How the host is.
    async fn status(&self) -> HostStatus;

    /// Whether the host is ending.
    fn is_draining(&self) -> bool;

    /// Fills in what holds for a job that does not say it itself, for as long as it is there.
    fn complete_submit(&self, _new: &mut NewJob) {}

    /// A piece of what a batch job printed. Reads the disk, so it is called where blocking does no harm.
    ///
    /// # Errors
    /// The code, and a sentence that says why it cannot be read.
    fn output(&self, _job: JobId, ask: &OutputAsk) -> Result<OutputPage, (Code, String)> {
        Ok(OutputPage {
            next: ask.offset,
            ..OutputPage::default()
        })
    }

    /// Says of each job of a list whether it can be accepted: its files are of a kind that can be run, its
    /// handler is known. Looks at the file system, so it is called where blocking does no harm.
    fn checker(&self) -> Checker<'_>;

    /// Whether a file can be fetched from where it says.
    ///
    /// # Errors
    /// As [`HostHandle::checker`].
    fn check_remotes(&self, file: &FileSpec) -> Result<(), (Code, String)>;

    /// Whether a reply can be put there. Looks at the file system too.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong and what would be right.
    fn check_reply(&self, local: &str) -> Result<(), (Code, String)>;

    /// The reply of a job whose first file is `file`, whole (B-49).
    ///
    /// # Errors
    /// The code, and a sentence that says why it cannot be had.
    async fn reply_data(&self, job: &Job, file: Option<&FileStatus>) -> Result<Vec<u8>, (Code, String)>;

    /// Unloads a plugin whose file is gone, and forgets its last good component; returns whether
    /// there was anything of it.
    ///
    /// # Errors
    /// A sentence when that cannot be made durable.
    async fn forget_plugin(&self, plugin: &PluginName) -> Result<bool, String>;

    /// Forgets a plugin's durable state; returns how many keys there were.
    ///
    /// # Errors
    /// The store's.
    async fn purge_plugin(&self, plugin: &PluginName) -> Result<u64, StoreError>;

    /// What an activity is, if there is one of that name.
    fn activity(&self, name: &ActivityName) -> Option<Arc<ActivitySpec>>;

    /// All activities, by name.
    ///
    /// # Errors
    /// The store's.
    async fn activities(&self) -> Result<Vec<ActivityView>, StoreError>;

    /// Makes an activity: checked as a whole, then frozen and durable.
    ///
    /// # Errors
    /// Which key cannot be, or the store's.
    async fn create_activity(
        &self,
        name: ActivityName,
        draft: &ActivityDraft,
    ) -> Result<ActivityView, ActivityRefusal>;

    /// Pauses an activity or lets it go on; `None` when there is none of that name.
    ///
    /// # Errors
    /// The store's.
    async fn pause_activity(
        &self,
        name: &ActivityName,
        paused: bool,
    ) -> Result<Option<ActivityView>, StoreError>;

    /// The profile of jobs that name none.
    fn default_profile(&self) -> Profile;
}
