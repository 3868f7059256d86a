//! What the documents list is what the program has.

use std::path::Path;

use sexton::cli::ExitStatus;
use sexton::job::{Code, EventKind};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn every_code_is_in_the_contract() {
    let text = read("wit/README.md");
    for (code, name, meaning) in Code::TABLE {
        let row = format!("| `0x{:08X}` | `{name}` | {meaning} |", code.0);
        assert!(text.contains(&row), "wit/README.md lacks the row\n{row}");
    }
}

#[test]
fn every_event_is_a_function_of_the_contract() {
    let text = read("wit/handlers.wit");
    for event in EventKind::ALL {
        assert!(text.contains(&format!("    {event}: func(")), "{event}");
    }
}

#[test]
fn every_exit_code_is_in_the_help() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_sexton-under-test"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for (status, meaning) in ExitStatus::TABLE {
        assert!(
            help.contains(&format!("{} {meaning}", status.code())),
            "{} {meaning} is not in\n{help}",
            status.code()
        );
    }
}

#[test]
fn the_documents_link_to_files_that_exist() {
    for document in [
        "README.md",
        "config/README.md",
        "plugins/README.md",
        "wit/README.md",
        "tests/README.md",
    ] {
        let folder = Path::new(document).parent().unwrap().to_str().unwrap();
        for link in read(document)
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("..")
                .join(folder)
                .join(file);
            assert!(path.exists(), "{document} links to {link}");
        }
    }
}
