//! The import table of the architecture holds: a room uses only the rooms it may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Room → rooms it may import. `clock`, `task` and `fail_fast` are open to all.
const TABLE: &[(&str, &[&str])] = &[
    ("clock", &["job"]),
    ("fail_fast", &["job"]),
    ("job", &[]),
    ("config", &["job"]),
    ("store", &["job"]),
    ("engine", &["job", "store", "config"]),
    ("plugin", &["job", "config"]),
    ("dispatch", &["job", "store", "plugin", "config"]),
    ("api", &["job", "store", "engine", "dispatch", "plugin"]),
    ("cli", &["api", "config", "job"]),
    ("shipped", &["job"]),
];

const OPEN: &[&str] = &["clock", "fail_fast"];

fn host_src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src")
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(host_src()).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Rooms named by `crate::ROOM` in a file, comments left out.
fn imports(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut rooms: Vec<String> = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let list = list.split('}').next().unwrap_or_default();
            rooms.extend(list.split(',').map(|item| word(item.trim())));
        } else {
            rooms.push(word(rest));
        }
    }
    rooms
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let mut files = Vec::new();
    rust_files(&host_src(), &mut files);
    assert!(files.len() > 30, "the sources were found");
    let mut wrong = Vec::new();
    for path in files {
        let room = room_of(&path);
        if ["main", "lib", "app"].contains(&room.as_str()) {
            continue;
        }
        let Some(allowed) = table.get(room.as_str()) else {
            wrong.push(format!("{} belongs to no room of the table", path.display()));
            continue;
        };
        let text = std::fs::read_to_string(&path).unwrap();
        for import in imports(&text) {
            let fine =
                import == room || OPEN.contains(&import.as_str()) || allowed.contains(&import.as_str());
            if !fine {
                wrong.push(format!(
                    "{}: room `{room}` may not use `{import}`",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let mut files = Vec::new();
    rust_files(&host_src(), &mut files);
    rust_files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins"),
        &mut files,
    );
    let silent: Vec<_> = files
        .into_iter()
        .filter(|path| !path.components().any(|part| part.as_os_str() == "target"))
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top of {silent:?}");
}
