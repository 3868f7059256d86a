//! What a submitter may say of any job, whatever it does.

use clap::Args as ClapArgs;

use super::value::{label, words};
use crate::api::request::SubmitRequest;
use crate::api::view::{After, Priority};

/// What a submitter may say of any job, whatever it does.
#[derive(Clone, Debug, Default, PartialEq, ClapArgs)]
pub struct AboutArgs {
    /// A label, not a key; duplicates are allowed [default: the name of the file or program, or the query]
    #[arg(long)]
    pub name: Option<String>,
    /// A description
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Scheduling level
    #[arg(long, value_parser = words(Priority::ALL, Priority::as_str))]
    pub priority: Option<Priority>,
    /// Wait until this job has succeeded, or as ID:failed or ID:any say; may be repeated
    #[arg(long, value_name = "ID[:END]")]
    pub after: Vec<After>,
    /// Submit once: a key used before returns the first job
    #[arg(long)]
    pub key: Option<String>,
    /// Text that handlers get with every call
    #[arg(long, value_name = "TEXT")]
    pub context: Option<String>,
    /// A label for handlers; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
}

impl AboutArgs {
    pub(super) fn fill(self, request: &mut SubmitRequest) {
        request.name = self.name;
        request.description = self.description.unwrap_or_default();
        request.priority = self.priority;
        request.after = self.after;
        request.key = self.key;
        request.context = self.context.unwrap_or_default();
        request.labels = self.labels.into_iter().collect();
    }
}
