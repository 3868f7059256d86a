//! From text to raw sections, with every fault of shape found in one pass.
//!
//! Serde stops at the first fault. So each section is deserialized by itself, and when it is
//! refused, the key at fault is reported, taken out, and the section is tried again.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::error::{Fault, Report};
use super::explain;
use super::raw::{RawFailFast, RawHost, RawLog, RawPlugin, RawRetention, RawSubscribe, RawTransfer};
use super::raw_activity::RawActivity;
use super::raw_batch::RawBatch;
use super::raw_query::RawQuery;
use super::shown::is_deceptive;
use super::value::Span;
use crate::job::{ActivityName, InvalidName, PluginName};

/// One section and where it starts.
#[derive(Debug, Default)]
pub(super) struct Piece<T> {
    pub(super) raw: T,
    pub(super) span: Span,
    /// Keys were taken out, so that what is missing may not be the operator's fault.
    pub(super) damaged: bool,
}

/// The file, section by section.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub(super) host: Piece<RawHost>,
    pub(super) fail_fast: Piece<RawFailFast>,
    pub(super) transfer: Piece<RawTransfer>,
    pub(super) batch: Piece<RawBatch>,
    pub(super) query: Piece<RawQuery>,
    pub(super) retention: Piece<RawRetention>,
    pub(super) log: Piece<RawLog>,
    pub(super) plugins: Vec<(PluginName, Piece<RawPlugin>)>,
    pub(super) activities: Vec<(ActivityName, Piece<RawActivity>)>,
    pub(super) subscriptions: Vec<Piece<RawSubscribe>>,
}

/// Reads the text of `report`; a fault of syntax stands alone, because what follows it is a guess.
pub(super) fn sections(report: &mut Report<'_>, text: &str) -> Sections {
    let (root, errors) = DeTable::parse_recoverable(text);
    let first = errors
        .iter()
        .min_by_key(|error| error.span().map_or(usize::MAX, |span| span.start));
    if let Some(error) = first {
        let span = error.span().unwrap_or(0..0);
        let line = text.lines().nth(report.source.line(&span) - 1).unwrap_or("");
        report.add(&span, "", explain::syntax(error.message(), line));
        return Sections::default();
    }
    let mut sections = Sections::default();
    for (key, value) in root.into_inner() {
        let path = vec![key.get_ref().to_string()];
        match key.get_ref().as_ref() {
            "host" => sections.host = section(report, path, value),
            "fail_fast" => sections.fail_fast = section(report, path, value),
            "transfer" => sections.transfer = section(report, path, value),
            "batch" => sections.batch = section(report, path, value),
            "query" => sections.query = section(report, path, value),
            "retention" => sections.retention = section(report, path, value),
            "log" => sections.log = section(report, path, value),
            "plugin" => sections.plugins = named(report, value, &PLUGINS, PluginName::of_component),
            "activity" => sections.activities = named(report, value, &ACTIVITIES, ActivityName::from_str),
            "subscribe" => sections.subscriptions = subscriptions(report, value),
            other if matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_)) => {
                report.add(&key.span(), other, explain::unknown_section(other));
            }
            other => report.add(&key.span(), other, explain::outside(other)),
        }
    }
    sections
}

/// A section of named tables, and how it is told from a list.
struct Named {
    section: &'static str,
    of: &'static str,
    /// What to write instead of a list.
    write: &'static str,
    /// What to write instead of a key in the section itself.
    inside: &'static str,
    bad_name: fn(&str, &str) -> Fault,
}

const PLUGINS: Named = Named {
    section: "plugin",
    of: "a table for each component",
    write: "write [plugin.NAME], or [[subscribe]] to have a component called",
    inside: "settings belong to one component: write [plugin.NAME] with the stem of its file",
    bad_name: bad_plugin_name,
};

const ACTIVITIES: Named = Named {
    section: "activity",
    of: "a table for each activity",
    write: "write [activity.NAME]",
    inside: "settings belong to one activity: write [activity.NAME]",
    bad_name: |message, _| Fault::new(message),
};

fn named<N, T>(
    report: &mut Report<'_>,
    value: Spanned<DeValue<'_>>,
    what: &Named,
    parse: fn(&str) -> Result<N, InvalidName>,
) -> Vec<(N, Piece<T>)>
where
    T: DeserializeOwned + Default,
{
    let (section_name, span) = (what.section, value.span());
    let DeValue::Table(table) = value.into_inner() else {
        let fault = Fault::new(format!("`{section_name}` is not a table"))
            .expected(what.of)
            .hint(what.write);
        report.add(&span, section_name, fault);
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let path = format!("{section_name}.{name}");
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            let fault = Fault::new(format!("`{name}` stands in `[{section_name}]` itself")).hint(what.inside);
            report.add(&key.span(), &path, fault);
            continue;
        }
        match parse(name) {
            Ok(parsed) => found.push((
                parsed,
                section(report, vec![section_name.to_owned(), name.to_owned()], value),
            )),
            Err(error) => report.add(&key.span(), &path, (what.bad_name)(&error.to_string(), name)),
        }
    }
    found
}

/// A name that no file in the plugin folder can have.
pub(super) fn bad_plugin_name(message: &str, name: &str) -> Fault {
    let fault = Fault::new(message);
    let stem = name.strip_suffix(".wasm").unwrap_or(name).to_lowercase();
    let better: String = stem
        .chars()
        .filter(|c| !is_deceptive(*c))
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    if PluginName::from_str(&better).is_ok() {
        fault.hint(format!(
            "it is the stem of the component's file: `{better}` for {better}.wasm"
        ))
    } else {
        fault.hint("it is the stem of the component's file: `pager` for pager.wasm")
    }
}

fn subscriptions(report: &mut Report<'_>, value: Spanned<DeValue<'_>>) -> Vec<Piece<RawSubscribe>> {
    let span = value.span();
    let DeValue::Array(array) = value.into_inner() else {
        let fault = Fault::new("`subscribe` is not a list of tables")
            .expected("[[subscribe]]")
            .hint("write [[subscribe]] with two brackets: there may be many");
        report.add(&span, "subscribe", fault);
        return Vec::new();
    };
    array
        .into_iter()
        .enumerate()
        .map(|(index, value)| section(report, vec![format!("subscribe[{index}]")], value))
        .collect()
}

/// Deserializes one section, taking out key after key until it is accepted.
fn section<T: DeserializeOwned + Default>(
    report: &mut Report<'_>,
    path: Vec<String>,
    mut value: Spanned<DeValue<'_>>,
) -> Piece<T> {
    let span = value.span();
    let mut damaged = false;
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        let name = path.join(".");
        let fault =
            Fault::new(format!("`{name}` is not a table")).expected(format!("[{name}] and keys below it"));
        report.add(&span, &name, fault);
        return Piece {
            raw: T::default(),
            span,
            damaged: true,
        };
    }
    loop {
        let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(raw) => return Piece { raw, span, damaged },
            Err(error) => error,
        };
        damaged = true;
        let bad = error.span().unwrap_or_else(|| span.clone());
        let mut at = path.clone();
        let found = take_out(value.get_mut(), &bad, &mut at);
        let written = report.source.slice(&bad);
        let fault = explain::deserialize(error.message(), &at, written);
        report.add(&bad, &at.join("."), fault);
        if !found {
            return Piece {
                raw: T::default(),
                span,
                damaged,
            };
        }
    }
}

/// Removes the innermost entry that stands at `bad`, and notes the keys that lead to it.
fn take_out(value: &mut DeValue<'_>, bad: &Span, path: &mut Vec<String>) -> bool {
    match value {
        DeValue::Table(table) => {
            let mut found = false;
            let mut kept = DeTable::new();
            for (key, mut value) in std::mem::replace(table, DeTable::new()) {
                if found {
                    kept.insert(key, value);
                    continue;
                }
                path.push(key.get_ref().to_string());
                let inner = key.span() != *bad && take_out(value.get_mut(), bad, path);
                let here = !inner && (key.span() == *bad || covers(&value.span(), bad));
                found = inner || here;
                if !found {
                    path.pop();
                }
                if !here {
                    kept.insert(key, value);
                }
            }
            *table = kept;
            found
        }
        DeValue::Array(array) => {
            if let Some(name) = path.last_mut() {
                name.push_str("[]");
            }
            let mut found = false;
            let mut kept = DeArray::new();
            for mut item in std::mem::replace(array, DeArray::new()) {
                let inner = !found && take_out(item.get_mut(), bad, path);
                let here = !found && !inner && covers(&item.span(), bad);
                found = found || inner || here;
                if !here {
                    kept.push(item);
                }
            }
            *array = kept;
            if let Some(name) = path.last_mut().filter(|_| !found) {
                name.truncate(name.len() - 2);
            }
            found
        }
        _ => false,
    }
}

fn covers(outer: &Span, inner: &Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
