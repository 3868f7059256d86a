//! How a handler says that it could not do its work.

use std::io::ErrorKind;
use std::time::Duration;

use crate::{Code, Failure, FailureKind, Refusal, StateError, codes};

/// What every handler function returns. `Ok(())` acknowledges the event and commits what was
/// decided; a [`Failure`] drops it, and the host goes on as the operator's `on_failure` says.
pub type Result<T = ()> = core::result::Result<T, Failure>;

impl Failure {
    /// It may pass: the host calls again. The code is `E_FAIL` until you say otherwise.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Transient, message.into())
    }

    /// It will not pass: calling again with the same event cannot help.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Permanent, message.into())
    }

    /// Says more exactly what happened: one of [`codes`], or your own.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Asks to be called again no sooner than this. The host grants at most one hour.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after_ms = Some(millis(delay));
        self
    }

    fn new(kind: FailureKind, message: String) -> Self {
        Self {
            kind,
            code: codes::E_FAIL,
            message,
            retry_after_ms: None,
        }
    }
}

/// A refused request was refused for good: the job has moved on, or another handler decides.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::permanent(refusal.message).with_code(refusal.code)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::BadKey => Self::permanent("a state key must have 1 to 256 bytes"),
            StateError::ValueTooLarge => Self::permanent("a state value may have at most 64 KiB"),
            StateError::TooManyWrites => Self::permanent("one call may write at most 1,000 keys"),
            // Keys can be deleted or the limit raised meanwhile.
            StateError::Full => {
                return Self::transient("the plugin's state is full").with_code(codes::E_OUTOFMEMORY);
            }
        }
        .with_code(codes::E_INVALIDARG)
    }
}

/// Transient, but for what the handler itself got wrong: disks get space and grants get fixed.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let failure = match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::Unsupported => {
                Self::permanent(error.to_string())
            }
            _ => Self::transient(error.to_string()),
        };
        // A component's error numbers are WASI's; the codes count as Linux does.
        failure.with_code(match error.kind() {
            ErrorKind::NotFound => codes::errno(2),
            ErrorKind::PermissionDenied => codes::E_ACCESSDENIED,
            ErrorKind::AlreadyExists => codes::errno(17),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => codes::E_INVALIDARG,
            ErrorKind::StorageFull => codes::errno(28),
            ErrorKind::ReadOnlyFilesystem => codes::errno(30),
            ErrorKind::OutOfMemory => codes::E_OUTOFMEMORY,
            _ => codes::E_FAIL,
        })
    }
}

/// Milliseconds as the interfaces count them; 49 days is as far as they go.
pub(crate) fn millis(delay: Duration) -> u32 {
    u32::try_from(delay.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_happened_and_when_to_come_back() {
        let failure = Failure::transient("busy")
            .with_code(codes::http(503))
            .retry_after(Duration::from_secs(2));
        assert_eq!(failure.kind, FailureKind::Transient);
        assert_eq!((failure.code, failure.retry_after_ms), (0x8019_01F7, Some(2000)));
    }

    #[test]
    fn io_errors_keep_their_meaning() {
        let full: Failure = std::io::Error::from(ErrorKind::StorageFull).into();
        assert_eq!((full.kind, full.code), (FailureKind::Transient, 0x8007_001C));
        let wrong: Failure = std::io::Error::from(ErrorKind::InvalidInput).into();
        assert_eq!(
            (wrong.kind, wrong.code),
            (FailureKind::Permanent, codes::E_INVALIDARG)
        );
    }
}
