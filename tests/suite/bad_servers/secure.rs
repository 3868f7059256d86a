//! Certificates that do not match, and servers that speak something else where TLS is expected.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};
use tokio_rustls::server::TlsStream;

use super::*;

/// `ERROR_INTERNET_SECURE_FAILURE`
const SECURE: &str = "0x80072F8F";

/// A certificate authority of our own.
pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub(crate) fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

/// A server with a certificate for this name by this authority.
pub(crate) fn signed(params: &CertificateParams, by: &Authority) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    server(certificate.der().clone(), &key)
}

pub(crate) fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private(key))
        .unwrap()
}

pub(crate) fn builder()
-> tokio_rustls::rustls::ConfigBuilder<ServerConfig, tokio_rustls::rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
}

pub(crate) fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(key.serialize_der().into())
}

/// Listens with TLS on a port of its own, has `serve` deal with what is inside, and returns the port.
pub(crate) fn listen<F>(
    web: &Web,
    config: ServerConfig,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    web.listen(move |socket| {
        let (acceptor, serve) = (acceptor.clone(), serve.clone());
        async move {
            if let Ok(line) = acceptor.accept(socket).await {
                serve(line).await;
            }
        }
    })
}

/// A running host that trusts this authority beside the system's.
pub(super) fn trusting(authority: &Authority) -> (Web, TestHost) {
    let mut host = host(&format!("{CONFIG}ca = [\"ca.pem\"]\n"));
    std::fs::write(host.path("ca.pem"), authority.pem()).unwrap();
    host.start();
    (Web::start(), host)
}

#[test]
fn b90_only_a_certificate_that_matches_is_accepted() {
    let (trusted, unknown) = (authority("ours"), authority("another"));
    let (web, host) = trusting(&trusted);
    web.route("/f", Behaviour::Serve(Remote::new("good")));
    let here = params("127.0.0.1");
    let mut expired = here.clone();
    (expired.not_before, expired.not_after) = (date_time_ymd(1990, 1, 1), date_time_ymd(1991, 1, 1));
    let mut early = here.clone();
    early.not_before = date_time_ymd(2090, 1, 1);
    let key = KeyPair::generate().unwrap();
    let own = here.self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let asks =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
    let asker = {
        let key = KeyPair::generate().unwrap();
        let certificate = here.signed_by(&key, &trusted).unwrap().der().clone();
        let verified = builder().with_client_cert_verifier(asks.build().unwrap());
        verified
            .with_single_cert(vec![certificate], private(&key))
            .unwrap()
    };
    let mut strange = signed(&here, &trusted);
    strange.alpn_protocols = vec![b"gopher".to_vec()];
    let table = [
        ("a good one", signed(&here, &trusted), whole("good")),
        (
            "another name",
            signed(&params("elsewhere.example"), &trusted),
            fatal(SECURE, "not valid for name"),
        ),
        ("expired", signed(&expired, &trusted), fatal(SECURE, "expired")),
        (
            "not yet valid",
            signed(&early, &trusted),
            fatal(SECURE, "not valid yet"),
        ),
        (
            "signed by itself",
            server(own.der().clone(), &key),
            fatal(SECURE, "UnknownIssuer"),
        ),
        (
            "an unknown authority",
            signed(&here, &unknown),
            fatal(SECURE, "UnknownIssuer"),
        ),
        (
            "one of ours wanted",
            asker,
            fatal("0x80072F0C", "asks for a client certificate"),
        ),
        ("another protocol inside", strange, fatal(SECURE, "no common")),
    ];
    let rows = table.into_iter().map(|(what, config, end)| {
        let port = listen(&web, config, web.over());
        (what, format!("https://127.0.0.1:{port}/f"), end)
    });
    check(&host, rows.collect());
}

/// The authority is trusted because it is configured, and for nothing else.
#[test]
fn b90_an_authority_that_is_not_configured_is_refused() {
    let trusted = authority("ours");
    let (web, host) = scene();
    web.route("/f", Behaviour::Serve(Remote::new("good")));
    let port = listen(&web, signed(&params("127.0.0.1"), &trusted), web.over());
    let url = format!("https://127.0.0.1:{port}/f");
    check(
        &host,
        vec![(
            "not configured",
            url,
            fatal(SECURE, "certificate was not accepted"),
        )],
    );
}

#[test]
fn an_authority_that_is_no_certificate_stops_the_start_and_is_named() {
    for (content, words) in [
        (None, "No such file"),
        (Some("no PEM"), "no certificate in PEM form"),
    ] {
        let mut host = host(&format!("{CONFIG}ca = [\"ca.pem\"]\n"));
        if let Some(content) = content {
            std::fs::write(host.path("ca.pem"), content).unwrap();
        }
        host.spawn(&[]);
        assert_ne!(host.ended().code, Some(0));
        host.wait_log(words);
        host.wait_log("ca.pem, named by `[transfer] ca`");
    }
}

#[test]
fn b89_b90_what_is_not_tls_on_its_port_may_pass() {
    let (web, host) = scene();
    let says = |bytes: &'static [u8]| {
        web.listen(move |mut socket| async move {
            let _ = socket.write_all(bytes).await;
            std::future::pending::<()>().await;
        })
    };
    let resets = web.listen(|socket| async move {
        let _ = socket.set_zero_linger();
    });
    let closes = web.listen(|mut socket| async move {
        let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
    });
    let reads = web.listen(|mut socket| async move {
        let mut head = [0; 5];
        let _ = tokio::io::AsyncReadExt::read_exact(&mut socket, &mut head).await;
        let _ = socket.shutdown().await;
        let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
    });
    let table = [
        (
            "plain HTTP",
            says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            passing(SECURE, "the secure connection failed"),
        ),
        (
            "garbage",
            says(&[0xAA; 4096]),
            passing(SECURE, "the secure connection failed"),
        ),
        (
            "a record without end",
            says(b"\x16\x03\x03\xff\xff"),
            passing(SECURE, "the secure connection failed"),
        ),
        (
            "nothing",
            says(b""),
            passing("0x80072EE2", "did not answer in time"),
        ),
        (
            "silence that listens",
            closes,
            passing("0x80072EE2", "did not answer in time"),
        ),
        (
            "closed in the handshake",
            reads,
            passing("0x8020002E", "closed before the end"),
        ),
        ("reset", resets, passing("0x80072EFE", "was cut")),
    ];
    let rows = table
        .into_iter()
        .map(|(what, port, end)| (what, format!("https://127.0.0.1:{port}/f"), end));
    check(&host, rows.collect());
}

/// A body without a length ends with the connection, and with TLS only its farewell proves that this
/// was the server's doing.
#[test]
fn j198_an_end_without_a_farewell_is_none() {
    let trusted = authority("ours");
    let (web, host) = trusting(&trusted);
    let port = listen(&web, signed(&params("127.0.0.1"), &trusted), web.over());
    let until_closed = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it";
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
    let ends = |head: &str, end| Behaviour::Script(vec![Step::text(head), end]);
    let plain = web.route("/good", Behaviour::Serve(Remote::new("good")));
    let up = format!("https://127.0.0.1:{port}/good");
    let table = vec![
        (
            "cut off",
            ends(until_closed, Step::Abandon),
            passing("0x8020002E", "closed before the end"),
        ),
        ("ended", ends(until_closed, Step::Close), whole("half of it")),
        ("all of it, cut off", ends(sized, Step::Abandon), whole("good")),
        (
            "from https to http (J-198)",
            Behaviour::Redirect(plain),
            fatal("0x8019012E", "from https to http://127.0.0.1"),
        ),
        (
            "from https to https",
            Behaviour::Redirect(up.clone()),
            whole("good"),
        ),
    ];
    let mut rows: Vec<Row> = rows(&web, table)
        .into_iter()
        .map(|(what, url, end)| {
            let path = url.split_at(url.rfind('/').unwrap()).1;
            (what, format!("https://127.0.0.1:{port}{path}"), end)
        })
        .collect();
    rows.push((
        "from http to https",
        web.route("/up", Behaviour::Redirect(up)),
        whole("good"),
    ));
    check(&host, rows);
}
