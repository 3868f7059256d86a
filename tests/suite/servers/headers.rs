//! Headers of a job's own: sent with every request, listed without what opens a door.

use super::*;

#[test]
fn b143_headers_go_with_every_request_and_are_listed() {
    let (web, host) = scene();
    let remote = Remote::new(crate::download::body(3 << 20, 6));
    let cut = Behaviour::Cut {
        remote: remote.clone(),
        after: 2 << 20,
    };
    let file = web.route("/file", cut);
    let url = web.route("/start", Behaviour::Redirect(file));
    let headers = [
        "--header",
        "X-Version: 7",
        "--header",
        "X-Tag: a",
        "--header",
        "X-Tag: b",
    ];
    let id = host.download(
        &url,
        &[&headers[..], &["--retry-delay", "100ms", "--wait"]].concat(),
    );
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    let requests = [web.requests("/start"), web.requests("/file")].concat();
    assert_eq!(requests.len(), 4);
    for request in &requests {
        assert_eq!(request.header("x-version"), Some("7"));
        let tags = request.headers.iter().filter(|(name, _)| name == "x-tag");
        let tags: Vec<&str> = tags.map(|(_, value)| value.as_str()).collect();
        assert_eq!(tags, ["a", "b"]);
    }
    let shown = host.cli(&["job", "show", &id]).code(0).stdout;
    assert!(shown.contains("X-Version: 7"), "{shown}");
    let headers = &host.job(&id)["transfer"]["http"]["headers"];
    assert_eq!(headers[0], serde_json::json!({"name": "X-Version", "value": "7"}));
}

#[test]
fn b143_values_that_open_a_door_are_masked_and_hidden_ones_are_gone() {
    let (web, host) = scene();
    let url = web.route("/f", serve("good"));
    let key = format!("X-Api-Key: {SECRET}");
    let id = fetch(&host, &url, &["--header", &key, "--header", "X-Plain: 1"]);
    assert_eq!(web.requests("/f")[0].header("x-api-key"), Some(SECRET));
    let shown = host.cli(&["job", "show", &id]).code(0).stdout;
    assert!(
        shown.contains("X-Api-Key: ***") && shown.contains("X-Plain: 1"),
        "{shown}"
    );
    let hidden = fetch(&host, &url, &["--header", "X-Plain: 1", "--hide-headers"]);
    let shown = host.cli(&["job", "show", &hidden]).code(0).stdout;
    assert!(shown.contains("X-Plain: ***"), "{shown}");
}

#[test]
fn b143_headers_that_say_where_a_message_ends_are_refused() {
    let (web, host) = scene();
    let url = web.url("/f");
    for header in ["Content-Length: 4", "Range: bytes=1-", "Connection: close"] {
        let said = host.cli(&["submit", "download", &url, "f", "--header", header]);
        assert_ne!(said.code, 0);
        assert!(said.stderr.contains("set by the transfer itself"), "{said:?}");
    }
    let long = format!("X-Long: {}", "x".repeat(16_384));
    let said = host.cli(&["submit", "download", &url, "f", "--header", &long]);
    assert!(said.stderr.contains("BG_E_STRING_TOO_LONG"), "{said:?}");
    assert_eq!(web.count(), 0);
}

#[test]
fn b143_a_server_may_be_called_by_another_name() {
    let (web, host) = scene();
    let other = Web::start();
    let far = other.route("/far", serve("good"));
    let url = web.route("/near", Behaviour::Redirect(far));
    fetch(&host, &url, &["--header", "Host: virtual.example"]);
    assert_eq!(web.requests("/near")[0].header("host"), Some("virtual.example"));
    let far = other.requests("/far")[0].header("host").map(str::to_owned);
    assert_eq!(
        far,
        Some(other.address().to_string()),
        "that name is not this server's"
    );
}

#[test]
fn bp08_a_job_has_its_own_user_agent() {
    let (web, host) = scene();
    let url = web.route("/f", serve("good"));
    fetch(&host, &url, &[]);
    fetch(&host, &url, &["--header", "User-Agent: Mozilla/4.0"]);
    let agents: Vec<_> = web
        .requests("/f")
        .iter()
        .map(|request| request.user_agent().unwrap_or_default().to_owned())
        .collect();
    assert!(agents[0].starts_with("sexton/"), "{agents:?}");
    assert_eq!(agents[1], "Mozilla/4.0");
}
