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
        "host/README.md",
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

/// Every verb of bitsadmin, as Microsoft documents them.
const BITSADMIN: &str = "create addfile addfileset addfilewithranges transfer list info listfiles monitor suspend resume \
    cancel complete getbytestotal getbytestransferred getcompletiontime getcreationtime getdescription getdisplayname \
    geterror geterrorcount getfilestotal getfilestransferred getminretrydelay getmodificationtime getnoprogresstimeout \
    getnotifycmdline getowner getpriority getstate gettype setdisplayname setdescription setpriority setminretrydelay \
    setnoprogresstimeout setnotifycmdline takeownership replaceremoteprefix reset cache peers peercaching rawreturn wrap";

/// What `host/README.md` says in the second column of a section's table, by what it says in the first.
fn parity(section: &str) -> Vec<(String, String)> {
    let text = read("host/README.md");
    let table = text
        .split(&format!("## {section}\n"))
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let rows = table.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
    });
    rows.skip(1).collect()
}

/// Each `sexton …` of the tables is a command line that the program knows.
fn is_known(section: &str) {
    for (row, ours) in parity(section) {
        for command in ours.split('`').filter(|code| code.starts_with("sexton ")) {
            let words: Vec<&str> = command.split(' ').skip(1).collect();
            let (flags, verbs): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word.starts_with('-'));
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_sexton-under-test"))
                .args(&verbs)
                .arg("--help")
                .output()
                .unwrap();
            let help = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{row}: {command}");
            let usage = help
                .lines()
                .find(|line| line.starts_with("Usage: "))
                .unwrap_or_default();
            assert!(
                usage.contains(&format!(" {} ", verbs.join(" "))),
                "{row}: there is no `{command}`\n{usage}"
            );
            for flag in flags {
                assert!(help.contains(flag), "{row}: `{command}`\n{help}");
            }
        }
    }
}

#[test]
fn b153_every_verb_of_bitsadmin_has_a_place() {
    let table = parity("bitsadmin");
    for verb in BITSADMIN.split_whitespace() {
        let named = format!("`{verb}`");
        assert!(table.iter().any(|(theirs, _)| theirs.contains(&named)), "{verb}");
    }
    is_known("bitsadmin");
}

#[test]
fn b154_every_cmdlet_has_a_command() {
    for cmdlet in ["Start", "Get", "Set", "Suspend", "Resume", "Complete", "Remove"] {
        let named = format!("{cmdlet}-BitsTransfer");
        assert!(
            parity("PowerShell")
                .iter()
                .any(|(theirs, _)| theirs.contains(&named)),
            "{cmdlet}"
        );
    }
    is_known("PowerShell");
}

#[test]
fn d01_every_method_of_delivery_optimization_has_a_command() {
    let table = parity("Delivery Optimization");
    for method in [
        "Cancel",
        "Complete",
        "EnumFiles",
        "Resume",
        "Suspend",
        "SetNoProgressTimeout",
        "SetPriority",
        "GetError",
        "GetProgress",
        "GetState",
        "GetTimes",
        "GetType",
    ] {
        let named = format!("`{method}`");
        assert!(
            table.iter().any(|(theirs, _)| theirs.contains(&named)),
            "{method}"
        );
    }
    is_known("Delivery Optimization");
}

#[test]
fn b157_each_version_of_bits_is_placed() {
    let text = read("host/README.md");
    let levels = text
        .split("## Feature levels")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    for version in ["1.0", "2.0", "2.5", "3.0", "4.0", "5.0", "10.1", "10.2", "10.3"] {
        assert!(levels.contains(version), "{version}");
    }
}
