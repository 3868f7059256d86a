//! `job create`, `add`, `set`, `set-remote`, `replace-prefix`, `take-ownership`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::args_job::{AddArgs, CreateArgs, SetArgs};
use super::error::{CliError, Complaint};
use super::exit::ExitStatus;
use super::job::tell;
use super::jobset;
use super::output::Output;
use super::submit::{destination, parse_url, request};
use super::upload;
use crate::api::client::Client;
use crate::api::request::FileRequest;
use crate::api::view::{JobState, JobView, RenamedView};

/// B-02, B-20.
pub(super) async fn create(
    args: CreateArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let CreateArgs { kind, options } = args;
    if options.wait {
        let complaint = Complaint::new("an empty job does nothing that could be waited for");
        return Err(CliError::Usage(
            complaint.hint("`sexton job watch` follows it once it runs"),
        ));
    }
    let mut request = request(kind, Vec::new(), options)?;
    request.suspended = true;
    request.name.get_or_insert_with(|| kind.to_string());
    let submitted = client.submit(&request).await?;
    if output.is_json() {
        output.object(&submitted)?;
    } else {
        output.line(submitted.job.id.to_string())?;
    }
    Ok(ExitStatus::Done)
}

/// B-42, B-120.
pub(super) async fn add(
    args: AddArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let id = args.id;
    let files = match &args.file {
        Some(file) => jobset::files(file)?,
        None => vec![one_file(args)?],
    };
    let job = client.add_files(id, &files).await?;
    tell(&job, output)?;
    // B-36: nothing else moves it.
    if matches!(
        job.state,
        JobState::Transferred | JobState::Suspended | JobState::Error
    ) {
        output.note(format!("`sexton job resume {id}` fetches what was added"));
    }
    Ok(ExitStatus::Done)
}

fn one_file(args: AddArgs) -> Result<FileRequest, CliError> {
    let url = parse_url(args.url.as_deref().unwrap_or_default())?;
    let local = destination(&url, args.dest.as_deref())?;
    Ok(FileRequest {
        ranges: args.ranges,
        mirrors: args.mirrors,
        checksum: args.checksum,
        size: args.size,
        ..FileRequest::new(url, local)
    })
}

/// B-41, B-156. What the host does not know it says by the property's name.
pub(super) async fn set(
    args: SetArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let (id, reply) = (args.id, args.reply.reply.clone());
    let values = values(args)?;
    if let Some(reply) = &reply {
        let job = upload::set_reply(id, reply, client).await?;
        if values.is_empty() {
            tell(&job, output)?;
            return Ok(ExitStatus::Done);
        }
    }
    let job: JobView = client.change(id, &values).await?;
    tell(&job, output)?;
    Ok(ExitStatus::Done)
}

/// The properties: those of the file first, then `--values`, then the flags.
fn values(args: SetArgs) -> Result<Map<String, Value>, CliError> {
    let mut values = match args.from.as_deref() {
        Some(file) => jobset::properties(file)?,
        None => Map::new(),
    };
    if let Some(text) = &args.values {
        let more: Map<String, Value> = serde_json::from_str(text).map_err(|why| {
            let complaint = Complaint::new("`--values` takes a JSON object").cause(why);
            CliError::Usage(complaint.hint("write it like '{\"hold\": true}'"))
        })?;
        values.extend(more);
    }
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.insert(name.to_owned(), value);
        }
    };
    let millis = |duration: Duration| Value::from(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let labels: Map<String, Value> = args
        .labels
        .into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect();
    put("name", args.name.map(Value::from));
    put("description", args.description.map(Value::from));
    put("context", args.context.map(Value::from));
    put("labels", (!labels.is_empty()).then_some(Value::Object(labels)));
    put("priority", args.priority.map(|priority| priority.as_str().into()));
    put("hold", args.hold.map(Value::from));
    put("retry_delay_ms", args.retry_delay.map(millis));
    put("no_progress_ms", args.no_progress.map(millis));
    args.register.fill(&mut values);
    Ok(values)
}

/// What became of a new name (B-52, B-130).
pub(super) fn renamed(renamed: &RenamedView, output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    if output.is_json() {
        output.object(renamed)?;
        return Ok(ExitStatus::Done);
    }
    tell(&renamed.job, output)?;
    let id = renamed.job.id;
    output.note(match (renamed.changed, renamed.job.state) {
        (0, _) => "nothing changed: no file that is still to be fetched has such a name".to_owned(),
        (n, JobState::Error | JobState::Suspended | JobState::TransientError) => {
            format!("{n} fetched from elsewhere; `sexton job resume {id}` goes on")
        }
        (n, _) => format!("{n} fetched from elsewhere"),
    });
    Ok(ExitStatus::Done)
}

/// Where relative paths of a file begin.
pub(super) fn folder_of(file: &Path) -> Result<std::path::PathBuf, CliError> {
    let here = |why| CliError::Usage(Complaint::new("cannot say where this directory is").cause(why));
    if file.as_os_str() == "-" {
        return std::env::current_dir().map_err(here);
    }
    let absolute = std::path::absolute(file).map_err(here)?;
    Ok(absolute.parent().map(Path::to_path_buf).unwrap_or_default())
}
