//! The structured error of a query: `__ExtendedStatus` and `SMS_ExtendedStatus` (W-40…W-47).

use serde::{Deserialize, Serialize};

use super::Code;
use super::model::words;

words! {
    /// How far an error of a provider reaches (W-47).
    Severity {
        /// Go on with everything.
        Functional = "functional",
        /// Go on elsewhere, not with this.
        Minor = "minor",
        /// Stop asking.
        Major = "major",
    }
}

/// What the platform says of an error (W-41). The host fills it in, a provider cannot (W-42).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedStatus {
    /// What was asked: `ExecQuery`.
    pub operation: String,
    /// The argument that it is about: the query.
    pub parameter_info: String,
    /// Who failed.
    pub provider_name: String,
    /// In words.
    pub description: String,
    /// In general; `provider.error_code` says it precisely.
    pub status_code: Code,
    /// Where in the query's text, in characters from 0, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// The provider's own part (W-45); none when the platform itself failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderError>,
}

/// What a provider says of its error (W-45).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderError {
    /// Its own code, in words or as a number (W-46): `42601`, `SQLITE_ERROR`.
    pub error_code: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause_info: String,
    /// What it is about: a table, a column.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object_info: String,
    /// Where in the provider.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The line there; 0 is unknown.
    #[serde(default)]
    pub line: u32,
    /// How far it reaches (W-47).
    pub severity: Severity,
    /// What the database behind it said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backend_message: String,
}
