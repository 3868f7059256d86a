//! The upload protocol of BITS against a server written from its description.

use sexton_tests::poll::eventually;
use sexton_tests::server::bits::BitsServer;
use sexton_tests::web::Web;

use super::{MIB, PIECE, error, sender, wait_bytes};

const BITS: [&str; 4] = ["--protocol", "bits", "--retry-delay", "100ms"];

#[test]
fn b134_a_file_arrives_in_fragments_strictly_in_order() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 10 * MIB + 7);
    host.upload("sent.bin", &server.url("f"), &[&BITS[..], &["--wait"]].concat());
    assert!(server.file("f").unwrap() == bytes);
    let packets = server.packets();
    let kinds: Vec<_> = packets.iter().map(|packet| packet.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "Create-Session",
            "Fragment",
            "Fragment",
            "Fragment",
            "Close-Session"
        ]
    );
    let spans: Vec<_> = packets.iter().filter_map(|packet| packet.span).collect();
    let (piece, size) = (PIECE as u64, bytes.len() as u64);
    assert_eq!(
        spans,
        [(0, piece - 1), (piece, 2 * piece - 1), (2 * piece, size - 1)]
    );
    let names: Vec<_> = packets.iter().map(|packet| packet.name.as_deref()).collect();
    assert_eq!(
        names,
        [None, Some("sent.bin"), None, None, None],
        "with the first alone"
    );
    assert!(
        packets
            .iter()
            .skip(1)
            .all(|packet| packet.session.as_deref().unwrap().len() == 38)
    );
    assert_eq!(server.open(), 0);
}

#[test]
fn b134_an_empty_file_needs_no_fragment() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, _) = sender("", 0);
    host.upload("sent.bin", &server.url("f"), &[&BITS[..], &["--wait"]].concat());
    assert_eq!(server.file("f"), Some(Vec::new()));
}

#[test]
fn b134_a_name_of_a_session_is_at_most_100_characters() {
    let web = Web::start();
    let (host, _) = sender("", 10);
    for (chars, protocol, wanted) in [
        (100, None, None),
        (101, None, Some("BG_E_INVALID_SERVER_RESPONSE")),
        (
            38,
            Some("{00000000-249b-430f-820d-3d2a9bef4931}"),
            Some("BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH"),
        ),
    ] {
        let server = BitsServer::start(&web);
        server.set(|ways| {
            ways.id_chars = chars;
            if let Some(protocol) = protocol {
                protocol.clone_into(&mut ways.protocol);
            }
        });
        let id = host.upload("sent.bin", &server.url("f"), &BITS);
        match wanted {
            None => drop(host.wait_state(&id, "acknowledged")),
            Some(name) => assert_eq!(error(&host, &id)["name"], name),
        }
    }
}

#[test]
fn b134_a_server_of_another_kind_is_named() {
    let web = Web::start();
    let (host, _) = sender("", 10);
    let url = web.route("/f", super::takes());
    let id = host.upload("sent.bin", &url, &BITS);
    assert_eq!(error(&host, &id)["name"], "BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH");
    assert_eq!(web.requests("/f")[0].method, "BITS_POST");
}

#[test]
fn b135_a_killed_host_goes_on_in_the_same_session() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (mut host, bytes) = sender("", 20 * MIB);
    server.set(|ways| ways.holds_at = 3 * PIECE as u64);
    let id = host.upload("sent.bin", &server.url("f"), &BITS);
    wait_bytes(&host, &id, 2 * PIECE);
    host.kill9();
    server.set(|ways| ways.holds_at = u64::MAX);
    host.start();
    host.wait_state(&id, "acknowledged");
    assert!(server.file("f").unwrap() == bytes);
    assert_eq!(server.count("Create-Session"), 1);
    let starts: Vec<_> = server.packets().iter().filter_map(|packet| packet.span).collect();
    let again = starts.iter().filter(|span| span.0 < 2 * PIECE as u64).count();
    assert_eq!(again, 2, "what was acknowledged is not sent again: {starts:?}");
}

#[test]
fn b135_bytes_that_the_server_lost_are_sent_again_from_where_it_says() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 12 * MIB);
    // It is a gap only when less is there than the next fragment begins with.
    server.set(|ways| ways.loses = Some((2 * PIECE as u64, 1000)));
    let id = host.upload("sent.bin", &server.url("f"), &[&BITS[..], &["--wait"]].concat());
    assert!(server.file("f").unwrap() == bytes);
    let packets = server.packets();
    let gap = packets
        .iter()
        .position(|packet| packet.status == 416)
        .expect("there was a gap");
    assert_eq!(packets[gap + 1].span.unwrap().0, 1000);
    assert_eq!(server.count("Create-Session"), 1);
    assert_eq!(host.job(&id)["error_count"], 0);
}

#[test]
fn b135_fragments_shrink_until_the_server_takes_them() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 2 * MIB);
    server.set(|ways| ways.fragment_max = 300_000);
    host.upload("sent.bin", &server.url("f"), &[&BITS[..], &["--wait"]].concat());
    assert!(server.file("f").unwrap() == bytes);
    let refused = server
        .packets()
        .iter()
        .filter(|packet| packet.status == 413)
        .count();
    assert_eq!(refused, 3, "each is half of the one before");

    server.set(|ways| ways.fragment_max = 1);
    let id = host.upload("sent.bin", &server.url("g"), &BITS);
    assert_eq!(error(&host, &id)["name"], "HTTP_413", "it has an end");
}

#[test]
fn b135_a_goodbye_is_sent_again_after_any_5xx_and_after_nothing_else() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 1000);
    server.set(|ways| ways.trouble = ("Close-Session", 2));
    let id = host.upload("sent.bin", &server.url("f"), &BITS);
    let job = host.wait_state(&id, "acknowledged");
    assert!(server.file("f").unwrap() == bytes);
    assert_eq!((server.count("Fragment"), server.count("Close-Session")), (1, 3));
    assert_eq!(job["error_count"], 2);
}

#[test]
fn b65_a_session_that_the_server_has_forgotten_is_begun_anew() {
    for header in ["BITS-Error-Code", "BITS-Error"] {
        let web = Web::start();
        let server = BitsServer::start(&web);
        let (host, bytes) = sender("", 10 * MIB);
        server.set(|ways| {
            ways.forgets = (2 * PIECE as u64, 1);
            ways.error_header = header;
        });
        host.upload("sent.bin", &server.url("f"), &[&BITS[..], &["--wait"]].concat());
        assert!(server.file("f").unwrap() == bytes);
        assert_eq!(server.count("Create-Session"), 2, "{header} (BX-04)");
    }
}

#[test]
fn b65_a_server_that_forgets_every_session_ends_the_job() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, _) = sender("", 1000);
    server.set(|ways| ways.forgets = (1, u32::MAX));
    let id = host.upload("sent.bin", &server.url("f"), &BITS);
    assert_eq!(error(&host, &id)["name"], "BG_E_SESSION_NOT_FOUND");
    assert_eq!(server.count("Create-Session"), 11, "ten times anew");
}

#[test]
fn b85_only_403_of_the_application_keeps_the_file_from_being_posted_again() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 5 * MIB);
    // Passing, then fatal, then good.
    server.set(|ways| ways.application = vec![500, 404]);
    let id = host.upload("sent.bin", &server.url("f"), &BITS);
    let refused = error(&host, &id);
    assert_eq!(refused["name"], "HTTP_404");
    assert_eq!(refused["context"], "remote-application");
    assert_eq!(server.posted().len(), 2);
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert!(server.posted().len() == 3 && server.file("f").unwrap() == bytes);
    assert_eq!(
        server.count("Create-Session"),
        1,
        "what was sent is not sent again"
    );

    server.set(|ways| ways.application = vec![403]);
    let id = host.upload("sent.bin", &server.url("g"), &BITS);
    assert_eq!(error(&host, &id)["name"], "HTTP_403");
    let packets = server.packets().len();
    host.cli(&["job", "resume", &id]).code(0);
    eventually("it was tried again", || host.job(&id)["attempt"] == 2);
    let refused = error(&host, &id);
    assert_eq!(
        (&refused["name"], &refused["context"]),
        (&"HTTP_403".into(), &"remote-application".into())
    );
    assert_eq!(server.packets().len(), packets, "and nothing was asked");
}

#[test]
fn b136_host_affinity_is_not_followed_and_said_so() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 1000);
    server.set(|ways| ways.host_id = Some("elsewhere.invalid".to_owned()));
    host.upload("sent.bin", &server.url("f"), &[&BITS[..], &["--wait"]].concat());
    assert!(server.file("f").unwrap() == bytes);
    host.wait_log("the server asks to be called elsewhere.invalid; not followed");
}

#[test]
fn auto_takes_bits_where_the_server_announces_it_and_answers_a_ping() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 1000);
    host.upload("sent.bin", &server.url("f"), &["--wait"]);
    assert!(server.file("f").unwrap() == bytes);
    let kinds: Vec<_> = server.packets().into_iter().map(|packet| packet.kind).collect();
    assert_eq!(kinds, ["", "Ping", "Create-Session", "Fragment", "Close-Session"]);
}

#[test]
fn auto_does_not_take_a_server_that_is_down_for_one_of_another_kind() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 1000);
    // It announces the protocol, and is in trouble when it is pinged.
    server.set(|ways| ways.down = 1);
    host.upload(
        "sent.bin",
        &server.url("f"),
        &["--retry-delay", "100ms", "--wait"],
    );
    assert!(server.file("f").unwrap() == bytes);
    assert_eq!((server.count("Ping"), server.count("Create-Session")), (2, 1));
}

#[test]
fn a_server_that_is_down_is_asked_again() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 1000);
    server.set(|ways| ways.down = 1);
    let id = host.upload("sent.bin", &server.url("f"), &BITS);
    assert_eq!(host.wait_state(&id, "acknowledged")["error_count"], 1);
    assert!(server.file("f").unwrap() == bytes);
}

#[test]
fn b93_a_file_that_changes_between_two_fragments_stops_the_job() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, mut bytes) = sender("", 16 * MIB);
    server.set(|ways| ways.holds_at = 2 * PIECE as u64);
    let id = host.upload("sent.bin", &server.url("f"), &BITS);
    wait_bytes(&host, &id, PIECE);
    bytes[0] ^= 1;
    std::fs::write(host.path("sent.bin"), &bytes).unwrap();
    server.set(|ways| ways.holds_at = u64::MAX);
    assert_eq!(error(&host, &id)["name"], "BG_E_LOCAL_FILE_CHANGED");
    assert_eq!(server.file("f"), None);
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert!(server.file("f").unwrap() == bytes);
    assert_eq!(server.count("Create-Session"), 2, "never mixed");
}
