//! Where a file comes from: mirrors, local files; and what proves that it is the one that was meant.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use super::{MIB, body, content, slow, sum, wait_bytes};
use crate::host;

#[test]
fn mirrors_are_tried_in_order_and_the_one_that_gave_it_is_told() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote::new(body(2 * MIB, 31));
    let busy = web.route("/busy", Behaviour::Status(503, Vec::new()));
    let good = web.route("/good", Behaviour::Serve(remote.clone()));
    let id = host.download(&web.denied(), &["--mirror", &busy, "--mirror", &good, "--wait"]);
    assert!(content(&host, "file.bin") == remote.body);
    let job = host.job(&id);
    assert_eq!(job["files"][0]["mirror"], good);
    assert_eq!(job["error_count"], 0);
    assert_eq!(web.requests("/busy").len(), 1);
}

#[test]
fn an_error_of_all_mirrors_names_them_all_and_no_secret() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let gone = web.route("/gone", Behaviour::Status(404, Vec::new())) + "?token=hunter2";
    let id = host.download(&web.denied(), &["--mirror", &gone]);
    host.wait_state(&id, "error");
    let error = host.object(&["job", "error", &id]);
    assert_eq!(error["code"], "0x80190193", "of two fatal ones the first");
    let said = error["description"].as_str().unwrap();
    for part in [
        "/denied.bin: the server answered 403",
        "/gone?token=***: the server answered 404",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    // One that may pass makes the error one that may pass.
    let busy = web.route("/busy", Behaviour::Status(503, Vec::new()));
    let id = host.download_to(&web.denied(), &host.path("g"), &["--mirror", &busy]);
    host.wait_state(&id, "transient-error");
    assert_eq!(host.object(&["job", "error", &id])["code"], "0x801901F7");
}

#[test]
fn j75_a_mirror_goes_on_only_with_the_same_version_or_a_checksum() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote::new(body(6 * MIB, 32));
    let dies = |remote: &Remote| {
        let cut = Behaviour::CutEvery {
            remote: remote.clone(),
            every: 5 * MIB,
        };
        Behaviour::Sequence(vec![cut, Behaviour::Status(410, Vec::new())])
    };
    let twin = Remote {
        etag: Some("\"elsewhere\"".to_owned()),
        ..remote.clone()
    };
    let checksum = sum(&remote.body);
    for (name, mirror, more, sent) in [
        ("same", &remote, vec![], MIB),
        ("twin", &twin, vec![], 6 * MIB),
        ("summed", &twin, vec!["--checksum", &checksum], MIB),
    ] {
        let first = web.route(&format!("/{name}/1"), dies(&remote));
        let second = web.route(&format!("/{name}/2"), Behaviour::Serve(mirror.clone()));
        let mut args = vec!["--mirror", &second, "--wait"];
        args.extend(more);
        host.download_to(&first, &host.path(name), &args);
        assert!(content(&host, name) == remote.body, "{name}");
        assert_eq!(web.sent(&format!("/{name}/2")), sent as u64, "{name}");
    }
}

#[test]
fn b97_a_checksum_is_held_against_the_file_before_it_is_visible() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let (bad, good) = (Remote::new(body(MIB, 33)), Remote::new(body(MIB, 34)));
    let url = web.route("/f", Behaviour::Serve(bad));
    let id = host.download(&url, &["--checksum", &sum(&good.body)]);
    host.wait_state(&id, "error");
    let error = host.object(&["job", "error", &id]);
    assert_eq!(
        (&error["code"], &error["context"]),
        (&"0x80200053".into(), &"remote-file".into())
    );
    assert!(!host.path("file.bin").exists());
    assert_eq!(host.job(&id)["bytes_transferred"], 0, "its progress is gone");
    web.route("/f", Behaviour::Serve(good.clone()));
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert!(content(&host, "file.bin") == good.body);
}

#[test]
fn b97_a_checksum_outlives_a_kill_and_a_bad_place_has_a_mirror() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let (bad, good) = (Remote::new(body(16 * MIB, 35)), Remote::new(body(16 * MIB, 36)));
    let first = web.route("/bad", slow(&bad));
    let second = web.route("/good", Behaviour::Serve(good.clone()));
    let id = host.download(&first, &["--checksum", &sum(&good.body), "--mirror", &second]);
    wait_bytes(&host, &id, 4 * MIB);
    host.kill9();
    host.start();
    host.wait_state(&id, "acknowledged");
    assert!(content(&host, "file.bin") == good.body);
}

#[test]
fn d12_a_size_is_shown_at_once_and_held_against_the_file() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.good();
    let id = host.download(&url, &["--size", "10", "--suspended"]);
    assert_eq!(host.job(&id)["bytes_total"], 10);
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    let id = host.download_to(&url, &host.path("g"), &["--size", "11"]);
    host.wait_state(&id, "error");
    let said = host.object(&["job", "error", &id]);
    assert_eq!(said["name"], "BG_E_VALIDATION_FAILED");
    assert!(
        said["description"]
            .as_str()
            .unwrap()
            .contains("has 10 bytes, not the 11")
    );
    let unknown = web.route("/u", Behaviour::Hang);
    let id = host.download_to(&unknown, &host.path("h"), &[]);
    assert_eq!(host.job(&id)["bytes_total"], serde_json::Value::Null);
}

#[test]
fn b124_a_local_file_is_copied_with_its_time() {
    let mut host = host("");
    host.start();
    let bytes = body(9 * MIB + 5, 37);
    std::fs::write(host.path("source"), &bytes).unwrap();
    let source = host.path("source");
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
    let file = std::fs::File::options().write(true).open(&source).unwrap();
    file.set_modified(old).unwrap();
    std::fs::set_permissions(&source, PermissionsExt::from_mode(0o600)).unwrap();
    // As a path, as a URL, and with a checksum and the permission bits.
    let url = format!("file://{}", source.display());
    let checksum = sum(&bytes);
    for (name, from, more) in [
        ("a", source.to_str().unwrap(), vec![]),
        (
            "b",
            url.as_str(),
            vec!["--checksum", &checksum, "--preserve", "mode"],
        ),
    ] {
        let id = host.download_to(from, &host.path(name), &[&["--wait"], more.as_slice()].concat());
        assert!(content(&host, name) == bytes);
        let meta = std::fs::metadata(host.path(name)).unwrap();
        assert_eq!(meta.mtime(), 784_111_777);
        let private = meta.mode() & 0o777 == 0o600;
        assert_eq!(private, name == "b", "B-132: only where it is asked for");
        assert_eq!(host.job(&id)["bytes_transferred"], bytes.len());
    }
    let id = host.download_to("/no/such/file", &host.path("c"), &[]);
    host.wait_state(&id, "error");
    let error = host.object(&["job", "error", &id]);
    assert_eq!(
        (&error["protocol"], &error["context"]),
        (&"file".into(), &"remote-file".into())
    );
    let ranged = host
        .cli(&["submit", "download", &url, "d", "--range", "0-5"])
        .code(2);
    assert!(ranged.stderr.contains("B-125"), "{ranged:?}");
}

#[test]
fn b133_the_headers_of_the_answer_are_shown_without_secrets() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let remote = Remote {
        last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
        ..Remote::new("x")
    };
    let url = web.route("/f", Behaviour::Serve(remote.clone()));
    let id = host.download(&url, &["--wait"]);
    let headers = host.job(&id)["files"][0]["headers"].clone();
    let etag = serde_json::json!(["etag", remote.etag.unwrap()]);
    assert!(headers.as_array().unwrap().contains(&etag), "{headers:#}");
}
