//! Redirects that lead nowhere, in circles, or where the request must not go.

use super::*;

#[test]
fn b82_redirects_are_followed_to_an_end_or_refused_by_name() {
    let (web, host) = scene();
    let other = Web::start();
    let good = other.route("/good", Behaviour::Serve(Remote::new("good")));
    let to = |location: &str| Behaviour::Status(302, vec![("Location".to_owned(), location.to_owned())]);
    let status = |code| Behaviour::Status(code, vec![("Location".to_owned(), good.clone())]);
    let far = format!("http://{}/", "a".repeat(70_000));
    let long = format!("{}:x", "a".repeat(5_000));
    let table = vec![
        ("301", status(301), whole("good")),
        ("302", status(302), whole("good")),
        ("303", status(303), whole("good")),
        ("307", status(307), whole("good")),
        ("308", status(308), whole("good")),
        (
            "300 is a choice",
            status(300),
            fatal("0x8019012C", "answered 300"),
        ),
        (
            "304 was not asked for",
            status(304),
            fatal("0x80190130", "answered 304"),
        ),
        (
            "305 is not followed",
            status(305),
            fatal("0x80190131", "answered 305"),
        ),
        (
            "in a circle",
            Behaviour::RedirectLoop,
            fatal("0x8019012E", "more than 10 times"),
        ),
        (
            "nowhere",
            Behaviour::Status(302, Vec::new()),
            fatal("0x8019012E", "answered 302"),
        ),
        (
            "to an empty place",
            to(""),
            fatal("0x8019012E", "more than 10 times"),
        ),
        (
            "to garbage",
            to("http://[::1"),
            fatal("0x8019012E", "answered 302"),
        ),
        (
            "to a place without a host",
            to("http://"),
            fatal("0x8019012E", "answered 302"),
        ),
        (
            "to a file",
            to("file:///etc/passwd"),
            fatal("0x8019012E", "answered 302"),
        ),
        (
            "to another protocol",
            to("ftp://127.0.0.1/x"),
            fatal("0x8019012E", "redirected to `ftp`, which is not spoken"),
        ),
        ("to a scheme without end", to(&long), fatal("0x8019012E", "302")),
        ("to a name without end", to(&far), fatal("0x8019012E", "302")),
        (
            "to a closed port",
            to(&closed()),
            passing("0x80072EFD", "refused the connection"),
        ),
    ];
    check(&host, rows(&web, table));
}

/// A port where nobody listens.
fn closed() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/x", listener.local_addr().unwrap())
}

/// The rest of a file is asked for along the same way, and what opens one host's doors is not shown to
/// another.
#[test]
fn b145_another_host_gets_the_range_and_no_password() {
    let (web, host) = scene();
    let other = Web::start();
    let remote = Remote::new(body(3 << 20, 1));
    let cut = Behaviour::Cut {
        remote: remote.clone(),
        after: 2 << 20,
    };
    let far = other.route("/far", cut);
    let near = web.route("/near", Behaviour::Redirect(far));
    let near = near.replace("http://", "http://me:hunter2@");
    host.download(&near, &["--retry-delay", "100ms", "--wait"]);
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    let (near, far) = (web.requests("/near"), other.requests("/far"));
    assert!(
        near.iter()
            .all(|request| request.header("authorization").is_some())
    );
    assert!(
        far.iter()
            .all(|request| request.header("authorization").is_none())
    );
    assert_eq!(far.len(), 2);
    assert_eq!(far[1].span(), Some((2 << 20, None)));
    assert_eq!(far[1].if_range(), remote.etag.as_deref());
}
