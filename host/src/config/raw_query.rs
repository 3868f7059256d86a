//! The shape of `[query]`: how long queries may take, how much is kept, and which databases there are.
//!
//! The comments on the fields are the schema's descriptions, so they speak to the operator.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{At, Size, Term, Whole};

/// Queries. Changes here need a restart.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Query")]
pub(super) struct RawQuery {
    /// How long one run of a query may take, where the job says nothing (10ms to 7d).
    #[schemars(extend("default" = "5min"))]
    pub(super) deadline: Option<At<Term>>,
    /// How long a provider waits for a handler that has four batches before it; then the handler misses what is found, and that is counted (0s to 1d).
    #[schemars(extend("default" = "30s"))]
    pub(super) drop_after: Option<At<Term>>,
    /// How much of the objects of one job is kept for `sexton job objects` (0B to 16GiB).
    #[schemars(extend("default" = "64MiB"))]
    pub(super) keep: Option<At<Size>>,
    /// How many objects a watch remembers, to tell what is new (1 to 1000000).
    #[schemars(extend("default" = 10000))]
    pub(super) watch_rows: Option<At<Whole>>,
    /// One table for each database that jobs name by a word, `--provider NAME`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) provider: BTreeMap<String, At<RawProvider>>,
}

/// A database by a name.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url"]))]
#[schemars(rename = "Provider")]
pub(super) struct RawProvider {
    /// Where it is: `sqlite:/var/lib/app.db` or `postgres://reader@db.example.com/orders`, without a password.
    pub(super) url: Option<At<String>>,
    /// Where the password is: `env:NAME` or `file:/absolute/path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<At<String>>,
}
