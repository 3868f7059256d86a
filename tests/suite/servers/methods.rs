//! Content that cannot be had twice in the same way: another method than GET, and files that are made
//! while they are sent.

use super::*;

/// The first answer is cut; whatever comes next is the whole file again.
fn cut(bytes: &[u8]) -> (Remote, Behaviour) {
    let remote = Remote::new(bytes.to_vec());
    let cut = Behaviour::Cut {
        remote: remote.clone(),
        after: 2 << 20,
    };
    (remote, cut)
}

#[test]
fn b144_another_method_is_sent_and_its_job_is_in_the_foreground() {
    let (web, host) = scene();
    let url = web.route("/f", serve("good"));
    let id = host.download(&url, &["--method", "POST", "--priority", "low", "--suspended"]);
    assert_eq!(host.job(&id)["priority"], "foreground");
    let said = host.cli(&["job", "set", &id, "--priority", "low"]).code(5);
    assert!(said.stderr.contains("stays in the foreground"), "{said:?}");
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(web.requests("/f")[0].method, "POST");
}

#[test]
fn b144_network_errors_are_fatal_and_resume_begins_anew() {
    let (web, host) = scene();
    let (remote, cut) = cut(&crate::download::body(3 << 20, 8));
    let url = web.route("/f", cut);
    let id = host.download(&url, &["--method", "POST", "--retry-delay", "100ms"]);
    let job = host.wait_state(&id, "error");
    assert_eq!(job["error"]["code"], "0x8020002E", "{}", job["error"]);
    assert_eq!(job["error"]["context"], "general-transport");
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    let requests = web.requests("/f");
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.range().is_none()));
}

#[test]
fn b144_another_method_and_dynamic_content_exclude_each_other() {
    let (web, host) = scene();
    let url = web.url("/f");
    let said = host.cli(&["submit", "download", &url, "f", "--method", "POST", "--dynamic"]);
    assert!(
        said.stderr
            .contains("0x80200071 BG_E_NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD"),
        "{said:?}"
    );
}

#[test]
fn b128_dynamic_content_begins_anew_and_is_in_the_foreground() {
    let (web, host) = scene();
    let (remote, cut) = cut(&crate::download::body(3 << 20, 9));
    let url = web.route("/f", cut);
    let id = host.download(&url, &["--dynamic", "--retry-delay", "100ms", "--wait"]);
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    let requests = web.requests("/f");
    assert_eq!(requests.len(), 2);
    assert!(
        requests.iter().all(|request| request.range().is_none()),
        "though its server serves ranges"
    );
    assert_eq!(host.job(&id)["priority"], "foreground");
    let said = host.cli(&["submit", "download", &url, "f", "--dynamic", "--priority", "low"]);
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("foreground"), "{said:?}");
}

/// Ten times is the limit for a server that should be able to go on, and cannot (BP-09).
#[test]
fn b128_dynamic_content_may_be_interrupted_more_often_than_a_file() {
    let (web, host) = scene();
    let (remote, _) = cut(&crate::download::body(1 << 20, 10));
    let cut = Behaviour::CutEvery {
        remote: remote.clone(),
        every: 600 << 10,
    };
    let mut steps = vec![cut; 12];
    steps.push(Behaviour::Serve(remote.clone()));
    let url = web.route("/f", Behaviour::Sequence(steps));
    let id = host.download(&url, &["--dynamic", "--retry-delay", "20ms"]);
    // The delay between retries doubles; whoever knows better does not wait for it.
    sexton_tests::poll::eventually("it is whole", || {
        let job = host.job(&id);
        assert_ne!(job["state"], "error", "{}", job["error"]);
        if job["state"] == "transient-error" {
            let _ = host.cli(&["job", "resume", &id]);
        }
        job["state"] == "acknowledged"
    });
    assert_eq!(web.requests("/f").len(), 13);
}

#[test]
fn bp03_a_server_without_head_length_and_ranges_is_streamed_and_that_is_said() {
    let (web, host) = scene();
    let remote = Remote {
        ranges: false,
        etag: None,
        ..Remote::new(crate::download::body(2 << 20, 11))
    };
    let bodies = [
        ("/chunked", "names no size", true),
        ("/closed", "names no size", false),
    ];
    for (path, _, chunked) in bodies {
        let streamed = Behaviour::Guarded {
            passes: |request| request.method == "GET" && request.range().is_none(),
            then: Box::new(Behaviour::NoLength {
                remote: remote.clone(),
                chunked,
            }),
            otherwise: Box::new(Behaviour::Status(403, Vec::new())),
        };
        let url = web.route(path, streamed);
        let id = host.download(&url, &["--wait"]);
        assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
        assert_eq!(web.requests(path).len(), 1, "no question before the file");
        assert_eq!(host.job(&id)["bytes_total"], remote.body.len());
    }
    let url = web.route("/plain", Behaviour::IgnoresRange(remote));
    host.download(&url, &["--wait"]);
    for words in [
        "the server names no size",
        "the server names no version of the file",
    ] {
        host.wait_log(words);
    }
}

/// B-88 ends such jobs with `BG_E_MISSING_FILE_SIZE`; here a cut stream begins anew instead.
#[test]
fn b88_a_cut_stream_without_a_length_begins_anew() {
    let (web, host) = scene();
    let remote = Remote::new(crate::download::body(2 << 20, 12));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n";
    let half = sexton_tests::server::Step::Send(remote.body.slice(..1 << 20));
    let cut = Behaviour::Script(vec![
        sexton_tests::server::Step::text(head),
        half,
        sexton_tests::server::Step::Close,
    ]);
    let whole = Behaviour::NoLength {
        remote: remote.clone(),
        chunked: true,
    };
    let url = web.route("/f", Behaviour::Sequence(vec![cut, whole]));
    host.download(&url, &["--retry-delay", "100ms", "--wait"]);
    assert!(std::fs::read(host.path("file.bin")).unwrap() == remote.body);
    assert!(web.requests("/f")[1].range().is_none());
}
