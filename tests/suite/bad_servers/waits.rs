//! Refusals: their class, how long they are waited for, and how they are counted.

use std::time::Duration;

use sexton::job::Timestamp;

use super::*;

const HOUR: u64 = 3600;

fn status(code: u16) -> Behaviour {
    Behaviour::Status(code, Vec::new())
}

#[test]
fn b82_to_b85_every_refusal_has_its_class_and_code() {
    let (web, host) = scene();
    let codes = |codes: &[u16]| -> Vec<u16> { codes.to_vec() };
    // Redirects that can be followed are in another table.
    let passes = codes(&[
        204, 310, 408, 409, 425, 429, 500, 502, 503, 504, 507, 599, 600, 999,
    ]);
    let stays = codes(&[400, 401, 403, 404, 405, 407, 410, 451, 499, 501, 505]);
    let name = |code: u16| -> &'static str { format!("0x{:08X}", 0x8019_0000 + u32::from(code)).leak() };
    let words = |code: u16| -> &'static str { format!("answered {code}").leak() };
    let table = passes
        .into_iter()
        .map(|code| (words(code), status(code), passing(name(code), words(code))));
    let fatals = stays
        .into_iter()
        .map(|code| (words(code), status(code), fatal(name(code), words(code))));
    check(&host, rows(&web, table.chain(fatals).collect()));
}

/// How long after its error a job is tried again.
fn delay(host: &TestHost, url: &str, file: &str) -> Duration {
    let id = host.download_to(url, &host.path(file), &["--retry-delay", "1min"]);
    let job = host.wait_state(&id, "transient-error");
    let time = |value: &serde_json::Value| -> Timestamp { serde_json::from_value(value.clone()).unwrap() };
    time(&job["due"]).since(time(&job["error"]["at"]))
}

#[test]
fn j198_a_server_is_asked_again_when_it_said_and_not_at_once_nor_never() {
    let (web, host) = scene();
    let own = 60;
    let (then, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 09:49:37 GMT");
    let table: [(u16, &str, Option<&str>, u64); 15] = [
        (503, "120", None, 120),
        (429, "120", None, 120),
        (500, " 7 ", None, 7),
        // B-57's five seconds are the least.
        (503, "0", None, 5),
        (503, then, None, 5),
        (503, then, Some(later), 5),
        // A day is the most.
        (503, "99999999999999999999999", None, 24 * HOUR),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT", None, 24 * HOUR),
        // A date is read by the clock that wrote it: this one is decades behind.
        (503, later, Some(then), HOUR),
        (429, later, Some("some day"), 5),
        // What is no wish is the job's own delay.
        (503, "-5", None, own),
        (503, "1e3", None, own),
        (503, "soon", None, own),
        (503, "", None, own),
        (503, "Sun, 36 Nov 1994 08:49:37 GMT", None, own),
    ];
    for (row, (code, wish, date, seconds)) in table.into_iter().enumerate() {
        let mut headers = vec![("Retry-After".to_owned(), wish.to_owned())];
        headers.extend(date.map(|date| ("Date".to_owned(), date.to_owned())));
        let url = web.route(&format!("/{row}"), Behaviour::Status(code, headers));
        let found = delay(&host, &url, &format!("{row}.bin"));
        assert_eq!(found, Duration::from_secs(seconds), "{code} `{wish}` by {date:?}");
    }
}

#[test]
fn b64_each_failed_try_is_counted_and_the_count_stays() {
    let (web, host) = scene();
    let remote = Remote::new(body(1000, 1));
    let cut = Behaviour::Cut {
        remote: remote.clone(),
        after: 500,
    };
    let steps = vec![
        status(500),
        cut,
        Behaviour::Close,
        status(403),
        status(503),
        Behaviour::Serve(remote.clone()),
    ];
    let url = web.route("/f", Behaviour::Sequence(steps));
    let id = host.download(&url, &["--retry-delay", "100ms", "--hold"]);
    assert_eq!(host.wait_state(&id, "error")["error_count"], 4);
    host.cli(&["job", "resume", &id]).code(0);
    let job = host.wait_state(&id, "transferred");
    assert_eq!(job["error_count"], 5, "never reset, not even by resume");
    host.cli(&["job", "complete", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
}

#[test]
fn b89_names_that_do_not_resolve_may_pass_and_those_with_a_dead_address_are_tried_on() {
    let (web, host) = scene();
    let url = web.route("/f", Behaviour::Serve(Remote::new("good")));
    // Where it has two addresses, nobody listens on the first.
    let local = url.replace("127.0.0.1", "localhost");
    let rows = vec![
        (
            "no such name",
            "http://no-such-host.invalid/f".to_owned(),
            passing("0x80072EE7", "could not be resolved"),
        ),
        ("a name of two addresses", local, whole("good")),
    ];
    check(&host, rows);
}
