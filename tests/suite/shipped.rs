//! The plugins inside the binary: added with one command, and then at work.

use serde_json::Value;
use sexton_tests::guests::MINIMAL;
use sexton_tests::host::TestHost;
use sexton_tests::poll::until;
use sexton_tests::receiver::{Post, Receiver};
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use crate::host;

fn webhook(origin: &str, grant: &str) -> String {
    format!(
        "[plugin.webhook]\non_failure = {{ attempts = 9, initial = \"50ms\" }}\n\
         on = {{ error-permanent = \"dead-letter\" }}\ngrant = {{ http = [\"{grant}\"] }}\n\
         config = {{ url = \"{origin}/hook?team=ops\", \"header.X-Source\" = \"sexton\" }}\n\
         [[subscribe]]\nplugin = \"webhook\"\nevents = [\"job-error\"]\n"
    )
}

/// A running host to which a shipped plugin was added.
fn added(name: &str, config: &str) -> TestHost {
    let mut host = host(config);
    let said = host.cli(&["plugin", "add", name]).code(0);
    assert!(said.stderr.contains(&format!("plugins/{name}.wasm")), "{said:?}");
    host.start();
    host.wait_serving(name);
    host
}

fn posts(receiver: &Receiver, count: usize) -> Vec<Post> {
    until(&format!("{count} posts"), || {
        Some(receiver.posts()).filter(|posts| posts.len() >= count)
    })
}

#[test]
fn plugin_add_prints_the_configuration_to_add() {
    let mut host = host("");
    host.start();
    for name in ["webhook", "journal", "retry-advisor"] {
        let said = host.cli(&["plugin", "add", name]).code(0);
        assert!(said.stdout.contains(&format!("[plugin.{name}]")), "{said:?}");
        assert!(said.stdout.contains("[[subscribe]]"), "{said:?}");
    }
    // stdout is the configuration and nothing else: put into the file, it is good.
    host.configure(&host.cli(&["plugin", "add", "retry-advisor"]).code(0).stdout);
    host.cli(&["config", "check"]).code(0);
    host.wait_plugin("retry-advisor", |plugin| {
        plugin["serving"] == true && plugin["hint"].is_null()
    });
    host.cli(&["plugin", "add", "no-such-plugin"]).code(2);
    host.cli(&["plugin", "add", MINIMAL]).code(0);
    host.wait_serving("minimal");
}

#[test]
fn the_webhook_posts_json_with_the_delivery_as_its_key() {
    let receiver = Receiver::start(&[204]);
    let (web, host) = (
        Web::start(),
        added("webhook", &webhook(&receiver.origin(), &receiver.origin())),
    );
    let job = host.download(&web.denied(), &["--label", "team=ops"]);
    let settled = host.wait_delivery(&job, "webhook", "settled");
    let posts = posts(&receiver, 1);
    assert_eq!(
        (posts[0].method.as_str(), posts[0].path.as_str()),
        ("POST", "/hook?team=ops")
    );
    assert_eq!(posts[0].header("content-type"), Some("application/json"));
    assert_eq!(posts[0].header("x-source"), Some("sexton"));
    assert_eq!(posts[0].header("host"), receiver.origin().strip_prefix("http://"));
    assert_eq!(posts[0].header("idempotency-key"), settled["id"].as_str());
    let body = posts[0].json();
    assert!(
        body.to_string().contains(&job) && body.to_string().contains("job-error"),
        "{body:#}"
    );
    assert!(body.to_string().contains("ops"), "{body:#}");
}

#[test]
fn the_webhook_is_made_again_under_the_same_key() {
    let receiver = Receiver::start(&[500, 503, 204]);
    let (web, host) = (
        Web::start(),
        added("webhook", &webhook(&receiver.origin(), &receiver.origin())),
    );
    let job = host.download(&web.denied(), &[]);
    let settled = host.wait_delivery(&job, "webhook", "settled");
    let keys: Vec<_> = receiver
        .posts()
        .iter()
        .map(|post| post.header("idempotency-key").map(str::to_owned))
        .collect();
    assert_eq!(keys, vec![settled["id"].as_str().map(str::to_owned); 3]);
    let codes: Vec<_> = settled["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].clone())
        .collect();
    assert_eq!(codes, ["0x801901F4", "0x801901F7"]);
}

#[test]
fn the_webhook_reaches_only_what_is_granted() {
    let receiver = Receiver::start(&[204]);
    let config = webhook(&receiver.origin(), "http://127.0.0.1:9");
    let (web, mut host) = (Web::start(), added("webhook", &config));
    let job = host.download(&web.denied(), &[]);
    let dead = host.wait_delivery(&job, "webhook", "dead");
    assert_eq!(dead["last_failure"]["code"], "0x80070005");
    assert!(
        dead["last_failure"]["message"]
            .as_str()
            .unwrap()
            .contains("grant.http"),
        "{dead:#}"
    );
    assert!(receiver.posts().is_empty());
    // Without any grant it is not even loaded, and told why.
    host.configure("[[subscribe]]\nplugin = \"webhook\"\nevents = [\"job-error\"]\n");
    let refused = host.wait_plugin("webhook", |plugin| plugin["serving"] == false);
    let why = refused["problem"].as_str().unwrap();
    assert!(why.contains("wasi:http") && why.contains("grant.http"), "{why}");
    host.restart();
    host.wait_plugin("webhook", |plugin| {
        plugin["serving"] == false && plugin["problem"].is_string()
    });
}

#[test]
fn a_webhook_that_never_answers_is_cut_off() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", silent.local_addr().unwrap());
    let config =
        webhook(&origin, &origin).replace("on_failure", "limits = { deadline = \"500ms\" }\non_failure");
    let (web, host) = (
        Web::start(),
        added("webhook", &config.replace("attempts = 9", "attempts = 2")),
    );
    let job = host.download(&web.denied(), &[]);
    let dead = host.wait_delivery(&job, "webhook", "dead");
    for failure in dead["attempts"].as_array().unwrap() {
        assert!(failure["duration_ms"].as_u64().unwrap() < 5_000, "{failure:#}");
    }
    assert_eq!(dead["attempt"], 2);
}

#[test]
fn the_journal_appends_a_line_for_every_event() {
    let config = "[plugin.journal]\ngrant = { dirs = [\"journal:rw\"] }\n\
        [[subscribe]]\nplugin = \"journal\"\nevents = [\"job-error\", \"job-transferred\"]\n\
        [[subscribe]]\nplugin = \"journal\"\nevents = [\"on-ended\"]\n";
    let (web, mut host) = (Web::start(), host(config));
    std::fs::create_dir(host.path("journal")).unwrap();
    host.cli(&["plugin", "add", "journal"]).code(0);
    host.start();
    let denied = host.download_to(&web.denied(), &host.path("b"), &[]);
    host.wait_state(&denied, "error");
    let good = host.download(&web.good(), &["--wait"]);
    let lines: Vec<Value> = until("three lines", || {
        let text = std::fs::read_to_string(host.path("journal/journal.jsonl")).ok()?;
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (lines.len() >= 3).then_some(lines)
    });
    assert_eq!(lines.len(), 3);
    for (event, job) in [
        ("job-error", &denied),
        ("job-transferred", &good),
        ("on-ended", &good),
    ] {
        let found = lines
            .iter()
            .any(|line| line.to_string().contains(event) && line.to_string().contains(job.as_str()));
        assert!(found, "{event} of {job}: {lines:#?}");
    }
}

#[test]
fn the_retry_advisor_decides_by_the_error() {
    let config = "[plugin.retry-advisor]\n\
        config = { max_attempts = 3, delay = \"50ms\", on_fatal = \"suspend\", \
        cancel_on = \"404, 410\", suspend_on = \"\", resume_on = \"403\" }\n\
        [[subscribe]]\nplugin = \"retry-advisor\"\nevents = [\"job-error\"]\ndecide = true\n";
    let (web, host) = (Web::start(), added("retry-advisor", config));
    let gone = web.route("/gone", Behaviour::Status(404, Vec::new()));
    let cancelled = host.download_to(&gone, &host.path("gone"), &[]);
    host.wait_state(&cancelled, "cancelled");
    let given_up = host.download(&web.denied(), &[]);
    host.wait_state(&given_up, "suspended");
    assert_eq!(host.job(&given_up)["error_count"], 3);
}

#[test]
fn b160_the_retry_advisor_fetches_in_one_piece_from_a_server_without_ranges() {
    let config = "[plugin.retry-advisor]\n\
        config = { foreground_on = \"BG_E_INSUFFICIENT_RANGE_SUPPORT\" }\n\
        [[subscribe]]\nplugin = \"retry-advisor\"\nevents = [\"job-error\"]\ndecide = true\n";
    let (web, host) = (Web::start(), added("retry-advisor", config));
    let whole = Remote {
        ranges: false,
        ..Remote::new(vec![b'x'; 100_000])
    };
    let cut = Behaviour::CutEvery {
        remote: whole.clone(),
        every: 60_000,
    };
    let url = web.route("/no-ranges.bin", cut);
    let job = host.download(&url, &["--retry-delay", "100ms"]);
    until("it is tried in the foreground", || {
        (host.job(&job)["priority"] == "foreground").then_some(())
    });
    let told = host.wait_delivery(&job, "retry-advisor", "settled");
    assert_eq!(told["event"], "job-error");
    web.route("/no-ranges.bin", Behaviour::Serve(whole));
    host.wait_state(&job, "acknowledged");
}
