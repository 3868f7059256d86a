//! What a batch job runs, as people read it.

use crate::api::view::{BatchSpec, Work};

/// The fields of `job show`.
pub(super) fn fields(spec: &BatchSpec) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    match &spec.work {
        Work::Command(command) => {
            let quoted: Vec<String> = command.argv.iter().map(|word| quoted(word)).collect();
            fields.push(("command", quoted.join(" ")));
            fields.push(("directory", command.dir.clone().unwrap_or_else(|| "/".to_owned())));
            if !command.env.is_empty() {
                let names: Vec<&str> = command.env.keys().map(String::as_str).collect();
                fields.push(("environment", names.join(", ")));
            }
            if let Some(input) = &command.stdin {
                fields.push(("input", input.clone()));
            }
        }
        Work::Call(call) => fields.push(("component", call.component.to_string())),
    }
    if let Some(activity) = &spec.activity {
        fields.push(("activity", activity.to_string()));
    }
    if let Some(deadline) = spec.deadline {
        fields.push(("deadline", humantime::format_duration(deadline).to_string()));
    }
    if let Some(ladder) = &spec.retry {
        let base = humantime::format_duration(ladder.base);
        let text = format!(
            "{} levels of {}, from {base} doubling",
            ladder.levels, ladder.tries
        );
        fields.push(("retries", text));
    }
    if let Some(policy) = spec.on_host_crash {
        fields.push(("host crash", policy.to_string()));
    }
    for (label, at) in [("start by", spec.start_by), ("finish by", spec.finish_by)] {
        fields.extend(at.map(|at| (label, at.to_string())));
    }
    fields
}

/// As a shell would take it, so that what is one argument is seen.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_argument_is_seen() {
        assert_eq!(quoted("-a/b.c"), "-a/b.c");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
