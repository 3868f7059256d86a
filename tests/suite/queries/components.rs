//! Components that answer queries: `provider.fetch`, by the real program.

use sexton_tests::guests::{self, TABLES};
use sexton_tests::host::TestHost;

use super::ask;
use crate::host;

fn tables() -> TestHost {
    let mut host = host("");
    host.plugin("tables", guests::bytes(TABLES));
    host.start();
    host.wait_serving("tables");
    host
}

#[test]
fn w02_a_component_is_asked_page_by_page() {
    let host = tables();
    let rows = host.list(&["submit", "query", "--provider", "tables", "--wait", "numbers 250"]);
    assert_eq!(rows.len(), 250);
    assert_eq!(
        (&rows[0]["number"], &rows[249]["text"]),
        (&0.into(), &"row 249".into())
    );
    let few = host.list(&[
        "submit",
        "query",
        "--provider",
        "tables",
        "--wait",
        "--limit",
        "3",
        "numbers 250",
    ]);
    assert_eq!(few.len(), 3);
}

#[test]
fn w42_a_component_says_why_and_where_and_the_host_who_and_what() {
    let host = tables();
    let job = ask(&host, "tables", "words", &[]);
    let ended = host.wait_state(&job, "acknowledged");
    let error = &ended["error"];
    assert_eq!(error["name"], "WBEM_E_INVALID_QUERY", "{error:#}");
    let status = &error["extended"];
    assert_eq!(
        (
            &status["provider_name"],
            &status["operation"],
            &status["parameter_info"],
            &status["position"]
        ),
        (&"tables".into(), &"ExecQuery".into(), &"words".into(), &0.into())
    );
}
