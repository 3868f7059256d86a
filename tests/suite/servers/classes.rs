//! What statuses mean, and that a job may see it otherwise.

use std::time::Duration;

use sexton::job::Timestamp;

use super::*;

#[test]
fn b83_a_job_may_see_a_status_otherwise() {
    let (web, host) = scene();
    let url = web.route(
        "/late",
        Behaviour::Sequence(vec![Behaviour::Status(404, Vec::new()), serve("good")]),
    );
    let patient = ["--class", "404=transient", "--retry-delay", "100ms"];
    let id = fetch(&host, &url, &patient);
    assert_eq!(host.job(&id)["error_count"], 1);
    let shown = host.cli(&["job", "show", &id]).code(0).stdout;
    assert!(shown.contains("404 is transient"), "{shown}");
    let url = web.route("/503", Behaviour::Status(503, Vec::new()));
    refusal(&host, &url, &["--class", "503=fatal"], "0x801901F7");
    let id = host.download(&url, &["--retry-delay", "10min"]);
    host.wait_state(&id, "transient-error");
}

#[test]
fn b83_the_servers_wish_holds_for_a_status_that_a_job_sees_otherwise() {
    let (web, host) = scene();
    let wish = vec![("Retry-After".to_owned(), "7200".to_owned())];
    let url = web.route("/403", Behaviour::Status(403, wish));
    let id = host.download(&url, &["--class", "403=transient", "--retry-delay", "1s"]);
    let job = host.wait_state(&id, "transient-error");
    let time = |name: &str| serde_json::from_value::<Timestamp>(job[name].clone()).unwrap();
    let wait = time("due").since(time("modified"));
    assert!(wait > Duration::from_secs(7000), "{job}");
}

#[test]
fn b82_classes_are_for_statuses_that_are_errors() {
    let (web, host) = scene();
    let url = web.url("/f");
    for (class, words) in [
        ("200=fatal", "300 to 599"),
        ("600=fatal", "300 to 599"),
        ("404=maybe", "404=transient"),
    ] {
        let said = host.cli(&["submit", "download", &url, "f", "--class", class]);
        assert_ne!(said.code, 0);
        assert!(said.stderr.contains(words), "{said:?}");
    }
}
