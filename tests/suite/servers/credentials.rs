//! Credentials: whom they are shown to, how, and where they never stand.

use super::*;

const CHALLENGE: &str = "Digest realm=\"here\", qop=\"auth\", algorithm=SHA-256, nonce=\"n1\", opaque=\"o\"";
const ME: [&str; 4] = ["--user", "me", "--password-ref", "env:DOOR"];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [&ME, more].concat()
}

#[test]
fn b141_basic_and_bearer_are_shown_unasked() {
    let (web, host) = scene();
    let basic = web.route(
        "/basic",
        guarded(|request| basic(request, "authorization", "me"), "Basic"),
    );
    fetch(&host, &basic, &ME);
    assert_eq!(web.requests("/basic").len(), 1, "it was not asked first");
    let passes = |request: &Request| request.header("authorization") == Some("Bearer hunter2-and-more");
    let bearer = web.route("/bearer", guarded(passes, "Bearer"));
    fetch(
        &host,
        &bearer,
        &["--auth", "bearer", "--password-ref", "env:DOOR"],
    );
    assert_eq!(web.requests("/bearer").len(), 1);
}

#[test]
fn b141_a_digest_is_shown_when_asked_for_and_kept_for_the_next_request() {
    let (web, host) = scene();
    let remote = Remote::new(crate::download::body(3 << 20, 5));
    let asked = |request: &Request| digest(request, "authorization", "/digest?x=1");
    let Behaviour::Guarded { otherwise, .. } = guarded(asked, CHALLENGE) else {
        unreachable!()
    };
    let cut = Behaviour::Cut {
        remote: remote.clone(),
        after: 2 << 20,
    };
    let serve = |then| Behaviour::Guarded {
        passes: asked,
        then: Box::new(then),
        otherwise: otherwise.clone(),
    };
    let steps = vec![
        (*otherwise).clone(),
        serve(cut),
        (*otherwise).clone(),
        serve(Behaviour::Serve(remote.clone())),
    ];
    let url = web.route("/digest", Behaviour::Sequence(steps)) + "?x=1";
    host.download(
        &url,
        &with(&["--auth", "digest", "--retry-delay", "100ms", "--wait"]),
    );
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    let requests = web.requests("/digest");
    assert_eq!(requests.len(), 4);
    assert_eq!(
        requests[0].header("authorization"),
        None,
        "nothing is shown unasked"
    );
    assert!(
        requests
            .iter()
            .all(|request| !format!("{request:?}").contains(SECRET))
    );
}

#[test]
fn b141_what_is_sent_shows_them_too_and_goes_out_again_whole() {
    let (web, host) = scene();
    let bytes = crate::download::body(200_000, 9);
    std::fs::write(host.path("up.bin"), &bytes).unwrap();
    let asked = |request: &Request| digest(request, "authorization", "/up");
    let url = web.route("/up", guarded(asked, CHALLENGE));
    let more = with(&["--auth", "digest", "--header", "X-Note: mine"]);
    let line = ["submit", "upload", "up.bin", &url, "--protocol", "put", "--wait"];
    host.cli(&[&line[..], &more].concat()).code(0);
    let requests = web.requests("/up");
    assert_eq!(requests.len(), 2, "asked once, answered once");
    for request in &requests {
        assert_eq!(request.header("x-note"), Some("mine"));
    }
    assert!(requests[1].body == bytes, "nothing is missing the second time");
}

#[test]
fn b141_the_next_file_of_a_run_needs_no_second_challenge() {
    let (web, host) = scene();
    let url = web.route(
        "/a",
        guarded(|request| digest(request, "authorization", "/a"), CHALLENGE),
    );
    let to = web.route(
        "/b",
        Behaviour::Guarded {
            passes: |request| digest(request, "authorization", "/b"),
            then: Box::new(Behaviour::Redirect(url.clone())),
            otherwise: Box::new(Behaviour::Status(
                401,
                vec![("WWW-Authenticate".to_owned(), CHALLENGE.to_owned())],
            )),
        },
    );
    fetch(&host, &to, &with(&["--auth", "digest"]));
    assert_eq!(web.requests("/b").len(), 2);
    assert_eq!(
        web.requests("/a").len(),
        1,
        "the challenge of this server is known"
    );
    assert!(
        web.requests("/a")[0]
            .header("authorization")
            .unwrap()
            .contains("nc=00000002")
    );
}

#[test]
fn b143_credentials_and_secret_headers_stay_with_their_server() {
    let (web, host) = scene();
    let other = Web::start();
    let far = other.route("/far", serve("good"));
    let near = web.route("/near", Behaviour::Redirect(far));
    let door = web.route("/door", Behaviour::Redirect(near));
    let secret = ["--secret-header", "X-Door: env:DOOR", "--header", "X-Plain: 1"];
    fetch(
        &host,
        &door,
        &[&with(&["--header", "Cookie: a=b"])[..], &secret].concat(),
    );
    for path in ["/door", "/near"] {
        let request = &web.requests(path)[0];
        assert!(basic(request, "authorization", "me"), "{request:?}");
        assert_eq!(request.header("x-door"), Some(SECRET));
        assert_eq!(request.header("cookie"), Some("a=b"));
    }
    let request = &other.requests("/far")[0];
    for name in ["authorization", "x-door", "cookie"] {
        assert_eq!(request.header(name), None, "{name} went to another server");
    }
    assert_eq!(request.header("x-plain"), Some("1"));
}

#[test]
fn b86_credentials_that_are_missing_or_wrong_are_an_error() {
    let (web, host) = scene();
    let url = web.route("/401", guarded(|_| false, CHALLENGE));
    let said = refusal(&host, &url, &[], "0x80190191");
    assert!(said.contains("has no credentials"), "{said}");
    let before = web.requests("/401").len();
    let said = refusal(&host, &url, &with(&["--auth", "digest"]), "0x80190191");
    assert!(said.contains("were not accepted"), "{said}");
    assert_eq!(
        web.requests("/401").len() - before,
        2,
        "a wrong password is tried once"
    );
    let url = web.route("/407", Behaviour::Status(407, Vec::new()));
    refusal(&host, &url, &[], "0x80190197");
}

#[test]
fn b96_a_secret_that_cannot_be_had_is_an_error_that_names_its_place() {
    let (web, mut host) = (Web::start(), host(""));
    std::fs::create_dir(host.path("credentials")).unwrap();
    std::fs::write(host.path("credentials/door"), format!("{SECRET}\n")).unwrap();
    let directory = host.path("credentials").display().to_string();
    host.variable("CREDENTIALS_DIRECTORY", &directory);
    host.start();
    let url = web.route(
        "/f",
        guarded(|request| basic(request, "authorization", "me"), "Basic"),
    );
    for place in ["credential:door".to_owned(), format!("file:{directory}/door")] {
        fetch(&host, &url, &["--user", "me", "--password-ref", &place]);
    }
    for place in ["env:NO_SUCH_DOOR", "credential:window", "file:/no/such/door"] {
        let said = refusal(
            &host,
            &url,
            &["--user", "me", "--password-ref", place],
            "0x80200040",
        );
        assert!(said.contains(place), "{said}");
        let said = refusal(
            &host,
            &url,
            &["--secret-header", &format!("X-Door: {place}")],
            "0x80200040",
        );
        assert!(said.contains(place), "{said}");
    }
}

#[test]
fn b141_no_secret_is_logged_listed_told_or_stored() {
    let (web, mut host) = scene();
    let url = web.route("/f", guarded(|_| false, CHALLENGE));
    let named = url.replace("http://", &format!("http://me:{SECRET}@"));
    let schemes = ["basic", "digest"];
    let mut ids: Vec<String> = schemes
        .iter()
        .map(|scheme| host.download(&url, &with(&["--auth", scheme])))
        .collect();
    ids.push(host.download(&url, &["--secret-header", "X-Door: env:DOOR"]));
    ids.push(host.download(&named, &[]));
    ids.push(host.download(&url, &["--header", &format!("Authorization: Token {SECRET}")]));
    for id in &ids {
        host.wait_state(id, "error");
        for args in [
            &["job", "show", id][..],
            &["job", "show", id, "--json"],
            &["job", "error", id],
        ] {
            let said = host.cli(args).code(0);
            assert!(!said.stdout.contains(SECRET), "{said:?}");
        }
    }
    let said = host.cli(&["job", "show", &ids[0]]).code(0).stdout;
    assert!(said.contains("me (env:DOOR)"), "{said}");
    assert!(!host.cli(&["job", "list", "--json"]).stdout.contains(SECRET));
    host.term();
    assert!(!host.log().contains(SECRET));
    // Two jobs were told the secret itself; those that name its place store no more than that.
    let stored: usize = std::fs::read_dir(host.path("state"))
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap_or_default())
        .map(|bytes| {
            bytes
                .windows(SECRET.len())
                .filter(|found| *found == SECRET.as_bytes())
                .count()
        })
        .sum();
    assert!(stored > 0, "the search finds what is there");
    let (_web, mut clean) = scene();
    let id = clean.download(&url, &with(&["--secret-header", "X-Door: env:DOOR"]));
    clean.wait_state(&id, "error");
    clean.term();
    for entry in std::fs::read_dir(clean.path("state")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        let found = bytes
            .windows(SECRET.len())
            .any(|found| found == SECRET.as_bytes());
        assert!(!found, "a secret is stored");
    }
}

#[test]
fn bn04_passport_and_its_kin_are_refused_by_their_code() {
    let (web, host) = scene();
    let url = web.url("/f");
    for scheme in ["ntlm", "negotiate", "passport"] {
        let said = host.cli(&[&["submit", "download", &url, "f"], &ME[..], &["--auth", scheme]].concat());
        assert_ne!(said.code, 0);
        assert!(
            said.stderr.contains("0x80200028") && said.stderr.contains("BG_E_INVALID_AUTH_SCHEME"),
            "{said:?}"
        );
    }
}
