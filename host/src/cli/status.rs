//! `status` and `reload`

use std::time::Duration;

use super::error::CliError;
use super::exit::ExitStatus;
use super::output::Output;
use super::text::{span, time};
use crate::api::client::Client;
use crate::api::view::{HostState, StatusView};

pub(super) async fn show(client: &Client, output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    let status = client.status().await?;
    tell(&status, output)?;
    Ok(ExitStatus::Done)
}

pub(super) async fn reload(client: &Client, output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    let status = client.reload().await?;
    if output.is_json() {
        output.object(&status)?;
    } else {
        output.line("the configuration is in force")?;
    }
    Ok(ExitStatus::Done)
}

/// The status for people: what needs attention comes last, where the eye is.
pub(super) fn tell(status: &StatusView, output: &mut Output<'_>) -> Result<(), CliError> {
    if output.is_json() {
        return output.object(status);
    }
    let now = output.now();
    let state = match status.state {
        HostState::Running => "running",
        HostState::Draining => "draining: takes no new work",
    };
    let mut fields = vec![
        (
            "host",
            format!("{state} ({}, pid {})", status.version, status.pid),
        ),
        (
            "up",
            format!(
                "{}, since {}",
                span(Duration::from_millis(status.uptime_ms)),
                time(status.started, now)
            ),
        ),
        ("jobs", counts(&status.counts.jobs)),
        ("deliveries", counts(&status.counts.deliveries)),
    ];
    if let Some(file) = &status.config_file {
        fields.push(("configuration", file.clone()));
    }
    let fail_fast = &status.fail_fast;
    let ignored = if fail_fast.ignored {
        ", ignored for this start"
    } else {
        ""
    };
    fields.push((
        "fail fast",
        format!(
            "{}, parks after {}{ignored}",
            fail_fast.mode, fail_fast.crash_limit
        ),
    ));
    if let Some(report) = &fail_fast.last_report {
        fields.push(("last report", report.clone()));
    }
    for waiting in &status.waiting {
        let reason = waiting
            .reason
            .as_ref()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default();
        fields.push((
            "waiting",
            format!("{} for {}{reason}", waiting.deliveries, waiting.plugin),
        ));
    }
    for degraded in &status.degraded {
        fields.push(("degraded", degraded.clone()));
    }
    if let Some(problem) = &status.config_problem {
        fields.push(("not in force", problem.clone()));
    }
    output.fields(&fields)
}

fn counts<K: std::fmt::Display>(counts: &std::collections::BTreeMap<K, u64>) -> String {
    let words = counts.iter().filter(|(_, count)| **count > 0);
    let words: Vec<String> = words.map(|(state, count)| format!("{count} {state}")).collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}
