//! `submit …`: from arguments to a request whose paths are absolute.

use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::args::{DownloadArgs, SubmitArgs, SubmitCommand, SubmitOptions};
use super::batch;
use super::error::{CliError, Complaint};
use super::exit::ExitStatus;
use super::follow::{Until, follow, verdict};
use super::output::Output;
use super::query;
use super::submit_set;
use super::upload;
use crate::api::client::Client;
use crate::api::request::{FileRequest, SubmitRequest};
use crate::api::view::{JobKind, TransferSpec};

pub(super) async fn run(
    args: SubmitArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let Some(command) = args.command else {
        return submit_set::run(args.set, client, output).await;
    };
    let now = output.now();
    let mut pull = None;
    let (wait, request) = match command {
        SubmitCommand::Download(args) => (args.options.wait, download(*args)?),
        SubmitCommand::Upload(args) => (args.options.wait, upload::upload(*args)?),
        SubmitCommand::UploadReply(args) => (args.options.wait, upload::upload_reply(*args)?),
        SubmitCommand::Batch(args) => (args.options.wait, batch::batch(*args, now)?),
        SubmitCommand::Call(args) => (args.options.wait, batch::call(*args, now)),
        SubmitCommand::Query(args) => {
            let wait = args.options.wait;
            let (how, request) = query::query(*args, output.is_json())?;
            pull = wait.then_some(how);
            (wait, request)
        }
    };
    let submitted = client.submit(&request).await?;
    if request.batch.is_some_and(|spec| spec.sync) {
        let job = batch::attend(submitted.job.id, client, output).await?;
        return verdict(&job, output);
    }
    if pull.is_some() {
        // What is found is the data; whose it is stands beside it.
        output.note(format!("query {}", submitted.job.id));
    } else if output.is_json() {
        output.object(&submitted)?;
    } else {
        output.line(submitted.job.id.to_string())?;
    }
    if !submitted.new {
        output.note("this key had been used before; this is its first job");
    }
    for warning in &submitted.warnings {
        output.note(format!("warning: {warning}"));
    }
    if !wait {
        return Ok(ExitStatus::Done);
    }
    if let Some(pull) = pull {
        return query::pull(submitted.job.id, pull, client, output).await;
    }
    let job = follow(submitted.job.id, Until::Settled, client, output, |_, _| Ok(())).await?;
    if output.is_json() {
        output.object(&job)?;
    }
    verdict(&job, output)
}

fn download(args: DownloadArgs) -> Result<SubmitRequest, CliError> {
    let url = source(&args.url)?;
    let local = destination(&url, args.dest.as_deref())?;
    let mut file = FileRequest::new(url, local);
    args.placing.plan(&mut file)?;
    let mut request = request(JobKind::Download, vec![file], args.options)?;
    request.transfer.placing = args.placing.spec();
    Ok(request)
}

/// A remote name as the host takes it: a URL, or one made of the path of a local file.
pub(super) fn source(text: &str) -> Result<Url, CliError> {
    if text.starts_with(['/', '.']) {
        let absolute = std::path::absolute(text).ok();
        let url = absolute.and_then(|path| Url::from_file_path(path).ok());
        return url.ok_or_else(|| CliError::Usage(Complaint::new(format!("cannot say where `{text}` is"))));
    }
    parse_url(text)
}

pub(super) fn parse_url(text: &str) -> Result<Url, CliError> {
    Url::parse(text).map_err(|error| {
        CliError::Usage(
            Complaint::new(format!("`{text}` is not a URL"))
                .cause(error)
                .hint("write it with its scheme: https://…"),
        )
    })
}

pub(super) fn request(
    kind: JobKind,
    files: Vec<FileRequest>,
    options: SubmitOptions,
) -> Result<SubmitRequest, CliError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut request = SubmitRequest {
        kind,
        profile: options.profile,
        hold: options.hold.then_some(true),
        handler: options.handler,
        notify_command: options.notify_command,
        retry_delay_ms: options.retry_delay.map(millis),
        no_progress_ms: options.no_progress.map(millis),
        transfer: TransferSpec {
            http: options.http.spec()?,
            limits: options.limits.into(),
            ..TransferSpec::DEFAULT
        },
        files,
        suspended: options.suspended,
        ..SubmitRequest::new(kind, Vec::new())
    };
    options.about.fill(&mut request);
    options.notify.fill(&mut request);
    Ok(request)
}

/// The absolute path of a download: DEST itself, a file in it if it is a directory, or the URL's
/// file name here.
pub(super) fn destination(url: &Url, dest: Option<&Path>) -> Result<String, CliError> {
    let path = match dest {
        None => PathBuf::from(file_name(url)?),
        Some(dest) if dest.is_dir() || dest.as_os_str().as_encoded_bytes().ends_with(b"/") => {
            dest.join(file_name(url)?)
        }
        Some(dest) => dest.to_owned(),
    };
    absolute(&path)
}

/// A path as it is meant here and now, absolute.
pub(super) fn absolute(path: &Path) -> Result<String, CliError> {
    let path = std::path::absolute(path).map_err(|error| {
        CliError::Usage(Complaint::new(format!("cannot say where `{}` is", path.display())).cause(error))
    })?;
    // The host would resolve `..` and links from elsewhere in time; what is meant is what is now.
    let path = match (
        path.parent().and_then(|parent| parent.canonicalize().ok()),
        path.file_name(),
    ) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path,
    };
    path.into_os_string().into_string().map_err(|path| {
        CliError::Usage(Complaint::new(format!(
            "the path {} is not UTF-8",
            path.display()
        )))
    })
}

/// The last part of the URL's path as a file name. A server's choice of name must not leave the
/// directory, so anything that could is refused.
fn file_name(url: &Url) -> Result<String, CliError> {
    let last = url
        .path_segments()
        .and_then(|mut parts| parts.next_back())
        .unwrap_or_default();
    let name = percent_decode_str(last).decode_utf8().unwrap_or_default();
    if matches!(&*name, "" | "." | "..") || name.contains(['/', '\0']) || name.chars().any(char::is_control) {
        return Err(CliError::Usage(
            Complaint::new(format!("the URL {url} names no file")).hint("say where it goes: DEST"),
        ));
    }
    Ok(name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_url_names_the_file() {
        assert_eq!(file_name(&url("https://h/a/b%20c.iso?x=1")).unwrap(), "b c.iso");
        for bad in [
            "https://h",
            "https://h/a/",
            "https://h/..%2f..%2fetc",
            "https://h/%00",
            "https://h/%1b[2J",
        ] {
            assert!(file_name(&url(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_destination_is_absolute_and_may_be_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        let at = |dest: &Path| PathBuf::from(destination(&url("http://h/f.bin"), Some(dest)).unwrap());
        assert_eq!(at(dir.path()), real.join("f.bin"));
        assert_eq!(at(&dir.path().join("g")), real.join("g"));
        assert_eq!(at(&dir.path().join("new/")), dir.path().join("new/f.bin"));
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        assert_eq!(at(&dir.path().join("sub/../g")), real.join("g"));
        let here = destination(&url("http://h/f.bin"), None).unwrap();
        assert_eq!(
            PathBuf::from(here),
            std::env::current_dir()
                .unwrap()
                .canonicalize()
                .unwrap()
                .join("f.bin")
        );
    }
}
