//! The notify command (B-102, B-114…B-116): what runs when the handler failed. An argument vector,
//! never a shell string.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::clock::Clock;
use crate::fail_fast::Children;
use crate::job::{Code, FailureClass, FailureRecord, Reply};
use crate::store::Claim;

/// Wall-clock limit of one run; its process group is killed then.
pub const NOTIFY_COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// What the command gets of the host's environment, besides `SEXTON_…` about the job. The rest may hold
/// what was granted to plugins.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "LANG", "USER", "TMPDIR"];

/// Runs the job's notify command and tells how it ended as a reply.
pub(super) async fn run(claim: &Claim, children: &Children, clock: &Clock) -> Reply {
    let started = clock.now();
    let outcome = spawn_and_wait(claim, children).await;
    let duration = clock.now().since(started);
    let verdict = outcome.map_err(|(code, message)| {
        Box::new(FailureRecord {
            class: FailureClass::ErrorTransient,
            code,
            message,
            last_words: String::new(),
            frames: Vec::new(),
            limit: (code == Code::SX_DEADLINE)
                .then(|| format!("deadline {}", humantime::format_duration(NOTIFY_COMMAND_LIMIT))),
            peak_memory: 0,
            digest: String::new(),
            attempt: claim.delivery.attempt,
            at: clock.now(),
            duration,
            retry_after: None,
        })
    });
    Reply {
        verdict,
        requests: Vec::new(),
        state_writes: Vec::new(),
        digest: String::new(),
        duration,
        peak_memory: 0,
        answer: crate::job::Answer::Nothing,
    }
}

async fn spawn_and_wait(claim: &Claim, children: &Children) -> Result<(), (Code, String)> {
    let Some((program, arguments)) = claim.job.spec.notify_command.split_first() else {
        return Ok(());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(
            PASSED_ON
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .env("SEXTON_JOB_ID", claim.job.id.to_string())
        .env("SEXTON_DELIVERY_ID", claim.delivery.id.to_string())
        .env("SEXTON_EVENT", claim.delivery.event.as_str())
        .env("SEXTON_JOB_STATE", claim.job.state.as_str())
        .env(
            "SEXTON_ERROR_CODE",
            claim
                .error
                .as_ref()
                .map(|e| format!("0x{:08X}", e.code.0))
                .unwrap_or_default(),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|why| {
        (
            Code::SX_SPAWN,
            format!("the notify command `{program}` could not be started: {why}"),
        )
    })?;
    let group = child.id().map(|pid| children.group(pid));
    let waited = tokio::time::timeout(NOTIFY_COMMAND_LIMIT, child.wait()).await;
    drop(group);
    match waited {
        Err(_) => Err((
            Code::SX_DEADLINE,
            format!("the notify command `{program}` did not end in time"),
        )),
        Ok(Err(why)) => Err((
            Code::SX_SPAWN,
            format!("the notify command `{program}` was lost: {why}"),
        )),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            use std::os::unix::process::ExitStatusExt;
            let code = if status.signal().is_some() {
                Code::SX_SIGNAL
            } else {
                Code::SX_EXIT_STATUS
            };
            Err((
                code,
                format!("the notify command `{program}` ended with {status}"),
            ))
        }
    }
}
