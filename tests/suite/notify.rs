//! What the handlers of a job are told, and what they may do about it: the notification contract of
//! BITS, through the real program and a real component. Its order and its times: `store::tests::notify`.

mod command;
mod leading;

use serde_json::Value;
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::until;
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

use crate::host;

/// A running host with `moody` in this mood, subscribed to nothing.
fn started(table: &str) -> (Web, TestHost) {
    let (web, mut host) = (Web::start(), host(&format!("[plugin.moody]\n{table}\n")));
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    (web, host)
}

/// What `moody` was told of a job, oldest first.
fn told(host: &TestHost, job: &str) -> Vec<String> {
    let mut events: Vec<_> = host.deliveries(&["--job", job]);
    events.reverse();
    let names = events.iter().map(|one| one["event"].as_str().unwrap().to_owned());
    names.collect()
}

#[test]
fn b98_flags_name_what_the_own_handler_hears_of() {
    let (web, host) = started("");
    for (flags, expected) in [
        (None, vec!["job-transferred", "on-ended"]),
        (Some("file-transferred"), vec!["file-transferred", "on-ended"]),
        (Some("disable,job-transferred"), vec!["on-ended"]),
    ] {
        let name = format!("to-{}", flags.unwrap_or("default"));
        let notify = flags.map(|flags| vec!["--notify", flags]).unwrap_or_default();
        let options = [&["--handler", "moody", "--wait"], &notify[..]].concat();
        let job = host.download_to(&web.good(), &host.path(name), &options);
        assert_eq!(told(&host, &job), expected, "{flags:?}");
    }
}

#[test]
fn b98_flags_narrow_what_subscriptions_ask_for() {
    let (web, mut host) = (
        Web::start(),
        host(
            "[[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\", \"file-transferred\", \"on-ended\"]\n",
        ),
    );
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    for (number, (flags, expected)) in [
        ("job-error,job-transferred", vec!["on-ended"]),
        ("file-transferred,job-error", vec!["file-transferred", "on-ended"]),
    ]
    .into_iter()
    .enumerate()
    {
        let to = host.path(format!("f{number}"));
        let job = host.download_to(&web.good(), &to, &["--notify", flags, "--wait"]);
        assert_eq!(told(&host, &job), expected, "{flags}");
    }
}

#[test]
fn b98_what_is_no_flag_is_not_implemented() {
    let (web, host) = started("");
    let job = host.download(&web.good(), &["--suspended"]);
    let url = web.good();
    let submit = [
        "submit",
        "download",
        &url,
        "x",
        "--profile",
        "delivery-optimization",
    ];
    for (row, line) in [
        ("B-98", &["job", "set", &job, "--notify", "whatever"][..]),
        (
            "B-109",
            &["job", "set", &job, "--notify", "file-ranges-transferred"],
        ),
        ("B-98", &["submit", "download", &url, "x", "--notify", "on-ended"]),
        ("D-07", &[&submit[..], &["--notify", "disable"]].concat()),
    ] {
        let refused = host.cli(line).code(2);
        assert!(
            refused.stderr.contains("0x80004001 E_NOTIMPL"),
            "{row}: {refused:?}"
        );
    }
    host.cli(&["job", "set", &job]).code(2);
    let unknown = host.cli(&["job", "set", &job, "--handler", "nobody"]).code(2);
    assert!(unknown.stderr.contains("no plugin `nobody`"), "{unknown:?}");
}

#[test]
fn b103_b111_a_handler_is_set_and_replaced_while_the_job_rests_in_error() {
    let (web, host) = started("config = { mood = \"ok\" }");
    host.plugin("other", guests::bytes(MOODY));
    host.wait_serving("other");
    let job = host.download(&web.denied(), &[]);
    host.wait_state(&job, "error");
    assert_eq!(host.deliveries(&[]), Vec::<Value>::new());
    host.cli(&["job", "set", &job, "--handler", "moody"]).code(0);
    let first = host.wait_delivery(&job, "moody", "settled");
    assert_eq!(first["role"], "decider");
    host.cli(&["job", "set", &job, "--handler", "moody"]).code(0);
    until("told again, under the same id", || {
        let again = host.delivery(first["id"].as_str().unwrap());
        (again["attempt"] == 2 && again["state"] == "settled").then_some(())
    });
    host.cli(&["job", "set", &job, "--handler", "other"]).code(0);
    host.wait_delivery(&job, "other", "settled");
    host.cli(&["job", "set", &job, "--no-handler"]).code(0);
    assert_eq!(host.job(&job)["handler"], Value::Null);
    host.cli(&["job", "cancel", &job]).code(0);
    host.wait_state(&job, "cancelled");
    let of = |plugin: &str| host.deliveries(&["--job", &job, "--plugin", plugin]).len();
    assert_eq!((of("moody"), of("other")), (1, 1), "nobody hears of the end");
}

#[test]
fn b112_a_handler_that_is_not_there_yet_is_called_when_it_comes_also_after_a_crash() {
    let (web, mut host) = (Web::start(), host("[plugin.moody]\n"));
    host.start();
    let job = host.download(&web.denied(), &["--handler", "moody"]);
    host.wait_delivery(&job, "moody", "pending");
    host.kill9();
    host.start();
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_delivery(&job, "moody", "settled");
}

#[test]
fn b97_a_handler_finds_a_file_bad_and_it_is_fetched_again() {
    let moods = "config = { \"mood.file-transferred\" = \"inspect\", \"mood.job-error\" = \"resume\" }";
    let (web, host) = started(moods);
    let files = [Remote::new("bad bytes of old"), Remote::new("good")].map(Behaviour::Serve);
    let url = web.route("/judged.bin", Behaviour::Sequence(files.into()));
    let flags = ["--handler", "moody", "--notify", "file-transferred,job-error"];
    let job = host.download(&url, &[&flags[..], &["--context", "it", "--wait"]].concat());
    assert_eq!(std::fs::read(host.path("file.bin")).unwrap(), b"good");
    assert_eq!(web.requests("/judged.bin").len(), 2);
    assert_eq!(
        told(&host, &job),
        ["file-transferred", "job-error", "file-transferred", "on-ended"]
    );
    assert_eq!(host.job(&job)["error_count"], 1);
    // Where a handler that is granted the folder finds what it judges.
    let local = host.path("file.bin");
    let place = format!("{} is in {}/", local.display(), local.parent().unwrap().display());
    host.wait_log(&place);
}

#[test]
fn d06_delivery_optimization_calls_until_it_succeeds_and_only_for_what_will_not_pass() {
    let mut host = host(
        "[plugin.moody]\nconfig = { mood = \"fail-then-ok\", failures = \"2\" }\n\
         [plugin.strikes]\nconfig = { \"mood.job-error\" = \"strikes\" }\n\
         [plugin.keeps]\nconfig = { \"mood.job-error\" = \"complete\" }\n",
    );
    let web = Web::start();
    for name in ["moody", "strikes", "keeps"] {
        host.plugin(name, guests::bytes(MOODY));
    }
    host.start();
    let submit = |url: &str, handler: &str| {
        let options = ["--profile", "delivery-optimization", "--handler", handler];
        host.download_to(url, &host.path(format!("to-{handler}")), &options)
    };
    let busy = web.route("/busy.bin", Behaviour::Status(503, Vec::new()));
    let waits = host.download(
        &busy,
        &["--profile", "delivery-optimization", "--handler", "keeps"],
    );
    host.wait_state(&waits, "transient-error");

    let again = submit(&web.denied(), "moody");
    let told = host.wait_delivery(&again, "moody", "settled");
    assert_eq!(
        (&told["event"], &told["attempt"]),
        (&"job-error".into(), &3.into())
    );
    assert_eq!(host.job(&again)["state"], "error", "it decided nothing");
    // Resumed twice, each time into the same error, and cancelled at the third.
    let mended = submit(&web.denied(), "strikes");
    host.wait_state(&mended, "cancelled");
    assert_eq!(host.job(&mended)["error_count"], 3);
    let kept = submit(&web.denied(), "keeps");
    assert_eq!(host.wait_state(&kept, "acknowledged")["outcome"], "partial");

    assert_eq!(host.deliveries(&["--job", &waits]), Vec::<Value>::new());
}

#[test]
fn b55_a_person_judges_a_file_once_it_is_here() {
    let (web, host) = started("");
    let url = web.good();
    let job = host.download(&url, &["--suspended", "--hold"]);
    let judge = |index: &str, valid: &str| host.cli(&["job", "set-validation", &job, index, valid]);
    let early = judge("0", "false").code(5);
    assert!(early.stderr.contains("0x8000000A E_PENDING"), "{early:?}");
    assert!(
        judge("7", "true")
            .code(5)
            .stderr
            .contains("BG_E_FILE_NOT_AVAILABLE")
    );
    host.cli(&["job", "resume", &job]).code(0);
    host.wait_state(&job, "transferred");
    judge("0", "true").code(0);
    assert_eq!(host.job(&job)["state"], "transferred");
    judge("0", "false").code(0);
    let error = host.object(&["job", "error", &job]);
    assert_eq!(error["name"], "BG_E_VALIDATION_FAILED");
    assert_eq!(error["file"]["index"], 0);
    assert_eq!(host.job(&job)["bytes_transferred"], 0);
    host.cli(&["job", "resume", &job]).code(0);
    host.wait_state(&job, "transferred");
    assert_eq!(web.requests("/good.bin").len(), 2);
}

#[test]
fn b104_a_handler_mends_the_job_from_within_its_callback() {
    let (web, host) = started("config = { mood = \"hurry\", delay_ms = 77000 }");
    let hurried = host.download(&web.denied(), &["--handler", "moody"]);
    host.wait_delivery(&hurried, "moody", "settled");
    assert_eq!(host.job(&hurried)["priority"], "high");
    for (mood, state) in [
        ("suspend", "suspended"),
        ("complete", "acknowledged"),
        ("cancel", "cancelled"),
    ] {
        host.configure(&format!("[plugin.moody]\nconfig = {{ mood = \"{mood}\" }}\n"));
        let _ = host.cli(&["reload"]).code(0);
        let job = host.download_to(&web.denied(), &host.path(mood), &["--handler", "moody"]);
        host.wait_state(&job, state);
    }
}

#[test]
fn b113_a_handler_has_the_grants_of_its_plugin_and_nothing_of_whoever_submits() {
    let (web, host) = started("config = { mood = \"probe\" }");
    let to = host.path("x");
    let url = web.denied();
    let line = [
        "submit",
        "download",
        &url,
        to.to_str().unwrap(),
        "--handler",
        "moody",
    ];
    let said = host
        .command()
        .args(line)
        .env("SEXTON_SECRET_OF_OURS", "x")
        .output()
        .unwrap();
    let job = String::from_utf8(said.stdout).unwrap();
    host.wait_delivery(job.trim(), "moody", "settled");
    host.wait_log("probe env: 0");
    host.wait_log("probe args: 0");
}

#[test]
fn b114_the_notify_command_is_a_whole_path_with_4000_characters_of_parameters() {
    let (web, host) = started("");
    let url = web.denied();
    let submit = |command: &[&str]| {
        let line = ["submit", "download", &url, "x", "--suspended", "--notify-command"];
        host.cli(&[&line[..], command].concat())
    };
    let searched = submit(&["touch", "x"]).code(2);
    assert!(searched.stderr.contains("whole path"), "{searched:?}");
    let (half, rest) = ("x".repeat(2_000), "y".repeat(1_999));
    submit(&["/bin/true", &half, &rest]).code(0);
    let long = submit(&["/bin/true", &half, &half]).code(2);
    assert!(
        long.stderr.contains("4001") && long.stderr.contains("BG_E_STRING_TOO_LONG"),
        "{long:?}"
    );
    let path = format!("/{}", "p".repeat(4_096));
    assert!(submit(&[&path]).code(2).stderr.contains("BG_E_STRING_TOO_LONG"));
}

#[test]
fn b115_a_command_that_is_set_after_the_event_runs_too() {
    let (web, host) = started("config = { mood = \"panic\" }");
    let job = host.download(&web.denied(), &[]);
    host.wait_state(&job, "error");
    let mark = host.path("mark");
    let set = [
        "job",
        "set",
        &job,
        "--handler",
        "moody",
        "--notify-command",
        "/usr/bin/touch",
    ];
    host.cli(&[&set[..], &[mark.to_str().unwrap()]].concat()).code(0);
    host.wait_delivery(&job, "moody", "settled");
    assert!(mark.exists());
}

#[test]
fn bp05_every_hook_of_every_job_is_listed() {
    let (web, host) = started("");
    let hooks = [
        "--suspended",
        "--handler",
        "moody",
        "--notify-command",
        "/bin/true",
        "x",
    ];
    let job = host.download(&web.good(), &hooks);
    let plain = host.download_to(&web.good(), &host.path("plain"), &["--suspended"]);
    let listed = host.list(&["job", "list", "--hooks"]);
    assert_eq!(listed.len(), 1, "not {plain}");
    assert_eq!(
        (&listed[0]["id"], &listed[0]["handler"]),
        (&job.as_str().into(), &"moody".into())
    );
    assert_eq!(listed[0]["notify_command"], serde_json::json!(["/bin/true", "x"]));
    let shown = host.cli(&["job", "list", "--hooks"]).code(0).stdout;
    assert!(
        shown.contains("moody") && shown.contains("/bin/true") && !shown.contains(&plain),
        "{shown}"
    );
}
