//! Job sets: files of jobs in TOML or JSON, with every fault at its line and column (B-120 for whole
//! jobs: all are submitted, or none).
//!
//! ```text
//! text ─ source ─► items (value + where its keys stand) ─ words ─► the API's request, or a fault
//! ```

mod culprit;
mod source;
mod words;

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::{CliError, Complaint};
use crate::api::request::{FileRequest, SubmitRequest};
use source::{Item, Source};

/// Faults that are told of one file; more help nobody.
const TOLD_MAX: usize = 50;

/// Jobs in one file. They are one request and one transaction.
const JOBS_MAX: usize = 10_000;

/// Jobs and where each stands.
#[derive(Debug)]
pub(super) struct JobSet {
    /// The jobs.
    pub(super) requests: Vec<SubmitRequest>,
    starts: Vec<usize>,
    source: Source,
}

impl JobSet {
    /// `jobs.toml:12:1` for a job by its number. Lines are counted for those that are asked for only.
    pub(super) fn place(&self, index: usize) -> String {
        self.source.place(self.starts.get(index).copied().unwrap_or(0))
    }

    /// What the file is called.
    pub(super) fn name(&self) -> &str {
        &self.source.name
    }
}

/// A fault and the byte it stands at.
#[derive(Debug)]
struct Fault {
    at: usize,
    what: String,
}

/// The jobs of a file.
pub(super) fn jobs(file: &Path) -> Result<JobSet, CliError> {
    let source = Source::read(file)?;
    let items = source
        .items("job")
        .map_err(|faults| refused(&source, &faults, "read"))?;
    if items.len() > JOBS_MAX {
        let complaint = Complaint::new(format!(
            "{} has {} jobs; at most {JOBS_MAX} are taken at once",
            source.name,
            items.len()
        ));
        return Err(CliError::Usage(
            complaint.hint("submit them in several files; nothing was submitted"),
        ));
    }
    let requests = typed::<SubmitRequest>(&source, &items, words::job)?;
    Ok(JobSet {
        requests,
        starts: items.iter().map(|item| item.start).collect(),
        source,
    })
}

/// The files of a file, for `job add`.
pub(super) fn files(file: &Path) -> Result<Vec<FileRequest>, CliError> {
    let source = Source::read(file)?;
    let items = source
        .items("file")
        .map_err(|faults| refused(&source, &faults, "read"))?;
    typed(&source, &items, words::file)
}

/// The properties of a file, for `job set`.
pub(super) fn properties(file: &Path) -> Result<Map<String, Value>, CliError> {
    let source = Source::read(file)?;
    let mut item = source
        .whole()
        .map_err(|faults| refused(&source, &faults, "read"))?;
    if let Err((path, what)) = words::properties(&mut item.value) {
        let at = item.at(&source, &path);
        return Err(refused(&source, &[Fault { at, what }], "read"));
    }
    match item.value {
        Value::Object(values) => Ok(values),
        _ => Err(refused(
            &source,
            &[Fault {
                at: 0,
                what: "properties are a table".to_owned(),
            }],
            "read",
        )),
    }
}

/// What is made of the words that people write in an item.
type Words = fn(&mut Value, &Path) -> Result<(), (Vec<String>, String)>;

/// Every item as the API takes it, or everything that is wrong with any of them.
fn typed<T: DeserializeOwned>(source: &Source, items: &[Item], words: Words) -> Result<Vec<T>, CliError> {
    let mut taken = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for item in items {
        let mut value = item.value.clone();
        if let Err((path, what)) = words(&mut value, &source.folder) {
            let at = item.at(source, &path);
            faults.push(Fault { at, what });
            continue;
        }
        match T::deserialize(&value) {
            Ok(one) => taken.push(one),
            Err(why) => {
                let path = culprit::find(&value, &|value| {
                    T::deserialize(value).err().map(|why| why.to_string())
                });
                let at = item.at(source, &path);
                let what = why.to_string();
                faults.push(Fault { at, what });
            }
        }
    }
    if faults.is_empty() {
        Ok(taken)
    } else {
        Err(refused(source, &faults, "submitted"))
    }
}

fn refused(source: &Source, faults: &[Fault], verb: &str) -> CliError {
    let places = faults
        .iter()
        .map(|fault| format!("{}: {}", source.place(fault.at), fault.what));
    not_taken(&source.name, verb, places.collect())
}

/// What is said of a file of which nothing was taken.
pub(super) fn not_taken(name: &str, verb: &str, faults: Vec<String>) -> CliError {
    let total = faults.len();
    let mut lines = vec![format!("{name} cannot be {verb}:")];
    lines.extend(faults.into_iter().take(TOLD_MAX));
    if total > TOLD_MAX {
        lines.push(format!("and {} more", total - TOLD_MAX));
    }
    CliError::Usage(Complaint::new(lines.join("\n")).hint("nothing was changed; mend the file and try again"))
}

#[cfg(test)]
mod tests;
