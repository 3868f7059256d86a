//! The shape of `[batch]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{At, Size, Term, TermOrNever, Whole};

/// Commands and calls into components.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Batch")]
pub(super) struct RawBatch {
    /// Background calls at the same time (1 to 1000). Default: as many as the machine has processors.
    pub(super) slots: Option<At<Whole>>,
    /// How long one run may take (1ms to 3650d), or `never`.
    #[schemars(extend("default" = "never"))]
    pub(super) deadline: Option<At<TermOrNever>>,
    /// How much of each output of a run is kept: the first half and the end (4KiB to 1GiB).
    #[schemars(extend("default" = "1MiB"))]
    pub(super) output: Option<At<Size>>,
    /// What a failed call that no handler is told of does to the host.
    #[schemars(extend("default" = "record"))]
    pub(super) unrecoverable: Option<At<RawUnrecoverable>>,
    /// What becomes of a call that was running when the host died.
    #[schemars(extend("default" = "error"))]
    pub(super) on_host_crash: Option<At<RawHostCrash>>,
    /// After so many deaths of the host in a row while it ran, a call is not run again by itself (1 to 100).
    #[schemars(extend("default" = 2))]
    pub(super) crash_limit: Option<At<Whole>>,
    /// How a failed call is tried again before its handler is told. Without this table it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry: Option<RawRetry>,
}

/// What a failed call that no handler is told of does to the host.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Unrecoverable")]
pub(super) enum RawUnrecoverable {
    /// Nothing: it stays in `error` until somebody looks.
    Record,
    /// It ends it, as `[fail_fast]` says.
    FailFast,
}

/// What becomes of a call that was running when the host died.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "HostCrash")]
pub(super) enum RawHostCrash {
    /// It has failed.
    Error,
    /// It is run again.
    Rerun,
}

/// Levels of retries: the delay of each is twice that of the one before.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Retry")]
pub(super) struct RawRetry {
    /// The delay before each retry of the first level (100ms to 1d).
    #[schemars(extend("default" = "1min"))]
    pub(super) base: Option<At<Term>>,
    /// How many levels there are (1 to 10).
    #[schemars(extend("default" = 5))]
    pub(super) levels: Option<At<Whole>>,
    /// Retries at each level (1 to 100).
    #[schemars(extend("default" = 3))]
    pub(super) tries: Option<At<Whole>>,
}
