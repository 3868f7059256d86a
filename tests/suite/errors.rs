//! The error object, and what a code means: as a program asks for it and as a person does.

use std::time::Duration;

use sexton_tests::host::TestHost;
use sexton_tests::poll::until;
use sexton_tests::server::Behaviour;
use sexton_tests::web::Web;

use crate::host;

fn started() -> (Web, TestHost) {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    (web, host)
}

#[test]
fn b77_the_error_object_has_all_its_members() {
    let (web, host) = started();
    let url = web.denied();
    let job = host.download(&url, &[]);
    host.wait_state(&job, "error");
    let error = host.object(&["job", "error", &job]);
    assert_eq!(
        (&error["code"], &error["name"]),
        (&"0x80190193".into(), &"HTTP_403".into())
    );
    assert_eq!(error["context"], "remote-file");
    assert_eq!(
        error["context_description"],
        "the error occurred while the remote file was processed"
    );
    assert!(
        error["description"].as_str().unwrap().contains("403"),
        "{error:#}"
    );
    assert_eq!(
        (&error["protocol"], &error["leg"]),
        (&"http".into(), &"download".into())
    );
    assert_eq!(error["file"]["index"], 0);
    assert_eq!(error["file"]["remote"], url);
    let shown = host.cli(&["job", "error", &job]).code(0).stdout;
    for words in ["HTTP_403", "remote-file (5)", "http", &url] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn b78_texts_are_in_english_and_a_wish_for_another_language_is_answered_in_words() {
    let (web, host) = started();
    let job = host.download(&web.denied(), &[]);
    host.wait_state(&job, "error");
    let ask = |lang: &str| host.cli(&["job", "error", &job, "--lang", lang]);
    assert_eq!(ask("en-GB").code(0).stderr, "");
    let other = ask("de").code(0);
    assert!(
        other.stderr.contains("no texts in `de`") && other.stderr.contains("`en`"),
        "{other:?}"
    );
    assert!(other.stdout.contains("HTTP_403"));
    for bad in ["", "de_CH", "longerthan8"] {
        assert!(ask(bad).code(2).stderr.contains("E_INVALIDARG"), "{bad}");
    }
    let explained = host.cli(&["error", "0x80200001", "--lang", "fr"]).code(0);
    assert!(explained.stderr.contains("no texts in `fr`"), "{explained:?}");
}

/// There is no error object now, and that is called by this name.
fn none(host: &TestHost, id: &str, name: &str) {
    let said = host.cli(&["job", "error", id]).code(5);
    assert!(said.stderr.contains(name), "{said:?}");
}

#[test]
fn b56_where_there_is_no_error_object_it_is_unavailable_by_name() {
    let (web, host) = started();
    let job = host.download(&web.good(), &["--suspended"]);
    none(&host, &job, "0x8020000F BG_E_ERROR_INFORMATION_UNAVAILABLE");
    // A method that is refused makes none (B-80).
    host.cli(&["job", "set-validation", &job, "0", "false"]).code(5);
    none(&host, &job, "BG_E_ERROR_INFORMATION_UNAVAILABLE");
    let profile = ["--suspended", "--profile", "delivery-optimization"];
    let other = host.download_to(&web.good(), &host.path("do"), &profile);
    none(&host, &other, "0x80D02014 DO_E_ERROR_INFORMATION_UNAVAILABLE");
}

#[test]
fn b80_the_error_object_lives_from_the_error_until_bytes_flow() {
    let (web, host) = started();
    let url = web.route("/mended.bin", Behaviour::Status(403, Vec::new()));
    let job = host.download(&url, &[]);
    host.wait_state(&job, "error");
    assert_eq!(host.object(&["job", "error", &job])["name"], "HTTP_403");
    host.cli(&["job", "suspend", &job]).code(0);
    assert_eq!(host.object(&["job", "error", &job])["name"], "HTTP_403", "still");
    let slow = Behaviour::Slow {
        remote: sexton_tests::server::Remote::new(vec![b'x'; 4_000_000]),
        chunk: 1_000,
        delay: Duration::from_millis(50),
    };
    web.route("/mended.bin", slow);
    host.cli(&["job", "resume", &job]).code(0);
    host.wait_state(&job, "transferring");
    none(&host, &job, "BG_E_ERROR_INFORMATION_UNAVAILABLE");
}

#[test]
fn bx01_a_transient_error_has_an_error_object_too() {
    let (web, host) = started();
    let url = web.route("/busy.bin", Behaviour::Status(503, Vec::new()));
    let job = host.download(&url, &["--retry-delay", "1h"]);
    host.wait_state(&job, "transient-error");
    assert_eq!(host.object(&["job", "error", &job])["name"], "HTTP_503");
}

#[test]
fn e01_any_code_is_explained_without_a_job_and_without_a_host() {
    let host = host("");
    for text in ["0x80200013", "BG_E_INSUFFICIENT_RANGE_SUPPORT", "-2145386477"] {
        let said = host.object(&["error", text]);
        assert_eq!(said["code"], "0x80200013", "{text}");
        assert_eq!(said["name"], "BG_E_INSUFFICIENT_RANGE_SUPPORT");
        assert_eq!(said["description"], "the server ignores byte ranges");
        assert_eq!((&said["nature"], &said["lang"]), (&"failed".into(), &"en".into()));
        assert!(
            said["advice"].as_str().unwrap().contains("foreground"),
            "{said:#}"
        );
    }
    assert_eq!(host.object(&["error", "403"])["name"], "HTTP_403");
    assert_eq!(host.object(&["error", "0x80D03801"])["nature"], "held");
    let shown = host.cli(&["error", "BG_E_NO_PROGRESS"]).code(0).stdout;
    for words in [
        "0x80200024 BG_E_NO_PROGRESS",
        "no progress within",
        "sexton job resume",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    host.cli(&["error", "BG_E_NONSENSE"]).code(2);
    host.cli(&["error", "0x12345678"]).code(5);
}

#[test]
fn d04_delivery_optimization_tells_the_remote_file_of_a_403_and_no_context_else() {
    let (web, host) = started();
    let gone = web.route("/gone.bin", Behaviour::Status(404, Vec::new()));
    for (url, name, of_do) in [
        (web.denied(), "HTTP_403", ("remote-file", "remote-file (5)")),
        (gone, "HTTP_404", ("none", "none (0)")),
    ] {
        for (profile, (context, shown)) in [
            ("delivery-optimization", of_do),
            ("bits", ("remote-file", "remote-file (5)")),
        ] {
            let to = host.path(format!("{profile}-{name}"));
            let job = host.download_to(&url, &to, &["--profile", profile]);
            let seen = host.wait_state(&job, "error");
            assert_eq!(seen["error"]["name"], name);
            assert_eq!(seen["error"]["context"], context, "{profile} {name}");
            assert_eq!(host.object(&["job", "error", &job]), seen["error"]);
            let text = host.cli(&["job", "error", &job]).code(0).stdout;
            assert!(text.contains(shown), "{profile} {name}: {text}");
        }
    }
}

/// A code never stands alone, and a silent server is waited for no longer than was said, in the open.
#[test]
fn bp06_an_error_has_its_name_its_words_and_a_next_step_and_waits_are_short_and_shown() {
    let (web, mut host) = (Web::start(), host("[transfer]\nidle_timeout = \"200ms\"\n"));
    host.start();
    let job = host.download(
        &web.route("/silent.bin", Behaviour::Hang),
        &["--retry-delay", "1h"],
    );
    let seen = host.wait_state(&job, "transient-error");
    assert_eq!(seen["error"]["name"], "ERROR_INTERNET_TIMEOUT");
    assert_eq!(seen["waits"]["reason"], "retry");
    assert!(!seen["waits"]["until"].is_null(), "{seen:#}");
    for line in [["job", "error", &job], ["job", "show", &job]] {
        let text = host.cli(&line).code(0).stdout;
        for words in ["0x80072EE2 ERROR_INTERNET_TIMEOUT", "silent.bin", "what helps"] {
            assert!(text.contains(words), "{line:?}: {words}: {text}");
        }
    }
}

#[test]
fn b118_who_asks_learns_as_much_as_a_handler_is_told() {
    let (web, host) = started();
    let job = host.download(&web.denied(), &[]);
    let watched = until("the watch has seen the error", || {
        let seen = host.job(&job);
        (seen["state"] == "error").then_some(seen)
    });
    for member in ["bytes_transferred", "files_transferred", "error_count", "error"] {
        assert!(!watched[member].is_null(), "{member}: {watched:#}");
    }
    assert_eq!(watched["error"], host.object(&["job", "error", &job]));
    let done = host.download_to(&web.good(), &host.path("good"), &[]);
    let states = host.cli(&["job", "watch", &done, "--json"]).code(0).lines();
    assert_eq!(states.last().unwrap()["state"], "acknowledged");
    assert!(host.deliveries(&[]).is_empty(), "no handler was needed for it");
}
