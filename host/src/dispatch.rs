//! The dispatch room: takes due deliveries from the store, calls the plugin room, and settles what
//! came back. It decides retries, dead letters and FailFast by the operator's policies.

mod call;
mod command;
mod dispatcher;
mod policy;
mod router;
mod words;

#[cfg(test)]
mod tests;

pub use call::CheckRemotes;
pub use command::NOTIFY_COMMAND_LIMIT;
pub use dispatcher::{DispatchSettings, Dispatcher, Handlers};
pub use policy::Policies;
pub use router::ConfigRouter;
