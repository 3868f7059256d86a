//! One run of a command: argv and never a shell, a clean environment, a process group of its own, and an
//! end that comes however it behaves.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::engine::runner::{RunControl, RunEnd};
use crate::fail_fast::Group;
use crate::job::{BatchSpec, Code, CommandSpec, Job, OutputStream, Timestamp};

use super::ended::{self, Forced};
use super::launch;
use super::output::Keeper;
use super::{BatchParts, deadline, error, interrupted};

/// What a command gets of the host's environment. The rest may hold what was granted to others.
const PASSED_ON: [&str; 6] = ["PATH", "HOME", "LANG", "USER", "TMPDIR", "TZ"];

/// What is read of an output at a time.
const PIECE: usize = 16 << 10;

/// How long an output may stay open after the command and its group have ended: by then only what left the
/// group can hold it.
const OUTPUT_GRACE: Duration = Duration::from_secs(2);

/// Runs a command to its end, or until the run is taken away.
pub(super) async fn run(
    parts: &BatchParts,
    job: &Job,
    spec: &BatchSpec,
    what: &CommandSpec,
    control: &RunControl,
) -> RunEnd {
    match attempt(parts, job, spec, what, control).await {
        Ok(end) => end,
        Err(why) => RunEnd::Fatal {
            error: error(job, Code::SX_SPAWN, why, control.clock.now()),
        },
    }
}

/// The same; what keeps it from starting is told in words.
async fn attempt(
    parts: &BatchParts,
    job: &Job,
    spec: &BatchSpec,
    what: &CommandSpec,
    control: &RunControl,
) -> Result<RunEnd, String> {
    let dir = parts.outputs.make(job.id).await;
    let dir = dir.map_err(|why| format!("the folder of its output cannot be made: {why}"))?;
    let fault = dir.join(format!("{}.fault", job.attempt));
    let launched = spawn(parts, job, what, &fault);
    let mut child = launched.map_err(|why| format!("it cannot be started: {why}"))?;
    let group = child.id().map(|pid| parts.children.group(pid));
    let group = group.ok_or("it ended before it began")?;
    // Only from here on it may go ahead: if the host dies now, so will it.
    if control.connected().await.is_err() {
        return Ok(RunEnd::Stopped);
    }
    let kills = ended::oom_kills();
    let copying = copy(parts, job, what, &mut child);
    let due = deadline(spec, control.clock.now());
    let (status, forced) = wait(&mut child, &group, due, parts.grace, control).await;
    drop(group);
    let last_words = last_words(copying).await;
    let status = status.map_err(|why| format!("it was lost: {why}"))?;
    if let Ok(why) = tokio::fs::read_to_string(&fault).await {
        let _ = tokio::fs::remove_file(&fault).await;
        return Err(why);
    }
    let now = control.clock.now();
    if forced == Some(Forced::Stopped) {
        return Ok(interrupted(job, now));
    }
    let Some((code, how)) = ended::code(status, forced, ended::oom_kills() > kills) else {
        return Ok(RunEnd::Finished);
    };
    let program = what.argv.first().map_or("", String::as_str);
    let said = if last_words.is_empty() {
        String::new()
    } else {
        format!(": {last_words}")
    };
    let error = error(job, code, format!("`{program}` {how}{said}"), now);
    Ok(if code == Code::SX_EXPIRED {
        RunEnd::Fatal { error }
    } else {
        RunEnd::Transient {
            error,
            retry_after: None,
        }
    })
}

/// Starts this program as what will become the command.
fn spawn(parts: &BatchParts, job: &Job, what: &CommandSpec, fault: &Path) -> std::io::Result<Child> {
    let mut line: Vec<OsString> = vec![launch::COMMAND.into(), "--fault".into(), fault.into()];
    line.extend(["--dir".into(), what.dir.as_deref().unwrap_or("/").into()]);
    if what.stdin.is_some() {
        line.push("--input".into());
    }
    line.push("--".into());
    let passed = PASSED_ON
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    let activity = job.spec.batch.as_ref().and_then(|spec| spec.activity.as_ref());
    Command::new(&parts.program)
        .args(line)
        .args(&what.argv)
        .env_clear()
        .envs(passed)
        .envs(&what.env)
        .env("SEXTON_JOB_ID", job.id.to_string())
        .env("SEXTON_ATTEMPT", job.attempt.to_string())
        .envs(activity.map(|name| ("SEXTON_ACTIVITY", name.to_string())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Waits for the end of a command, and brings it about when its time is over or the run is taken away.
async fn wait(
    child: &mut Child,
    group: &Group,
    due: Option<(Timestamp, bool)>,
    grace: Duration,
    control: &RunControl,
) -> (std::io::Result<ExitStatus>, Option<Forced>) {
    let forced = tokio::select! {
        status = child.wait() => return (status, None),
        () = control.clock.timer(due.map(|(at, _)| at)) => match due {
            Some((_, true)) => Forced::Expired,
            _ => Forced::Deadline,
        },
        () = control.stop.cancelled() => Forced::Stopped,
    };
    group.terminate();
    let status = match tokio::time::timeout(grace, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            group.kill();
            child.wait().await
        }
    };
    (status, Some(forced))
}

/// Tells it to go ahead, and carries what it reads and prints.
fn copy(parts: &BatchParts, job: &Job, what: &CommandSpec, child: &mut Child) -> JoinSet<Option<Keeper>> {
    let mut copying = JoinSet::new();
    let keeper = |stream| parts.outputs.begin(job.id, job.attempt, stream);
    if let Some(pipe) = child.stdout.take() {
        copying.spawn(keep(pipe, keeper(OutputStream::Stdout)));
    }
    if let Some(pipe) = child.stderr.take() {
        copying.spawn(keep(pipe, keeper(OutputStream::Stderr)));
    }
    if let Some(mut pipe) = child.stdin.take() {
        let input = what.stdin.clone().unwrap_or_default();
        copying.spawn(async move {
            // A command need not read what it is given.
            if pipe.write_all(launch::GO).await.is_ok() {
                let _ = pipe.write_all(input.as_bytes()).await;
            }
            None
        });
    }
    copying
}

async fn keep(mut pipe: impl AsyncRead + Unpin, mut keeper: Keeper) -> Option<Keeper> {
    let mut piece = vec![0; PIECE];
    while let Ok(count @ 1..) = pipe.read(&mut piece).await {
        keeper.write(piece.get(..count).unwrap_or_default()).await;
    }
    Some(keeper)
}

/// What it printed last, on standard error where it did, once both outputs are closed.
async fn last_words(mut copying: JoinSet<Option<Keeper>>) -> String {
    let mut words = (String::new(), String::new());
    let ended = async {
        while let Some(ended) = copying.join_next().await {
            if let Ok(Some(keeper)) = ended {
                match keeper.stream() {
                    OutputStream::Stderr => words.0 = keeper.last_words(),
                    OutputStream::Stdout => words.1 = keeper.last_words(),
                }
            }
        }
    };
    // Cut off when it lasts: what is still written then is not the command's.
    let _ = tokio::time::timeout(OUTPUT_GRACE, ended).await;
    if words.0.is_empty() { words.1 } else { words.0 }
}
