//! Proxies: real ones on the loopback. Names that only they resolve show which way a request took.

use sexton_tests::proxy::{Door, Proxy};

use super::*;
use crate::bad_servers::secure::{authority, listen, params, signed};

/// A port where nobody listens.
fn closed() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

const FAR: &str = "http://files.example/f";

fn far(web: &Web) {
    web.route("/f", serve("good"));
}

#[test]
fn b142_http_goes_by_a_proxy_as_a_whole_name() {
    let (web, host) = scene();
    far(&web);
    let proxy = Proxy::open(&web);
    let id = fetch(&host, FAR, &["--proxy", &proxy.url("http")]);
    assert_eq!(proxy.seen(), ["GET http://files.example/f"]);
    let shown = host.cli(&["job", "show", &id]).code(0).stdout;
    assert!(shown.contains(&proxy.url("http")), "{shown}");
}

#[test]
fn b142_https_goes_through_a_tunnel_and_no_proxy_sees_a_password() {
    let (web, host) = scene();
    far(&web);
    let ours = authority("ours");
    std::fs::write(host.path("ca.pem"), ours.pem()).unwrap();
    let port = listen(&web, signed(&params("127.0.0.1"), &ours), web.over());
    let proxy = Proxy::open(&web);
    let url = format!("https://127.0.0.1:{port}/f");
    let more = ["--cacert", "ca.pem", "--user", "me", "--password-ref", "env:DOOR"];
    fetch(
        &host,
        &url,
        &[&more[..], &["--proxy", &proxy.url("http")]].concat(),
    );
    assert_eq!(proxy.seen(), [format!("CONNECT 127.0.0.1:{port}")]);
    assert!(!format!("{:?}", proxy.requests()).contains("authorization"));
    assert!(basic(&web.requests("/f")[0], "authorization", "me"));
}

#[test]
fn b142_socks5_carries_names_and_a_login() {
    let (web, host) = scene();
    far(&web);
    let open = Proxy::socks(&web, None);
    fetch(&host, FAR, &["--proxy", &open.url("socks5h")]);
    assert_eq!(open.seen(), ["SOCKS files.example:80"]);
    let asks = Proxy::socks(&web, Some(("proxy", SECRET)));
    let list = asks.url("socks5h");
    let login = ["--proxy-user", "proxy", "--proxy-password-ref", "env:DOOR"];
    fetch(&host, FAR, &[&login[..], &["--proxy", &list]].concat());
    assert_eq!(asks.seen().len(), 1);
    refusal(&host, FAR, &["--proxy", &list], "0x80190197");
}

#[test]
fn b142_a_list_is_tried_in_order_and_some_hosts_need_none() {
    let (web, host) = scene();
    far(&web);
    let (first, second) = (Proxy::open(&web), Proxy::open(&web));
    let list = format!("{} {}; {}", closed(), first.url("http"), second.url("http"));
    fetch(&host, FAR, &["--proxy", &list]);
    assert_eq!((first.seen().len(), second.seen().len()), (1, 0));
    let url = web.url("/f");
    let bypass = ["--proxy", &list, "--proxy-bypass", "*.example 127.0.0.1"];
    fetch(&host, &url, &bypass);
    assert_eq!((first.seen().len(), second.seen().len()), (1, 0));
    let id = host.download(FAR, &["--proxy", &closed(), "--retry-delay", "10min"]);
    let job = host.wait_state(&id, "transient-error");
    assert_eq!(job["error"]["code"], "0x80072EFD");
    let said = job["error"]["description"].as_str().unwrap();
    assert!(said.contains("by the proxy http://127.0.0.1"), "{said}");
}

#[test]
fn b142_the_environment_the_host_and_the_job_have_their_say_in_this_order() {
    let web = Web::start();
    far(&web);
    let (environment, configured, own) = (Proxy::open(&web), Proxy::open(&web), Proxy::open(&web));
    let counts = || [&environment, &configured, &own].map(|proxy| proxy.seen().len());
    let mut plain = host("");
    plain.variable("HTTP_PROXY", environment.url("http"));
    // A cgi program would be told HTTP_PROXY by its caller.
    plain.variable("http_proxy", environment.url("http"));
    plain.start();
    fetch(&plain, FAR, &[]);
    assert_eq!(counts(), [1, 0, 0]);
    fetch(&plain, &web.url("/f"), &["--proxy", "none"]);
    assert_eq!(counts(), [1, 0, 0]);
    let mut told = host(&format!(
        "[transfer]\nproxy = \"{}\"\nproxy_bypass = \"127.0.0.1\"\n",
        configured.url("http")
    ));
    told.variable("http_proxy", environment.url("http"));
    told.start();
    fetch(&told, FAR, &[]);
    fetch(&told, &web.url("/f"), &[]);
    assert_eq!(counts(), [1, 1, 0]);
    fetch(&told, FAR, &["--proxy", &own.url("http")]);
    assert_eq!(counts(), [1, 1, 1]);
}

#[test]
fn b142_lists_that_cannot_be_kept_or_understood_have_their_codes() {
    let (web, mut host) = scene();
    let url = web.url("/f");
    let long = "p ".repeat(2001);
    for (more, code) in [
        (["--proxy", &long, "--proxy-bypass", "h"], "0x80200018"),
        (["--proxy", "p", "--proxy-bypass", &long], "0x80200019"),
        (["--proxy", "autodetect", "--priority", "low"], "E_NOTIMPL"),
    ] {
        let said = host.cli(&[&["submit", "download", &url, "f"], &more[..]].concat());
        assert_ne!(said.code, 0);
        assert!(said.stderr.contains(code), "{said:?}");
    }
    let said = refusal(&host, &url, &["--proxy", "ftp://proxy"], "0x8020003F");
    assert!(said.contains("ftp://proxy"), "{said}");
    refusal(
        &host,
        &url,
        &["--proxy", "p", "--proxy-bypass", "a*b"],
        "0x8020003F",
    );
    host.term();
    host.configure("[transfer]\nproxy = \"ftp://proxy\"\n");
    host.spawn(&[]);
    assert_ne!(host.ended().code, Some(0));
    host.wait_log("cannot use `[transfer] proxy`");
}

#[test]
fn b86_a_proxy_that_asks_gets_the_answer_that_is_its_own() {
    let (web, host) = scene();
    far(&web);
    let ours = authority("ours");
    std::fs::write(host.path("ca.pem"), ours.pem()).unwrap();
    let port = listen(&web, signed(&params("127.0.0.1"), &ours), web.over());
    let secure = format!("https://127.0.0.1:{port}/f");
    let asks = Proxy::guarded(
        &web,
        Door {
            passes: |request| basic(request, "proxy-authorization", "proxy"),
            challenge: "Basic realm=\"proxy\"",
        },
    );
    let by = ["--proxy", &asks.url("http"), "--cacert", "ca.pem"];
    let login = ["--proxy-user", "proxy", "--proxy-password-ref", "env:DOOR"];
    for url in [FAR, &secure] {
        refusal(&host, url, &by, "0x80190197");
        fetch(&host, url, &[&by[..], &login].concat());
    }
    for request in web.requests("/f") {
        assert_eq!(request.header("proxy-authorization"), None);
    }
}

#[test]
fn b141_a_proxy_may_ask_for_a_digest() {
    let (web, host) = scene();
    far(&web);
    let asks = Proxy::guarded(
        &web,
        Door {
            passes: |request| digest(request, "proxy-authorization", FAR),
            challenge: "Digest realm=\"proxy\", qop=\"auth\", nonce=\"n\"",
        },
    );
    let login = [
        "--proxy-user",
        "me",
        "--proxy-password-ref",
        "env:DOOR",
        "--proxy-auth",
        "digest",
    ];
    fetch(
        &host,
        FAR,
        &[&login[..], &["--proxy", &asks.url("http")]].concat(),
    );
    assert_eq!(asks.seen().len(), 2);
}

#[test]
fn b89_a_proxy_whose_name_is_unknown_has_its_own_code() {
    let (_web, host) = scene();
    let id = host.download(
        FAR,
        &[
            "--proxy",
            "http://no-such-proxy.invalid",
            "--retry-delay",
            "10min",
        ],
    );
    let job = host.wait_state(&id, "transient-error");
    assert_eq!(job["error"]["code"], "0x80070057", "{}", job["error"]);
}
