//! Flags that say how much, how fast and how long a transfer may be.

use std::time::Duration;

use clap::Args;

use super::value::duration;
use crate::api::view::LimitSpec;

/// Limits of one transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct LimitArgs {
    /// Most bytes a second, whatever the priority: `2MB`, or bits as in `16Mbps`
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub limit_rate: Option<u64>,
    /// Most bytes of all files together, such as `10GB`; more is an error
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_bytes: Option<u64>,
    /// Longest time to connect and transfer, all tries together [default: the profile's, 90 days]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub max_time: Option<Duration>,
}

impl From<LimitArgs> for LimitSpec {
    fn from(args: LimitArgs) -> Self {
        Self {
            rate: args.limit_rate,
            max_bytes: args.max_bytes,
            max_time: args.max_time,
        }
    }
}

fn rate(text: &str) -> Result<u64, String> {
    crate::api::view::rate(text).ok_or_else(|| "write it like `2MB` (a second) or `800kbps`".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>();
    size.map(|size| size.as_u64())
        .map_err(|_| "write it like `500MB` or `10GiB`".to_owned())
}
