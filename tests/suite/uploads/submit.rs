//! What an upload is asked for with: the command line, the API, and what they refuse.

use serde_json::json;
use sexton::api::client::{Client, ClientError};
use sexton::api::request::SubmitRequest;
use sexton_tests::host::TestHost;
use sexton_tests::web::Web;

use super::{sender, takes};

/// Asks the API to accept this job; the refusal's name.
fn submit(host: &TestHost, job: serde_json::Value) -> Result<(), String> {
    let request: SubmitRequest = serde_json::from_value(job).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = Client::new(host.path("control.sock"));
    match runtime.block_on(client.submit(&request)) {
        Ok(_) => Ok(()),
        Err(ClientError::Refused { problem, .. }) => Err(problem.name),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn b66_an_upload_has_exactly_one_file() {
    let (host, _) = sender("", 10);
    let local = host.path("sent.bin");
    let file = json!({ "remote": "http://127.0.0.1:9/f", "local": local });
    let job = |kind: &str, files: &[&serde_json::Value], upload: serde_json::Value| {
        let transfer = json!({ "upload": upload });
        json!({ "kind": kind, "files": files, "transfer": transfer, "suspended": true })
    };
    let none = json!({});
    let sized = json!({ "remote": "http://127.0.0.1:9/f", "local": local, "size": 10 });
    let reply = json!({ "reply": host.path("reply") });
    for (job, wanted) in [
        (job("upload", &[&file], none.clone()), Ok(())),
        (job("upload-reply", &[&file], reply.clone()), Ok(())),
        (
            job("upload", &[&file, &file], none.clone()),
            Err("BG_E_TOO_MANY_FILES"),
        ),
        (
            job("upload-reply", &[&file, &file], none.clone()),
            Err("BG_E_TOO_MANY_FILES"),
        ),
        (job("upload", &[&sized], none), Err("E_INVALIDARG")),
        (job("upload", &[&file], reply.clone()), Err("E_NOTIMPL")),
        (job("download", &[&file], reply), Err("E_NOTIMPL")),
        (
            job("upload-reply", &[&file], json!({ "protocol": "tus" })),
            Err("E_NOTIMPL"),
        ),
        (
            job("upload-reply", &[&file], json!({ "reply": "relative" })),
            Err("E_INVALIDARG"),
        ),
        (
            job(
                "upload-reply",
                &[&file],
                json!({ "reply": host.path("sexton.toml") }),
            ),
            Err("E_ACCESSDENIED"),
        ),
    ] {
        let shown = job.to_string();
        assert_eq!(submit(&host, job), wanted.map_err(str::to_owned), "{shown}");
    }
}

#[test]
fn b119_what_cannot_be_sent_is_refused_at_once() {
    let (host, _) = sender("", 10);
    for (file, url, exit, said) in [
        ("absent", "http://127.0.0.1:9/f", 2, "cannot send"),
        (".", "http://127.0.0.1:9/f", 2, "is not a file"),
        ("sent.bin", "ftp://127.0.0.1/f", 2, "cannot use `ftp`; spoken are"),
        ("sent.bin", "file:///tmp/f", 2, "files are sent to servers"),
        ("sent.bin", "nowhere", 2, "is not a URL"),
    ] {
        let path = host.path(file);
        let refused = host
            .cli(&["submit", "upload", path.to_str().unwrap(), url])
            .code(exit);
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    assert_eq!(host.list(&["job", "list"]).len(), 0);
}

#[test]
fn every_option_of_a_submission_applies() {
    let web = Web::start();
    let (host, _) = sender("", 10);
    let url = web.route("/f", takes());
    let more = [
        "--name",
        "n",
        "--priority",
        "high",
        "--label",
        "a=b",
        "--hold",
        "--key",
        "k",
    ];
    let id = host.upload("sent.bin", &url, &more);
    let job = host.wait_state(&id, "transferred");
    assert_eq!((&job["name"], &job["priority"]), (&"n".into(), &"high".into()));
    assert_eq!((&job["labels"]["a"], &job["hold"]), (&"b".into(), &true.into()));
    assert_eq!(
        host.upload("sent.bin", &url, &more),
        id,
        "the key was used before"
    );
    host.cli(&["job", "complete", &id]).code(0);
    assert_eq!(host.wait_state(&id, "acknowledged")["outcome"], "succeeded");
}

#[test]
fn the_help_says_what_the_protocols_can() {
    let host = crate::host("");
    for command in ["upload", "upload-reply"] {
        let help = host.cli(&["submit", command, "--help"]).code(0).stdout;
        for word in [
            "tus 1.0",
            "BITS_POST",
            "cannot be resumed",
            "BG_E_LOCAL_FILE_CHANGED",
            "24 hours",
        ] {
            assert!(help.contains(word), "{command}: {word}");
        }
    }
}
