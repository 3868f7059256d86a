//! What secrets that cannot be had mean to a transfer.

use super::classify::Class;
use super::fault::Fault;
use crate::engine::secret;
use crate::job::{Code, ErrorContext, SecretRef};

/// Reads a secret. It may read a file, so it is not for the async threads.
///
/// # Errors
/// As [`secret::read`].
pub(super) fn read(reference: &SecretRef) -> Result<String, Fault> {
    secret::read(reference).map_err(|(code, why)| Fault { code, ..missing(why) })
}

/// The fault of a job whose credentials cannot be had: asking again does not help, a person does.
pub(super) fn missing(what: impl Into<String>) -> Fault {
    Fault {
        code: Code::INVALID_CREDENTIALS,
        class: Class::Fatal,
        context: ErrorContext::GeneralQueueManager,
        what: what.into(),
        retry_after: None,
    }
}
