//! Job sets as people write them, well and badly.

use serde_json::json;

use super::*;

fn read(text: &str) -> Result<Vec<SubmitRequest>, String> {
    let source = Source::test(text);
    let said = |error: CliError| error.complaint().message;
    let items = source
        .items("job")
        .map_err(|faults| said(refused(&source, &faults, "read")))?;
    typed(&source, &items, words::job).map_err(said)
}

const SET: &str = r#"
[defaults]
profile = "bits"
labels = { team = "ops", size = "2MiB" }
retry_delay = "90s"

[[job]]
name = "one"
files = [{ remote = "http://h/a%20b.iso", local = "in/", size = "1KiB" }, { remote = "http://h/c", local = "/abs/c" }]

[[job]]
labels = { team = "dev" }
no_progress_ms = "1h"
notify_interval = "5s"
priority = "high"
files = [{ remote = "http://h/d" }]
"#;

#[test]
fn b120_words_defaults_and_relative_paths_become_a_request() {
    let jobs = read(SET).unwrap();
    let file = |job: usize, file: usize| &jobs[job].files[file];
    assert_eq!(
        (file(0, 0).local.as_str(), file(0, 0).size),
        ("/sets/in/a b.iso", Some(1024))
    );
    assert_eq!(
        (file(0, 1).local.as_str(), file(1, 0).local.as_str()),
        ("/abs/c", "/sets/d")
    );
    assert_eq!(
        (jobs[0].retry_delay_ms, jobs[1].no_progress_ms),
        (Some(90_000), Some(3_600_000))
    );
    assert_eq!(jobs[1].notify_interval_ms, Some(5_000));
    assert_eq!(
        (jobs[0].labels["team"].as_str(), jobs[1].labels["team"].as_str()),
        ("ops", "dev")
    );
    assert_eq!(
        jobs[1].labels["size"], "2MiB",
        "labels are the submitter's own words"
    );
    assert_eq!(jobs[1].name, None);
}

#[test]
fn the_same_set_in_four_spellings_is_the_same() {
    let toml = read(SET).unwrap();
    let source = Source::test(SET);
    let values: Vec<Value> = source
        .items("job")
        .unwrap()
        .into_iter()
        .map(|item| item.value)
        .collect();
    let lines: Vec<String> = values.iter().map(Value::to_string).collect();
    let list = serde_json::to_string_pretty(&values).unwrap();
    let whole = json!({"defaults": {"hold": true}, "job": values}).to_string();
    assert_eq!(read(&lines.join("\n")).unwrap(), toml);
    assert_eq!(read(&list).unwrap(), toml);
    let held = read(&whole).unwrap();
    assert!(held.iter().all(|job| job.hold == Some(true)));
}

#[test]
fn every_bad_job_is_named_with_its_line_and_column() {
    let text = "[[job]]\nfiles = [{ remote = \"http://h/a\" }]\nprio = 1\n\n[[job]]\nname = \"é\"\nfiles = [{ remote = 5, local = \"/x\" }]\n\
                \n[[job]]\nretry_delay = \"soon\"\n\n[[job]]\nfiles = [{ local = \"/y\" }]\n\n[[job]]\nfiles = [{ remote = \"http://h/\" }]\n";
    let said = read(text).unwrap_err();
    for line in [
        "jobs cannot be submitted:",
        "jobs:3:1: unknown field `prio`",
        "jobs:7:12: invalid type: integer `5`, expected a string",
        "jobs:10:1: ",
        "jobs:13:10: missing field `remote`",
        "jobs:16:10: the URL http://h/ names no file",
    ] {
        assert!(said.lines().any(|told| told.starts_with(line)), "{line}\n{said}");
    }
}

#[test]
fn a_bad_line_of_json_is_named_with_its_line_and_column() {
    let good = r#"{"files": [{"remote": "http://h/a", "local": "/a"}]}"#;
    let said = read(&format!(
        "{good}\n  {{\"name\": \"x\", \"files\": [], \"prio\": 3}}\n{good}"
    ))
    .unwrap_err();
    assert!(said.contains("jobs:2:30: unknown field `prio`"), "{said}");
    let said = read(&format!("{good}\n{{\"name\": }}\n")).unwrap_err();
    assert!(said.contains("jobs:2:10: expected value"), "{said}");
    let said = read("[{\"kind\": \"upward\"}]").unwrap_err();
    assert!(said.contains("jobs:1:3: unknown variant `upward`"), "{said}");
}

#[test]
fn what_is_no_set_says_what_one_is() {
    for (text, what) in [
        ("", "there is no job in it"),
        ("[]", "there is no job in it"),
        (
            "[[jobs]]\nname = \"x\"\n",
            "jobs:1:3: `jobs` is not known here; there are [defaults] and [[job]]",
        ),
        ("[[job]\n", "jobs:1:"),
        ("job = 5\n", "`job` is not known here"),
    ] {
        let said = read(text).unwrap_err();
        assert!(said.contains(what), "{text:?}: {said}");
    }
}

#[test]
fn only_so_many_faults_are_told() {
    let said = read(&"[[job]]\nx = 1\n".repeat(60)).unwrap_err();
    assert!(said.ends_with("and 10 more"), "{said}");
}
