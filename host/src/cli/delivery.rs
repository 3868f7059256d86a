//! `delivery …`

use super::args_delivery::{DeliveryChoice, DeliveryCommand, DeliveryFilters};
use super::error::{CliError, Complaint};
use super::exit::ExitStatus;
use super::output::Output;
use super::table::{Cell, Table, Tone};
use super::text::{bytes, digest, relative, time};
use crate::api::client::Client;
use crate::api::request::{DeliveryQuery, DeliverySelection};
use crate::api::view::{CountView, DeliveryId, DeliveryRecord, DeliveryState, FailureRecord, Timestamp};

pub(super) async fn run(
    command: DeliveryCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    match command {
        DeliveryCommand::List {
            filters,
            limit,
            before,
        } => list(filters, limit, before, client, output).await,
        DeliveryCommand::Show { id } => {
            let delivery = client.delivery(id).await?;
            if output.is_json() {
                output.object(&delivery)?;
            } else {
                show(&delivery, output)?;
            }
            Ok(ExitStatus::Done)
        }
        DeliveryCommand::Replay(choice) => change(choice, Change::Replay, client, output).await,
        DeliveryCommand::Purge(choice) => change(choice, Change::Purge, client, output).await,
    }
}

async fn list(
    filters: DeliveryFilters,
    limit: u16,
    before: Option<DeliveryId>,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let query = DeliveryQuery {
        states: filters.states,
        plugin: filters.plugin,
        job: filters.job,
        before,
        limit: Some(usize::from(limit)),
    };
    let deliveries = client.deliveries(&query).await?.deliveries;
    if output.is_json() {
        for delivery in &deliveries {
            output.object(delivery)?;
        }
    } else if deliveries.is_empty() {
        output.note("there are no such deliveries");
    } else {
        output.table(&table(&deliveries, output.now()))?;
    }
    Ok(ExitStatus::Done)
}

const fn tone(state: DeliveryState) -> Tone {
    match state {
        DeliveryState::Pending => Tone::Plain,
        DeliveryState::Running => Tone::Active,
        DeliveryState::Settled => Tone::Good,
        DeliveryState::Dead | DeliveryState::Poison => Tone::Bad,
    }
}

/// The deliveries as a table.
pub(super) fn table(deliveries: &[DeliveryRecord], now: Timestamp) -> Table {
    let mut table = Table::new(&["ID", "PLUGIN", "EVENT", "STATE", "TRIES", "NEXT", "JOB", "LAST"]);
    for delivery in deliveries {
        let last = match (&delivery.last_failure, &delivery.result) {
            (Some(failure), _) if !matches!(delivery.state, DeliveryState::Settled) => {
                format!("{}: {}", failure.class, failure.message)
            }
            (_, Some(result)) => result.clone(),
            (_, None) => String::new(),
        };
        let next = match (delivery.state, delivery.due) {
            (DeliveryState::Pending, Some(due)) => relative(due, now),
            _ => "-".to_owned(),
        };
        table.row(vec![
            Cell::new(delivery.id.to_string()),
            Cell::new(delivery.plugin.as_str()),
            Cell::new(delivery.event.as_str()),
            Cell::new(delivery.state.as_str()).tone(tone(delivery.state)),
            Cell::new(delivery.attempt.to_string()),
            Cell::new(next).tone(Tone::Dim),
            Cell::new(delivery.job.to_string()),
            Cell::new(last),
        ]);
    }
    table
}

/// One delivery with its failures.
pub(super) fn show(delivery: &DeliveryRecord, output: &mut Output<'_>) -> Result<(), CliError> {
    let now = output.now();
    let mut fields = vec![
        ("id", delivery.id.to_string()),
        (
            "event",
            format!("{} ({}, seq {})", delivery.event, delivery.event_id, delivery.seq),
        ),
        ("job", delivery.job.to_string()),
        ("owner", delivery.owner.to_string()),
        ("plugin", format!("{} ({})", delivery.plugin, delivery.role)),
        ("state", delivery.state.to_string()),
        (
            "tries",
            format!(
                "{}, of which {} count against the handler",
                delivery.attempt, delivery.charged
            ),
        ),
        ("created", time(delivery.created, now)),
    ];
    if let Some(due) = delivery.due {
        fields.push(("due", time(due, now)));
    }
    if let Some(ended) = delivery.ended {
        fields.push(("ended", time(ended, now)));
    }
    if let Some(result) = &delivery.result {
        fields.push(("result", result.clone()));
    }
    if !delivery.digest.is_empty() {
        fields.push(("component", delivery.digest.clone()));
    }
    output.fields(&fields)?;
    let failures = match (&delivery.last_failure, delivery.attempts.as_slice()) {
        (Some(last), []) => std::slice::from_ref(last),
        (_, attempts) => attempts,
    };
    for failure in failures {
        output.line("")?;
        let heading = format!("attempt {}", failure.attempt);
        output.line(output.paint(Tone::Bad, &heading))?;
        show_failure(failure, now, output)?;
    }
    Ok(())
}

fn show_failure(failure: &FailureRecord, now: Timestamp, output: &mut Output<'_>) -> Result<(), CliError> {
    let took = format!("{:?}", failure.duration);
    let mut fields = vec![
        ("class", failure.class.to_string()),
        ("code", failure.code.to_string()),
        ("message", failure.message.clone()),
        ("at", format!("{}, after {took}", time(failure.at, now))),
    ];
    if let Some(limit) = &failure.limit {
        fields.push(("limit hit", limit.clone()));
    }
    if failure.peak_memory > 0 {
        fields.push(("peak memory", bytes(failure.peak_memory)));
    }
    if !failure.digest.is_empty() {
        fields.push(("component", digest(&failure.digest)));
    }
    if !failure.frames.is_empty() {
        fields.push(("frames", failure.frames.join("\n")));
    }
    if !failure.last_words.is_empty() {
        fields.push(("last words", failure.last_words.clone()));
    }
    output.fields(&fields)
}

#[derive(Clone, Copy)]
enum Change {
    Replay,
    Purge,
}

async fn change(
    choice: DeliveryChoice,
    change: Change,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let mut status = ExitStatus::Done;
    let mut count = 0;
    for selection in selections(choice)? {
        let result = match change {
            Change::Replay => client.replay(&selection).await,
            Change::Purge => client.purge(&selection).await,
        };
        match result {
            Ok(answer) => count += answer.count,
            Err(error) => {
                let error = CliError::from(error);
                let exit = error.exit();
                if selection.id.is_none() || exit == ExitStatus::NoHost {
                    return Err(error);
                }
                output.complain(&error);
                if status == ExitStatus::Done {
                    status = exit;
                }
            }
        }
    }
    if output.is_json() {
        output.object(&CountView { count })?;
    } else {
        let verb = match change {
            Change::Replay => "due again",
            Change::Purge => "purged",
        };
        let noun = if count == 1 { "delivery" } else { "deliveries" };
        output.line(format!("{count} {noun} {verb}"))?;
    }
    Ok(status)
}

/// One request per id, or one for the filter.
fn selections(choice: DeliveryChoice) -> Result<Vec<DeliverySelection>, CliError> {
    let filters = choice.filters;
    if !choice.ids.is_empty() {
        let by_id = choice.ids.into_iter().map(|id| DeliverySelection {
            id: Some(id),
            ..DeliverySelection::default()
        });
        return Ok(by_id.collect());
    }
    if !choice.all && filters == DeliveryFilters::default() {
        return Err(CliError::Usage(
            Complaint::new("nothing says which deliveries")
                .hint("name ids, `--plugin`, `--job` or `--state`, or say `--all`"),
        ));
    }
    Ok(vec![DeliverySelection {
        id: None,
        plugin: filters.plugin,
        job: filters.job,
        states: filters.states,
        all: choice.all,
    }])
}
