//! Any command line is a command or a mistake that is told; any text can be shown.

use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;
use proptest::sample::select;
use sexton::api::client::Client;
use sexton::cli::{Output, Task, clean, dispatch, parse_from, report};

use super::{is_harmless, property};

const WORDS: [&str; 87] = [
    "create",
    "add",
    "set-remote",
    "replace-prefix",
    "take-ownership",
    "--require-all",
    "--values",
    "--range",
    "--mirror",
    "--size",
    "--sort",
    "--reverse",
    "--before",
    "--since",
    "--error",
    "--kind",
    "0:5",
    "{\"hold\": 1}",
    "created",
    "2h",
    "submit",
    "download",
    "job",
    "list",
    "show",
    "error",
    "watch",
    "suspend",
    "resume",
    "cancel",
    "complete",
    "set",
    "delivery",
    "replay",
    "purge",
    "plugin",
    "status",
    "reload",
    "config",
    "check",
    "--name",
    "--description",
    "--priority",
    "--hold",
    "--handler",
    "--key",
    "--context",
    "--label",
    "--profile",
    "--suspended",
    "--retry-delay",
    "--no-progress",
    "--notify-command",
    "--notify",
    "--notify-interval",
    "--no-handler",
    "--lang",
    "set-validation",
    "--wait",
    "--state",
    "--limit",
    "--after",
    "--all",
    "--job",
    "--plugin",
    "--json",
    "--socket",
    "--config",
    "--help",
    "--version",
    "--",
    ";",
    "-",
    "http://127.0.0.1:9/x",
    "k=v",
    "=",
    "5s",
    "99999999999999999999y",
    "0",
    "-1",
    "high",
    "bits",
    "error",
    "dead",
    "0198f2c4-1111-7000-8000-000000000000",
    "/tmp",
    "",
];

/// One argument: mostly words that mean something somewhere, sometimes any bytes.
fn argument() -> impl Strategy<Value = OsString> {
    prop_oneof![
        12 => select(&WORDS[..]).prop_map(OsString::from),
        2 => ".{0,12}".prop_map(OsString::from),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(OsString::from_vec),
        1 => "[a\u{202e}\u{1b}\n]{1000}".prop_map(OsString::from),
        2 => ("--[a-z-]{2,12}", ".{0,6}").prop_map(|(name, value)| OsString::from(format!("{name}={value}"))),
    ]
}

/// A command that is likely to exist, and then anything.
fn command_line() -> impl Strategy<Value = Vec<OsString>> {
    let starts: [&[&str]; 11] = [
        &["submit", "download"],
        &["submit", "download", "http://127.0.0.1:9/x", "/tmp/x"],
        &["job", "list"],
        &["job", "set"],
        &["job", "set", "0198f2c4-1111-7000-8000-000000000000", "--name"],
        &[
            "job",
            "add",
            "0198f2c4-1111-7000-8000-000000000000",
            "http://127.0.0.1:9/x",
        ],
        &["job", "resume", "0198f2c4-1111-7000-8000-000000000000"],
        &["job"],
        &["delivery", "replay"],
        &["delivery", "list"],
        &[],
    ];
    (select(starts.to_vec()), prop::collection::vec(argument(), 0..8)).prop_map(|(start, rest)| {
        let start = start.iter().map(OsString::from);
        [OsString::from("sexton")]
            .into_iter()
            .chain(start)
            .chain(rest)
            .collect()
    })
}

#[test]
fn any_command_line_is_a_command_or_a_mistake_that_is_told() {
    let (good, bad) = (Cell::new(0), Cell::new(0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    property(10, 20, &command_line(), |line| {
        match parse_from(line) {
            Ok(args) => {
                good.set(good.get() + 1);
                if let Task::Client(command) = args.command.task() {
                    let (mut out, mut err) = (Vec::new(), Vec::new());
                    let mut output = Output::new(&mut out, &mut err, args.global.json);
                    let nobody = Client::new("/nonexistent/control.sock");
                    // Nobody listens: whatever it is, it cannot be done, and that can be said.
                    let why = runtime
                        .block_on(dispatch(command, &nobody, &mut output))
                        .unwrap_err();
                    report(&why, &mut err, false);
                    let said = String::from_utf8_lossy(&err);
                    prop_assert!(said.chars().all(|c| c == '\n' || is_harmless(c)), "{:?}", said);
                    prop_assert!(
                        out.is_empty(),
                        "stdout is data: {:?}",
                        String::from_utf8_lossy(&out)
                    );
                }
            }
            Err(mistake) => {
                bad.set(bad.get() + 1);
                prop_assert!(!mistake.to_string().is_empty());
            }
        }
        Ok(())
    });
    println!("{} command lines accepted, {} refused", good.get(), bad.get());
    assert!(
        good.get() > 50 && bad.get() > 50,
        "{} good, {} bad",
        good.get(),
        bad.get()
    );
}

/// Texts of everything that moves cursors, colours and directions, short and huge.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ".{0,40}",
        4 => "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2060}-\u{2069}\u{feff}\u{61c}a]{0,40}",
        1 => "[\u{1b}x\u{202e}]{4000}",
    ]
}

#[test]
fn no_text_gets_at_the_terminal() {
    property(3, 20, &hostile(), |text| {
        let shown = clean(&text);
        prop_assert!(shown.chars().all(is_harmless), "{:?}", shown);
        if text.chars().all(char::is_alphanumeric) {
            prop_assert_eq!(shown, text, "letters are shown as they are");
        }
        Ok(())
    });
}
