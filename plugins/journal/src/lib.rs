//! Appends one JSON line per event to `journal.jsonl` in a granted directory, and acknowledges
//! only once the line is on disk. A repeated call repeats the line, with the same delivery id.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use sexton_sdk::{
    AsyncErrorNotify, CallInfo, ErrorInfo, Event, Failure, FileInfo, JobCallback, JobEnd, JobSnapshot,
    Outcome, Result, config,
};

/// Where the operator's `grant.dirs = ["journal:rw"]` appears to the component.
const DIR: &str = "/journal";

/// Bytes after which a journal is set aside as `journal.jsonl.1`: some hundred thousand events,
/// and a file that editors still open.
const ROTATE_AT: u64 = 64 << 20;

struct Journal;

sexton_sdk::export!(Journal: JobCallback, JobEnd, AsyncErrorNotify);

impl JobCallback for Journal {
    fn job_transferred(call: &CallInfo, job: &JobSnapshot) -> Result {
        note(Event::new("job-transferred", call, &without_files(job)))
    }

    fn job_error(call: &CallInfo, job: &JobSnapshot, error: &ErrorInfo) -> Result {
        note(Event::new("job-error", call, &without_files(job)).error(Some(error)))
    }

    fn job_modification(call: &CallInfo, job: &JobSnapshot) -> Result {
        note(Event::new("job-modification", call, &without_files(job)))
    }

    fn file_transferred(call: &CallInfo, job: &JobSnapshot, file: &FileInfo) -> Result {
        note(Event::new("file-transferred", call, &without_files(job)).file(file))
    }
}

impl JobEnd for Journal {
    fn on_ended(call: &CallInfo, job: &JobSnapshot, how: Outcome, last_error: Option<&ErrorInfo>) -> Result {
        note(
            Event::new("on-ended", call, &without_files(job))
                .outcome(how)
                .error(last_error),
        )
    }
}

impl AsyncErrorNotify for Journal {
    fn on_error(call: &CallInfo, job: &JobSnapshot, error: &ErrorInfo) -> Result {
        note(Event::new("on-error", call, &without_files(job)).error(Some(error)))
    }
}

/// Lines stay short without the list of files; the job's totals say enough.
fn without_files(job: &JobSnapshot) -> JobSnapshot {
    JobSnapshot {
        files: Vec::new(),
        ..job.clone()
    }
}

fn note(event: Event<'_>) -> Result {
    let dir = config::get_or("dir", DIR);
    let rotate_at = config::parse("rotate_at")?.unwrap_or(ROTATE_AT);
    append(Path::new(&dir), &event.to_json()?, rotate_at)
}

fn append(dir: &Path, line: &str, rotate_at: u64) -> Result {
    let path = dir.join("journal.jsonl");
    if fs::metadata(&path).is_ok_and(|found| found.len() >= rotate_at) {
        match fs::rename(&path, dir.join("journal.jsonl.1")) {
            // Another call of this plugin was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            done => done?,
        }
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| cannot_open(dir, error))?;
    // One write, so that lines of calls that run at the same time do not mix.
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()?;
    Ok(())
}

fn cannot_open(dir: &Path, error: std::io::Error) -> Failure {
    let mut failure = Failure::from(error);
    failure.message = format!(
        "cannot write in `{}`: {}; is a directory of that name granted with `:rw`?",
        dir.display(),
        failure.message
    );
    failure
}

#[cfg(test)]
mod tests {
    use sexton_sdk::{FailureKind, testing};

    use super::*;

    fn journal_in(dir: &Path) {
        testing::reset();
        testing::set_config([("dir", dir.to_str().unwrap()), ("rotate_at", "1000000")]);
    }

    #[test]
    fn every_event_is_a_line_with_its_delivery_id() {
        let dir = tempfile::tempdir().unwrap();
        journal_in(dir.path());
        let (call, mut job, error) = (testing::call(), testing::job(), testing::error(0x8019_0193));
        job.name = "two\nlines".into();
        Journal::job_error(&call, &job, &error).unwrap();
        Journal::on_ended(&call, &job, Outcome::Failed, Some(&error)).unwrap();

        let text = fs::read_to_string(dir.path().join("journal.jsonl")).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["event"], "job-error");
        assert_eq!(lines[0]["job"]["name"], "two\nlines");
        assert_eq!(lines[1]["outcome"], "failed");
        assert_eq!(lines[1]["call"]["delivery_id"], call.delivery_id.as_str());
    }

    #[test]
    fn a_long_journal_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        for line in ["first", "second", "third"] {
            append(dir.path(), line, 6).unwrap();
        }
        assert_eq!(
            fs::read_to_string(dir.path().join("journal.jsonl")).unwrap(),
            "third\n"
        );
        assert_eq!(
            fs::read_to_string(dir.path().join("journal.jsonl.1")).unwrap(),
            "second\n"
        );
    }

    #[test]
    fn without_its_directory_it_says_what_to_grant_and_is_called_again() {
        journal_in(Path::new("/no/such/directory"));
        let failure = Journal::job_transferred(&testing::call(), &testing::job()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Transient);
        assert!(
            failure.message.contains("granted with `:rw`"),
            "{}",
            failure.message
        );
    }
}
