//! The nouns of `wit/types.wit`, and the few questions handlers ask them again and again.

pub use crate::bindings::imports::sexton::plugin::job_control::Refusal;
pub use crate::bindings::imports::sexton::plugin::state::StateError;
pub use crate::bindings::imports::sexton::plugin::types::{
    CallInfo, Code, Completion, ErrorInfo, ErrorOrigin, ExtendedStatus, Failure, FailureKind, FileInfo,
    JobKind, JobSnapshot, JobState, Leg, ObjectBatch, ObjectChange, Outcome, Priority, ProviderError,
    QueryProgress, Severity, StatusClass, Value,
};

impl CallInfo {
    /// The value of one of the job's labels.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// An earlier call for the same delivery failed or was interrupted; what it did outside may
    /// have happened.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.attempt > 1
    }
}

impl ErrorInfo {
    /// The HTTP status the error stands for, if it stands for one.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        crate::codes::http_status(self.code)
    }
}
