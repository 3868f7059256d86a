//! The command line of queries.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::args::SubmitOptions;
use super::value::{duration, job_id};
use crate::api::view::JobId;

/// `submit query …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
pub struct QueryArgs {
    /// What is asked: SQL
    pub text: String,
    /// Who is asked: `sexton`, `system`, `sqlite:PATH`, `postgres://USER@HOST/NAME`, a name of `[query.provider]`, or a component
    #[arg(short, long, value_name = "PROVIDER")]
    pub provider: String,
    /// Keep what is found for `job objects`; `--wait` does so, too
    #[arg(long)]
    pub keep: bool,
    /// At most this many objects
    #[arg(long = "limit", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub most: Option<u64>,
    /// Have handlers hear how far it is
    #[arg(long)]
    pub progress: bool,
    /// Ask again and again, and tell only what appeared, changed or disappeared
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub every: Option<Duration>,
    /// Columns by which a watch tells objects apart [default: all]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', requires = "every")]
    pub by: Vec<String>,
    /// How long one run may take [default: as the host is configured]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub deadline: Option<Duration>,
    /// With `--wait`: print values separated by commas
    #[arg(long, requires = "wait", conflicts_with = "json")]
    pub csv: bool,
    /// With `--wait`: an interrupt (Ctrl-C) leaves the query running; without this it is cancelled
    #[arg(long, requires = "wait")]
    pub detach: bool,
    /// Options of every submission.
    #[command(flatten)]
    pub options: SubmitOptions,
}

/// `job objects …`
#[derive(Clone, Debug, PartialEq, Eq, ClapArgs)]
pub struct ObjectsArgs {
    /// The query
    #[arg(value_parser = job_id)]
    pub id: JobId,
    /// Leave out this many
    #[arg(long, default_value_t = 0)]
    pub offset: u32,
    /// At most this many
    #[arg(long, default_value_t = 1_000)]
    pub limit: u32,
    /// Print values separated by commas
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}
