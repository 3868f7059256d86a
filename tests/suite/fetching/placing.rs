//! What becomes of a file that is at the destination, and of two jobs that have the same one.

use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use super::content;
use crate::host;

#[test]
fn b123_what_is_there_is_replaced_kept_gone_round_or_left_alone() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let url = web.route("/new", Behaviour::Serve(Remote::new("new")));
    for name in ["overwrite", "fail", "keep", "rename"] {
        std::fs::write(host.path(name), "old").unwrap();
    }
    let submit = |name: &str| host.download_to(&url, &host.path(name), &["--existing", name]);
    let (overwrite, fail) = (submit("overwrite"), submit("fail"));
    host.wait_state(&overwrite, "acknowledged");
    host.wait_state(&fail, "error");
    let error = host.object(&["job", "error", &fail]);
    assert_eq!(
        (&error["code"], &error["context"]),
        (&"0x80070011".into(), &"local-file".into())
    );
    let before = web.requests("/new").len();
    assert_eq!(before, 1, "`fail` asked nobody");
    let keep = submit("keep");
    assert_eq!(host.wait_state(&keep, "acknowledged")["outcome"], "succeeded");
    assert_eq!(web.requests("/new").len(), before, "`keep` asked nobody");
    let rename = submit("rename");
    host.wait_state(&rename, "acknowledged");
    for (name, expected) in [
        ("overwrite", "new"),
        ("fail", "old"),
        ("keep", "old"),
        ("rename", "old"),
        ("rename.1", "new"),
    ] {
        assert_eq!(content(&host, name), expected.as_bytes(), "{name}");
    }
    let shown = host.job(&rename)["files"][0]["local"].clone();
    assert!(shown.as_str().unwrap().ends_with("rename.1"), "{shown}");
    // In the way only when it is to be put in place.
    let held = host.download_to(&url, &host.path("late"), &["--existing", "fail", "--hold"]);
    host.wait_state(&held, "transferred");
    std::fs::write(host.path("late"), "old").unwrap();
    host.cli(&["job", "complete", &held]).code(0);
    host.wait_state(&held, "error");
    assert_eq!(content(&host, "late"), b"old");
    std::fs::remove_file(host.path("late")).unwrap();
    host.cli(&["job", "complete", &held]).code(0);
    host.wait_state(&held, "acknowledged");
    assert_eq!(content(&host, "late"), b"new");
}

#[test]
fn d21_a_job_of_delivery_optimization_replaces_nothing() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    std::fs::write(host.path("file.bin"), "old").unwrap();
    let id = host.download(&web.good(), &["--profile", "delivery-optimization"]);
    host.wait_state(&id, "error");
    assert_eq!(content(&host, "file.bin"), b"old");
}

#[test]
fn b19_the_second_job_for_a_destination_is_refused_with_the_first_one_s_name() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let place = host.path("file.bin");
    let first = host.download(&web.good(), &["--exclusive", "--suspended"]);
    let args = [
        "submit",
        "download",
        &web.good(),
        place.to_str().unwrap(),
        "--exclusive",
    ];
    let refused = host.cli(&args).code(8);
    assert!(refused.stderr.contains(&first), "{refused:?}");
    host.restart();
    host.cli(&args).code(8);
    host.cli(&["job", "cancel", &first]).code(0);
    host.wait_state(&first, "cancelled");
    host.cli(&args).code(0);
}

#[test]
fn b92_a_destination_that_vanished_is_an_error_in_words_until_it_is_back() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    std::fs::create_dir(host.path("disk")).unwrap();
    let id = host.download_to(&web.good(), &host.path("disk/x"), &["--suspended"]);
    std::fs::remove_dir(host.path("disk")).unwrap();
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "error");
    let error = host.object(&["job", "error", &id]);
    assert_eq!(
        (&error["code"], &error["context"]),
        (&"0x80070002".into(), &"local-file".into())
    );
    assert!(
        error["description"].as_str().unwrap().contains("disk/x"),
        "{error:#}"
    );
    std::fs::create_dir(host.path("disk")).unwrap();
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    assert_eq!(content(&host, "disk/x"), b"good bytes");
}

#[test]
fn b129_writing_to_the_destination_at_once_is_refused_in_words() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    // No flag says it, so it is asked of the control API itself.
    let job = serde_json::json!({
        "kind": "download",
        "transfer": { "placing": { "direct": true } },
        "files": [{ "remote": web.good(), "local": host.path("x") }],
    });
    let said = super::post(&host, "/v1/jobs", &job.to_string());
    assert!(
        said.contains("E_NOTIMPL") && said.contains("before they are whole"),
        "{said}"
    );
    let empty = serde_json::json!({
        "kind": "download",
        "files": [{ "remote": web.good(), "local": host.path("x"), "ranges": [] }],
    });
    let said = super::post(&host, "/v1/jobs", &empty.to_string());
    assert!(
        said.contains("E_INVALIDARG") && said.contains("the list of ranges is empty"),
        "{said}"
    );
}

#[test]
fn b131_a_start_deletes_what_ended_jobs_left_and_tells_of_what_nobody_knows() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let ended = host.download(&web.good(), &["--wait"]);
    let slow = web.route("/slow", Behaviour::Hang);
    let open = host.download_to(&slow, &host.path("open"), &[]);
    let left = host.job(&ended)["files"][0]["temporary"]
        .as_str()
        .unwrap()
        .to_owned();
    let ids = [&open[open.len() - 8..], "0badcafe"];
    let [working, lost] = ids.map(|id| host.path(format!(".open.{id}-0.part")));
    for path in [std::path::Path::new(&left), &working, &lost] {
        std::fs::write(path, "bytes").unwrap();
    }
    host.kill9();
    host.start();
    host.wait_log("looks like a temporary file of a lost job");
    assert!(host.log().contains(lost.to_str().unwrap()));
    assert!(!std::path::Path::new(&left).exists(), "its job has ended");
    assert!(lost.exists(), "nobody knows whose it is");
    assert!(!host.log().contains(&format!("deleted {}", working.display())));
}

#[test]
fn b122_the_temporary_file_is_named_and_readable_and_goes_back_to_zero_with_a_new_version() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let (old, new) = (Remote::new(super::body(16 << 20, 61)), Remote::new("short"));
    let url = web.route("/f", super::slow(&old));
    let id = host.download(&url, &[]);
    super::wait_bytes(&host, &id, 4 << 20);
    let file = host.job(&id)["files"][0].clone();
    let temporary = std::path::PathBuf::from(file["temporary"].as_str().unwrap());
    let name = temporary.file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with(".file.bin.") && name.ends_with("-0.part"),
        "B-121: {name}"
    );
    let durable = usize::try_from(file["bytes_transferred"].as_u64().unwrap()).unwrap();
    let read = std::fs::read(&temporary).unwrap();
    assert!(read[..durable] == old.body[..durable]);
    host.kill9();
    web.route("/f", Behaviour::Serve(new));
    host.start();
    let job = host.wait_state(&id, "acknowledged");
    assert_eq!(job["bytes_transferred"], 5);
    assert_eq!(content(&host, "file.bin"), b"short");
}
