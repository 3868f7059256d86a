//! What of a job's own word goes to which of a file's places: secrets, methods, and the right to be
//! gone on with.

use sexton_tests::host::TestHost;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use super::{MIB, body, content};
use crate::host;

const SECRET: &str = "hunter2-and-more";
const ME: [&str; 4] = ["--user", "me", "--password-ref", "env:DOOR"];
const KEY: [&str; 4] = ["--secret-header", "X-Key: env:DOOR", "--header", "X-Plain: 1"];

fn running(config: &str) -> TestHost {
    let mut host = host(config);
    host.variable("DOOR", SECRET);
    host.start();
    host
}

#[test]
fn b141_a_webdav_server_is_trusted_by_the_name_it_is_asked_by_and_a_mirror_is_not() {
    let (web, other, host) = (Web::start(), Web::start(), running(""));
    let remote = Remote::new(body(MIB, 61));
    let url = web.route("/f", Behaviour::Status(404, Vec::new()));
    let mirror = other.route("/f", Behaviour::Serve(remote.clone()));
    let dav = url.replacen("http", "dav", 1);
    let args = [&ME[..], &KEY, &["--mirror", &mirror, "--segments", "2", "--wait"]].concat();
    host.download(&dav, &args);
    assert!(content(&host, "file.bin") == remote.body);
    for request in web.requests("/f") {
        assert!(request.header("authorization").unwrap().starts_with("Basic "));
        assert_eq!(request.header("x-key"), Some(SECRET));
    }
    assert!(other.requests("/f").len() > 1, "it came in segments");
    for request in other.requests("/f") {
        assert_eq!(
            (request.header("authorization"), request.header("x-key")),
            (None, None)
        );
        assert_eq!(request.header("x-plain"), Some("1"));
    }
}

/// The store is at the very server that the job's secrets are for.
#[test]
fn b141_no_secret_of_the_job_goes_with_a_signature_and_no_signature_is_reported() {
    let web = Web::start();
    let host = running(&format!(
        "[transfer.s3.media]\nendpoint = \"{}\"\npath_style = true\n\
         access_key = \"env:DOOR\"\nsecret_key = \"env:DOOR\"\n",
        web.url("")
    ));
    let remote = Remote::new(body(MIB, 62));
    let gone = web.route("/gone", Behaviour::Status(404, Vec::new()));
    web.route("/media/f", Behaviour::Serve(remote.clone()));
    let report = ["--redirects", "report", "--wait"];
    let args = [&ME[..], &KEY, &report, &["--mirror", "s3://media/f"]].concat();
    host.download(&gone, &args);
    assert!(content(&host, "file.bin") == remote.body);
    assert!(web.requests("/gone")[0].header("authorization").is_some());
    // A job without secrets has its redirects reported wherever they lead.
    let id = host.download_to("s3://media/f", &host.path("own"), &report);
    assert_eq!(host.job(&id)["files"][0]["remote"], "s3://media/f");
    let asked = web.requests("/media/f");
    assert_eq!(asked.len(), 2);
    for request in asked {
        assert_eq!(
            (request.header("authorization"), request.header("x-key")),
            (None, None)
        );
    }
}

#[test]
fn b144_what_may_have_been_done_is_not_asked_of_a_mirror() {
    let (web, host) = (Web::start(), running(""));
    let remote = Remote::new(body(3 * MIB, 63));
    let cut = Behaviour::Cut {
        remote: remote.clone(),
        after: 2 * MIB,
    };
    let url = web.route("/f", cut);
    let mirror = web.route("/mirror", Behaviour::Serve(remote.clone()));
    let id = host.download(&url, &["--method", "POST", "--mirror", &mirror]);
    host.wait_state(&id, "error");
    assert_eq!(web.requests("/mirror").len(), 0);
}

#[test]
fn b128_dynamic_content_is_begun_anew_at_a_mirror_and_never_in_segments() {
    let (web, host) = (Web::start(), running(""));
    let remote = Remote::new(body(3 * MIB, 64));
    let cut = Behaviour::Cut {
        remote: remote.clone(),
        after: 2 * MIB,
    };
    let url = web.route("/f", cut);
    let mirror = web.route("/mirror", Behaviour::Serve(remote.clone()));
    let args = ["--dynamic", "--segments", "3", "--mirror", &mirror, "--wait"];
    host.download(&url, &args);
    assert!(content(&host, "file.bin") == remote.body);
    for request in [web.requests("/f"), web.requests("/mirror")].concat() {
        assert!(request.range().is_none(), "{request:?}");
    }
    assert_eq!(web.requests("/mirror").len(), 1);
}
