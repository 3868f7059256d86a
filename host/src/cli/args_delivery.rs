//! The command line of plugins and deliveries.

use clap::{Args as ClapArgs, Subcommand};

use super::value::{delivery_id, job_id, words};
use crate::api::view::{DeliveryId, DeliveryState, JobId, PluginName};

/// `plugin …`
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum PluginCommand {
    /// List the plugins of the host
    List,
    /// Put a plugin that ships with sexton, or a component file, into the plugin folder
    Add(PluginAddArgs),
    /// Take a plugin out of the plugin folder
    Remove(PluginRemoveArgs),
    /// Have the host look at the plugin folder now
    Reload,
}

/// `plugin add …`
#[derive(Clone, Debug, PartialEq, Eq, ClapArgs)]
pub struct PluginAddArgs {
    /// The name of a shipped plugin, or a path to a component
    pub name: String,
}

/// `plugin remove …`
#[derive(Clone, Debug, PartialEq, Eq, ClapArgs)]
pub struct PluginRemoveArgs {
    /// The plugin
    pub name: PluginName,
    /// Forget its durable state too
    #[arg(long)]
    pub purge: bool,
}

/// `delivery …`
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum DeliveryCommand {
    /// List deliveries, newest first
    List {
        /// Which.
        #[command(flatten)]
        filters: DeliveryFilters,
        /// At most this many, up to 1,000
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Only those made before this one: the last id of a list begins the next
        #[arg(long, value_name = "ID", value_parser = delivery_id)]
        before: Option<DeliveryId>,
    },
    /// Show a delivery with its failed attempts
    Show {
        /// The delivery
        #[arg(value_parser = delivery_id)]
        id: DeliveryId,
    },
    /// Make dead or parked deliveries due again
    Replay(DeliveryChoice),
    /// Drop deliveries for good: dead or parked ones, and pending ones of a plugin that is gone
    Purge(DeliveryChoice),
}

/// Which deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct DeliveryFilters {
    /// Only those to this plugin
    #[arg(long)]
    pub plugin: Option<PluginName>,
    /// Only those about this job
    #[arg(long, value_name = "ID", value_parser = job_id)]
    pub job: Option<JobId>,
    /// Only those in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", value_parser = words(DeliveryState::ALL, DeliveryState::as_str))]
    pub states: Vec<DeliveryState>,
}

/// Which deliveries to change: ids, a filter, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct DeliveryChoice {
    /// The deliveries
    #[arg(value_parser = delivery_id, conflicts_with_all = ["plugin", "job", "states", "all"])]
    pub ids: Vec<DeliveryId>,
    /// Or a filter.
    #[command(flatten)]
    pub filters: DeliveryFilters,
    /// All that are dead or parked
    #[arg(long, conflicts_with_all = ["plugin", "job", "states"])]
    pub all: bool,
}
