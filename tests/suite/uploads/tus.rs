//! tus against answers by script: what a server that works never says.

use sexton_tests::server::{Behaviour, Request};
use sexton_tests::web::Web;

use super::{MIB, PIECE, error, sender, status};

const TUS: [&str; 4] = ["--protocol", "tus", "--retry-delay", "100ms"];

fn offers(more: &[(&str, &str)]) -> Behaviour {
    let mut headers = vec![("Tus-Resumable", "1.0.0"), ("Tus-Version", "1.0.0,0.2.2")];
    if more.iter().all(|(name, _)| *name != "Tus-Extension") {
        headers.push(("Tus-Extension", "creation,termination"));
    }
    headers.extend(more);
    status(204, &headers)
}

fn created() -> Behaviour {
    status(201, &[("Location", "/files/1")])
}

fn has(code: u16, offset: usize) -> Behaviour {
    status(
        code,
        &[("Upload-Offset", &offset.to_string()), ("Tus-Resumable", "1.0.0")],
    )
}

/// Method, offset and length of what was asked.
fn shape(requests: &[Request]) -> Vec<(&str, Option<&str>, usize)> {
    requests
        .iter()
        .map(|one| (one.method.as_str(), one.header("upload-offset"), one.body.len()))
        .collect()
}

#[test]
fn a_piece_that_came_damaged_is_sent_again_with_its_checksum() {
    let web = Web::start();
    let (host, bytes) = sender("", 1000);
    for (algorithms, wanted) in [("sha1", "sha1 "), ("md5,sha256,sha1", "sha256 ")] {
        let extension = ("Tus-Extension", "creation,checksum");
        let said = offers(&[extension, ("Tus-Checksum-Algorithm", algorithms)]);
        let url = web.route("/files", Behaviour::Sequence(vec![said, created()]));
        let before = web.requests("/files/1").len();
        web.route(
            "/files/1",
            Behaviour::Sequence(vec![status(460, &[]), has(200, 0), has(204, 1000)]),
        );
        let id = host.upload("sent.bin", &url, &TUS);
        assert_eq!(host.wait_state(&id, "acknowledged")["error_count"], 0);
        let requests = web.requests("/files/1").split_off(before);
        let patch = ("PATCH", Some("0"), 1000);
        assert_eq!(shape(&requests), [patch, ("HEAD", None, 0), patch]);
        assert!(requests[2].body == bytes);
        let sum = requests[2].header("upload-checksum").unwrap();
        let sum = sum.strip_prefix(wanted).expect(sum);
        assert_eq!(sum, digest(&host, wanted.trim_end()), "{algorithms}");
    }
}

/// What the system's own tools say of `sent.bin`, in base64.
fn digest(host: &sexton_tests::host::TestHost, algorithm: &str) -> String {
    let script = format!("{algorithm}sum sent.bin | cut -d' ' -f1 | xxd -r -p | base64 -w0");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).current_dir(host.path(""));
    sexton_tests::output::run(&mut command).code(0).stdout
}

#[test]
fn no_checksum_is_sent_that_was_not_announced() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    let url = web.route("/files", Behaviour::Sequence(vec![offers(&[]), created()]));
    web.route("/files/1", has(204, 1000));
    host.upload("sent.bin", &url, &[&TUS[..], &["--wait"]].concat());
    let requests = web.requests("/files/1");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("upload-checksum"), None);
    assert_eq!(requests[0].header("tus-resumable"), Some("1.0.0"));
    assert_eq!(
        requests[0].header("content-type"),
        Some("application/offset+octet-stream")
    );
    let create = &web.requests("/files")[1];
    assert_eq!(create.header("upload-length"), Some("1000"));
    assert_eq!(create.header("upload-metadata"), Some("filename c2VudC5iaW4="));
}

#[test]
fn a_conflict_is_asked_about() {
    let web = Web::start();
    let (host, bytes) = sender("", 1000);
    let url = web.route("/files", Behaviour::Sequence(vec![offers(&[]), created()]));
    let script = vec![status(409, &[]), has(200, 400), has(204, 1000)];
    web.route("/files/1", Behaviour::Sequence(script));
    let id = host.upload("sent.bin", &url, &[&TUS[..], &["--wait"]].concat());
    assert_eq!(host.job(&id)["error_count"], 0, "it is none of the job's errors");
    let requests = web.requests("/files/1");
    let wanted = [
        ("PATCH", Some("0"), 1000),
        ("HEAD", None, 0),
        ("PATCH", Some("400"), 600),
    ];
    assert_eq!(shape(&requests), wanted);
    assert!(requests[2].body == bytes[400..]);
}

#[test]
fn conflicts_without_end_are_left_to_the_retry() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    let url = web.route("/files", Behaviour::Sequence(vec![offers(&[]), created()]));
    web.route(
        "/files/1",
        Behaviour::Sequence(vec![[status(409, &[]), has(200, 0)]; 40].concat()),
    );
    let id = host.upload("sent.bin", &url, &["--protocol", "tus"]);
    host.wait_state(&id, "transient-error");
    assert_eq!(
        web.requests("/files/1").len(),
        17,
        "eight answers, and the one too many"
    );
}

#[test]
fn an_upload_that_is_gone_is_created_anew() {
    let web = Web::start();
    let (host, bytes) = sender("", 1000);
    for gone in [404, 410] {
        let again = status(201, &[("Location", "/files/2")]);
        let url = web.route("/files", Behaviour::Sequence(vec![offers(&[]), created(), again]));
        // Gone while it is sent to, and gone when it is asked about after a fault.
        for script in [vec![status(gone, &[])], vec![status(503, &[]), status(gone, &[])]] {
            web.route(
                "/files",
                Behaviour::Sequence(vec![
                    offers(&[]),
                    created(),
                    status(201, &[("Location", "/files/2")]),
                ]),
            );
            web.route("/files/1", Behaviour::Sequence(script));
            web.route("/files/2", has(204, 1000));
            host.upload("sent.bin", &url, &[&TUS[..], &["--wait"]].concat());
            assert!(web.requests("/files/2").last().unwrap().body == bytes);
        }
    }
}

#[test]
fn an_upload_that_is_always_gone_ends_in_a_named_error() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    let url = web.route("/files", Behaviour::Sequence(vec![offers(&[]), created()]));
    web.route("/files/1", status(404, &[]));
    let id = host.upload("sent.bin", &url, &TUS);
    assert_eq!(error(&host, &id)["name"], "BG_E_SESSION_NOT_FOUND");
    let created = web.requests("/files").len() - 1;
    assert_eq!(created, 11, "ten times anew");
}

#[test]
fn pieces_shrink_until_the_server_takes_them() {
    let web = Web::start();
    let (host, bytes) = sender("", 5 * MIB);
    let url = web.route("/files", Behaviour::Sequence(vec![offers(&[]), created()]));
    let half = PIECE / 2;
    let script = vec![
        status(413, &[]),
        has(204, half),
        has(204, 2 * half),
        has(204, 5 * MIB),
    ];
    web.route("/files/1", Behaviour::Sequence(script));
    host.upload("sent.bin", &url, &[&TUS[..], &["--wait"]].concat());
    let sizes: Vec<_> = web
        .requests("/files/1")
        .iter()
        .map(|one| one.body.len())
        .collect();
    assert_eq!(sizes, [PIECE, half, half, bytes.len() - 2 * half]);
}

#[test]
fn a_file_that_is_larger_than_the_server_takes_is_not_sent() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    for protocol in ["tus", "auto"] {
        let url = web.route("/files", offers(&[("Tus-Max-Size", "999")]));
        let before = web.requests("/files").len();
        let id = host.upload("sent.bin", &url, &["--protocol", protocol]);
        assert_eq!(error(&host, &id)["name"], "BG_E_TOO_LARGE");
        assert_eq!(web.requests("/files").len(), before + 1);
    }
}

#[test]
fn a_server_without_tus_is_named() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    let url = web.route("/files", status(405, &[]));
    let id = host.upload("sent.bin", &url, &TUS);
    let error = error(&host, &id);
    assert_eq!(error["name"], "BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH");
    assert!(
        error["description"].as_str().unwrap().contains("tus 1.0.0"),
        "{error:#}"
    );
}

#[test]
fn answers_that_claim_the_impossible_end_the_job() {
    let web = Web::start();
    let (host, _) = sender("", 1000);
    for script in [
        vec![has(204, 1001)],
        vec![has(204, 0)],
        vec![status(204, &[])],
        vec![status(409, &[]), has(200, 1001)],
    ] {
        let url = web.route("/files", Behaviour::Sequence(vec![offers(&[]), created()]));
        web.route("/files/1", Behaviour::Sequence(script));
        let id = host.upload("sent.bin", &url, &TUS);
        assert_eq!(error(&host, &id)["name"], "BG_E_INVALID_SERVER_RESPONSE");
    }
}
