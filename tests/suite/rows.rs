//! Every row of the ancestors' behaviour has its test, and the tables in `rows/` say which: a test
//! belongs to the row that its name begins with (`b44_…` to B-44). The last column of the tables is
//! written from the sources; `SEXTON_ROWS=write` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a row may say of itself in its third column.
const STANCES: [(&str, bool); 6] = [
    // As the ancestor does it; the test holds it to the row.
    ("as there", true),
    // The same idea by other means; the fourth column says which.
    ("adapted", true),
    // Only where a key of the configuration or of the job asks for it.
    ("by a key", true),
    // A documented error says no.
    ("refused", true),
    // Nothing to do here; the fourth column says why.
    ("none", false),
    // Wanted and not there yet.
    ("open", false),
];

const COLUMNS: usize = 5;

struct Row {
    id: String,
    stance: String,
    /// The line without its last column.
    said: String,
    tests: String,
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line
            .strip_prefix('|')?
            .strip_suffix('|')?
            .split('|')
            .map(str::trim)
            .collect();
        let (id, number) = cells.first()?.split_once('-')?;
        if id.is_empty() || !number.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        assert_eq!(cells.len(), COLUMNS, "a row has {COLUMNS} columns: {line}");
        Some(Self {
            id: cells[0].to_owned(),
            stance: cells[2].to_owned(),
            said: format!("| {} |", cells[..COLUMNS - 1].join(" | ")),
            tests: cells[COLUMNS - 1].to_owned(),
        })
    }

    /// How the names of its tests begin.
    fn prefix(&self) -> String {
        self.id.replace('-', "").to_lowercase()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The name of the function that a line begins, if it is one.
fn function(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

/// Names of tests by the row they begin with, such as `b44`.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut files = Vec::new();
    for dir in ["host/src", "tests/suite", "plugins"] {
        sources(&root().join(dir), &mut files);
    }
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            if let Some(name) = function(line) {
                let begins = name.split('_').next().unwrap_or_default();
                if is_test && begins.ends_with(|c: char| c.is_ascii_digit()) {
                    found
                        .entry(begins.to_owned())
                        .or_default()
                        .insert(name.to_owned());
                }
                is_test = false;
            } else if line.starts_with("#[") {
                is_test |= line.ends_with("test]") || line.starts_with("#[tokio::test");
            }
        }
    }
    found
}

fn tables() -> Vec<PathBuf> {
    let dir = root().join("tests/rows");
    let mut tables: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    tables.sort();
    tables
}

/// What is wrong with a row, given its tests.
fn fault(row: &Row, tests: &BTreeSet<String>) -> Option<String> {
    let Some((_, wants_test)) = STANCES.iter().find(|(stance, _)| *stance == row.stance) else {
        return Some(format!("{}: `{}` is no stance", row.id, row.stance));
    };
    if *wants_test && tests.is_empty() {
        return Some(format!("{}: no test begins with `{}_`", row.id, row.prefix()));
    }
    if row.stance == "open" && !tests.is_empty() {
        return Some(format!("{}: it is open no longer, it has tests", row.id));
    }
    None
}

#[test]
fn every_row_has_its_test_and_the_tables_say_which() {
    let tests = tests();
    let write = std::env::var_os("SEXTON_ROWS").is_some_and(|value| value == "write");
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for table in tables() {
        let text = std::fs::read_to_string(&table).unwrap();
        let mut written = String::new();
        for line in text.lines() {
            let Some(row) = Row::parse(line) else {
                written.push_str(line);
                written.push('\n');
                continue;
            };
            let none = BTreeSet::new();
            let own = tests.get(&row.prefix()).unwrap_or(&none);
            faults.extend(fault(&row, own));
            let names: Vec<String> = own.iter().map(|name| format!("`{name}`")).collect();
            let names = names.join(" ");
            if names != row.tests && !write {
                faults.push(format!(
                    "{}: its last column is not what the sources have",
                    row.id
                ));
            }
            written.push_str(&format!("{} {names} |\n", row.said));
            assert!(known.insert(row.prefix()), "{} stands there twice", row.id);
        }
        if write {
            std::fs::write(&table, written).unwrap();
        }
    }
    // A name that begins with a row of these tables' kinds must be one of theirs.
    let kinds: BTreeSet<String> = known.iter().map(|id| kind(id)).collect();
    let strays = tests
        .keys()
        .filter(|id| kinds.contains(&kind(id)) && !known.contains(*id));
    faults.extend(strays.map(|id| format!("`{id}_…` names no row")));
    assert!(
        faults.is_empty(),
        "{} faults (SEXTON_ROWS=write writes the last column):\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// The letters that an id begins with.
fn kind(id: &str) -> String {
    id.chars().take_while(|c| !c.is_ascii_digit()).collect()
}
