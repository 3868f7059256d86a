//! Write [Sexton](https://github.com/sexton-rs/sexton) handlers in Rust.
//!
//! A handler is a component that Sexton calls when unattended work ends or goes wrong. Implement
//! the traits you care about on a type, export it, build for `wasm32-wasip2`, and drop the file
//! into the plugin folder:
//!
//! ```
//! use sexton_sdk::{CallInfo, ErrorInfo, JobCallback, JobSnapshot, Result, job, log};
//!
//! struct GiveUp;
//!
//! impl JobCallback for GiveUp {
//!     fn job_error(_: &CallInfo, job: &JobSnapshot, error: &ErrorInfo) -> Result {
//!         log::info!("{} failed: {}", job.name, error.description);
//!         job::cancel()?;
//!         Ok(())
//!     }
//! }
//!
//! sexton_sdk::export!(GiveUp: JobCallback);
//! # fn main() {}
//! ```
//!
//! What a handler decides through [`job`] and stores through [`state`] commits together with its
//! `Ok(())`: a handler that returns a [`Failure`] or traps has decided nothing, and is called again
//! as the operator's `on_failure` says. So a handler may run twice; its decisions happen once. For
//! effects elsewhere, pass on [`CallInfo::delivery_id`] as the idempotency key.

#[doc(hidden)]
pub mod bindings;
pub mod codes;
pub mod config;
#[cfg(feature = "json")]
mod event;
mod failure;
mod handler;
mod host;
pub mod job;
pub mod log;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod types;
mod work;

#[cfg(feature = "json")]
pub use event::Event;
pub use failure::Result;
pub use handler::{AsyncErrorNotify, FinalRetry, JobCallback, JobEnd, ObjectSink};
pub use types::{
    CallInfo, Code, Completion, ErrorInfo, ErrorOrigin, ExtendedStatus, Failure, FailureKind, FileInfo,
    JobKind, JobSnapshot, JobState, Leg, ObjectBatch, ObjectChange, Outcome, Priority, ProviderError,
    QueryProgress, Refusal, Severity, StateError, StatusClass, Value,
};
pub use work::{Page, Provider, Query, QueryFailure, ServiceCall};
