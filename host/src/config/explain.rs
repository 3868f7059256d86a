//! Turns the sentences of serde and of the TOML parser into the words of an operator.

use super::error::{Fault, nearest};
use super::raw::SECTIONS;
use crate::job::{FailureClass, RefusedKey};

/// Keys that are often written one table too high, and how they are meant.
const MISPLACED: [(&str, &str); 15] = [
    ("memory", "limits = { memory = \"64MiB\" }"),
    ("deadline", "limits = { deadline = \"5s\" }"),
    ("timeout", "limits = { deadline = \"5s\" }"),
    ("http", "grant = { http = [\"https://hooks.example.com\"] }"),
    ("env", "grant = { env = [\"NAME\"] }"),
    ("dirs", "grant = { dirs = [\"logs\"] }"),
    ("job_control", "grant = { job_control = false }"),
    ("trap", "on = { trap = \"fail-fast\" }"),
    ("exit", "on = { exit = \"fail-fast\" }"),
    ("error-transient", "on = { error-transient = \"bits\" }"),
    ("error-permanent", "on = { error-permanent = \"dead-letter\" }"),
    ("attempts", "on_failure = { attempts = 5 }"),
    ("events", "a [[subscribe]] table with plugin and events"),
    ("kind", "a [[subscribe]] table with plugin, events and kind"),
    ("decide", "a [[subscribe]] table with plugin, events and decide"),
];

/// Keys of sections that there is one of; a file that begins with them lacks the section's head.
const HOMES: [(&str, &[&str]); 9] = [
    (
        "[host]",
        &[
            "state_dir",
            "plugin_dir",
            "control",
            "drain",
            "calls",
            "calls_per_plugin",
            "profile",
        ],
    ),
    ("[fail_fast]", &["mode", "report_dir", "crash_limit"]),
    (
        "[transfer]",
        &[
            "slots",
            "slots_per_host",
            "connect_timeout",
            "idle_timeout",
            "user_agent",
            "ca",
            "slice",
            "bandwidth",
            "network",
            "hold",
        ],
    ),
    ("[batch]", &["output", "unrecoverable", "on_host_crash", "retry"]),
    ("[query]", &["drop_after", "keep", "watch_rows", "provider"]),
    ("[retention]", &["finished", "failed", "dead"]),
    ("[log]", &["format", "filter"]),
    (
        "[activity.NAME]",
        &[
            "pool",
            "concurrency",
            "order",
            "max_queued",
            "window",
            "on_host_crash",
        ],
    ),
    (
        "[plugin.NAME]",
        &["on_failure", "on", "limits", "grant", "config"],
    ),
];

/// What the deserializer said about the value or key `written` at `path`, in our words.
pub(super) fn deserialize(message: &str, path: &[String], written: &str) -> Fault {
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (message, None),
    };
    let name = path.last().map_or("", String::as_str);
    if what.starts_with("unknown field ") {
        return unknown_key(name, path, &backticked(expected.unwrap_or("")));
    }
    if what.starts_with("unknown variant ") {
        return unknown_word(name, written, &backticked(expected.unwrap_or("")));
    }
    if let Some(found) = what.strip_prefix("invalid type: ") {
        return wrong_type(name, found, expected.unwrap_or("another type"), written);
    }
    if what.starts_with("invalid value: ") {
        let expected = expected_words(expected.unwrap_or("another value"));
        let (word, name) = (bare(written), name.trim_end_matches("[]"));
        let fault = Fault::new(format!("`{word}` is not a value of `{name}`"));
        return with_unit_hint(fault.expected(expected), word);
    }
    if what == "wanted string or table" {
        return Fault::new(format!("{} is of the wrong type", subject(name))).expected("a word in quotes");
    }
    Fault::new(format!("`{name}`: {message}"))
}

/// What the parser said about the text at the place.
pub(super) fn syntax(message: &str, line: &str) -> Fault {
    let (what, expected) = match message.split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (message, None),
    };
    if what.contains("duplicate key") {
        return Fault::new("this key or table is written twice").hint("keep one of the two");
    }
    let fault = Fault::new(format!("this is not TOML: {what}"));
    if what.contains("inline table") {
        return fault
            .hint("what stands in { … } is complete: write the key there, or all of it as a [table]");
    }
    if what == "invalid basic string" || what == "invalid literal string" {
        return fault.hint("close the text with the quote that opened it, on the same line");
    }
    let value = line.split_once('=').map_or("", |(_, value)| value.trim());
    let word = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '~' || c == '/' || c == '.');
    if word && !value.contains(['"', '\'']) {
        return fault.hint(format!(
            "text, durations, sizes and paths stand in quotes: \"{value}\""
        ));
    }
    if line.trim_start().starts_with('[') && !line.contains(']') {
        return fault.hint("close the table's name with `]`, or `]]` for [[subscribe]]");
    }
    match expected {
        Some(expected) => fault.expected(expected),
        None => fault,
    }
}

/// A top-level key that is none of ours.
pub(super) fn unknown_section(name: &str) -> Fault {
    let fault = Fault::new(format!("unknown section `{name}`"));
    match nearest(name, SECTIONS) {
        Some("subscribe") => fault.hint("did you mean `[[subscribe]]`?"),
        Some("plugin") => fault.hint("did you mean `[plugin.NAME]`?"),
        Some("activity") => fault.hint("did you mean `[activity.NAME]`?"),
        Some(near) => fault.hint(format!("did you mean `[{near}]`?")),
        None => fault.hint(format!("the sections are {}", listed(&SECTIONS))),
    }
}

/// A key above all sections.
pub(super) fn outside(name: &str) -> Fault {
    let fault = Fault::new(format!("`{name}` stands outside of any section"));
    match HOMES.iter().find(|(_, keys)| keys.contains(&name)) {
        Some((home, _)) => fault.hint(format!("write it below {home}")),
        None => fault.hint(format!("the sections are {}", listed(&SECTIONS))),
    }
}

/// `a`, `b` and `c`
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "none".to_owned(),
    }
}

fn unknown_key(name: &str, path: &[String], known: &[&str]) -> Fault {
    let parent = path
        .split_last()
        .map_or(String::new(), |(_, parents)| parents.join("."));
    if let Some(key) = RefusedKey::named(name) {
        return Fault::new(format!("`{name}`: {} ({})", key.why, key.row)).hint(key.instead);
    }
    let fault = Fault::new(format!("unknown key `{name}` in `{parent}`"));
    if let Ok(class) = name.parse::<FailureClass>()
        && !class.is_charged()
        && parent.ends_with(".on")
    {
        return fault.hint(format!(
            "`{name}` is not the handler's failure: it is never charged to it, so no policy applies"
        ));
    }
    if let Some(near) = nearest(name, known.iter().copied()) {
        return fault.hint(format!("did you mean `{near}`?"));
    }
    match MISPLACED.iter().find(|(key, _)| *key == name) {
        Some((_, form)) if parent.starts_with("plugin.") => fault.hint(format!("write {form}")),
        _ => fault.hint(format!("the keys here are {}", listed(known))),
    }
}

fn unknown_word(name: &str, written: &str, known: &[&str]) -> Fault {
    let (word, name) = (bare(written), name.trim_end_matches("[]"));
    let fault = Fault::new(format!("`{word}` is not a value of `{name}`"))
        .expected(format!("one of {}", listed(known).replace(" and ", " or ")));
    match nearest(word, known.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
        None if matches!(word, "download" | "upload" | "upload-reply") && known.contains(&"transfer") => {
            fault.hint("downloads and uploads are of kind \"transfer\"")
        }
        None => fault,
    }
}

fn wrong_type(name: &str, found: &str, expected: &str, written: &str) -> Fault {
    let fault = Fault::new(format!("{} is {}", subject(name), found_words(found)));
    let fault = fault.expected(expected_words(expected));
    if expected == "a sequence" && found.starts_with("string") {
        fault.hint(format!("write [{written}]"))
    } else if expected.starts_with("a duration") && written.chars().all(|c| c.is_ascii_digit()) {
        fault.hint(format!("if seconds are meant, write \"{written}s\""))
    } else if expected.starts_with("a size") && written.chars().all(|c| c.is_ascii_digit()) {
        fault.hint(format!("if mebibytes are meant, write \"{written}MiB\""))
    } else if expected.starts_with("a whole number") && bare(written).parse::<u64>().is_ok() {
        fault.hint(format!("write {}, without quotes", bare(written)))
    } else {
        fault
    }
}

/// The key, or what stands in its array.
fn subject(name: &str) -> String {
    match name.strip_suffix("[]") {
        Some(name) => format!("an entry of `{name}`"),
        None => format!("`{name}`"),
    }
}

/// A string without its quotes.
fn bare(written: &str) -> &str {
    written.trim_matches(['"', '\''])
}

fn with_unit_hint(fault: Fault, word: &str) -> Fault {
    let expects = |start: &str| fault.expected.as_deref().is_some_and(|e| e.starts_with(start));
    if expects("a size") {
        fault.hint("units are B, KiB, MiB, GiB, and kB, MB, GB for powers of ten")
    } else if expects("a duration") && !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) {
        fault.hint(format!("a unit is missing: \"{word}s\" is {word} seconds"))
    } else if expects("a duration") {
        fault.hint("units are ms, s, min, h, d; \"1h 30min\" adds up")
    } else {
        fault
    }
}

/// The words between backticks.
fn backticked(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn found_words(found: &str) -> String {
    match found {
        "map" => "a table".to_owned(),
        "sequence" => "an array".to_owned(),
        other => match other.replacen("floating point", "number", 1).split_once(' ') {
            Some((kind, value)) => format!("the {kind} {}", value.trim_matches('`')),
            None => format!("a {other}"),
        },
    }
}

fn expected_words(expected: &str) -> String {
    match expected {
        "a sequence" => "an array such as [\"one\", \"two\"]".to_owned(),
        "a map" => "a table".to_owned(),
        "a string" => "text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}
