//! What a job makes of a status, where the table of B-82…B-85 does not fit its server.

use serde::{Deserialize, Serialize};

/// Whether an error may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusClass {
    /// It may: tried again by itself.
    Transient,
    /// It will not: `job-error`.
    Fatal,
}
