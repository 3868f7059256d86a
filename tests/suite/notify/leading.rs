//! Handlers that mend what a job asks and whom (B-130, B-143): checked at once, as if the job were submitted
//! so, and committed with the acknowledgement.

use super::*;

/// A host whose handler leads files to where the job's context says.
fn leading(mood: &str) -> (Web, TestHost) {
    let table = format!("on_failure = \"dead-letter\"\nconfig = {{ \"mood.job-error\" = \"{mood}\" }}");
    started(&table)
}

fn led(host: &TestHost, from: &str, to: &str) -> String {
    let file = host.path(format!("f{}", host.list(&["job", "list"]).len()));
    host.download_to(from, &file, &["--handler", "moody", "--context", to])
}

#[test]
fn b130_a_handler_leads_a_failed_file_to_another_server() {
    let (web, host) = leading("elsewhere");
    let other = Web::start();
    let job = led(&host, &web.denied(), &other.good());
    host.wait_state(&job, "acknowledged");
    assert_eq!(std::fs::read(host.path("f0")).unwrap(), b"good bytes");
    assert_eq!(host.job(&job)["files"][0]["remote"], other.good());
    assert_eq!(web.requests("/denied.bin").len(), 1);
}

#[test]
fn b130_what_is_decided_before_a_trap_leads_nowhere() {
    let (web, host) = leading("elsewhere-then-panic");
    let job = led(&host, &web.denied(), &web.good());
    let dead = host.wait_delivery(&job, "moody", "dead");
    assert_eq!(dead["last_failure"]["class"], "trap");
    let job = host.job(&job);
    assert_eq!(job["state"], "error");
    assert_eq!(job["files"][0]["remote"], web.denied());
}

/// A component has what it was granted and no more: neither the host's files nor what a submitter trusted
/// the job with.
#[test]
fn b130_a_handler_leads_a_file_to_nothing_that_it_could_not_be_given() {
    let (web, host) = leading("elsewhere");
    let denied = web.denied();
    let trusted = denied.replacen("://", "://me:hunter2@", 1);
    let long = format!("{}{}", web.url("/"), "x".repeat(2_300));
    for (from, to, code) in [
        (&denied, "file:///etc/hostname", "0x80070005"),
        (&denied, "s3://bucket/key", "0x80070005"),
        (&trusted, "http://127.0.0.1:1/x", "0x80070005"),
        (&denied, "gopher://h/x", "0x80070057"),
        (&denied, "no url", "0x80070057"),
        (&denied, &long, "0x80200021"),
    ] {
        let job = led(&host, from, to);
        let dead = host.wait_delivery(&job, "moody", "dead");
        let failure = &dead["last_failure"];
        assert_eq!(failure["code"], code, "{to}: {failure:#}");
        assert!(!failure.to_string().contains("hunter2"), "{failure:#}");
        let now = host.job(&job);
        assert_eq!(now["state"], "error", "{to}");
        assert_ne!(now["files"][0]["remote"], to);
    }
}

#[test]
fn b143_a_handler_has_a_header_sent_that_lets_the_job_in() {
    let (web, host) = leading("let-in");
    let good = Behaviour::Serve(Remote::new("good bytes"));
    let url = web.route(
        "/door.bin",
        Behaviour::Sequence(vec![Behaviour::Status(401, Vec::new()), good]),
    );
    let to = host.path("door.bin");
    let headers = ["--header", "X-Old: 1", "--header", "X-Kept: 2"];
    let options = [&headers[..], &["--handler", "moody", "--context", "Bearer fresh"]].concat();
    let job = host.download_to(&url, &to, &options);
    host.wait_state(&job, "acknowledged");
    let sent = web.requests("/door.bin").pop().unwrap();
    assert_eq!(sent.header("authorization"), Some("Bearer fresh"));
    assert_eq!((sent.header("x-old"), sent.header("x-kept")), (None, Some("2")));
    let listed = &host.job(&job)["transfer"];
    assert!(!listed.to_string().contains("Bearer fresh"), "{listed:#}");
}
