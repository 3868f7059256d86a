//! `plugin list` and `plugin reload`; adding and removing are file operations of `app`.

use super::error::CliError;
use super::exit::ExitStatus;
use super::output::Output;
use super::table::{Cell, Table, Tone};
use super::text::{bytes, digest};
use crate::api::client::Client;
use crate::api::view::{PluginView, Role};

pub(super) async fn list(client: &Client, output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    tell(&client.plugins().await?.plugins, output)
}

pub(super) async fn reload(client: &Client, output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    tell(&client.rescan_plugins().await?.plugins, output)
}

/// The plugins as a table, and under it what is wrong and what would help.
pub(super) fn tell(plugins: &[PluginView], output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    if output.is_json() {
        for plugin in plugins {
            output.object(plugin)?;
        }
        return Ok(ExitStatus::Done);
    }
    if plugins.is_empty() {
        output.note("there are no plugins; `sexton plugin add NAME` adds one");
        return Ok(ExitStatus::Done);
    }
    let mut table = Table::new(&["NAME", "STATE", "SIZE", "DIGEST", "HANDLES"]);
    for plugin in plugins {
        let (state, tone) = state(plugin);
        let size = if plugin.serving {
            bytes(plugin.size)
        } else {
            "-".to_owned()
        };
        table.row(vec![
            Cell::new(plugin.name.as_str()),
            Cell::new(state).tone(tone),
            Cell::new(size),
            Cell::new(digest(&plugin.digest)).tone(Tone::Dim),
            Cell::new(handles(plugin)),
        ]);
    }
    output.table(&table)?;
    for plugin in plugins {
        if let Some(problem) = &plugin.problem {
            output.note(format!("{}: {problem}", plugin.name));
        }
        if let Some(hint) = &plugin.hint {
            output.note(format!("hint: {}: {hint}", plugin.name));
        }
    }
    Ok(ExitStatus::Done)
}

const fn state(plugin: &PluginView) -> (&'static str, Tone) {
    match (plugin.serving, plugin.problem.is_some()) {
        (true, true) => ("last good", Tone::Warn),
        (true, false) if plugin.subscriptions.is_empty() && plugin.hint.is_some() => {
            ("idle: no subscription", Tone::Dim)
        }
        // It is subscribed, but to nothing that it exports; the hint says so.
        (true, false) if plugin.hint.is_some() => ("idle: other exports", Tone::Dim),
        (true, false) => ("serving", Tone::Good),
        (false, true) => ("refused", Tone::Bad),
        (false, false) => ("absent", Tone::Bad),
    }
}

fn handles(plugin: &PluginView) -> String {
    let words = plugin.subscriptions.iter().map(|subscription| {
        let kind = subscription
            .kind
            .map(|kind| format!("{kind} "))
            .unwrap_or_default();
        let decides = match subscription.role {
            Role::Decider => " (decides)",
            Role::Observer => "",
        };
        format!("{kind}{}{decides}", subscription.event)
    });
    words.collect::<Vec<_>>().join(", ")
}
