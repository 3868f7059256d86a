//! Options about who is told of what.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::value::duration;
use crate::api::request::{ChangeRequest, SubmitRequest};
use crate::api::view::PluginName;

/// What the handlers of a job are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct NotifyArgs {
    /// Tell handlers of these only: job-transferred, job-error, job-modification, file-transferred; or `disable`
    #[arg(long, value_name = "EVENTS", value_delimiter = ',')]
    pub notify: Option<Vec<String>>,
    /// Tell handlers of changes at most this often [default: 500ms]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub notify_interval: Option<Duration>,
}

/// Who is told, from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct RegisterArgs {
    /// What is told.
    #[command(flatten)]
    pub flags: NotifyArgs,
    /// The job's own handler from here on; it is told of the state in which the job rests, again too
    #[arg(long, value_name = "PLUGIN")]
    pub handler: Option<PluginName>,
    /// No handler of its own any more
    #[arg(long, conflicts_with = "handler")]
    pub no_handler: bool,
    /// Run this when the handler fails: the program's whole path and all arguments that follow, up to `;`
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true, value_terminator = ";")]
    pub notify_command: Option<Vec<String>>,
    /// Run nothing any more when the handler fails
    #[arg(long, conflicts_with = "notify_command")]
    pub no_notify_command: bool,
}

impl NotifyArgs {
    /// Puts them into a request.
    pub(super) fn fill(self, request: &mut SubmitRequest) {
        request.notify_interval_ms = self.notify_interval.map(millis);
        request.notify = self.notify;
    }
}

impl RegisterArgs {
    /// Puts them into a change.
    pub(super) fn fill(self, change: &mut ChangeRequest) {
        change.notify_interval_ms = self.flags.notify_interval.map(millis);
        change.notify = self.flags.notify;
        change.handler = if self.no_handler {
            Some(None)
        } else {
            self.handler.map(Some)
        };
        change.notify_command = if self.no_notify_command {
            Some(Vec::new())
        } else {
            self.notify_command
        };
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
