//! The shape of `[activity.NAME]`.
//!
//! The comments on the fields are the schema's descriptions, so they speak to the operator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{At, Term, Whole};
use super::value_rules::HoursWord;
use crate::job::{ActivityName, LaneOrder, OnHostCrash, PluginName, PoolKind};

/// A lane of batch work.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Activity")]
pub(super) struct RawActivity {
    /// The activity whose keys hold where this one says nothing. It applies first, wherever it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ActivityName>")]
    pub(super) inherit: Option<At<String>>,
    /// What its calls run on: `single`, one at a time, or `shared`, as many as `concurrency` says. `none` is refused. Default: as `concurrency` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pool: Option<At<PoolKind>>,
    /// Calls at a time (1 to 1000).
    #[schemars(extend("default" = 1))]
    pub(super) concurrency: Option<At<Whole>>,
    /// `strict`: calls begin in the order of their submission, and one that waits for its retry or is suspended holds up the others. `skip-ahead`: they go past it. Default: `strict` where `concurrency` is 1, else `skip-ahead`.
    pub(super) order: Option<At<LaneOrder>>,
    /// Calls that may wait; further ones are refused. 0 is no limit.
    #[schemars(extend("default" = 0))]
    pub(super) max_queued: Option<At<Whole>>,
    /// Parts of the week in which calls begin, in local time (at most 64). Without it always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) window: Option<At<Vec<At<HoursWord>>>>,
    /// How long one run of a call may take that does not say so itself (10ms to 365d).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<At<Term>>,
    /// What becomes of a call that was running when the host died and does not say so itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_host_crash: Option<At<OnHostCrash>>,
    /// The component that decides about its calls, before any subscription; a call's own handler comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PluginName>")]
    pub(super) handler: Option<At<String>>,
}
