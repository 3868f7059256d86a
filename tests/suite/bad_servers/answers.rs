//! Answers that are not what HTTP says, and bodies that are not as long as announced.

use std::time::Duration;

use super::*;

/// `ERROR_HTTP_INVALID_SERVER_RESPONSE`: what came could not be read; the next answer may be better.
const UNREADABLE: &str = "0x80072F78";
/// `BG_E_INVALID_SERVER_RESPONSE`: what came was read and cannot be right.
const INVALID: &str = "0x8020001B";
/// `ERROR_INTERNET_CONNECTION_ABORTED`
const ABORTED: &str = "0x80072EFE";
/// Closed before the end.
const CLOSED: &str = "0x8020002E";
/// `ERROR_INTERNET_TIMEOUT`
const TIMEOUT: &str = "0x80072EE2";

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn script<const N: usize>(steps: [Step; N]) -> Behaviour {
    Behaviour::Script(steps.to_vec())
}

#[test]
fn j198_heads_that_are_not_http_are_told_apart_from_silence() {
    let (web, host) = scene();
    let flood = Step::Repeat("X-More: of the same\r\n".repeat(100).into());
    let long = "a".repeat(2 << 20);
    let drip = Step::Drip("X-Slow: loris\r\n".into(), Duration::from_millis(50));
    let informed = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(50);
    let good = "Content-Length: 4\r\n\r\ngood";
    let table = vec![
        (
            "another protocol",
            raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "HTTP/0.9",
            raw("<html>just the body</html>\r\n"),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "HTTP/3.7",
            raw(format!("HTTP/3.7 200 OK\r\n{good}")),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a status of letters",
            raw("HTTP/1.1 two OK\r\n\r\n"),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a huge status line",
            raw(format!("HTTP/1.1 200 {long}\r\n{good}")),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a huge header",
            raw(format!("{OK}X-Long: {long}\r\n{good}")),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a header line without end",
            script([
                Step::text(format!("{OK}X-Long: ")),
                Step::Repeat(vec![b'a'; 1 << 16].into()),
            ]),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "headers without end",
            script([Step::text(OK), flood]),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "NUL in a header",
            raw(format!("{OK}X-Nul: a\0b\r\n{good}")),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "NUL in a header's name",
            raw(format!("{OK}X\0Nul: ab\r\n{good}")),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a line that is no header",
            raw(format!("{OK}no header\r\n{good}")),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "two lengths",
            raw(format!("{OK}Content-Length: 3\r\n{good}")),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a negative length",
            raw(format!("{OK}Content-Length: -4\r\n\r\ngood")),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a length over all bounds",
            raw(format!("{OK}Content-Length: 99999999999999999999\r\n\r\ngood")),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "hints before the answer",
            raw(format!("{informed}{OK}{good}")),
            whole("good"),
        ),
        (
            "hints without end",
            script([Step::Repeat("HTTP/1.1 100 Continue\r\n\r\n".repeat(100).into())]),
            passing(TIMEOUT, "did not answer in time"),
        ),
        (
            "a head that drips",
            script([Step::text(OK), drip]),
            passing(TIMEOUT, "did not answer in time"),
        ),
        (
            "silence",
            Behaviour::Hang,
            passing(TIMEOUT, "did not answer in time"),
        ),
        (
            "nothing",
            Behaviour::Close,
            passing(CLOSED, "closed before the end"),
        ),
        (
            "half a head",
            raw("HTTP/1.1 200 OK\r\nContent-Le"),
            passing(CLOSED, "closed before the end"),
        ),
        (
            "reset before the head",
            script([Step::Reset]),
            passing(ABORTED, "was cut"),
        ),
        (
            "reset in the head",
            script([Step::text(OK), Step::Reset]),
            passing(ABORTED, "was cut"),
        ),
        (
            "ten answers at once",
            raw(format!("{OK}{good}").repeat(10)),
            whole("good"),
        ),
    ];
    check(&host, rows(&web, table));
}

#[test]
fn j198_bodies_are_as_long_as_announced_or_named_errors() {
    let (web, host) = scene();
    let (size, remote) = (3 << 20, Remote::new(body(3 << 20, 1)));
    let lying = |claims: u64| Behaviour::LyingLength {
        remote: Remote::new("good"),
        claims,
    };
    let chunks = |text: &str| raw(format!("{CHUNKED}{text}"));
    let no_length = |chunked| Behaviour::NoLength {
        remote: remote.clone(),
        chunked,
    };
    let drip = Step::Drip("x".into(), Duration::from_millis(200));
    let sized = format!("{OK}Content-Length: 100000\r\n\r\n");
    let table = vec![
        ("chunked", no_length(true), whole(remote.body.clone())),
        (
            "no length at all (BP-03)",
            no_length(false),
            whole(remote.body.clone()),
        ),
        (
            "no bytes",
            raw(format!("{OK}Content-Length: 0\r\n\r\n")),
            whole(""),
        ),
        (
            "cut, then the rest",
            Behaviour::Cut {
                remote: remote.clone(),
                after: 2 << 20,
            },
            whole(remote.body.clone()),
        ),
        (
            "cut again and again",
            Behaviour::CutEvery {
                remote: remote.clone(),
                every: 1 << 20,
            },
            whole(remote.body.clone()),
        ),
        ("shorter than announced", lying(5), passing(CLOSED, "closed")),
        (
            "much shorter than announced",
            lying(1 << 60),
            passing(CLOSED, "closed"),
        ),
        (
            "longer than announced: what was announced counts",
            lying(3),
            whole("goo"),
        ),
        (
            "stalled",
            Behaviour::Stall {
                remote: remote.clone(),
                after: size / 2,
            },
            passing(TIMEOUT, "did not answer in time"),
        ),
        (
            "dripping",
            script([Step::text(sized.clone()), drip]),
            passing(TIMEOUT, "fewer than 16 bytes a second"),
        ),
        (
            "reset in the body",
            script([Step::text(sized), Step::Reset]),
            passing(ABORTED, "was cut"),
        ),
        (
            "reset at the end of what has no length",
            script([Step::text(format!("{OK}\r\nhalf")), Step::Reset]),
            passing(ABORTED, "was cut"),
        ),
        (
            "a chunk size that is none",
            chunks("no number\r\ngood\r\n0\r\n\r\n"),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a negative chunk size",
            chunks("-4\r\ngood\r\n0\r\n\r\n"),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a chunk size over all bounds",
            chunks("fffffffffffffffff\r\ngood\r\n0\r\n\r\n"),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a chunk longer than its size",
            chunks("3\r\ngood\r\n0\r\n\r\n"),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "a chunk shorter than its size",
            chunks("5\r\ngood\r\n0\r\n\r\n"),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "an endless chunk extension",
            script([
                Step::text(format!("{CHUNKED}4;")),
                Step::Repeat("x=y;".repeat(1000).into()),
            ]),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "endless trailers",
            script([
                Step::text(format!("{CHUNKED}4\r\ngood\r\n0\r\n")),
                Step::Repeat("X-More: x\r\n".repeat(1000).into()),
            ]),
            passing(UNREADABLE, "is not HTTP"),
        ),
        (
            "no last chunk",
            chunks("4\r\ngood\r\n"),
            passing(CLOSED, "closed before the end"),
        ),
        (
            "chunks that are as long as announced",
            raw(format!(
                "{}Content-Length: 4\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
                CHUNKED.trim_end_matches("\r\n").to_owned() + "\r\n"
            )),
            whole("good"),
        ),
        (
            "chunks that are not as long as announced",
            raw(format!(
                "{}Content-Length: 5\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
                CHUNKED.trim_end_matches("\r\n").to_owned() + "\r\n"
            )),
            passing(CLOSED, "closed after 4 of 5 bytes"),
        ),
        (
            "chunks that are longer than announced",
            raw(format!(
                "{}Content-Length: 3\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
                CHUNKED.trim_end_matches("\r\n").to_owned() + "\r\n"
            )),
            fatal(INVALID, "more than it had announced"),
        ),
        (
            "gzip that nobody asked for",
            Behaviour::GzipUnasked(remote),
            fatal(INVALID, "encoded the file as `gzip`"),
        ),
        (
            "gzip on the way",
            raw(format!(
                "{OK}Transfer-Encoding: gzip, chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"
            )),
            fatal(INVALID, "encoded the file as `gzip, chunked`"),
        ),
        (
            "garbage after the end",
            raw(format!("{OK}Content-Length: 4\r\n\r\ngood\0\0garbage")),
            whole("good"),
        ),
    ];
    check(&host, rows(&web, table));
}

/// What follows one answer on a connection is never taken for the next one.
#[test]
fn j198_what_comes_after_an_answer_is_not_the_next_answer() {
    let (web, host) = scene();
    let smuggled = format!("{OK}Content-Length: 4\r\n\r\ngood{OK}Content-Length: 4\r\n\r\nEVIL");
    let first = web.route("/first", Behaviour::Script(vec![Step::text(smuggled)]));
    let second = web.route("/second", Behaviour::Serve(Remote::new("fine")));
    for (name, url, bytes) in [("first", first, "good"), ("second", second, "fine")] {
        host.download_to(&url, &host.path(name), &["--wait"]);
        assert_eq!(std::fs::read(host.path(name)).unwrap(), bytes.as_bytes());
    }
}
