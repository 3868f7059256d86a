//! Jobs, errors and files as people read them.

use super::CliError;
use super::output::Output;
use super::show_query;
use super::table::{Cell, Table, Tone};
use super::text::{bytes_of, profile, relative, time};
use super::{show_batch, show_http};
use crate::api::view::{Code, ErrorView, FileView, Intent, JobKind, JobState, JobView, Outcome, Timestamp};

/// The state in one word or two. For `batch` and `query` nothing is transferred, it runs.
pub(super) fn state_text(job: &JobView) -> String {
    let transfer = !matches!(job.kind, JobKind::Batch | JobKind::Query);
    let word = match job.state {
        _ if transfer => job.state.as_str(),
        JobState::Connecting | JobState::Transferring => "running",
        JobState::Transferred | JobState::Acknowledged => "finished",
        other => other.as_str(),
    };
    match (job.intent, job.outcome) {
        (None, None) if job.call.dead.is_some() => format!("{word}, dead letter"),
        (Some(Intent::Complete), _) => format!("{word}, completing"),
        (Some(Intent::Cancel), _) => format!("{word}, cancelling"),
        (None, Some(outcome @ (Outcome::Partial | Outcome::Failed))) => format!("{word}, {outcome}"),
        (None, _) => word.to_owned(),
    }
}

/// The same with what it waits for, so that no hold is silent (BP-04).
fn state_and_wait(job: &JobView) -> String {
    match &job.waits {
        Some(waits) => format!("{} ({})", state_text(job), waits.reason),
        None => state_text(job),
    }
}

/// The colour beside it.
pub(super) const fn state_tone(job: &JobView) -> Tone {
    match (job.state, job.outcome) {
        (JobState::Acknowledged, Some(Outcome::Failed)) | (JobState::Error, _) => Tone::Bad,
        (JobState::Acknowledged, Some(Outcome::Partial)) | (JobState::TransientError, _) => Tone::Warn,
        (JobState::Acknowledged | JobState::Transferred, _) => Tone::Good,
        (JobState::Connecting | JobState::Transferring, _) => Tone::Active,
        (JobState::Suspended | JobState::Cancelled, _) => Tone::Dim,
        (JobState::Queued, _) => Tone::Plain,
    }
}

/// The jobs as a table.
pub(super) fn table(jobs: &[JobView], now: Timestamp) -> Table {
    let mut table = Table::new(&["ID", "KIND", "STATE", "PROGRESS", "CREATED", "NAME"]);
    for job in jobs {
        table.row(vec![
            Cell::new(job.id.to_string()),
            Cell::new(job.kind.as_str()),
            Cell::new(state_and_wait(job)).tone(state_tone(job)),
            Cell::new(bytes_of(job.bytes_transferred, job.bytes_total)),
            Cell::new(relative(job.created, now)).tone(Tone::Dim),
            Cell::new(&job.name),
        ]);
    }
    table
}

/// What runs for the jobs beside what subscriptions say (BP-05).
pub(super) fn hooks(jobs: &[JobView]) -> Table {
    let mut table = Table::new(&["ID", "OWNER", "STATE", "HANDLER", "NOTIFY COMMAND"]);
    for job in jobs {
        let handler = job.handler.as_ref().map_or("-", |plugin| plugin.as_str());
        let command = match job.notify_command.as_slice() {
            [] => "-".to_owned(),
            words => format!("{words:?}"),
        };
        table.row(vec![
            Cell::new(job.id.to_string()),
            Cell::new(job.owner.as_str()),
            Cell::new(state_text(job)).tone(state_tone(job)),
            Cell::new(handler),
            Cell::new(command),
        ]);
    }
    table
}

/// One job in full.
pub(super) fn show(job: &JobView, output: &mut Output<'_>) -> Result<(), CliError> {
    let now = output.now();
    let mut fields = vec![
        ("id", job.id.to_string()),
        ("name", job.name.clone()),
        ("kind", job.kind.to_string()),
        ("state", state_text(job)),
    ];
    if let Some(due) = job.due {
        fields.push(("moves on", time(due, now)));
    }
    if let Some(waits) = &job.waits {
        let since = time(waits.since, now);
        fields.push(("waits for", format!("{}, since {since}", waits.reason)));
        fields.push(("until", waits.ends.clone()));
    }
    match &job.batch {
        Some(batch) => fields.extend(show_batch::fields(batch)),
        None => fields.extend([
            ("progress", bytes_of(job.bytes_transferred, job.bytes_total)),
            (
                "files",
                format!("{} of {}", job.files_transferred, job.files_total),
            ),
        ]),
    }
    fields.extend([
        ("owner", job.owner.to_string()),
        ("priority", job.priority.to_string()),
        ("profile", profile(job.profile).to_owned()),
        ("attempt", job.attempt.to_string()),
        ("errors", job.error_count.to_string()),
        ("created", time(job.created, now)),
        ("modified", time(job.modified, now)),
    ]);
    if let Some(reply) = &job.reply {
        let local = reply.local.as_deref().unwrap_or("a new name beside the file");
        let here = bytes_of(reply.bytes_transferred, reply.bytes_total);
        fields.push(("reply", format!("{here} → {local}")));
    }
    if job.hold {
        fields.push(("hold", "yes: `sexton job complete` completes it".to_owned()));
    }
    fields.extend(handlers(job));
    for (label, text) in [("description", &job.description), ("context", &job.context)] {
        if !text.is_empty() {
            fields.push((label, text.clone()));
        }
    }
    for (key, value) in &job.labels {
        fields.push(("label", format!("{key}={value}")));
    }
    fields.extend(job.query.iter().flat_map(show_query::fields));
    fields.extend(show_http::fields(&job.transfer.http));
    output.fields(&fields)?;
    if let Some(error) = &job.error {
        output.line("")?;
        output.line(output.paint(Tone::Bad, "error"))?;
        show_error(error, output)?;
    }
    match job.files.as_deref() {
        Some(files) if !files.is_empty() => show_files(files, job.files_total, output),
        _ => Ok(()),
    }
}

/// Who hears of it, and of what.
fn handlers(job: &JobView) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    if let Some(handler) = &job.handler {
        fields.push(("handler", handler.to_string()));
    }
    if let Some(flags) = &job.notify {
        let flags: Vec<_> = flags.iter().map(|flag| flag.as_str()).collect();
        let told = if flags.is_empty() {
            "nothing".to_owned()
        } else {
            flags.join(", ")
        };
        fields.push(("handlers hear", told));
    }
    if !job.notify_command.is_empty() {
        fields.push(("on failure runs", format!("{:?}", job.notify_command)));
    }
    fields
}

/// What a member of the error object that is not there is called (B-77).
fn not_tied(code: Code) -> String {
    format!("none ({})", code.name().unwrap_or_default())
}

/// The error object.
pub(super) fn show_error(error: &ErrorView, output: &mut Output<'_>) -> Result<(), CliError> {
    let now = output.now();
    let mut fields = vec![
        ("code", format!("0x{:08X} {}", error.code.0, error.name)),
        ("description", error.description.clone()),
        (
            "context",
            format!(
                "{} ({}): {}",
                error.context,
                error.context.number(),
                error.context_description
            ),
        ),
    ];
    match &error.file {
        Some(file) => {
            fields.push(("remote", file.remote.clone()));
            fields.push(("local", file.local.clone()));
        }
        None => fields.push(("file", not_tied(Code::FILE_NOT_AVAILABLE))),
    }
    let protocol = error.protocol.clone();
    fields.push((
        "protocol",
        protocol.unwrap_or_else(|| not_tied(Code::PROTOCOL_NOT_AVAILABLE)),
    ));
    if let Some(leg) = error.leg {
        fields.push(("leg", leg.to_string()));
    }
    if let Some(status) = &error.extended {
        fields.extend(show_query::error_fields(status));
    }
    fields.push(("attempt", error.attempt.to_string()));
    fields.push(("at", time(error.at, now)));
    // BP-06: what to do stands beside what is wrong.
    fields.push(("what helps", error.code.advice().to_owned()));
    output.fields(&fields)?;
    match &error.extended {
        Some(status) => show_query::place(status, output),
        None => Ok(()),
    }
}

fn show_files(files: &[FileView], total: u32, output: &mut Output<'_>) -> Result<(), CliError> {
    output.line("")?;
    let mut table = Table::new(&["FILE", "STATE", "PROGRESS", "REMOTE → LOCAL"]);
    for file in files {
        let state = match (file.completed, file.transferred) {
            (true, _) => "completed",
            (false, true) => "transferred",
            (false, false) => "-",
        };
        let state = match file.restarts {
            0 => state.to_owned(),
            times => format!("{state}, begun anew {times}×"),
        };
        table.row(vec![
            Cell::new(file.index.to_string()),
            Cell::new(state),
            Cell::new(bytes_of(file.bytes_transferred, file.bytes_total)),
            Cell::new(format!("{} → {}", file.remote, file.local)),
        ]);
    }
    output.table(&table)?;
    let left = usize::try_from(total)
        .unwrap_or(usize::MAX)
        .saturating_sub(files.len());
    if left > 0 {
        output.note(format!("and {left} more files"));
    }
    Ok(())
}
