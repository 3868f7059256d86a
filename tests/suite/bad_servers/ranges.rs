//! Answers to a request for the rest of a file: nothing of another version is ever put to what is here.

use super::*;

const INVALID: &str = "0x8020001B";
const INVALID_RANGE: &str = "0x8020002B";
const CHANGED: &str = "0x80200073";

const SIZE: usize = 3 << 20;
const CUT: usize = 2 << 20;

/// An answer in these words with these bytes, and its true length.
fn answer(status: &str, headers: &str, bytes: &[u8]) -> Behaviour {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n",
        bytes.len()
    );
    let all = [head.as_bytes(), bytes].concat();
    Behaviour::Script(vec![Step::Send(all.into())])
}

fn range(start: usize, last: usize, total: usize) -> String {
    format!("Content-Range: bytes {start}-{last}/{total}\r\n")
}

/// The first run is cut; the retry of a file that must become whole comes by itself, and one that must
/// fail is resumed by hand to see how its second run ends.
#[test]
fn b94_the_rest_of_a_file_fits_or_is_begun_anew() {
    let (web, host) = scene();
    let old = Remote::new(body(SIZE, 1));
    let new = Remote::new(body(SIZE, 2));
    let longer = Remote::new(body(SIZE + 1, 3));
    let renamed = Remote {
        etag: Some("\"the same bytes elsewhere\"".to_owned()),
        ..old.clone()
    };
    let weak = |remote: &Remote| Remote {
        etag: Some("W/\"v1\"".to_owned()),
        ..remote.clone()
    };
    let dated = |remote: &Remote, date: &str| Remote {
        etag: None,
        last_modified: Some(date.to_owned()),
        ..remote.clone()
    };
    let unnamed = |remote: &Remote| Remote {
        etag: None,
        ..remote.clone()
    };
    let (monday, tuesday) = ("Mon, 07 Nov 1994 08:49:37 GMT", "Tue, 08 Nov 1994 08:49:37 GMT");
    let rest = &old.body[CUT..];
    let then = |behaviour| cut_then(&old, CUT, behaviour);
    let refused = |headers: &str| {
        Behaviour::Sequence(vec![
            answer("416 Range Not Satisfiable", headers, b""),
            Behaviour::Serve(new.clone()),
        ])
    };
    let table = vec![
        (
            "the rest",
            then(Behaviour::Serve(old.clone())),
            whole(old.body.clone()),
        ),
        (
            "the rest without a name",
            then(answer("206 X", &range(CUT, SIZE - 1, SIZE), rest)),
            whole(old.body.clone()),
        ),
        (
            "another file under If-Range",
            then(Behaviour::Serve(new.clone())),
            whole(new.body.clone()),
        ),
        (
            "another file by a server that ignores If-Range",
            then(Behaviour::IgnoresIfRange(new.clone())),
            whole(new.body.clone()),
        ),
        (
            "a longer file by a server that ignores If-Range",
            then(Behaviour::IgnoresIfRange(unnamed(&longer))),
            whole(longer.body.clone()),
        ),
        (
            "the same bytes under another name (BP-09)",
            then(Behaviour::Serve(renamed)),
            whole(old.body.clone()),
        ),
        (
            "the whole file (BP-03)",
            then(Behaviour::IgnoresRange(old.clone())),
            whole(old.body.clone()),
        ),
        (
            "the whole of another file",
            then(Behaviour::IgnoresRange(new.clone())),
            whole(new.body.clone()),
        ),
        (
            "a weak name",
            cut_then(&weak(&old), CUT, Behaviour::IgnoresIfRange(weak(&new))),
            whole(new.body.clone()),
        ),
        (
            "no name",
            cut_then(&unnamed(&old), CUT, Behaviour::IgnoresIfRange(unnamed(&new))),
            whole(new.body.clone()),
        ),
        (
            "the same date",
            cut_then(&dated(&old, monday), CUT, Behaviour::Serve(dated(&old, monday))),
            whole(old.body.clone()),
        ),
        (
            "another date",
            cut_then(
                &dated(&old, monday),
                CUT,
                Behaviour::IgnoresIfRange(dated(&new, tuesday)),
            ),
            whole(new.body.clone()),
        ),
        (
            "416 with a smaller size",
            then(refused("Content-Range: bytes */100\r\n")),
            whole(new.body.clone()),
        ),
        ("416 without a size", then(refused("")), whole(new.body.clone())),
        (
            "416 with garbage",
            then(refused("Content-Range: bytes */-1\r\n")),
            whole(new.body.clone()),
        ),
        (
            "one slice after the other",
            then(Behaviour::Sequence(vec![
                answer("206 X", &range(CUT, CUT + 999, SIZE), &old.body[CUT..CUT + 1000]),
                Behaviour::Serve(old.clone()),
            ])),
            whole(old.body.clone()),
        ),
    ];
    let table = rows(&web, table);
    check(&host, table);
}

#[test]
fn b87_a_rest_that_was_not_asked_for_is_a_named_error() {
    let (web, host) = scene();
    let old = Remote::new(body(SIZE, 1));
    let rest = &old.body[CUT..];
    let right = range(CUT, SIZE - 1, SIZE);
    let short = &rest[..rest.len() - 1];
    let multipart = format!("Content-Type: multipart/byteranges; boundary=x\r\n{right}");
    let gzip = format!("Content-Encoding: gzip\r\n{right}");
    let twice = format!("{right}{}", range(0, SIZE - 1, SIZE));
    let table: Vec<(&str, Behaviour, End)> = vec![
        (
            "from another place",
            answer("206 X", &range(CUT - 1, SIZE - 1, SIZE), &old.body[CUT - 1..]),
            fatal(INVALID, "from 2097151 though those from 2097152"),
        ),
        (
            "from the beginning",
            answer("206 X", &range(0, SIZE - 1, SIZE), &old.body),
            fatal(INVALID, "from 0 though"),
        ),
        (
            "no Content-Range",
            answer("206 X", "", rest),
            fatal(INVALID, "without a usable Content-Range"),
        ),
        (
            "a Content-Range of garbage",
            answer("206 X", "Content-Range: bytes half of it\r\n", rest),
            fatal(INVALID, "`bytes half of it`"),
        ),
        (
            "a Content-Range with signs",
            answer(
                "206 X",
                &format!("Content-Range: bytes +{CUT}-+{}/{SIZE}\r\n", SIZE - 1),
                rest,
            ),
            fatal(INVALID, "without a usable Content-Range"),
        ),
        (
            "two of them",
            answer("206 X", &twice, rest),
            fatal(INVALID, "without a usable Content-Range"),
        ),
        (
            "backwards",
            answer("206 X", &range(SIZE - 1, CUT, SIZE), rest),
            fatal(INVALID, "without a usable Content-Range"),
        ),
        (
            "past its own end",
            answer("206 X", &range(CUT, SIZE, SIZE), rest),
            fatal(INVALID, "without a usable Content-Range"),
        ),
        (
            "in parts",
            answer("206 X", &multipart, rest),
            fatal(INVALID, "multipart/byteranges"),
        ),
        (
            "shorter than its range",
            answer("206 X", &right, short),
            fatal(INVALID, "contradict each other"),
        ),
        (
            "gzip",
            answer("206 X", &gzip, rest),
            fatal(INVALID, "encoded the file as `gzip`"),
        ),
        (
            "a part under 200",
            answer("200 OK", &right, rest),
            fatal(INVALID, "as if they were the whole file"),
        ),
        (
            "another version at every request",
            Behaviour::Sequence(vec![
                answer("206 X", &format!("ETag: \"v2\"\r\n{right}"), rest),
                answer("206 X", &format!("ETag: \"v3\"\r\n{right}"), rest),
            ]),
            fatal(INVALID, "the whole file was asked for"),
        ),
        (
            "416 to everything",
            answer("416 X", "Content-Range: bytes */100\r\n", b""),
            fatal(INVALID_RANGE, "416 though no range was asked for"),
        ),
    ];
    let table = table
        .into_iter()
        .map(|(what, does, end)| (what, cut_then(&old, CUT, does), end));
    let rows = rows(&web, table.collect());
    let count = rows.len();
    check_second(&host, rows);
    for number in 0..count {
        let asked = web.requests(&format!("/{number}"))[1].span();
        assert_eq!(asked, Some((CUT as u64, None)), "row {number}");
    }
}

/// A server without ranges, without a version and without a length is still a server (BP-03), and none
/// is asked by `HEAD`.
#[test]
fn b140_all_that_is_needed_is_get() {
    let (web, host) = scene();
    let plain = Remote {
        etag: None,
        ranges: false,
        ..Remote::new(body(SIZE, 1))
    };
    let bare = |chunked| Behaviour::NoLength {
        remote: plain.clone(),
        chunked,
    };
    let table = vec![
        (
            "with a length",
            Behaviour::IgnoresRange(plain.clone()),
            whole(plain.body.clone()),
        ),
        ("chunked", bare(true), whole(plain.body.clone())),
        ("until it is closed", bare(false), whole(plain.body.clone())),
        (
            "cut once",
            cut_then(&plain, CUT, bare(true)),
            whole(plain.body.clone()),
        ),
        (
            "a part of what was wanted whole",
            Behaviour::TwoOhSixWithoutRange(plain.clone()),
            fatal(INVALID, "the whole file was asked for"),
        ),
        (
            "416 without a range",
            answer("416 X", "", b""),
            fatal(INVALID_RANGE, "416 though no range"),
        ),
    ];
    let count = table.len();
    check(&host, rows(&web, table));
    for number in 0..count {
        let requests = web.requests(&format!("/{number}"));
        assert!(
            requests.iter().all(|request| request.method == "GET"),
            "{requests:?}"
        );
    }
}

/// Nodes that name the same bytes differently, each cutting what it sends: every run gets somewhere, so
/// no time-out would ever end this.
#[test]
fn bp09_a_version_that_changes_at_every_answer_ends_in_error() {
    let (web, host) = scene();
    let bytes = body(SIZE, 1);
    let node = |number: usize| {
        let etag = Some(format!("\"node {number}\""));
        Behaviour::CutEvery {
            remote: Remote {
                etag,
                ..Remote::new(bytes.clone())
            },
            every: CUT,
        }
    };
    let url = web.route("/nodes", Behaviour::Sequence((0..100).map(node).collect()));
    let id = host.download(&url, &["--retry-delay", "100ms"]);
    let job = host.wait_state(&id, "error");
    assert_eq!(job["error"]["code"], CHANGED);
    assert_eq!(job["error"]["context"], "remote-file");
    let said = job["error"]["description"].as_str().unwrap();
    assert!(
        said.contains("another version of the file") && said.contains("10 times already"),
        "{said}"
    );
    assert_eq!(
        web.requests("/nodes").len(),
        12,
        "one, ten start-overs, and the one that is too many"
    );
    // A handler or a person may say that it is worth ten more.
    web.route("/nodes", Behaviour::Serve(Remote::new(bytes.clone())));
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(host.path("file.bin")).unwrap() == bytes);
}
