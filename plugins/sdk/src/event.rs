//! An event as JSON, the same in every handler that passes events on.

use serde::{Serialize, Serializer};

use crate::{CallInfo, Code, ErrorInfo, Failure, FileInfo, JobSnapshot, Outcome};

/// One call as one JSON object. Names are those of the WIT records in `snake_case`; codes are text
/// such as `0x80190193`, labels an object.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The handler function: `job-error`, `on-ended`, …
    pub event: &'static str,
    /// The call.
    pub call: &'a CallInfo,
    /// The job.
    pub job: &'a JobSnapshot,
    /// The error of the event, or the job's last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a ErrorInfo>,
    /// The file of `file-transferred`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a FileInfo>,
    /// How the job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl<'a> Event<'a> {
    /// An event with nothing but the job.
    #[must_use]
    pub fn new(event: &'static str, call: &'a CallInfo, job: &'a JobSnapshot) -> Self {
        Self {
            event,
            call,
            job,
            error: None,
            file: None,
            outcome: None,
        }
    }

    /// Adds the error.
    #[must_use]
    pub fn error(mut self, error: Option<&'a ErrorInfo>) -> Self {
        self.error = error;
        self
    }

    /// Adds the file.
    #[must_use]
    pub fn file(mut self, file: &'a FileInfo) -> Self {
        self.file = Some(file);
        self
    }

    /// Adds the outcome.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// The object on one line.
    ///
    /// # Errors
    /// Never for what the host hands over; the signature keeps `?` working.
    pub fn to_json(&self) -> Result<String, Failure> {
        serde_json::to_string(self)
            .map_err(|error| Failure::permanent(format!("could not write the event: {error}")))
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
pub(crate) fn code<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("0x{code:08X}"))
}

pub(crate) fn labels<S: Serializer>(labels: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().map(|(key, value)| (key, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn an_event_is_one_line_of_json() {
        let mut call = testing::call();
        call.labels = vec![("team".into(), "ops\n\"x\"".into())];
        let (job, error) = (testing::job(), testing::error(0x8019_0193));
        let line = Event::new("job-error", &call, &job)
            .error(Some(&error))
            .to_json()
            .unwrap();
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["error"]["code"], "0x80190193");
        assert_eq!(value["job"]["kind"], "download");
        assert_eq!(value["call"]["labels"]["team"], "ops\n\"x\"");
        assert_eq!(value["outcome"], serde_json::Value::Null);
    }
}
