//! Large objects of a store, sent in parts: against moto, and against answers by script where a store
//! that works says nothing of the kind.

use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;
use sexton_tests::server::{Behaviour, Remote, Step};
use sexton_tests::web::Web;

use super::{MIB, error, some, status, wait_bytes};
use crate::fetching::moto::Moto;

/// Bytes of a part.
const PART: usize = 8 * MIB;
const URL: &str = "s3://media/large.bin";

/// A host that sends so slowly that there is a middle, and a file of three parts.
fn sender(moto: &Moto) -> (TestHost, Vec<u8>) {
    let mut host = moto.host("[transfer.bandwidth]\nbackground = '6MB'\n");
    let bytes = some(2 * PART + MIB + 7);
    std::fs::write(host.path("sent.bin"), &bytes).unwrap();
    host.start();
    (host, bytes)
}

const RETRY: [&str; 2] = ["--retry-delay", "100ms"];

/// What is at the store, fetched by the host itself.
fn is_there(host: &TestHost, bytes: &[u8]) {
    host.download_to(URL, &host.path("back"), &["--wait"]);
    assert!(std::fs::read(host.path("back")).unwrap() == bytes);
}

#[test]
fn a_killed_host_goes_on_with_the_parts_that_are_there() {
    let Some(moto) = Moto::start() else { return };
    let (mut host, bytes) = sender(&moto);
    let id = host.upload("sent.bin", URL, &RETRY);
    wait_bytes(&host, &id, PART);
    host.kill9();
    assert_eq!(moto.count(&["partNumber=3&"]), 0, "it was killed in the middle");
    host.start();
    host.wait_state(&id, "acknowledged");
    is_there(&host, &bytes);
    assert_eq!(moto.count(&["POST", "uploads=1"]), 1, "one upload");
    assert_eq!(
        moto.count(&["PUT", "partNumber=1&"]),
        1,
        "what is there is not sent again"
    );
    let shown = host.job(&id).to_string() + &host.log();
    assert!(!shown.contains("X-Amz-Signature"), "signatures are shown nowhere");
}

#[test]
fn b46_a_cancelled_upload_leaves_no_parts_at_the_store() {
    let Some(moto) = Moto::start() else { return };
    let (host, _) = sender(&moto);
    let id = host.upload("sent.bin", URL, &RETRY);
    wait_bytes(&host, &id, PART);
    assert!(moto.ask("GET", "media?uploads").contains("large.bin"));
    host.cli(&["job", "cancel", &id]).code(0);
    host.wait_state(&id, "cancelled");
    assert!(!moto.ask("GET", "media?uploads").contains("large.bin"));
    assert_eq!(moto.count(&["DELETE", "uploadId="]), 1);
}

#[test]
fn an_upload_that_the_store_has_forgotten_is_begun_anew() {
    let Some(moto) = Moto::start() else { return };
    let (host, bytes) = sender(&moto);
    let id = host.upload("sent.bin", URL, &RETRY);
    wait_bytes(&host, &id, PART);
    host.cli(&["job", "suspend", &id]).code(0);
    let listed = moto.ask("GET", "media?uploads");
    let name = listed
        .split("<UploadId>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    moto.ask("DELETE", &format!("media/large.bin?uploadId={name}"));
    eventually("it is forgotten", || {
        !moto.ask("GET", "media?uploads").contains("large.bin")
    });
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    is_there(&host, &bytes);
    assert_eq!(moto.count(&["POST", "uploads=1"]), 2);
}

#[test]
fn b93_a_file_that_changed_is_sent_anew_and_its_old_parts_are_given_up() {
    let Some(moto) = Moto::start() else { return };
    let (host, mut bytes) = sender(&moto);
    let id = host.upload("sent.bin", URL, &RETRY);
    wait_bytes(&host, &id, PART);
    bytes[0] ^= 1;
    std::fs::write(host.path("sent.bin"), &bytes).unwrap();
    assert_eq!(error(&host, &id)["name"], "BG_E_LOCAL_FILE_CHANGED");
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    is_there(&host, &bytes);
    assert!(
        !moto.ask("GET", "media?uploads").contains("large.bin"),
        "nothing is left"
    );
}

#[test]
fn who_asks_for_a_put_gets_one() {
    let Some(moto) = Moto::start() else { return };
    let (host, bytes) = sender(&moto);
    host.upload("sent.bin", URL, &["--protocol", "put", "--wait"]);
    is_there(&host, &bytes);
    assert_eq!(moto.count(&["uploads=1"]), 0);
}

fn says(tag: &str, content: &str) -> Behaviour {
    let namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
    Behaviour::Serve(Remote {
        body: format!("<{tag} xmlns=\"{namespace}\">{content}</{tag}>").into(),
        ..Remote::default()
    })
}

/// Which parts it has.
fn has(parts: &str) -> Behaviour {
    let page = "<MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated>";
    says("ListPartsResult", &format!("{page}{parts}"))
}

fn done() -> Behaviour {
    says("CompleteMultipartUploadResult", "<ETag>x</ETag>")
}

/// What a store says to an upload of three parts up to the last one.
fn parts_are_taken() -> Vec<Behaviour> {
    let begun = says("InitiateMultipartUploadResult", "<UploadId>one</UploadId>");
    let part = || status(200, &[("ETag", "\"part\"")]);
    vec![begun, has(""), part(), part(), part()]
}

/// Sends a file of three parts to a store that answers so, and returns the methods it was asked by.
fn asked(web: &Web, answers: Vec<Behaviour>) -> Vec<String> {
    let url = web.route("/media/large.bin", Behaviour::Sequence(answers));
    let endpoint = url.trim_end_matches("/media/large.bin");
    let mut host = crate::host(&format!(
        "[transfer.s3.media]\nendpoint = \"{endpoint}\"\npath_style = true\n"
    ));
    std::fs::write(host.path("sent.bin"), some(2 * PART + MIB)).unwrap();
    host.start();
    host.upload("sent.bin", URL, &[&RETRY[..], &["--wait"]].concat());
    let requests = web.requests("/media/large.bin").into_iter();
    requests.map(|request| request.method).collect()
}

const SENT: [&str; 6] = ["POST", "GET", "PUT", "PUT", "PUT", "POST"];

#[test]
fn an_object_whose_last_answer_was_lost_is_looked_for() {
    let web = Web::start();
    let there = |size: usize| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        Behaviour::Script(vec![Step::text(head)])
    };
    let lost = || [Behaviour::Close, status(404, &[])];
    let answers = parts_are_taken().into_iter().chain(lost());
    let answers = answers.chain([there(2 * PART + MIB)]).collect();
    assert_eq!(asked(&web, answers), [&SENT[..], &["GET", "HEAD"]].concat());
    // One of another size is another one.
    let web = Web::start();
    let answers = parts_are_taken().into_iter().chain(lost()).chain([there(5)]);
    let answers = answers.chain(parts_are_taken()).chain([done()]).collect();
    let anew = [&SENT[..], &["GET", "HEAD"], &SENT[..]].concat();
    assert_eq!(asked(&web, answers), anew);
}

#[test]
fn a_yes_that_turns_out_to_be_an_error_is_asked_for_again() {
    let web = Web::start();
    let part = |number: usize, size: usize| {
        format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>part</ETag><LastModified>x</LastModified><Size>{size}</Size></Part>"
        )
    };
    // Larger than the rest of the file: nobody sent it, so it is sent again.
    let parts = part(1, PART) + &part(2, PART) + &part(3, PART);
    let failed = says("Error", "<Code>InternalError</Code>");
    let again = [failed, has(&parts), status(200, &[("ETag", "part")]), done()];
    let answers = parts_are_taken().into_iter().chain(again).collect();
    assert_eq!(
        asked(&web, answers),
        [&SENT[..], &["GET", "PUT", "POST"]].concat()
    );
}
