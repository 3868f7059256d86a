//! Properties that are set, and those that cannot be.

use super::*;

#[test]
fn b05_every_property_is_set_and_shown() {
    let (web, mut host) = (Web::start(), host("[plugin.pager]\n"));
    host.start();
    let id = host.download(&web.denied(), &["--suspended"]);
    let before = host.job(&id)["revision"].as_u64().unwrap();
    let said = [
        "job",
        "set",
        &id,
        "--name",
        "new",
        "--description",
        "d",
        "--context",
        "c",
        "--label",
        "a=b",
        "--priority",
        "high",
        "--hold",
        "true",
        "--handler",
        "pager",
        "--retry-delay",
        "700s",
        "--no-progress",
        "0s",
        "--notify-command",
        "/bin/true",
        "x",
    ];
    host.cli(&said).code(0);
    let job = host.job(&id);
    for (field, value) in [
        ("name", serde_json::json!("new")),
        ("description", "d".into()),
        ("context", "c".into()),
        ("labels", serde_json::json!({"a": "b"})),
        ("priority", "high".into()),
        ("hold", true.into()),
        ("handler", "pager".into()),
        ("retry_delay_ms", 700_000.into()),
        ("no_progress_ms", 0.into()),
        ("notify_command", serde_json::json!(["/bin/true", "x"])),
        ("revision", (before + 1).into()),
    ] {
        assert_eq!(job[field], value, "{field}");
    }
    let long = "x".repeat(257);
    refused(host.cli(&["job", "set", &id, "--name", &long]), 2, "0x80200021");
    refused(
        host.cli(&["job", "set", &id, "--description", &"x".repeat(1025)]),
        2,
        "0x80200021",
    );
    host.cli(&["job", "set", &id, "--handler", "nobody"]).code(2);
    std::fs::write(
        host.path("set.toml"),
        "name = \"from a file\"\nretry_delay = \"9s\"\n",
    )
    .unwrap();
    host.cli(&[
        "job",
        "set",
        &id,
        "--from",
        "set.toml",
        "--values",
        "{\"context\": \"v\"}",
    ])
    .code(0);
    let job = host.job(&id);
    assert_eq!(
        (&job["name"], &job["context"], &job["retry_delay_ms"]),
        (&"from a file".into(), &"v".into(), &9000.into())
    );
}

#[test]
fn b47_a_level_that_does_not_exist_is_not_implemented() {
    let mut host = host("");
    host.start();
    let id = create(&host, &[]);
    refused(
        host.cli(&["job", "set", &id, "--values", "{\"priority\": \"urgent\"}"]),
        2,
        "0x80004001 E_NOTIMPL",
    );
}

#[test]
fn b156_unknown_and_read_only_properties_have_codes_of_their_own() {
    let mut host = host("");
    host.start();
    let id = create(&host, &[]);
    let set = |id: &str, values: &str| host.cli(&["job", "set", id, "--values", values]);
    refused(
        set(&id, "{\"colour\": 1}"),
        2,
        "0x80200057 BG_E_UNKNOWN_PROPERTY_ID",
    );
    refused(
        set(&id, "{\"transfer\": {\"http\": {\"colour\": 1}}}"),
        2,
        "0x80200057",
    );
    refused(
        set(&id, "{\"state\": \"queued\"}"),
        2,
        "0x80200058 BG_E_READ_ONLY_PROPERTY",
    );
}

#[test]
fn d11_delivery_optimization_has_its_own_codes_for_properties() {
    let mut host = host("");
    host.start();
    let id = create(&host, &["--profile", "delivery-optimization"]);
    let set = |values: &str| host.cli(&["job", "set", &id, "--values", values]);
    refused(set("{\"colour\": 1}"), 2, "0x80D02011 DO_E_UNKNOWN_PROPERTY_ID");
    refused(
        set("{\"owner\": \"me\"}"),
        2,
        "0x80D02012 DO_E_READ_ONLY_PROPERTY",
    );
}

#[test]
fn b41_nothing_is_set_or_added_once_a_job_has_ended() {
    let (web, mut host) = (Web::start(), host(""));
    host.start();
    let id = host.download(&web.good(), &["--wait"]);
    let url = web.good();
    for said in [
        host.cli(&["job", "set", &id, "--name", "late"]),
        host.cli(&["job", "set", &id, "--priority", "low"]),
        add(&host, &id, &url, "late.bin"),
        host.cli(&["job", "set-remote", &id, "0", &url]),
        host.cli(&["job", "replace-prefix", &id, "http:", "https:"]),
        host.cli(&["job", "take-ownership", &id]),
    ] {
        refused(said, 5, "0x80200002 BG_E_INVALID_STATE");
    }
}
