//! Options about who is told of what.

use std::time::Duration;

use clap::Args as ClapArgs;
use serde_json::{Map, Value};

use super::value::duration;
use crate::api::request::SubmitRequest;

/// The names of [`RegisterArgs`].
pub(super) const REGISTER: [&str; 6] = [
    "notify",
    "notify_interval",
    "handler",
    "no_handler",
    "notify_command",
    "no_notify_command",
];

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
    pub handler: Option<String>,
    /// No handler of its own any more
    #[arg(long, conflicts_with = "handler")]
    pub no_handler: bool,
    /// Run this when the handler fails or there is none: the program's whole path and all arguments that follow, up to `;`
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true, value_terminator = ";")]
    pub notify_command: Option<Vec<String>>,
    /// Run no command any more
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
    /// Puts them into a change; `null` takes away.
    pub(super) fn fill(self, values: &mut Map<String, Value>) {
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                values.insert(name.to_owned(), value);
            }
        };
        let gone = |no: bool| no.then_some(Value::Null);
        put("notify", self.flags.notify.map(Value::from));
        put(
            "notify_interval_ms",
            self.flags.notify_interval.map(|interval| millis(interval).into()),
        );
        put("handler", self.handler.map(Value::from).or(gone(self.no_handler)));
        let command = self.notify_command.map(Value::from);
        put("notify_command", command.or(gone(self.no_notify_command)));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
