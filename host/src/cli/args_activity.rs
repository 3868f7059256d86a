//! The command line of activities.

use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};

use super::value::{duration, words};
use crate::api::view::{ActivityName, Hours, LaneOrder, OnHostCrash, PluginName, PoolKind};

/// `activity …`
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ActivityCommand {
    /// Make an activity: a lane of batch jobs, frozen as it is made
    Create(Box<ActivityCreateArgs>),
    /// List the activities of the host
    List,
    /// Show what an activity is, and how many calls wait in it
    Show {
        /// The activity
        name: ActivityName,
    },
    /// Begin no further call of these until they are resumed
    Pause {
        /// The activities
        #[arg(required = true)]
        names: Vec<ActivityName>,
    },
    /// Let paused activities go on
    Resume {
        /// The activities
        #[arg(required = true)]
        names: Vec<ActivityName>,
    },
}

/// `activity create …`
#[derive(Clone, Debug, PartialEq, Eq, ClapArgs)]
pub struct ActivityCreateArgs {
    /// Its name
    pub name: ActivityName,
    /// The activity whose settings hold where nothing is said here
    #[arg(long, value_name = "NAME")]
    pub inherit: Option<ActivityName>,
    /// `single`, one call at a time, or `shared`, as many as `--concurrency` says
    #[arg(long, value_parser = words(PoolKind::ALL, PoolKind::as_str))]
    pub pool: Option<PoolKind>,
    /// Calls at a time [default: 1]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
    /// Whether calls go past one that waits for its retry or is suspended [default: `strict` for one call at a time]
    #[arg(long, value_parser = words(LaneOrder::ALL, LaneOrder::as_str))]
    pub order: Option<LaneOrder>,
    /// Calls that may wait; 0 is no limit [default: 0]
    #[arg(long, value_name = "N")]
    pub max_queued: Option<u64>,
    /// A part of the week in which calls begin, such as `mon,tue 22:00-06:00`; may be repeated [default: always]
    #[arg(long, value_name = "HOURS")]
    pub window: Vec<Hours>,
    /// How long one run of a call may take that does not say so itself
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub deadline: Option<Duration>,
    /// What becomes of a call that was running when the host died and does not say so itself
    #[arg(long, value_parser = words(OnHostCrash::ALL, OnHostCrash::as_str))]
    pub on_host_crash: Option<OnHostCrash>,
    /// The component that decides about its calls
    #[arg(long, value_name = "PLUGIN")]
    pub handler: Option<PluginName>,
}
