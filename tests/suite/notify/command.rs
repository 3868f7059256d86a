//! The notify command of jobs that no handler decides about (B-115, B-116). In place of a handler that
//! fails: `policies`.

use super::*;

/// A command that writes a line into `mark`.
fn marks(host: &TestHost) -> [String; 3] {
    let line = format!("echo $SEXTON_EVENT >> {}", host.path("mark").display());
    ["/bin/sh".to_owned(), "-c".to_owned(), line]
}

fn marked(host: &TestHost) -> String {
    std::fs::read_to_string(host.path("mark")).unwrap_or_default()
}

fn with_command<'a>(options: &[&'a str], command: &'a [String]) -> Vec<&'a str> {
    let words = command.iter().map(String::as_str);
    let flag = std::iter::once("--notify-command");
    options.iter().copied().chain(flag).chain(words).collect()
}

#[test]
fn b115_without_a_handler_it_runs_as_the_flags_say() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let command = marks(&host);
    for (url, options, state, expected) in [
        (web.denied(), vec![], "error", "job-error\n"),
        (web.good(), vec![], "acknowledged", "job-transferred\n"),
        (web.denied(), vec!["--notify", "job-transferred"], "error", ""),
        (
            web.good(),
            vec!["--notify", "disable,job-transferred"],
            "acknowledged",
            "",
        ),
    ] {
        let job = host.download(&url, &with_command(&options, &command));
        host.wait_state(&job, state);
        if expected.is_empty() {
            assert_eq!(
                host.deliveries(&["--job", &job]),
                Vec::<Value>::new(),
                "{options:?}"
            );
        } else {
            host.wait_delivery(&job, "notify-command", "settled");
        }
        assert_eq!(marked(&host), expected, "{url} {options:?}");
        let _ = std::fs::remove_file(host.path("mark"));
    }
}

#[test]
fn b115_set_after_the_event_it_runs_without_a_handler_too() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let job = host.download(&web.denied(), &[]);
    host.wait_state(&job, "error");
    let command = marks(&host);
    host.cli(&with_command(&["job", "set", &job], &command)).code(0);
    host.wait_delivery(&job, "notify-command", "settled");
    assert_eq!(marked(&host), "job-error\n");
}

/// An observer does not see to a job: neither its success nor its failure is a reason for the command.
#[test]
fn b115_who_observes_neither_keeps_it_from_running_nor_has_it_run() {
    for mood in ["ok", "panic"] {
        let (web, mut host) = (
            Web::start(),
            host(&format!(
                "[plugin.moody]\non_failure = \"dead-letter\"\nconfig = {{ mood = \"{mood}\" }}\n\
                 [[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\"]\n"
            )),
        );
        host.plugin("moody", guests::bytes(MOODY));
        host.start();
        let job = host.download(&web.denied(), &with_command(&[], &marks(&host)));
        host.wait_delivery(&job, "notify-command", "settled");
        let end = if mood == "ok" { "settled" } else { "dead" };
        host.wait_delivery(&job, "moody", end);
        assert_eq!(marked(&host), "job-error\n", "{mood}");
    }
}

#[test]
fn b116_a_command_that_fails_runs_again_after_the_retry_delay_in_ten_rounds() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let options = ["--retry-delay", "100ms", "--notify-command", "/bin/false"];
    let job = host.download(&web.denied(), &options);
    let dead = host.wait_delivery(&job, "notify-command", "dead");
    assert_eq!(dead["attempt"], 10, "{dead:#}");
    assert_eq!(dead["last_failure"]["code"], "0xA05E0001");
    assert_eq!(host.job(&job)["state"], "error");
    // Whoever mends its cause has it run again.
    let id = dead["id"].as_str().unwrap();
    host.cli(&["job", "set", &job, "--notify-command", "/bin/true"])
        .code(0);
    host.cli(&["delivery", "replay", id]).code(0);
    host.wait_delivery(&job, "notify-command", "settled");
}

#[test]
fn b115_no_component_is_called_as_it_is_listed() {
    let mut host = host("");
    host.plugin("notify-command", guests::bytes(MOODY));
    host.start();
    host.wait_log("a plugin has another name");
    assert!(host.plugin_view("notify-command").is_none());
}
