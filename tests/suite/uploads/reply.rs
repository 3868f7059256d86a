//! The reply leg of an upload-reply: its own progress, its own name, in place only once completed.

use std::path::PathBuf;
use std::time::Duration;

use sexton_tests::guests::{self, MOODY};
use sexton_tests::server::bits::BitsServer;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use super::{LONG, MIB, PIECE, error, replies, sender, some, status, takes_slowly, wait_bytes};

const PUT: [&str; 3] = ["--protocol", "put", "--hold"];
const BITS: [&str; 5] = ["--protocol", "bits", "--hold", "--retry-delay", "100ms"];

#[test]
fn b138_the_reply_is_visible_only_once_the_job_is_completed() {
    let web = Web::start();
    let (host, bytes) = sender("", 1000);
    for (protocol, verb) in [("put", "PUT"), ("post", "POST")] {
        let url = web.route("/f", replies("thank you"));
        let before = web.requests("/f").len();
        let id = host.upload_reply("sent.bin", &url, protocol, &["--protocol", protocol, "--hold"]);
        let job = host.wait_state(&id, "transferred");
        assert_eq!(job["reply"]["local"], host.path(protocol).to_str().unwrap());
        assert_eq!(
            (&job["reply"]["bytes_total"], &job["reply"]["bytes_transferred"]),
            (&9.into(), &9.into())
        );
        assert_eq!(job["bytes_transferred"], 1000, "the job's own progress is apart");
        assert!(!host.path(protocol).exists());
        assert_eq!(host.cli(&["job", "reply", &id]).code(0).stdout, "thank you");
        assert_eq!(host.object(&["job", "reply", &id])["base64"], "dGhhbmsgeW91");
        host.cli(&["job", "complete", &id]).code(0);
        host.wait_state(&id, "acknowledged");
        assert_eq!(std::fs::read(host.path(protocol)).unwrap(), b"thank you");
        let requests = web.requests("/f").split_off(before);
        assert!(requests.len() == 1 && requests[0].method == verb && requests[0].body == bytes);
        // It is a file now.
        let late = host.cli(&["job", "reply", &id]).code(5);
        assert!(
            late.stderr.contains("BG_E_INVALID_STATE") || late.stderr.contains("once completed"),
            "{late:?}"
        );
    }
}

#[test]
fn b138_a_reply_without_a_name_gets_one_beside_the_source() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    let url = web.route("/f", replies("thank you"));
    let file = host.path("sent.bin");
    let submit = ["submit", "upload-reply", file.to_str().unwrap(), &url, "--wait"];
    let id = host.cli(&submit).code(0).stdout.trim_end().to_owned();
    let path = PathBuf::from(host.job(&id)["reply"]["local"].as_str().unwrap());
    assert_eq!(path.parent(), file.parent());
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with("sent.bin.") && name.ends_with(".reply"),
        "{name}"
    );
    assert_eq!(std::fs::read(path).unwrap(), b"thank you");
}

#[test]
fn b08_the_size_of_the_reply_is_unknown_until_its_download_begins() {
    let web = Web::start();
    let (host, _) = sender("", LONG);
    let slow = Behaviour::Slow {
        remote: Remote::new(some(2 * MIB)),
        chunk: 64 << 10,
        delay: Duration::from_millis(40),
    };
    let server = BitsServer::start(&web);
    let reply_url = web.route("/reply", slow);
    server.set(|ways| {
        ways.reply_url = Some(reply_url);
        ways.holds_at = PIECE as u64 * 2;
    });
    let id = host.upload_reply("sent.bin", &server.url("f"), "r", &BITS);
    wait_bytes(&host, &id, PIECE);
    let reply = host.job(&id)["reply"].clone();
    assert_eq!(
        (&reply["bytes_total"], &reply["bytes_transferred"]),
        (&serde_json::Value::Null, &0.into())
    );
    server.set(|ways| ways.holds_at = u64::MAX);
    sexton_tests::poll::eventually("a part of the reply is here", || {
        let reply = host.job(&id)["reply"].clone();
        reply["bytes_total"] == 2 * MIB && reply["bytes_transferred"].as_u64().unwrap() > 0
    });
    host.wait_state(&id, "transferred");
}

#[test]
fn b138_a_reply_with_an_address_of_its_own_is_gone_on_with_after_a_kill() {
    let web = Web::start();
    let (mut host, bytes) = sender("", 5 * MIB);
    let remote = Remote::new(some(8 * MIB));
    let slow = Behaviour::Slow {
        remote: remote.clone(),
        chunk: 256 << 10,
        delay: Duration::from_millis(25),
    };
    let server = BitsServer::start(&web);
    let reply_url = web.route("/reply", slow);
    server.set(|ways| ways.reply_url = Some(reply_url));
    let id = host.upload_reply("sent.bin", &server.url("f"), "r", &BITS);
    sexton_tests::poll::eventually("a part of the reply is durable", || {
        host.job(&id)["reply"]["bytes_transferred"].as_u64().unwrap() >= 4 * MIB as u64
    });
    host.kill9();
    web.route("/reply", Behaviour::Serve(remote.clone()));
    host.start();
    let job = host.wait_state(&id, "transferred");
    assert_eq!(job["reply"]["bytes_transferred"], 8 * MIB);
    assert!(
        server.file("f").unwrap() == bytes,
        "the session was closed once the reply was here"
    );
    assert_eq!((server.count("Create-Session"), server.posted().len()), (1, 1));
    assert!(web.requests("/reply").last().unwrap().span().unwrap().0 >= 4 * MIB as u64);
    // B-49: too large to be handed out.
    let refused = host.cli(&["job", "reply", &id]).code(5);
    assert!(refused.stderr.contains("at most 1048576"), "{refused:?}");
    host.cli(&["job", "complete", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(host.path("r")).unwrap() == remote.body);
}

#[test]
fn b49_a_reply_is_handed_out_up_to_1_mib_while_the_job_is_transferred() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    for (size, code) in [(MIB, 0), (MIB + 1, 5)] {
        let bytes = some(size);
        let url = web.route("/f", Behaviour::Serve(Remote::new(bytes.clone())));
        let id = host.upload_reply("sent.bin", &url, "r", &PUT);
        host.wait_state(&id, "transferred");
        let said = host.cli(&["job", "reply", &id, "--json"]).code(code);
        if code == 0 {
            assert_eq!(said.object()["bytes"], size);
        } else {
            assert!(said.stderr.contains("at most 1048576 are handed out"), "{said:?}");
        }
    }
    let url = web.route("/f", replies("x"));
    let id = host.upload_reply("sent.bin", &url, "r", &["--suspended"]);
    let early = host.cli(&["job", "reply", &id]).code(5);
    assert!(early.stderr.contains("it is suspended"), "{early:?}");
    let id = host.upload("sent.bin", &url, &["--suspended"]);
    let other = host.cli(&["job", "reply", &id]).code(5);
    assert!(
        other.stderr.contains("a job of kind upload has no reply"),
        "{other:?}"
    );
}

#[test]
fn b48_the_reply_is_named_until_its_download_begins() {
    let web = Web::start();
    let (host, _) = sender("", LONG);
    let path = |name: &str| host.path(name).to_str().unwrap().to_owned();
    let takes = takes_slowly();
    let Behaviour::Take { pace, until, .. } = takes else {
        unreachable!()
    };
    let then = Box::new(replies("thank you"));
    let url = web.route("/f", Behaviour::Take { pace, until, then });
    let id = host.upload_reply("sent.bin", &url, "first", &PUT);
    // While it is being sent, which is not disturbed by it.
    wait_bytes(&host, &id, MIB);
    let job = host.object(&["job", "set", &id, "--reply", &path("second")]);
    assert_eq!(job["reply"]["local"], path("second"));
    for bad in [path("sexton.toml"), path("plugins"), path("no/where")] {
        let refused = host.cli(&["job", "set", &id, "--reply", &bad]);
        assert!([2, 6].contains(&refused.code), "{refused:?}");
    }
    host.wait_state(&id, "transferred");
    let late = host.cli(&["job", "set", &id, "--reply", &path("third")]).code(5);
    assert!(late.stderr.contains("is being fetched already"), "{late:?}");
    host.cli(&["job", "complete", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(std::fs::read(host.path("second")).unwrap(), b"thank you");
    assert!(!host.path("first").exists() && !host.path("third").exists());
    assert_eq!(web.requests("/f").len(), 1);
    let id = host.upload("sent.bin", &url, &["--suspended"]);
    let other = host.cli(&["job", "set", &id, "--reply", &path("third")]).code(2);
    assert!(
        other.stderr.contains("only an upload-reply has a reply"),
        "{other:?}"
    );
}

#[test]
fn b81_an_error_tells_the_leg_that_failed() {
    let web = Web::start();
    let (host, bytes) = sender("", 1000);
    // The upload leg: the reply has not begun.
    let url = web.route("/f", status(404, &[]));
    let id = host.upload_reply("sent.bin", &url, "r", &PUT);
    let refused = error(&host, &id);
    assert_eq!(
        (&refused["context"], &refused["leg"]),
        (&"remote-file".into(), &"upload".into())
    );
    assert!(host.job(&id)["reply"]["bytes_total"].is_null());

    // The reply leg: it began, and goes wrong in the middle.
    let server = BitsServer::start(&web);
    let remote = Remote::new(some(6 * MIB));
    let cut = Behaviour::Cut {
        remote: remote.clone(),
        after: 5 * MIB,
    };
    let reply_url = web.route(
        "/reply",
        Behaviour::Sequence(vec![cut, status(403, &[]), Behaviour::Serve(remote.clone())]),
    );
    server.set(|ways| ways.reply_url = Some(reply_url.clone()));
    let id = host.upload_reply("sent.bin", &server.url("f"), "r", &BITS);
    let refused = error(&host, &id);
    assert_eq!(
        (&refused["name"], &refused["context"]),
        (&"HTTP_403".into(), &"remote-file".into())
    );
    assert_eq!(
        (&refused["leg"], &refused["file"]["remote"]),
        (&"reply".into(), &reply_url.into())
    );
    assert_eq!(host.job(&id)["reply"]["bytes_total"], 6 * MIB);
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "transferred");
    assert!(server.file("f").unwrap() == bytes);
    assert_eq!(
        server.count("Fragment"),
        1,
        "the file is not sent again for its reply"
    );

    // The server's application.
    server.set(|ways| ways.application = vec![403]);
    let id = host.upload_reply("sent.bin", &server.url("g"), "r", &BITS);
    let refused = error(&host, &id);
    assert_eq!(
        (&refused["context"], &refused["leg"]),
        (&"remote-application".into(), &"upload".into())
    );
}

#[test]
fn a_plain_reply_that_is_cut_takes_the_upload_with_it() {
    let web = Web::start();
    let (host, bytes) = sender("", 1000);
    let remote = Remote::new(some(MIB));
    let cut = Behaviour::CutEvery {
        remote: remote.clone(),
        every: 1000,
    };
    let url = web.route(
        "/f",
        Behaviour::Sequence(vec![cut, status(403, &[]), Behaviour::Serve(remote.clone())]),
    );
    let more = [&PUT[..], &["--retry-delay", "1s"]].concat();
    let id = host.upload_reply("sent.bin", &url, "r", &more);
    host.wait_state(&id, "transient-error");
    assert_eq!(host.object(&["job", "error", &id])["leg"], "reply");
    assert_eq!(host.job(&id)["reply"]["bytes_total"], MIB);
    // The file is sent anew, so that what fails now is the upload, and the reply has not begun (B-81).
    assert_eq!(error(&host, &id)["leg"], "upload");
    assert!(host.job(&id)["reply"]["bytes_total"].is_null());
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "transferred");
    assert!(web.requests("/f").iter().all(|request| request.body == bytes));
    assert_eq!(web.requests("/f").len(), 3);
    host.cli(&["job", "complete", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(host.path("r")).unwrap() == remote.body);
}

#[test]
fn b46_cancel_leaves_nothing_of_the_reply() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    let url = web.route("/f", replies("thank you"));
    let id = host.upload_reply("sent.bin", &url, "r", &PUT);
    host.wait_state(&id, "transferred");
    host.cli(&["job", "cancel", &id]).code(0);
    host.wait_state(&id, "cancelled");
    let names = std::fs::read_dir(host.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names
        .filter(|name| name.to_string_lossy().contains(".part"))
        .collect();
    assert!(left.is_empty() && !host.path("r").exists(), "{left:?}");
}

/// A reply is a file that is fetched: whoever is told of files hears of it once, before the job's own end.
#[test]
fn b159_a_reply_that_has_arrived_is_told_as_a_file() {
    let web = Web::start();
    let events = "[\"file-transferred\", \"job-transferred\"]";
    let config = format!("[[subscribe]]\nplugin = \"moody\"\nevents = {events}\n");
    let (host, _) = sender(&config, 1000);
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_serving("moody");
    let server = BitsServer::start(&web);
    let reply_url = web.route("/reply", replies("thank you"));
    server.set(|ways| ways.reply_url = Some(reply_url));
    for (name, url, options) in [
        ("in-the-answer", web.route("/f", replies("thank you")), &PUT[..]),
        ("by-address", server.url("f"), &BITS[..]),
    ] {
        let id = host.upload_reply("sent.bin", &url, name, options);
        host.wait_state(&id, "transferred");
        // Where a handler that is granted the folder finds what it judges.
        let reply = host.path(name);
        host.wait_log(&format!(
            "{} is in {}/",
            reply.display(),
            reply.parent().unwrap().display()
        ));
        let mut events: Vec<_> = host.deliveries(&["--job", &id]);
        events.reverse();
        let kinds: Vec<_> = events.iter().map(|one| one["event"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            ["file-transferred", "file-transferred", "job-transferred"],
            "{name}: the reply, what was sent, the job"
        );
        let lines = host.log().matches(&format!("{} is in", reply.display())).count();
        assert_eq!(lines, 1, "{name}");
    }
}
