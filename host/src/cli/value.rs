//! Values on the command line, from text.

use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::api::view::{DeliveryId, JobId, Profile};

/// One of the words of an enumeration, offered in help and completions.
pub(super) fn words<T>(all: &'static [T], word: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + FromStr<Err: std::error::Error + Send + Sync + 'static> + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|value| word(*value))).try_map(|text| text.parse::<T>())
}

/// A profile's word.
pub(super) fn profile_parser() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(["sexton", "bits", "delivery-optimization"]).map(|word| match word.as_str() {
        "bits" => Profile::Bits,
        "delivery-optimization" => Profile::DeliveryOptimization,
        _ => Profile::Sexton,
    })
}

/// `90s`, `5m`, `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like `90s`, `5m` or `1h 30m`"))
}

/// `KEY=VALUE`
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// A job's id.
pub(super) fn job_id(text: &str) -> Result<JobId, String> {
    text.parse()
        .map_err(|_| "not a job id; `sexton job list` shows those there are".to_owned())
}

/// A delivery's id.
pub(super) fn delivery_id(text: &str) -> Result<DeliveryId, String> {
    text.parse()
        .map_err(|_| "not a delivery id; `sexton delivery list` shows those there are".to_owned())
}
