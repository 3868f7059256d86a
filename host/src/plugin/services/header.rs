//! `job-control.set-header`: a handler changes what the job's servers are sent (B-143).

use serde_json::json;

use super::{Denied, Services};
use crate::job::{Command, Header, JobChange};

impl Services {
    /// Asks to have a header sent with every request, in place of all of its name; without a value, to
    /// have none.
    ///
    /// # Errors
    /// See [`Services::request`]; the law knows what is no header, and how many there may be.
    pub(in crate::plugin) fn set_header(&mut self, name: &str, value: Option<String>) -> Result<(), Denied> {
        let job = self.desk.as_mut().map(|desk| desk.job());
        let mut headers: Vec<Header> =
            job.map_or_else(Vec::new, |job| job.spec.transfer().http.headers.clone());
        headers.retain(|header| !header.is(name));
        headers.extend(value.map(|value| Header::new(name, value)));
        let patch = json!({"http": {"headers": headers}});
        let change = JobChange {
            transfer: patch.as_object().cloned(),
            ..JobChange::default()
        };
        self.request(Command::Change(Box::new(change)))
    }
}
