//! This plugin's own durable key/value state, shared by all its calls.
//!
//! Writes are seen by later reads of the same call, and commit together with its `Ok(())`. Keys
//! have 1 to 256 bytes, values at most 64 KiB.

use crate::host::state;
use crate::{Failure, StateError};

/// The value of a key.
#[must_use]
pub fn get(key: &str) -> Option<Vec<u8>> {
    state::get(key)
}

/// The value of a key as text.
///
/// # Errors
/// When it is not UTF-8.
pub fn get_text(key: &str) -> Result<Option<String>, Failure> {
    get(key)
        .map(String::from_utf8)
        .transpose()
        .map_err(|_| Failure::permanent(format!("the value of state key `{key}` is not text")))
}

/// The value of a key as a number; absent is 0.
///
/// # Errors
/// When it is not a number.
pub fn get_u64(key: &str) -> Result<u64, Failure> {
    let Some(text) = get_text(key)? else { return Ok(0) };
    text.parse()
        .map_err(|_| Failure::permanent(format!("the value of state key `{key}` is not a number")))
}

/// Sets a value when the call is acknowledged.
///
/// # Errors
/// When a limit is passed.
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), StateError> {
    state::set(key, value.as_ref())
}

/// Adds one to a counter and returns what it then is. Counters are decimal text.
///
/// # Errors
/// When the key holds something else, or a limit is passed.
pub fn increment(key: &str) -> Result<u64, Failure> {
    let next = get_u64(key)?.saturating_add(1);
    set(key, next.to_string())?;
    Ok(next)
}

/// Removes a key when the call is acknowledged.
///
/// # Errors
/// When a limit is passed.
pub fn delete(key: &str) -> Result<(), StateError> {
    state::delete(key)
}
