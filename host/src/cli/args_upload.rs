//! Arguments of uploads and their replies.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::args::SubmitOptions;
use super::value::words;
use crate::api::view::UploadProtocol;

/// `submit upload …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
#[command(after_long_help = PROTOCOLS)]
pub struct UploadArgs {
    /// What is sent; it must stay as it is until the job is transferred
    pub file: PathBuf,
    /// Where to; redirects are not followed
    pub url: String,
    /// How.
    #[command(flatten)]
    pub sending: SendingArgs,
    /// Options of every submission.
    #[command(flatten)]
    pub options: SubmitOptions,
}

/// `submit upload-reply …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
#[command(after_long_help = PROTOCOLS)]
pub struct UploadReplyArgs {
    /// What is sent; it must stay as it is until the job is transferred
    pub file: PathBuf,
    /// Where to; redirects are not followed
    pub url: String,
    /// Where the server's reply is put on completion [default: a new name beside FILE]
    pub reply: Option<PathBuf>,
    /// How.
    #[command(flatten)]
    pub sending: SendingArgs,
    /// Options of every submission.
    #[command(flatten)]
    pub options: SubmitOptions,
}

/// How a file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ClapArgs)]
pub struct SendingArgs {
    /// How the file is sent
    #[arg(long, default_value = "auto", value_parser = words(UploadProtocol::ALL, UploadProtocol::as_str))]
    pub protocol: UploadProtocol,
}

/// What `job set` changes about a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct ReplyArgs {
    /// Where the reply of an upload-reply is put; possible until its download begins
    #[arg(long, value_name = "PATH", group = "what")]
    pub reply: Option<PathBuf>,
}

const PROTOCOLS: &str = "\
Protocols:
  auto  ask the server by OPTIONS: tus if it offers that, bits if it announces BITS_POST, else put
        (post where only POST is allowed); the answer is kept
  put   one PUT    \\ cannot be resumed: after a fault the whole file is sent again, and the server
  post  one POST   / may see it twice; the reply is the body of the answer
  tus   tus 1.0: goes on where the server stands, after a restart of the host too; no reply
  bits  BITS_POST, as IIS takes it: the same, and the server names a URL of the reply

The file is known by its size and time of change: when either differs before all of it is sent, the job
stops in error BG_E_LOCAL_FILE_CHANGED; `job resume` then sends it as it is. A cancelled upload is
forgotten by the server too, which is tried for 24 hours or the no-progress time-out if that is less;
one that is transferred is not undone. It cannot be completed before it is transferred.";
