//! Servers that misbehave (J-198): whatever they send, a download ends byte for byte as announced, or
//! with the named error of its class, and within its time-outs.
//!
//! Each test is a table: what the server does, and the end. All rows of a table run at the same time in
//! one host, so that a row that has to wait for a time-out costs no more than the others.

mod answers;
mod http2;
mod ranges;
mod redirects;
pub(crate) mod secure;
mod waits;

use bytes::Bytes;
use sexton_tests::host::TestHost;
use sexton_tests::poll::until;
use sexton_tests::server::{Behaviour, Remote, Step};
use sexton_tests::web::Web;

use crate::host;

/// Time-outs short enough to be waited for, and long enough for a busy machine; slots for every row.
const CONFIG: &str =
    "[transfer]\nslots = 200\nslots_per_host = 200\nconnect_timeout = \"3s\"\nidle_timeout = \"3s\"\n";

/// How a download ends.
enum End {
    /// Byte for byte, be it at the second try.
    Whole(Bytes),
    /// In this state with this code, in words that say these.
    Fails(&'static str, &'static str, &'static str),
}

/// It may pass: tried again.
fn passing(code: &'static str, words: &'static str) -> End {
    End::Fails("transient-error", code, words)
}

/// It will not pass: `job-error`.
fn fatal(code: &'static str, words: &'static str) -> End {
    End::Fails("error", code, words)
}

fn whole(bytes: impl Into<Bytes>) -> End {
    End::Whole(bytes.into())
}

/// What the server does, where it does it, and the end.
type Row = (&'static str, String, End);

/// Routes each behaviour under a path of its own.
fn rows(web: &Web, table: Vec<(&'static str, Behaviour, End)>) -> Vec<Row> {
    let routed = table.into_iter().enumerate().map(|(number, (what, does, end))| {
        let url = web.route(&format!("/{number}"), does);
        (what, url, end)
    });
    routed.collect()
}

/// An answer sent as it is written, after which the connection is closed.
fn raw(answer: impl Into<String>) -> Behaviour {
    Behaviour::Script(vec![Step::text(answer), Step::Close])
}

/// The first request is cut after so many bytes of the file, all others get `then`.
fn cut_then(remote: &Remote, after: usize, then: Behaviour) -> Behaviour {
    let remote = remote.clone();
    let mut steps = vec![Behaviour::Cut { remote, after }];
    match then {
        Behaviour::Sequence(more) => steps.extend(more),
        step => steps.push(step),
    }
    Behaviour::Sequence(steps)
}

/// Downloads every row and holds it against its end. All faults are told, not only the first.
#[track_caller]
fn check(host: &TestHost, rows: Vec<Row>) {
    judge(host, submit(host, rows), 1);
}

/// The same for the second try: the first one has to be put off, and is resumed by hand.
#[track_caller]
fn check_second(host: &TestHost, rows: Vec<Row>) {
    let submitted = submit(host, rows);
    for (id, ..) in &submitted {
        host.wait_state(id, "transient-error");
        host.cli(&["job", "resume", id]).code(0);
    }
    judge(host, submitted, 2);
}

/// A row under way: its job, its file, and the row.
type Submitted = (String, String, &'static str, End);

#[track_caller]
fn judge(host: &TestHost, submitted: Vec<Submitted>, attempt: u64) {
    let judged = submitted.into_iter().filter_map(|(id, file, what, end)| {
        let job = settled(host, &id, what, &end, attempt);
        let found = std::fs::read(host.path(&file)).ok();
        let fault = fault(&job, found, &end)?;
        Some(format!("{what}: {fault}\n  {}", job["error"]))
    });
    let faults: Vec<String> = judged.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn submit(host: &TestHost, rows: Vec<Row>) -> Vec<Submitted> {
    let rows = rows.into_iter().enumerate();
    rows.map(|(number, (what, url, end))| {
        let file = format!("{number}.bin");
        // What is to be looked at in its transient error stays there.
        let delay = match end {
            End::Whole(_) => "100ms",
            End::Fails(..) => "10min",
        };
        let id = host.download_to(&url, &host.path(&file), &["--retry-delay", delay]);
        (id, file, what, end)
    })
    .collect()
}

fn settled(host: &TestHost, id: &str, what: &str, end: &End, attempt: u64) -> serde_json::Value {
    until(what, || {
        let job = host.job(id);
        let done = match job["state"].as_str()? {
            "acknowledged" | "error" => true,
            "transient-error" => matches!(end, End::Fails(..)),
            _ => false,
        };
        (done && job["attempt"].as_u64() >= Some(attempt)).then_some(job)
    })
}

fn fault(job: &serde_json::Value, found: Option<Vec<u8>>, end: &End) -> Option<String> {
    match end {
        End::Whole(bytes) => match found {
            _ if job["state"] != "acknowledged" => Some(format!("it is {} and not whole", job["state"])),
            Some(found) if found == *bytes => None,
            Some(found) => Some(format!("{} other bytes than the {}", found.len(), bytes.len())),
            None => Some("no file".to_owned()),
        },
        End::Fails(state, code, words) => {
            let error = &job["error"];
            let said = error["description"].as_str().unwrap_or_default();
            if (&job["state"], &error["code"]) != (&(*state).into(), &(*code).into()) {
                Some(format!(
                    "{} {} instead of {state} {code}",
                    job["state"], error["code"]
                ))
            } else if !said.contains(words) {
                Some(format!("`{said}` does not say `{words}`"))
            } else if found.is_some() {
                Some("there is a file".to_owned())
            } else {
                None
            }
        }
    }
}

/// Bytes in which no two blocks are alike.
fn body(size: usize, seed: u64) -> Bytes {
    crate::download::body(size, seed).into()
}

/// A running host with short time-outs, and a server.
fn scene() -> (Web, TestHost) {
    let (web, mut host) = (Web::start(), host(CONFIG));
    host.start();
    (web, host)
}
