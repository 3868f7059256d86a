//! `submit batch`, `submit call`, `job logs` and `job requeue`.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::args_batch::{BatchArgs, CallArgs, CallOptions, LogArgs, RequeueArgs};
use super::error::{CliError, Complaint};
use super::exit::ExitStatus;
use super::follow::rests;
use super::job::each;
use super::output::Output;
use super::submit::absolute;
use crate::api::client::Client;
use crate::api::request::{JobVerb, OutputQuery, SubmitRequest};
use crate::api::view::{
    BatchSpec, CallLadder, CallSpec, CommandSpec, JobId, JobKind, JobView, OutputStream, Timestamp, Work,
};

/// Pause between two looks for more output.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The most that is read of a file for a command: the host takes no more.
const INPUT_MAX: u64 = 1 << 20;

pub(super) fn batch(args: BatchArgs, now: Timestamp) -> Result<SubmitRequest, CliError> {
    let dir = args.dir.as_deref().unwrap_or_else(|| Path::new("."));
    let name = args.argv.first().and_then(|program| program.rsplit('/').next());
    let name = name.unwrap_or_default().to_owned();
    let work = Work::Command(CommandSpec {
        argv: args.argv,
        env: args.env.into_iter().collect(),
        dir: Some(absolute(dir)?),
        stdin: args.stdin.as_deref().map(input).transpose()?,
    });
    Ok(request(work, name, args.options, now))
}

pub(super) fn call(args: CallArgs, now: Timestamp) -> SubmitRequest {
    let name = args.component.to_string();
    let work = Work::Call(CallSpec {
        component: args.component,
        input: args.input,
    });
    request(work, name, args.options, now)
}

fn request(work: Work, name: String, options: CallOptions, now: Timestamp) -> SubmitRequest {
    let usual = CallLadder::default();
    let spec = BatchSpec {
        activity: options.activity,
        deadline: options.deadline,
        on_host_crash: options.on_host_crash,
        retry: options.retry_levels.map(|levels| CallLadder {
            levels,
            base: options.retry_base.unwrap_or(usual.base),
            tries: options.retry_tries.unwrap_or(usual.tries),
        }),
        start_by: options.start_within.map(|within| now.after(within)),
        finish_by: options.finish_within.map(|within| now.after(within)),
        sync: options.sync,
        ..BatchSpec::new(work)
    };
    let mut request = SubmitRequest {
        hold: options.hold.then_some(true),
        handler: options.on_error,
        batch: Some(Box::new(spec)),
        suspended: options.suspended,
        ..SubmitRequest::new(JobKind::Batch, Vec::new())
    };
    options.about.fill(&mut request);
    request.name.get_or_insert(name);
    request
}

fn input(path: &Path) -> Result<String, CliError> {
    let opened: std::io::Result<Box<dyn Read>> = match path.to_str() {
        Some("-") => Ok(Box::new(std::io::stdin())),
        _ => std::fs::File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
    };
    let mut bytes = Vec::new();
    let read = opened.and_then(|file| file.take(INPUT_MAX + 1).read_to_end(&mut bytes));
    let cannot = |why: String| {
        CliError::Usage(Complaint::new(format!(
            "standard input cannot be taken from {}: {why}",
            path.display()
        )))
    };
    read.map_err(|why| cannot(why.to_string()))?;
    String::from_utf8(bytes)
        .map_err(|_| cannot("it is not UTF-8; have the command read the file itself".to_owned()))
}

/// Where the reading of one output stands.
struct Reader {
    query: OutputQuery,
    /// Standard error goes to standard error here, unless it was asked for alone.
    to_stderr: bool,
}

impl Reader {
    const fn new(stream: OutputStream, attempt: Option<u32>, to_stderr: bool) -> Self {
        Self {
            query: OutputQuery {
                stream,
                attempt,
                offset: 0,
            },
            to_stderr,
        }
    }

    /// Prints what is there and was not printed before.
    async fn drain(&mut self, id: JobId, client: &Client, output: &mut Output<'_>) -> Result<(), CliError> {
        loop {
            let page = client.output(id, &self.query).await?;
            if page.bytes.is_empty() {
                return Ok(());
            }
            if output.is_json() {
                output.object(&json!({
                    "attempt": page.attempt, "stream": self.query.stream, "dropped": page.dropped,
                    "next": page.next, "text": String::from_utf8_lossy(&page.bytes),
                }))?;
            } else {
                if page.dropped > 0 {
                    output.note(format!("… {} bytes were not kept …", page.dropped));
                }
                output.printed(&page.bytes, self.to_stderr)?;
            }
            self.query.attempt = Some(page.attempt);
            self.query.offset = page.next;
        }
    }
}

/// `job logs`
pub(super) async fn logs(
    args: &LogArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let streams: &[(OutputStream, bool)] = match (args.stdout, args.stderr) {
        (true, _) => &[(OutputStream::Stdout, false)],
        (_, true) => &[(OutputStream::Stderr, false)],
        _ => BOTH,
    };
    if args.follow {
        follow(args.id, args.attempt, streams, client, output).await?;
        return Ok(ExitStatus::Done);
    }
    client.job(args.id).await?;
    for (stream, to_stderr) in streams {
        Reader::new(*stream, args.attempt, *to_stderr)
            .drain(args.id, client, output)
            .await?;
    }
    Ok(ExitStatus::Done)
}

const BOTH: &[(OutputStream, bool)] = &[(OutputStream::Stdout, false), (OutputStream::Stderr, true)];

/// Prints what a job prints until it rests, run by run; returns how it stands then.
async fn follow(
    id: JobId,
    only: Option<u32>,
    streams: &[(OutputStream, bool)],
    client: &Client,
    output: &mut Output<'_>,
) -> Result<JobView, CliError> {
    let mut attempt = 0;
    let mut readers = Vec::new();
    loop {
        // Before its output is read: what is printed until then is there by then.
        let job = client.job(id).await?;
        for reader in &mut readers {
            Reader::drain(reader, id, client, output).await?;
        }
        let wanted = only.unwrap_or(job.attempt);
        if wanted != attempt {
            attempt = wanted;
            let begin = |(stream, to_stderr): &(_, _)| Reader::new(*stream, Some(attempt), *to_stderr);
            readers = streams.iter().map(begin).collect();
            continue;
        }
        let over = only.is_some_and(|only| only < job.attempt);
        if job.state.is_final() || rests(&job) || over {
            return Ok(job);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// `submit … --sync`: prints what it prints, and returns how it ended.
pub(super) async fn attend(id: JobId, client: &Client, output: &mut Output<'_>) -> Result<JobView, CliError> {
    follow(id, None, BOTH, client, output).await
}

/// `job requeue`
pub(super) async fn requeue(
    args: &RequeueArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    if !args.all {
        return each(&args.ids, JobVerb::Requeue, client, output).await;
    }
    let queued = client.requeue_all().await?;
    if output.is_json() {
        output.object(&queued)?;
    } else {
        output.line(format!("{} calls are queued again", queued.count))?;
    }
    Ok(ExitStatus::Done)
}
