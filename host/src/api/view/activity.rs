//! Activities, as operators see them.

use serde::{Deserialize, Serialize};

use super::{ActivityName, Timestamp};
use crate::job::ActivitySpec;
pub use crate::job::{Hours, LaneOrder, PoolKind};

/// An activity as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityView {
    /// Its name.
    pub name: ActivityName,
    /// What it is; this never changes while the host runs (C-01).
    pub spec: ActivitySpec,
    /// SHA-256 of that, hex (C-17).
    pub digest: String,
    /// When it was made; `None` where the configuration file says it.
    pub created: Option<Timestamp>,
    /// It begins no further call until it is resumed.
    pub paused: bool,
    /// Calls that wait in it.
    pub queued: u64,
    /// What is allowed and can hardly be meant (C-09).
    pub warnings: Vec<String>,
}

/// `GET /v1/activities`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivitiesView {
    /// By name.
    pub activities: Vec<ActivityView>,
}
