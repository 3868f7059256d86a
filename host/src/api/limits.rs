//! How much a job may say of itself: the same when it is submitted and when it is changed.

use axum::http::StatusCode;

use super::failure::ApiError;
use super::notify::check_command;
use crate::job::{Code, JobSpec};

/// B-05.
pub(super) const NAME_CHARS_MAX: usize = 256;
/// B-05.
const DESCRIPTION_CHARS_MAX: usize = 1024;
/// Handlers get it with every call, so it is data beside the job, not the job's payload.
const CONTEXT_BYTES_MAX: usize = 64 << 10;
/// Handlers get them with every call.
const LABELS_MAX: usize = 32;
const LABEL_KEY_BYTES_MAX: usize = 64;
const LABEL_VALUE_BYTES_MAX: usize = 1024;
/// It is indexed.
const KEY_BYTES_MAX: usize = 256;
/// Ten years: far beyond use, far below what time arithmetic can hold.
pub(super) const DELAY_MS_MAX: u64 = 10 * 365 * 86_400_000;

/// What a job says of itself.
pub(super) fn check_spec(spec: &JobSpec) -> Result<(), ApiError> {
    let labels = || spec.labels.iter();
    for (what, found, most, unit) in [
        ("name", spec.name.chars().count(), NAME_CHARS_MAX, "characters"),
        (
            "description",
            spec.description.chars().count(),
            DESCRIPTION_CHARS_MAX,
            "characters",
        ),
        ("context", spec.context.len(), CONTEXT_BYTES_MAX, "bytes"),
        ("list of labels", spec.labels.len(), LABELS_MAX, "entries"),
        (
            "longest label key",
            labels().map(|(key, _)| key.len()).max().unwrap_or(0),
            LABEL_KEY_BYTES_MAX,
            "bytes",
        ),
        (
            "longest label value",
            labels().map(|(_, value)| value.len()).max().unwrap_or(0),
            LABEL_VALUE_BYTES_MAX,
            "bytes",
        ),
    ] {
        at_most(what, found, most, unit)?;
    }
    let longest = spec.retry.initial.max(spec.no_progress).max(spec.notify_interval);
    if longest.as_millis() > u128::from(DELAY_MS_MAX) {
        return Err(ApiError::usage("a delay is over ten years"));
    }
    not_empty("label key", spec.labels.contains_key(""))?;
    check_command(&spec.notify_command)
}

/// An idempotency key.
pub(super) fn check_key(key: &str) -> Result<(), ApiError> {
    at_most("key", key.len(), KEY_BYTES_MAX, "bytes")?;
    not_empty("key", key.is_empty())
}

fn at_most(what: &str, found: usize, most: usize, unit: &str) -> Result<(), ApiError> {
    if found <= most {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::BAD_REQUEST,
        Code::STRING_TOO_LONG,
        format!("the {what} has {found} {unit}; at most {most} are allowed"),
    ))
}

fn not_empty(what: &str, empty: bool) -> Result<(), ApiError> {
    if empty {
        return Err(ApiError::usage(format!("the {what} is empty")));
    }
    Ok(())
}
