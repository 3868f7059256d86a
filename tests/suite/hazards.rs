//! What an operator's machine does to a host: a log that nobody reads, destinations that are the
//! host's own, a configuration that changes at a bad moment or is refused, a store that is damaged.

use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use sexton_tests::guests::{self, MINIMAL, MOODY};
use sexton_tests::poll::eventually;
use sexton_tests::web::Web;

use crate::host;

#[test]
fn a_log_that_nobody_reads_does_not_end_the_host() {
    let folder = host("");
    let mut child = Command::new(env!("CARGO_BIN_EXE_sexton-under-test"))
        .args(["run", "--config"])
        .arg(folder.path("sexton.toml"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The reader goes away at once: every line from now on meets a broken pipe.
    drop(child.stderr.take());
    eventually("the host answers", || folder.cli(&["status"]).code == 0);
    folder.configure("[no_such_section]\nx = 1\n");
    eventually("the bad configuration was seen and logged", || {
        folder.cli(&["status"]).stdout.contains("no_such_section")
    });
    assert_eq!(child.try_wait().unwrap(), None, "it is still there");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_download_may_not_replace_what_the_host_lives_by() {
    let web = Web::start();
    let mut host = host("");
    host.start();
    let url = web.good();
    for own in [
        "state/sexton.db",
        "sexton.toml",
        "plugins/pager.wasm",
        "control.sock",
    ] {
        let path = host.path(own);
        let refused = host.cli(&["submit", "download", &url, path.to_str().unwrap()]);
        refused.code(6);
    }
    let fine = host.path("data.bin");
    host.cli(&["submit", "download", &url, fine.to_str().unwrap(), "--wait"])
        .code(0);
}

#[test]
fn a_configuration_that_changes_while_a_plugin_compiles_counts() {
    let web = Web::start();
    let mut host = host("");
    host.start();
    for round in 0..4 {
        let name = format!("moody{round}");
        // Dropped and configured at once: the compile began under the old configuration.
        host.plugin(&name, guests::bytes(MOODY));
        host.configure(&format!(
            "[plugin.{name}]\nconfig = {{ mood = \"cancel\" }}\n\
             [[subscribe]]\nplugin = \"{name}\"\nevents = [\"job-error\"]\ndecide = true\n"
        ));
        host.wait_serving(&name);
        eventually("the configuration is in force", || {
            host.cli(&["plugin", "list"]).stdout.contains(&format!("{name} "))
                && host
                    .plugin_view(&name)
                    .is_some_and(|view| !view["subscriptions"].as_array().unwrap().is_empty())
        });
        let job = host.download(&web.denied(), &[]);
        host.wait_state(&job, "cancelled");
    }
}

#[test]
fn b18_damage_of_the_store_is_told_by_status() {
    let web = Web::start();
    let mut host = host("");
    host.start();
    for number in 0..200 {
        host.download_to(
            &web.good(),
            &host.path(format!("file-{number}")),
            &["--suspended"],
        );
    }
    host.restart();
    assert_eq!(host.object(&["status"])["degraded"], serde_json::json!([]));
    let path = host.path("state/sexton.db");
    let store = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let size = store.metadata().unwrap().len();
    assert!(size > 8 * 4096);
    // All but the first page, which says that this is a database.
    store
        .write_all_at(&vec![0xA5; usize::try_from(size).unwrap() - 4096], 4096)
        .unwrap();
    eventually("a question meets the damage", || {
        host.cli(&["job", "list"]).code == 7
    });
    let degraded = host.object(&["status"])["degraded"].to_string();
    assert!(
        degraded.contains("the database is damaged") && degraded.contains("sexton db check"),
        "{degraded}"
    );
    let said = host.cli(&["status"]).code(0).stdout;
    assert!(said.contains("degraded"), "{said}");
}

#[test]
fn while_the_file_is_refused_hints_do_not_ask_for_what_it_may_have() {
    let web = Web::start();
    let mut host = host("");
    host.plugin("alone", guests::bytes(MINIMAL));
    host.start();
    host.wait_serving("alone");
    let table = "[plugin.later]\n[[subscribe]]\nplugin = \"alone\"\nevents = [\"job-error\"]\n";
    host.configure(&format!("{table}[no_such_section]\nx = 1\n"));
    eventually("the file was refused", || {
        host.object(&["status"])["config_problem"].is_string()
    });
    let hint = host.plugin_view("alone").unwrap()["hint"].to_string();
    assert!(
        hint.contains("refused") && hint.contains("config check") && !hint.contains("add "),
        "{hint}"
    );
    let submit = ["submit", "download", &web.good(), "x", "--handler", "later"];
    let refused = host.cli(&submit).code(2);
    assert!(
        refused.stderr.contains("later") && refused.stderr.contains("was refused"),
        "{refused:?}"
    );
    host.configure(table);
    eventually("it is in force", || {
        host.plugin_view("alone").unwrap()["hint"].is_null()
    });
    host.cli(&submit).code(0);
}
