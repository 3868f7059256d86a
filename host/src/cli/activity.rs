//! `activity …`

use super::args_activity::{ActivityCommand, ActivityCreateArgs};
use super::error::CliError;
use super::exit::ExitStatus;
use super::output::Output;
use super::table::{Cell, Table, Tone};
use super::text::{digest, time};
use crate::api::client::Client;
use crate::api::request::{ActivityDraft, ActivityRequest};
use crate::api::view::ActivityView;

pub(super) async fn run(
    command: ActivityCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    match command {
        ActivityCommand::Create(args) => {
            let view = client.create_activity(&request(*args)).await?;
            for warning in &view.warnings {
                output.note(format!("warning: {warning}"));
            }
            if output.is_json() {
                output.object(&view)?;
            } else {
                output.line(view.name.as_str())?;
            }
        }
        ActivityCommand::List => list(&client.activities().await?.activities, output)?,
        ActivityCommand::Show { name } => {
            let view = client.activity(&name).await?;
            if output.is_json() {
                output.object(&view)?;
            } else {
                show(&view, output)?;
            }
        }
        ActivityCommand::Pause { names } => {
            for name in names {
                changed(&client.pause_activity(&name, true).await?, output)?;
            }
        }
        ActivityCommand::Resume { names } => {
            for name in names {
                changed(&client.pause_activity(&name, false).await?, output)?;
            }
        }
    }
    Ok(ExitStatus::Done)
}

fn request(args: ActivityCreateArgs) -> ActivityRequest {
    ActivityRequest {
        name: args.name,
        spec: ActivityDraft {
            inherit: args.inherit,
            pool: args.pool,
            concurrency: args.concurrency,
            order: args.order,
            max_queued: args.max_queued,
            window: (!args.window.is_empty()).then_some(args.window),
            deadline: args.deadline,
            on_host_crash: args.on_host_crash,
            handler: args.handler,
        },
    }
}

fn changed(view: &ActivityView, output: &mut Output<'_>) -> Result<(), CliError> {
    if output.is_json() {
        output.object(view)
    } else {
        output.line(format!("{} {}", view.name, state(view).0))
    }
}

const fn state(view: &ActivityView) -> (&'static str, Tone) {
    if view.paused {
        ("paused", Tone::Warn)
    } else {
        ("open", Tone::Good)
    }
}

fn list(activities: &[ActivityView], output: &mut Output<'_>) -> Result<(), CliError> {
    if output.is_json() {
        return activities.iter().try_for_each(|view| output.object(view));
    }
    if activities.is_empty() {
        output.note("there are no activities; `sexton activity create NAME` makes one");
        return Ok(());
    }
    let mut table = Table::new(&["NAME", "STATE", "WAITING", "AT A TIME", "ORDER", "HOURS"]);
    for view in activities {
        let (state, tone) = state(view);
        table.row(vec![
            Cell::new(view.name.as_str()),
            Cell::new(state).tone(tone),
            Cell::new(view.queued.to_string()),
            Cell::new(view.spec.concurrency.to_string()),
            Cell::new(view.spec.order.as_str()),
            Cell::new(hours(view)),
        ]);
    }
    output.table(&table)
}

fn hours(view: &ActivityView) -> String {
    let each: Vec<String> = view.spec.window.iter().map(ToString::to_string).collect();
    if each.is_empty() {
        "always".to_owned()
    } else {
        each.join("; ")
    }
}

fn show(view: &ActivityView, output: &mut Output<'_>) -> Result<(), CliError> {
    let spec = &view.spec;
    let queue = match spec.max_queued {
        0 => view.queued.to_string(),
        most => format!("{} of at most {most}", view.queued),
    };
    let mut fields = vec![
        ("name", view.name.to_string()),
        ("state", state(view).0.to_owned()),
        ("waiting", queue),
        ("at a time", spec.concurrency.to_string()),
        ("order", spec.order.to_string()),
        ("hours", hours(view)),
    ];
    if let Some(deadline) = spec.deadline {
        fields.push(("deadline", humantime::format_duration(deadline).to_string()));
    }
    if let Some(crash) = spec.on_host_crash {
        fields.push(("on host crash", crash.to_string()));
    }
    if let Some(handler) = &spec.handler {
        fields.push(("handler", handler.to_string()));
    }
    fields.push((
        "made",
        match view.created {
            Some(at) => time(at, output.now()),
            None => "by the configuration file".to_owned(),
        },
    ));
    fields.push(("digest", digest(&view.digest)));
    output.fields(&fields)?;
    for warning in &view.warnings {
        output.note(format!("warning: {warning}"));
    }
    Ok(())
}
