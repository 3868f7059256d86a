//! Redirects: followed, reported or refused, as a job says.

use super::*;
use crate::bad_servers::secure::{authority, listen, params, signed};

#[test]
fn b145_a_redirect_is_followed_reported_or_an_error() {
    let (web, host) = scene();
    let there = web.route("/there", serve("good"));
    let url = web.route("/here", Behaviour::Redirect(there.clone()));
    let remote = |id: &str| host.job(id)["files"][0]["remote"].as_str().unwrap().to_owned();
    let silent = fetch(&host, &url, &[]);
    assert_eq!(remote(&silent), url);
    let reported = fetch(&host, &url, &["--redirects", "report"]);
    assert_eq!(remote(&reported), there);
    let before = web.requests("/there").len();
    let said = refusal(&host, &url, &["--redirects", "disallow"], "0x8019012E");
    assert!(said.contains("not allowed"), "{said}");
    assert_eq!(web.requests("/there").len(), before);
}

/// The next run asks by the new name, so that may be none that the job's secrets are not for.
#[test]
fn b145_another_server_is_not_reported_to_a_job_with_secrets() {
    let (web, host) = scene();
    let other = Web::start();
    let remote = Remote::new(crate::download::body(3 << 20, 7));
    let cut = Behaviour::Cut {
        remote: remote.clone(),
        after: 2 << 20,
    };
    let far = other.route("/far", cut);
    let url = web.route("/near", Behaviour::Redirect(far));
    let named = url.replace("http://", &format!("http://me:{SECRET}@"));
    let report = ["--redirects", "report", "--retry-delay", "100ms", "--wait"];
    let secret = ["--user", "me", "--password-ref", "env:DOOR"];
    for (url, more) in [(&url, &secret[..]), (&named, &[])] {
        let id = host.download(url, &[&report[..], more].concat());
        assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
        assert!(
            host.job(&id)["files"][0]["remote"]
                .as_str()
                .unwrap()
                .contains("/near")
        );
    }
    assert!(web.requests("/near").len() > 2, "the second run began there too");
    for request in other.requests("/far") {
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn b145_https_leads_to_http_only_where_a_job_allows_it() {
    let (web, host) = scene();
    let ours = authority("ours");
    std::fs::write(host.path("ca.pem"), ours.pem()).unwrap();
    let port = listen(&web, signed(&params("127.0.0.1"), &ours), web.over());
    let plain = web.route("/plain", serve("good"));
    web.route("/down", Behaviour::Redirect(plain));
    let url = format!("https://127.0.0.1:{port}/down");
    let said = refusal(&host, &url, &["--cacert", "ca.pem"], "0x8019012E");
    assert!(said.contains("not secure"), "{said}");
    fetch(&host, &url, &["--cacert", "ca.pem", "--allow-https-to-http"]);
}
