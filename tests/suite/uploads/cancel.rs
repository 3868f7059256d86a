//! B-46: what a cancel means for a file that is at a server.

use sexton_tests::server::bits::BitsServer;
use sexton_tests::web::Web;

use super::{LONG, MIB, PIECE, sender, takes_slowly, wait_bytes};

const BITS: [&str; 2] = ["--protocol", "bits"];

#[test]
fn b46_the_session_of_a_cancelled_upload_is_cancelled() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, _) = sender("", 10 * MIB);
    server.set(|ways| ways.holds_at = 2 * PIECE as u64);
    let id = host.upload("sent.bin", &server.url("f"), &BITS);
    wait_bytes(&host, &id, PIECE);
    server.set(|ways| ways.trouble = ("Cancel-Session", 2));
    host.cli(&["job", "cancel", &id]).code(0);
    assert_eq!(host.wait_state(&id, "cancelled")["outcome"], "cancelled");
    assert_eq!((server.open(), server.count("Cancel-Session")), (0, 3));
    assert_eq!(server.file("f"), None);
}

#[test]
fn b46_a_server_that_cannot_be_asked_keeps_the_job_no_longer_than_its_no_progress_time_out() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (mut host, _) = sender("", 10 * MIB);
    server.set(|ways| ways.holds_at = 2 * PIECE as u64);
    let more = [&BITS[..], &["--no-progress", "3s", "--retry-delay", "1s"]].concat();
    let id = host.upload("sent.bin", &server.url("f"), &more);
    wait_bytes(&host, &id, PIECE);
    server.set(|ways| ways.trouble = ("Cancel-Session", u32::MAX));
    host.cli(&["job", "cancel", &id]).code(0);
    host.wait_log("cancel failed, it is tried again");
    let job = host.job(&id);
    assert_eq!(
        (&job["state"], &job["intent"]),
        (&"suspended".into(), &"cancel".into())
    );
    // Others need not wait for it, and a restart changes nothing about it.
    let other = host.upload(
        "sent.bin",
        &web.route("/o", super::takes()),
        &["--protocol", "put"],
    );
    host.wait_state(&other, "acknowledged");
    host.restart();
    assert_eq!(host.wait_state(&id, "cancelled")["outcome"], "cancelled");
    assert!(host.log().contains("the job ends all the same"));
    assert_eq!(server.open(), 1, "it was left there");
}

#[test]
fn b46_a_session_that_is_gone_or_a_refusal_is_as_good() {
    let web = Web::start();
    for forget in [true, false] {
        let server = BitsServer::start(&web);
        let (host, _) = sender("", 10 * MIB);
        server.set(|ways| ways.holds_at = 2 * PIECE as u64);
        let id = host.upload("sent.bin", &server.url("f"), &BITS);
        wait_bytes(&host, &id, PIECE);
        if forget {
            server.forget();
        } else {
            server.set(|ways| ways.refuses = "Cancel-Session");
        }
        host.cli(&["job", "cancel", &id]).code(0);
        host.wait_state(&id, "cancelled");
        assert_eq!(server.count("Cancel-Session"), 1);
    }
}

#[test]
fn b46_an_upload_that_is_finished_is_not_undone() {
    let web = Web::start();
    let server = BitsServer::start(&web);
    let (host, bytes) = sender("", 1000);
    let id = host.upload("sent.bin", &server.url("f"), &[&BITS[..], &["--hold"]].concat());
    host.wait_state(&id, "transferred");
    host.cli(&["job", "cancel", &id]).code(0);
    host.wait_state(&id, "cancelled");
    assert!(server.file("f").unwrap() == bytes);
    assert_eq!(server.count("Cancel-Session"), 0);
    assert!(
        std::fs::read(host.path("sent.bin")).unwrap() == bytes,
        "nor is the source"
    );
}

#[test]
fn b46_a_plain_upload_is_cancelled_by_ending_it() {
    let web = Web::start();
    let (host, bytes) = sender("", LONG);
    let id = host.upload(
        "sent.bin",
        &web.route("/f", takes_slowly()),
        &["--protocol", "put"],
    );
    wait_bytes(&host, &id, MIB);
    host.cli(&["job", "cancel", &id]).code(0);
    host.wait_state(&id, "cancelled");
    let requests = web.requests("/f");
    assert!(requests.len() == 1 && requests[0].body.len() < bytes.len());
}
