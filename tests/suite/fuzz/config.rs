//! Any text is a configuration or has faults that say where they are; what is accepted survives being shown.

use std::cell::Cell;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use sexton::config::{Config, ConfigErrors, Overrides, TEMPLATE};

use super::{is_harmless, property};

/// A section and, for its keys, values that may be right.
type Section = (&'static str, &'static [(&'static str, &'static [&'static str])]);

const SECTIONS: [Section; 8] = [
    (
        "[host]",
        &[
            (
                "state_dir",
                &["'state'", "'/var/lib/x'", "'a b'", "'plugins'", "'~/x'"],
            ),
            ("plugin_dir", &["'plugins'", "'./p'", "'state'"]),
            ("control", &["'control.sock'", "'/run/s.sock'", "''"]),
            (
                "drain",
                &["'30s'", "'0s'", "'1h'", "'61min'", "'1h 30min'", "'1ms'", "30"],
            ),
            ("calls", &["1", "64", "1000", "1001", "0", "-1"]),
            ("calls_per_plugin", &["1", "4", "1000", "0x10", "1_0"]),
            (
                "profile",
                &["'sexton'", "'bits'", "'delivery-optimization'", "'bit'"],
            ),
        ],
    ),
    (
        "[fail_fast]",
        &[
            ("mode", &["'abort'", "'exit'", "'die'"]),
            ("report_dir", &["'reports'", "'/r'", "'$HOME'"]),
            ("crash_limit", &["1", "2", "100", "101"]),
        ],
    ),
    (
        "[transfer]",
        &[
            ("slots", &["1", "8", "1000", "1e3"]),
            ("slots_per_host", &["1", "6", "9"]),
            ("connect_timeout", &["'10ms'", "'30s'", "'1h'", "'9999h'"]),
            ("idle_timeout", &["'1min'", "'1d'", "'10ms'", "'0.5s'"]),
            ("user_agent", &["'x'", "'sexton/0.1 (a@b)'", "\"\\u0000\"", "''"]),
            ("ca", &["['ca.pem']", "[]", "[1]"]),
        ],
    ),
    (
        "[retention]",
        &[
            ("finished", &["'24h'", "'never'", "'0s'", "'36500d'", "'1ns'"]),
            ("failed", &["'90d'", "'never'", "'1h 2min 3s 4ms'"]),
            ("dead", &["'never'", "'1y'", "'500y'", "'Never'"]),
        ],
    ),
    (
        "[log]",
        &[
            ("format", &["'human'", "'json'", "'JSON'"]),
            (
                "filter",
                &["'info'", "'info,sexton::plugin=debug'", "'off'", "'x=y'", "''"],
            ),
        ],
    ),
    ("[plugin.pager]", PLUGIN),
    ("[plugin.\"a-1\"]", PLUGIN),
    (
        "[[subscribe]]",
        &[
            ("plugin", &["'pager'", "'clerk'", "'a-1'", "'A'"]),
            (
                "events",
                &[
                    "['job-error']",
                    "['job-transferred', 'on-ended']",
                    "['on-error']",
                    "['job-modification']",
                    "[]",
                ],
            ),
            ("kind", &["'transfer'", "'batch'", "'query'", "'job'"]),
            ("decide", &["true", "false", "1"]),
        ],
    ),
];

const PLUGIN: &[(&str, &[&str])] = &[
    (
        "on_failure",
        &[
            "'bits'",
            "'queued'",
            "'com-plus'",
            "'dead-letter'",
            "'fail-fast'",
            "{ attempts = 3 }",
            "{ attempts = 5, initial = '1s', factor = 1.5, max = '5min', jitter = '10%', age = '14d', then = 'fail-fast' }",
            "{ initial = '1ms', jitter = 0.333, then = 'notify-command' }",
            "{ initial = '1h', max = '1s' }",
            "{ factor = nan }",
            "{ factor = inf, jitter = -0.0 }",
        ],
    ),
    (
        "on",
        &[
            "{ trap = 'fail-fast' }",
            "{ error-permanent = { attempts = 1 }, exit = 'bits' }",
            "{ conflict = 'bits' }",
        ],
    ),
    (
        "limits",
        &[
            "{ memory = '64MiB', deadline = '5s' }",
            "{ memory = '1.5GiB' }",
            "{ deadline = '10ms' }",
        ],
    ),
    (
        "grant",
        &[
            "{ http = ['https://a.example', 'http://[::1]:8080'], env = ['A_B'], job_control = false }",
            "{ dirs = ['logs', '/var/log/x:rw', { path = 'd', as = '/e', write = true }] }",
            "{ dirs = ['/'] }",
            "{ http = ['https://ümlaut.example', 'HTTP://A.b:80'] }",
        ],
    ),
    (
        "config",
        &[
            "{ a = 'b', c = 1, d = 0.1, e = true, f = 2026-01-02, g = { h = 'i' } }",
            "{ a = [1] }",
            "{ a = nan }",
        ],
    ),
];

/// A value that is most likely wrong where it stands.
fn strange_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}").to_lowercase()),
        ".{0,12}".prop_map(|text| format!("{text:?}")),
        "[ -~]{0,12}".prop_map(|text| format!("'{text}'")),
        select(vec![
            "[]",
            "{}",
            "[[]]",
            "[{}]",
            "{ a = { b = [] } }",
            "1979-05-27",
            "true",
            "'''x",
            "\"\"\"\n\"\"\""
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ]
}

fn value(right: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        30 => select(right).prop_map(str::to_owned),
        1 => strange_value(),
    ]
}

/// A section with some of its keys.
fn section((head, keys): Section) -> impl Strategy<Value = String> {
    let lines: Vec<_> = keys
        .iter()
        .map(|(key, right)| {
            (prop::bool::weighted(0.4), value(right)).prop_map(move |(there, value)| {
                if there {
                    format!("{key} = {value}\n")
                } else {
                    String::new()
                }
            })
        })
        .collect();
    (
        lines,
        prop::option::weighted(0.03, "[a-z_.\"]{1,8} = [a-z0-9'\"]{0,8}\n"),
    )
        .prop_map(move |(lines, strange)| {
            format!("{head}\n{}{}", lines.concat(), strange.unwrap_or_default())
        })
}

/// A file from a grammar around the schema.
fn grown() -> impl Strategy<Value = String> {
    let sections: Vec<_> = SECTIONS
        .iter()
        .map(|known| prop::option::of(section(*known)).prop_map(Option::unwrap_or_default))
        .collect();
    sections.prop_shuffle().prop_map(|sections| sections.concat())
}

/// The shipped file with every key set, and something done to it.
fn changed() -> impl Strategy<Value = String> {
    let lines: Vec<&str> = TEMPLATE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| !c.is_whitespace()) => key,
            _ => line,
        })
        .collect();
    let text = lines.join("\n");
    let piece = prop_oneof![
        ".{0,6}",
        select(vec![
            "[", "]", "\"", "'", "=", "\n", "#", "{", "}", ",", "\t", "\u{feff}", "\u{202e}", "\0", "\r"
        ])
        .prop_map(str::to_owned),
    ];
    let change = (any::<prop::sample::Index>(), 0_usize..12, piece);
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut text: Vec<char> = text.chars().collect();
        for (at, gone, new) in changes {
            let at = at.index(text.len());
            let end = (at + gone).min(text.len());
            text.splice(at..end, new.chars());
        }
        text.into_iter().collect()
    })
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(
        text,
        Path::new("x.toml"),
        Path::new("/srv"),
        &Overrides::default(),
    )
}

/// Every fault has a place in the file, in order, and words that cannot move the cursor.
fn check_errors(text: &str, errors: &ConfigErrors) -> Result<(), TestCaseError> {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut before = (1, 1);
    prop_assert!(!errors.0.is_empty());
    for error in &errors.0 {
        prop_assert_eq!(&error.file, "x.toml");
        let line = lines.get(error.line.wrapping_sub(1));
        prop_assert!(line.is_some(), "no line {}: {}", error.line, error);
        let width = line.map_or(0, |line| line.chars().count());
        prop_assert!(
            (1..=width + 1).contains(&error.column),
            "no column {}: {}",
            error.column,
            error
        );
        prop_assert!((error.line, error.column) >= before, "out of order: {}", errors);
        before = (error.line, error.column);
        prop_assert!(!error.message.is_empty());
    }
    let shown = errors.to_string();
    prop_assert!(shown.chars().all(|c| c == '\n' || is_harmless(c)), "{:?}", shown);
    Ok(())
}

#[test]
fn any_text_is_a_configuration_or_has_faults_with_a_place() {
    let (good, bad) = (Cell::new(0), Cell::new(0));
    let texts = prop_oneof![6 => grown(), 3 => changed(), 1 => ".{0,64}"];
    property(12, 20, &texts, |text| {
        match parse(&text) {
            Ok(config) => {
                good.set(good.get() + 1);
                let shown = config.to_toml();
                let again =
                    parse(&shown).map_err(|errors| TestCaseError::fail(format!("{shown}\n{errors}")))?;
                prop_assert_eq!(again, config, "{}", shown);
            }
            Err(errors) => {
                bad.set(bad.get() + 1);
                check_errors(&text, &errors)?;
            }
        }
        Ok(())
    });
    println!("{} configurations accepted, {} refused", good.get(), bad.get());
    assert!(
        good.get() > 50 && bad.get() > 50,
        "{} good, {} bad",
        good.get(),
        bad.get()
    );
}
