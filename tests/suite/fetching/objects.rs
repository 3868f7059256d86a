//! Objects of a bucket (`s3://`): fetched like any file, small ones sent by one request.

use super::moto::Moto;
use super::{MIB, body, content, sum};

#[test]
fn an_object_is_fetched_like_any_file_whole_in_ranges_and_in_segments() {
    let Some(moto) = Moto::start() else { return };
    let mut host = moto.host("");
    host.start();
    let bytes = body(6 * MIB, 41);
    moto.put("media/a%20b/object.bin", &bytes);
    let url = "s3://media/a%20b/object.bin";
    host.download_to(url, &host.path("whole"), &["--checksum", &sum(&bytes), "--wait"]);
    assert!(content(&host, "whole") == bytes);
    host.download_to(
        url,
        &host.path("ranges"),
        &["--range", "5-9", "--range", "0-1", "--wait"],
    );
    assert_eq!(content(&host, "ranges"), [&bytes[5..10], &bytes[..2]].concat());
    let id = host.download_to(url, &host.path("segments"), &["--segments", "3", "--wait"]);
    assert!(content(&host, "segments") == bytes);
    let shown = host.job(&id).to_string() + &host.log();
    assert!(!shown.contains("X-Amz-Signature"), "signatures are shown nowhere");
    let gone = host.download_to("s3://media/none", &host.path("none"), &[]);
    host.wait_state(&gone, "error");
    let error = host.object(&["job", "error", &gone]);
    assert_eq!(
        (&error["code"], &error["protocol"]),
        (&"0x80190194".into(), &"s3".into())
    );
    let refused = host.cli(&["submit", "download", "s3://other/x", "x"]).code(2);
    assert!(refused.stderr.contains("[transfer.s3.other]"), "{refused:?}");
}

#[test]
fn an_object_is_sent_by_a_signed_put() {
    let Some(moto) = Moto::start() else { return };
    let mut host = moto.host("");
    host.start();
    let bytes = body(3 * MIB, 42);
    std::fs::write(host.path("up.bin"), &bytes).unwrap();
    let url = "s3://media/sent/up.bin";
    host.cli(&["submit", "upload", "up.bin", url, "--wait"]).code(0);
    host.download_to(url, &host.path("back"), &["--wait"]);
    assert!(content(&host, "back") == bytes);
    let line = ["submit", "upload", "up.bin", url, "--protocol", "tus"];
    let refused = host.cli(&line).code(2);
    assert!(refused.stderr.contains("takes a file by `put`"), "{refused:?}");
}

#[test]
fn b96_a_key_that_is_not_to_be_had_is_an_error() {
    let config = "[transfer.s3.media]\nendpoint = \"http://127.0.0.1:9\"\n\
        access_key = \"env:SEXTON_NO_SUCH_VARIABLE\"\nsecret_key = \"env:HOME\"\npath_style = true\n";
    let mut host = crate::host(config);
    host.start();
    let id = host.download_to("s3://media/x", &host.path("x"), &[]);
    host.wait_state(&id, "error");
    let error = host.object(&["job", "error", &id]);
    assert_eq!(error["name"], "BG_E_INVALID_CREDENTIALS");
    let words = error["description"].as_str().unwrap();
    assert!(words.contains("env:SEXTON_NO_SUCH_VARIABLE"), "{words}");
}
