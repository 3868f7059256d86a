//! `submit upload`, `submit upload-reply`, `job reply` and `job set --reply`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::args::SubmitOptions;
use super::args_upload::{SendingArgs, UploadArgs, UploadReplyArgs};
use super::error::CliError;
use super::output::Output;
use super::submit::{absolute, parse_url, request};
use crate::api::client::Client;
use crate::api::request::{FileRequest, SubmitRequest};
use crate::api::view::{JobId, JobKind, JobView};

/// The request of `submit upload`.
pub(super) fn upload(args: UploadArgs) -> Result<SubmitRequest, CliError> {
    sending(JobKind::Upload, &args.file, &args.url, args.sending, args.options)
}

/// The request of `submit upload-reply`.
pub(super) fn upload_reply(args: UploadReplyArgs) -> Result<SubmitRequest, CliError> {
    let reply = args.reply.as_deref().map(absolute).transpose()?;
    let kind = JobKind::UploadReply;
    let mut request = sending(kind, &args.file, &args.url, args.sending, args.options)?;
    request.transfer.upload.reply = reply;
    Ok(request)
}

fn sending(
    kind: JobKind,
    file: &Path,
    url: &str,
    sending: SendingArgs,
    options: SubmitOptions,
) -> Result<SubmitRequest, CliError> {
    let file = FileRequest::new(parse_url(url)?, absolute(file)?);
    let mut request = request(kind, vec![file], options)?;
    request.transfer.upload.protocol = sending.protocol;
    Ok(request)
}

/// Prints the reply as it came; in JSON in base64, as it need not be text.
pub(super) async fn print_reply(id: JobId, client: &Client, output: &mut Output<'_>) -> Result<(), CliError> {
    let data = client.reply(id).await?;
    if output.is_json() {
        let text = BASE64.encode(&data);
        return output.object(&json!({ "id": id, "bytes": data.len(), "base64": text }));
    }
    output.raw(&data)
}

/// Says where the reply goes.
pub(super) async fn set_reply(id: JobId, reply: &Path, client: &Client) -> Result<JobView, CliError> {
    Ok(client.set_reply(id, absolute(reply)?).await?)
}
