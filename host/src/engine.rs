//! The engine room: takes runnable jobs from the store, runs them, and proposes what happened.
//! It knows nothing of plugins and calls nobody back; it hears of others' decisions by the store's
//! changes.

mod bandwidth;
pub mod batch;
mod intents;
pub mod memory;
pub mod network;
mod owed;
pub mod query;
mod quota;
mod run;
mod runner;
mod scheduler;
mod secret;
#[cfg(test)]
mod tests;
mod throttle;
pub mod transfer;

pub use bandwidth::Bandwidth;
pub use quota::Quota;
pub use runner::{IntentControl, RunControl, RunEnd, Runner, Stopped};
pub use scheduler::{Engine, EngineSettings, Runners};
pub use throttle::Throttle;
