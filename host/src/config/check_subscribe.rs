//! Checks `[[subscribe]]`: who is told of what, each pair once, with one decider at most.

use std::collections::BTreeMap;

use super::Subscription;
use super::error::{Fault, Report};
use super::explain::listed;
use super::raw::RawSubscribe;
use super::read::{Piece, bad_plugin_name};
use super::value::{At, Span};
use crate::job::{EventKind, Family, PluginName};

/// Checks each by itself, and then all together.
pub(super) fn subscriptions(report: &mut Report<'_>, pieces: &[Piece<RawSubscribe>]) -> Vec<Subscription> {
    let mut seen = Seen::default();
    let mut checked = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let key = format!("subscribe[{index}]");
        if let Some(subscription) = subscription(report, &key, piece, &mut seen) {
            checked.push(subscription);
        }
    }
    checked
}

/// What earlier subscriptions said, with the line that said it.
#[derive(Default)]
struct Seen {
    pairs: BTreeMap<(PluginName, Family, EventKind), usize>,
    deciders: BTreeMap<(Family, EventKind), (PluginName, usize)>,
}

fn subscription(
    report: &mut Report<'_>,
    key: &str,
    piece: &Piece<RawSubscribe>,
    seen: &mut Seen,
) -> Option<Subscription> {
    let raw = &piece.raw;
    let plugin = plugin(report, key, piece);
    let family = raw.kind.as_ref().map(|at| at.value);
    let decide = raw.decide.as_ref().filter(|at| at.value);
    let events = raw.events.as_ref().or_else(|| {
        missing(report, key, piece, "events", "events = [\"job-error\"]");
        None
    })?;
    if events.value.is_empty() && !piece.damaged {
        let fault = Fault::new("`events` is empty, so the component is never called")
            .expected(format!("some of {}", listed(&words(EventKind::ALL))));
        report.add(&events.span, &format!("{key}.events"), fault);
    }
    for event in &events.value {
        possible(report, key, event, family, decide);
        if let Some(plugin) = &plugin {
            once(report, key, event, (plugin, family, decide), seen);
        }
    }
    Some(Subscription {
        plugin: plugin?,
        events: events.value.iter().map(|at| at.value).collect(),
        family,
        decide: decide.is_some(),
    })
}

fn plugin(report: &mut Report<'_>, key: &str, piece: &Piece<RawSubscribe>) -> Option<PluginName> {
    let Some(at) = &piece.raw.plugin else {
        missing(report, key, piece, "plugin", "plugin = \"pager\"");
        return None;
    };
    match PluginName::of_component(&at.value) {
        Ok(name) => Some(name),
        Err(error) => {
            let fault = bad_plugin_name(&error.to_string(), &at.value);
            report.add(&at.span, &format!("{key}.plugin"), fault);
            None
        }
    }
}

fn missing(report: &mut Report<'_>, key: &str, piece: &Piece<RawSubscribe>, name: &str, example: &str) {
    // A key that was taken out for another fault is not missing.
    if !piece.damaged {
        let fault = Fault::new(format!("`{name}` is missing")).hint(format!("add {example}"));
        report.add(&piece.span, &format!("{key}.{name}"), fault);
    }
}

/// Whether jobs of the family can raise the event, and whether a decider makes sense for it.
fn possible(
    report: &mut Report<'_>,
    key: &str,
    event: &At<EventKind>,
    family: Option<Family>,
    decide: Option<&At<bool>>,
) {
    if let Some(family) = family.filter(|family| !event.value.occurs_in(*family)) {
        let having: Vec<_> = families(event.value, None).map(Family::as_str).collect();
        let events: Vec<_> = EventKind::ALL
            .iter()
            .copied()
            .filter(|event| event.occurs_in(family))
            .collect();
        let fault = Fault::new(format!("jobs of kind `{family}` never have `{}`", event.value))
            .expected(format!("for `{family}`: {}", listed(&words(&events))))
            .hint(format!("`{}` belongs to kind {}", event.value, listed(&having)));
        report.add(&event.span, &format!("{key}.events"), fault);
    }
    if let Some(decide) = decide.filter(|_| event.value.is_coalesced()) {
        let fault = Fault::new(format!(
            "`{}` has no decider: it may be dropped and is never repeated",
            event.value
        ))
        .hint("subscribe to it in a [[subscribe]] of its own, without `decide`");
        report.add(&decide.span, &format!("{key}.decide"), fault);
    }
}

/// Each plugin hears of an event once, and at most one decides.
fn once(
    report: &mut Report<'_>,
    key: &str,
    event: &At<EventKind>,
    (plugin, family, decide): (&PluginName, Option<Family>, Option<&At<bool>>),
    seen: &mut Seen,
) {
    let line = report.source.line(&event.span);
    let mut twice = None;
    let mut two = None;
    for family in families(event.value, family) {
        if let Some(other) = seen.pairs.insert((plugin.clone(), family, event.value), line) {
            twice = twice.or(Some((family, other)));
        } else if let Some(decide) = decide.filter(|_| !event.value.is_coalesced()) {
            let entry = (plugin.clone(), line);
            if let Some((other, at)) = seen.deciders.insert((family, event.value), entry) {
                two = two.or(Some((family, other, at, decide.span.clone())));
            }
        }
    }
    if let Some((family, other)) = twice {
        let fault = Fault::new(format!(
            "`{plugin}` already hears of `{}` for `{family}` by line {other}",
            event.value
        ))
        .hint("an event goes to a component once: keep one of the two");
        report.add(&event.span, &format!("{key}.events"), fault);
    }
    if let Some((family, other, at, span)) = two {
        two_deciders(report, key, event.value, (family, &other, at, &span));
    }
}

fn two_deciders(
    report: &mut Report<'_>,
    key: &str,
    event: EventKind,
    (family, other, line, span): (Family, &PluginName, usize, &Span),
) {
    let fault = Fault::new(format!(
        "`{event}` of `{family}` has two deciders: line {line} made `{other}` the first"
    ))
    .hint("leave `decide = true` with one of them; the others observe");
    report.add(span, &format!("{key}.decide"), fault);
}

/// The families meant by `kind`, as far as they have the event.
fn families(event: EventKind, kind: Option<Family>) -> impl Iterator<Item = Family> {
    Family::ALL
        .iter()
        .copied()
        .filter(move |family| event.occurs_in(*family) && kind.is_none_or(|kind| kind == *family))
}

fn words(events: &[EventKind]) -> Vec<&'static str> {
    events.iter().map(|event| event.as_str()).collect()
}
