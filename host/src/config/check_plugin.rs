//! Checks one `[plugin.NAME]`: policies, limits and settings. Grants are checked next door.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{Check, DAY, HOUR};
use super::check_grant;
use super::error::Fault;
use super::raw::{RawLadder, RawLimits, RawOn, RawPlugin, RawPolicy};
use super::value::{At, Fraction, Size, Span};
use super::{HostConfig, Limits, PluginConfig};
use crate::job::{Backoff, FailureClass, Ladder, PluginName, Policy};

/// Most calls of one delivery that a ladder may ask for; beyond it the age is the honest limit.
const ATTEMPTS_MAX: u64 = 1_000_000;

/// Most bytes of keys and values in one plugin's `config`: it is copied for every call.
const SETTINGS_BYTES_MAX: usize = 64 << 10;

/// One plugin's table, checked; `host` says which folders no component may have.
pub(super) fn plugin(
    check: &mut Check<'_, '_>,
    name: &PluginName,
    raw: &RawPlugin,
    host: &HostConfig,
) -> PluginConfig {
    let key = format!("plugin.{name}");
    let defaults = PluginConfig::default();
    PluginConfig {
        on_failure: raw
            .on_failure
            .as_ref()
            .map(|at| policy(check, &format!("{key}.on_failure"), at)),
        on: raw
            .on
            .as_ref()
            .map(|on| by_class(check, &format!("{key}.on"), on))
            .unwrap_or_default(),
        limits: raw.limits.as_ref().map_or(defaults.limits.clone(), |limits| {
            check_limits(check, &format!("{key}.limits"), limits, &defaults.limits)
        }),
        grant: raw.grant.as_ref().map_or(defaults.grant, |grant| {
            check_grant::grant(check, &format!("{key}.grant"), grant, host)
        }),
        config: raw
            .config
            .as_ref()
            .map(|settings| flat_settings(check, &format!("{key}.config"), settings))
            .unwrap_or_default(),
    }
}

fn by_class(check: &mut Check<'_, '_>, key: &str, raw: &RawOn) -> BTreeMap<FailureClass, Policy> {
    let written = [
        (FailureClass::ErrorTransient, &raw.error_transient),
        (FailureClass::ErrorPermanent, &raw.error_permanent),
        (FailureClass::Trap, &raw.trap),
        (FailureClass::Memory, &raw.memory),
        (FailureClass::Timeout, &raw.timeout),
        (FailureClass::Exit, &raw.exit),
    ];
    let mut policies = BTreeMap::new();
    for (class, at) in written {
        if let Some(at) = at {
            policies.insert(class, policy(check, &format!("{key}.{class}"), at));
        }
    }
    policies
}

fn policy(check: &mut Check<'_, '_>, key: &str, at: &At<RawPolicy>) -> Policy {
    match &at.value {
        RawPolicy::Own(raw) => Policy::Own(ladder(check, key, raw, &at.span)),
        RawPolicy::Preset("bits") => Policy::Bits,
        RawPolicy::Preset("queued") => Policy::Queued,
        RawPolicy::Preset("com-plus") => Policy::ComPlus,
        RawPolicy::Preset("dead-letter") => Policy::DeadLetter,
        // Serde let only the presets through.
        RawPolicy::Preset(_) => Policy::FailFast,
    }
}

fn ladder(check: &mut Check<'_, '_>, key: &str, raw: &RawLadder, span: &Span) -> Ladder {
    let field = |name: &str| format!("{key}.{name}");
    let attempts = raw.attempts.as_ref().map(|at| {
        let count = check.count(&field("attempts"), Some(at), 1, ATTEMPTS_MAX);
        u32::try_from(count).unwrap_or(u32::MAX)
    });
    let shortest = Duration::from_millis(1);
    let second = Duration::from_secs(1);
    let initial = check.term(&field("initial"), raw.initial.as_ref(), second, (shortest, DAY));
    let factor = check.within(&field("factor"), raw.factor.as_ref(), 2.0, (1.0, 100.0));
    // A first delay above the default longest one raises it; only a written `max` contradicts.
    let max_default = initial.max(Duration::from_secs(300));
    let max = check.term(&field("max"), raw.max.as_ref(), max_default, (shortest, 7 * DAY));
    if let Some(at) = raw.max.as_ref().filter(|_| max < initial) {
        let fault =
            Fault::new("`max` is shorter than `initial`").hint("the delays grow from `initial` up to `max`");
        check.report.add(&at.span, &field("max"), fault);
    }
    let jitter = check.within(
        &field("jitter"),
        raw.jitter.as_ref(),
        Fraction(0.0),
        (Fraction(0.0), Fraction(1.0)),
    );
    let age = check.term(&field("age"), raw.age.as_ref(), 14 * DAY, (shortest, 365 * DAY));
    if age < initial {
        let at = raw.age.as_ref().map_or(span, |at| &at.span);
        let fault = Fault::new("`age` is shorter than `initial`, so nothing would ever be tried again")
            .hint("raise `age`, or write \"dead-letter\" if one call is meant");
        check.report.add(at, &field("age"), fault);
    }
    Ladder {
        attempts,
        backoff: Backoff { initial, factor, max },
        jitter: jitter.0,
        age,
        then: raw.then.unwrap_or_default(),
    }
}

fn check_limits(check: &mut Check<'_, '_>, key: &str, raw: &RawLimits, defaults: &Limits) -> Limits {
    let memory = (Size(1 << 20), Size(1 << 30));
    Limits {
        memory: check
            .within(
                &format!("{key}.memory"),
                raw.memory.as_ref(),
                Size(defaults.memory),
                memory,
            )
            .0,
        deadline: check.term(
            &format!("{key}.deadline"),
            raw.deadline.as_ref(),
            defaults.deadline,
            (Duration::from_millis(10), HOUR),
        ),
    }
}

fn flat_settings(
    check: &mut Check<'_, '_>,
    key: &str,
    raw: &BTreeMap<String, At<toml::Value>>,
) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    for (name, at) in raw {
        flatten(check, key, &mut flat, name.clone(), &at.value, &at.span);
        let bytes: usize = flat.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > SETTINGS_BYTES_MAX {
            let fault = Fault::new("`config` is too large")
                .expected("at most 64 KiB of keys and values")
                .hint("put large data into a file and grant its folder");
            check.report.add(&at.span, key, fault);
            break;
        }
    }
    flat
}

/// Tables inside become keys with dots: the component sees one flat list of texts.
fn flatten(
    check: &mut Check<'_, '_>,
    key: &str,
    flat: &mut BTreeMap<String, String>,
    name: String,
    value: &toml::Value,
    span: &Span,
) {
    let text = match value {
        toml::Value::Table(table) => {
            for (inner, value) in table {
                flatten(check, key, flat, format!("{name}.{inner}"), value, span);
            }
            return;
        }
        toml::Value::Array(_) => {
            let fault = Fault::new(format!(
                "`{name}` is an array; settings reach the component as text"
            ))
            .expected("text, a number, true or false")
            .hint("write one text that the component splits, such as \"a,b\"");
            check.report.add(span, &format!("{key}.{name}"), fault);
            return;
        }
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Datetime(time) => time.to_string(),
    };
    if flat.insert(name.clone(), text).is_some() {
        let fault = Fault::new(format!(
            "`{name}` is written twice, once with dots and once as a table"
        ))
        .hint("keep one of the two");
        check.report.add(span, &format!("{key}.{name}"), fault);
    }
}
