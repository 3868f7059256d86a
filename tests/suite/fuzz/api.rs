//! Any request to the control socket is answered: never with a fault of the server, never twice, and a
//! request that is refused leaves the store as it was.

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use sexton_tests::host::TestHost;

use super::property;

/// Longer than any answer takes: it hangs.
const HANGS: Duration = Duration::from_secs(60);
/// The most that is read of one answer.
const ANSWER_MAX: u64 = 16 << 20;

/// One request as it goes over the wire.
#[derive(Clone, Debug)]
struct Request {
    method: &'static str,
    path: String,
    headers: Vec<u8>,
    body: Vec<u8>,
}

impl Request {
    fn bytes(&self) -> Vec<u8> {
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: sexton\r\nconnection: close\r\ncontent-length: {}\r\n",
            self.method,
            self.path,
            self.body.len()
        );
        [head.as_bytes(), &self.headers, b"\r\n", &self.body].concat()
    }
}

/// What came back; without a status the connection was closed on what is no HTTP at all.
#[derive(Debug)]
struct Answer {
    status: Option<u16>,
    body: String,
}

fn ask(host: &TestHost, request: &[u8]) -> Answer {
    let mut stream = UnixStream::connect(host.path("control.sock")).expect("the host listens");
    stream.set_read_timeout(Some(HANGS)).unwrap();
    // The host may have answered and gone before it has read all of a request that is too large.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    match stream.take(ANSWER_MAX).read_to_end(&mut answer) {
        Ok(_) => {}
        Err(why) if why.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(why) => panic!("no answer: {why}"),
    }
    let text = String::from_utf8_lossy(&answer);
    // Only those who ask for it are told to go on first.
    let text = text
        .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap_or(&text);
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    let body = text
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body)
        .to_owned();
    Answer { status, body }
}

/// Every job and delivery, and what people fixed of them; what the host does by itself is left out.
fn store(host: &TestHost) -> Vec<Value> {
    let get = |path| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: sexton\r\nconnection: close\r\n\r\n");
        ask(host, request.as_bytes()).body
    };
    let jobs: Value = serde_json::from_str(&get("/v1/jobs?limit=1000")).unwrap();
    let jobs = jobs
        .as_array()
        .or_else(|| jobs["jobs"].as_array())
        .expect("a list of jobs");
    jobs.iter()
        .map(|job| {
            json!([
                job["id"],
                job["priority"],
                job["name"],
                job["files_total"],
                job["owner"],
                job["labels"]
            ])
        })
        .collect()
}

/// Ids of jobs that there are not.
const NOBODY: &str = "0198f2c4-1111-7000-8000-000000000000";

fn path(id: String) -> impl Strategy<Value = String> {
    let id = prop_oneof![4 => Just(id), 2 => Just(NOBODY.to_owned()), 1 => "[!-~]{0,40}"];
    let known = prop_oneof![
        Just("/v1/jobs".to_owned()),
        id.clone().prop_map(|id| format!("/v1/jobs/{id}")),
        (
            id.clone(),
            select(vec![
                "files",
                "files/0",
                "error",
                "suspend",
                "complete",
                "replace-prefix",
                "take-ownership",
                "explode",
                ""
            ])
        )
            .prop_map(|(id, verb)| format!("/v1/jobs/{id}/{verb}")),
        Just(format!("/v1/jobs/{NOBODY}/watch")),
        Just("/v1/plugins".to_owned()),
        Just("/v1/plugins/rescan".to_owned()),
        id.clone().prop_map(|id| format!("/v1/plugins/{id}/state")),
        Just("/v1/deliveries".to_owned()),
        select(vec!["/v1/deliveries/replay", "/v1/deliveries/purge"]).prop_map(str::to_owned),
        id.prop_map(|id| format!("/v1/deliveries/{id}")),
        select(vec!["/v1/status", "/v1/reload", "/", "*", "//", "/v1/../v1/jobs"]).prop_map(str::to_owned),
        "/[!-~]{0,40}",
    ];
    let query = prop_oneof![
        3 => Just(String::new()),
        2 => ("[a-z]{1,8}", "[!-~]{0,12}").prop_map(|(key, value)| format!("?{key}={value}")),
        2 => (select(vec!["limit", "offset", "state", "states", "before", "owner", "plugin", "job"]), "[!-~]{0,12}")
            .prop_map(|(key, value)| format!("?{key}={value}&{key}={value}")),
        1 => select(vec!["?limit=-1", "?limit=99999999999999999999", "?offset=4294967296", "?state=%ff%00", "?%"])
            .prop_map(str::to_owned),
    ];
    (known, query).prop_map(|(path, query)| path + &query)
}

/// JSON of any shape, not too deep.
fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,16}".prop_map(Value::from),
        "[\u{0}-\u{1f}\u{202e}a]{0,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A job as it is submitted, of which one field or two are something else.
fn almost_a_job(dir: String) -> impl Strategy<Value = Value> {
    let fields = vec![
        "kind",
        "name",
        "description",
        "context",
        "labels",
        "priority",
        "profile",
        "hold",
        "handler",
        "notify_command",
        "notify",
        "notify_interval_ms",
        "retry_delay_ms",
        "no_progress_ms",
        "files",
        "key",
        "suspended",
        "colour",
    ];
    let remote = select(vec![
        "http://127.0.0.1:9/x",
        "http://[::1]:9/",
        "http://127.0.0.1:99999/",
        "ftp://127.0.0.1/x",
        "x",
        "",
        "http://",
        "http://127.0.0.1:9/\u{202e}",
        "HTTP://127.0.0.1:9",
        "file:///etc/passwd",
    ]);
    let local = select(vec!["a", "b/../c", "", "\0", "a\n", "../../x", ".", "a/"]);
    let change = (select(fields), arbitrary_json());
    (remote, local, prop::collection::vec(change, 0..3)).prop_map(move |(remote, local, changes)| {
        let mut job = json!({
            "kind": "download",
            "suspended": true,
            "files": [{ "remote": remote, "local": format!("{dir}/{local}") }],
        });
        for (field, value) in changes {
            job[field] = value;
        }
        job
    })
}

fn body(dir: String) -> impl Strategy<Value = Vec<u8>> {
    let json = |value: Value| value.to_string().into_bytes();
    prop_oneof![
        3 => almost_a_job(dir.clone()).prop_map(json),
        1 => prop::collection::vec(almost_a_job(dir), 0..4).prop_map(move |jobs| json(Value::from(jobs))),
        2 => arbitrary_json().prop_map(json),
        1 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
        1 => select(vec!["[".repeat(4_000), "{\"a\":".repeat(2_000), "1".repeat(5_000)]).prop_map(String::into_bytes),
        1 => select(vec![
            r#"{"all":true}"#,
            r#"{"after_ms":18446744073709551615}"#,
            r#"{"priority":"high"}"#,
            r#"{"name":"n","labels":{"a":"b"},"transfer":{"http":{}}}"#,
            r#"{"state":"queued"}"#,
            r#"{"from":"http://","to":"https://"}"#,
            r#"{"remote":"http://127.0.0.1:9/y"}"#,
            r#"{"require_all":true}"#,
        ])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

fn headers() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(b"content-type: application/json\r\n".to_vec()),
        2 => Just(Vec::new()),
        1 => ("[a-z-]{1,12}", prop::collection::vec(any::<u8>(), 0..24))
            .prop_map(|(name, value)| [name.as_bytes(), b": ", &value, b"\r\n"].concat()),
        1 => select(vec!["transfer-encoding: chunked\r\n", "expect: 100-continue\r\n", "content-length: 7\r\n", "upgrade: x\r\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => Just(format!("x: {}\r\n", "y".repeat(70_000)).into_bytes()),
    ]
}

fn request(id: String, dir: String) -> impl Strategy<Value = Request> {
    let method = prop_oneof![
        3 => Just("POST"),
        3 => Just("GET"),
        2 => select(vec!["PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "BREW"]),
    ];
    (method, path(id), headers(), body(dir)).prop_map(|(method, path, headers, body)| Request {
        method,
        path,
        headers,
        body,
    })
}

#[test]
fn any_request_is_answered_and_a_refused_one_changes_nothing() {
    let mut host = crate::host("");
    host.start();
    let there = host.download("http://127.0.0.1:9/x", &["--suspended"]);
    let dir = host.path("").display().to_string();
    let (good, bad) = (Cell::new(0), Cell::new(0));
    property(15, 12, &request(there, dir), |request| {
        let before = store(&host);
        let answer = ask(&host, &request.bytes());
        match answer.status {
            Some(200..=299) => good.set(good.get() + 1),
            // 501 is what a path has that this version does not know.
            None | Some(400..=499 | 501) => {
                bad.set(bad.get() + 1);
                prop_assert_eq!(store(&host), before, "{:?} left something behind", answer);
            }
            Some(_) => prop_assert!(false, "{:?}", answer),
        }
        Ok(())
    });
    println!("{} requests carried out, {} refused", good.get(), bad.get());
    assert!(
        good.get() > 20 && bad.get() > 50,
        "{} good, {} bad",
        good.get(),
        bad.get()
    );
    assert!(!host.log().contains("panic"), "{}", host.log());
    assert_eq!(host.term().code, Some(0));
}
