//! Certificates: whom a job trusts, what it pins, what it ignores, what it shows.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PublicKeyData, date_time_ymd};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

use super::*;
use crate::bad_servers::secure::{Authority, authority, builder, listen, params, private, server, signed};

/// `ERROR_INTERNET_SECURE_FAILURE`
const SECURE: &str = "0x80072F8F";

/// A host and a server behind TLS; `f` is what it serves.
struct Stage {
    web: Web,
    host: TestHost,
    ours: Authority,
}

impl Stage {
    fn new() -> Self {
        let (web, host) = scene();
        web.route("/f", serve("good"));
        let ours = authority("ours");
        std::fs::write(host.path("ca.pem"), ours.pem()).unwrap();
        Self { web, host, ours }
    }

    fn url(&self, config: ServerConfig) -> String {
        let port = listen(&self.web, config, self.web.over());
        format!("https://127.0.0.1:{port}/f")
    }
}

fn old(name: &str) -> CertificateParams {
    let mut params = params(name);
    (params.not_before, params.not_after) = (date_time_ymd(1990, 1, 1), date_time_ymd(1991, 1, 1));
    params
}

fn own(params: &CertificateParams) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    server(certificate.der().clone(), &key)
}

/// Each flag lets pass what it names, and nothing beside it.
#[test]
fn b146_each_check_is_taken_away_by_itself() {
    let stage = Stage::new();
    let here = params("127.0.0.1");
    let mut future = here.clone();
    future.not_before = date_time_ymd(2090, 1, 1);
    let mut ca = here.clone();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (name, date, anyone) = ("--insecure-name", "--insecure-date", "--insecure-unknown-ca");
    let trusted = ["--cacert", "ca.pem"];
    let elsewhere = params("elsewhere.example");
    let table: Vec<(&str, ServerConfig, bool, Vec<&str>)> = vec![
        ("another name", signed(&elsewhere, &stage.ours), true, vec![name]),
        (
            "expired",
            signed(&old("127.0.0.1"), &stage.ours),
            true,
            vec![date],
        ),
        ("early", signed(&future, &stage.ours), true, vec![date]),
        (
            "unknown authority",
            signed(&here, &stage.ours),
            false,
            vec![anyone],
        ),
        ("made by itself", own(&here), false, vec![anyone]),
        ("an authority itself", own(&ca), false, vec![anyone]),
        (
            "another name, expired",
            signed(&old("elsewhere.example"), &stage.ours),
            true,
            vec![name, date],
        ),
        (
            "another name, made by itself",
            own(&elsewhere),
            false,
            vec![name, anyone],
        ),
        (
            "expired, made by itself",
            own(&old("127.0.0.1")),
            false,
            vec![date, anyone],
        ),
    ];
    for (what, config, authority, needed) in table {
        eprintln!("{what}");
        let url = stage.url(config);
        let trust = if authority { &trusted[..] } else { &[] };
        for flag in &needed {
            let others: Vec<&str> = [name, date, anyone]
                .into_iter()
                .filter(|other| other != flag)
                .collect();
            refusal(&stage.host, &url, &[trust, &others].concat(), SECURE);
        }
        fetch(&stage.host, &url, &[trust, &needed].concat());
    }
}

#[test]
fn b146_whoever_takes_a_check_away_is_warned() {
    let stage = Stage::new();
    let url = stage.url(own(&params("127.0.0.1")));
    let id = fetch(&stage.host, &url, &["--insecure-unknown-ca"]);
    stage
        .host
        .wait_log("INSECURE: certificates are not checked in full, the authority may be wrong");
    let shown = stage.host.cli(&["job", "show", &id]).code(0).stdout;
    assert!(shown.contains("WARNING"), "{shown}");
    assert_eq!(
        stage.host.job(&id)["transfer"]["http"]["tls"]["ignore_unknown_ca"],
        true
    );
}

#[test]
fn b146_an_authority_is_trusted_by_the_job_that_names_it_alone() {
    let stage = Stage::new();
    let url = stage.url(signed(&params("127.0.0.1"), &stage.ours));
    fetch(&stage.host, &url, &["--cacert", "ca.pem"]);
    refusal(&stage.host, &url, &[], SECURE);
    std::fs::write(stage.host.path("ca.pem"), authority("another").pem()).unwrap();
    refusal(&stage.host, &url, &["--cacert", "ca.pem"], SECURE);
    let said = refusal(&stage.host, &url, &["--cacert", "none.pem"], SECURE);
    assert!(said.contains("none.pem cannot be used"), "{said}");
}

#[test]
fn b146_a_pinned_key_is_the_only_one() {
    let stage = Stage::new();
    let key = KeyPair::generate().unwrap();
    let certificate = params("127.0.0.1").signed_by(&key, &stage.ours).unwrap();
    let url = stage.url(server(certificate.der().clone(), &key));
    let spki = stage.host.path("spki.der");
    std::fs::write(&spki, key.subject_public_key_info()).unwrap();
    // What an operator would call; another hand than the host's.
    let said = std::process::Command::new("sha256sum")
        .arg(&spki)
        .output()
        .unwrap();
    let digest = String::from_utf8(said.stdout).unwrap();
    let right = format!("sha256:{}", digest.split(' ').next().unwrap());
    let wrong = format!("sha256:{}", "0".repeat(64));
    let trust = ["--cacert", "ca.pem", "--pin"];
    fetch(&stage.host, &url, &[&trust[..], &[&right]].concat());
    fetch(
        &stage.host,
        &url,
        &[&trust[..], &[&wrong, "--pin", &right]].concat(),
    );
    let said = refusal(&stage.host, &url, &[&trust[..], &[&wrong]].concat(), SECURE);
    assert!(said.contains("NotPinned"), "{said}");
    refusal(&stage.host, &url, &["--pin", &right], SECURE);
    let insecure = [
        "--insecure-name",
        "--insecure-date",
        "--insecure-unknown-ca",
        "--pin",
    ];
    fetch(&stage.host, &url, &[&insecure[..], &[&right]].concat());
    refusal(&stage.host, &url, &[&insecure[..], &[&wrong]].concat(), SECURE);
}

#[test]
fn b147_a_client_certificate_is_shown_to_servers_that_ask() {
    let stage = Stage::new();
    let mut roots = RootCertStore::empty();
    roots.add(stage.ours.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let asks = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let key = KeyPair::generate().unwrap();
    let certificate = params("127.0.0.1").signed_by(&key, &stage.ours).unwrap();
    let config = builder()
        .with_client_cert_verifier(asks.build().unwrap())
        .with_single_cert(vec![certificate.der().clone()], private(&key))
        .unwrap();
    let url = stage.url(config);
    let mine = KeyPair::generate().unwrap();
    let shown = params("me.example").signed_by(&mine, &stage.ours).unwrap();
    let put = |name: &str, text: &str| std::fs::write(stage.host.path(name), text).unwrap();
    put("me.pem", &shown.pem());
    put("me.key", &mine.serialize_pem());
    put("both.pem", &format!("{}{}", mine.serialize_pem(), shown.pem()));
    put("other.key", &key.serialize_pem());
    let trust = ["--cacert", "ca.pem"];
    for pair in [
        &["--cert", "me.pem", "--key-file", "me.key"][..],
        &["--cert", "both.pem"],
    ] {
        fetch(&stage.host, &url, &[&trust, pair].concat());
    }
    let said = refusal(&stage.host, &url, &trust, "0x80072F0C");
    assert!(said.contains("asks for a client certificate"), "{said}");
    for pair in [
        &["--cert", "me.pem"][..],
        &["--cert", "me.pem", "--key-file", "other.key"],
        &["--cert", "none.pem"],
    ] {
        refusal(&stage.host, &url, &[&trust, pair].concat(), "0x80200040");
    }
}
