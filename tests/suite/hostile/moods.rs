//! One table of how guests end, and the one test that holds every record against it.

use rustix::process::Pid;
use serde_json::Value;
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::web::Web;

use crate::host;

/// How a call in one mood ends.
pub(super) struct Mood {
    /// What `moody` is told to do.
    pub(super) name: &'static str,
    /// The class in the record; empty when the call is acknowledged.
    class: &'static str,
    /// In the record's sentence.
    words: &'static str,
    /// The limit that was hit, to the letter; empty where none was.
    limit: &'static str,
    /// In the guest's last words.
    last_words: &'static [&'static str],
}

const fn mood(name: &'static str, class: &'static str, words: &'static str, limit: &'static str) -> Mood {
    Mood {
        name,
        class,
        words,
        limit,
        last_words: &[],
    }
}

const fn good(name: &'static str) -> Mood {
    mood(name, "", "", "")
}

const OF_THE_HANDLER: &str = "error-permanent";
const DATA: &str = "data per host call 4 MiB";
const PASSED: &str = "passed more than 4 MiB to or from the host";

/// Every mood that is about the sandbox and not about the job.
pub(super) const MOODS: [Mood; 33] = [
    good("ok"),
    mood("transient", "error-transient", "moody does not feel like it", ""),
    mood("permanent", OF_THE_HANDLER, "moody will not", ""),
    Mood {
        last_words: &["moody panics"],
        ..mood("panic", "trap", "it panicked or aborted", "")
    },
    mood(
        "overflow",
        "trap",
        "stack overflow: wasm trap: call stack exhausted",
        "",
    ),
    mood(
        "overflow-memory",
        "trap",
        "stack overflow, a function calls itself",
        "",
    ),
    mood("wild", "trap", "out of bounds", ""),
    mood(
        "loop",
        "timeout",
        "did not return within its deadline",
        "deadline 200ms",
    ),
    mood(
        "sleep",
        "timeout",
        "did not return within its deadline",
        "deadline 200ms",
    ),
    mood(
        "alloc",
        "memory",
        "asked for more than its memory 24 MiB",
        "memory 24 MiB",
    ),
    mood(
        "exit0",
        "exit",
        "exit (success); a handler returns, it never exits",
        "",
    ),
    mood(
        "exit1",
        "exit",
        "exit (failure); a handler returns, it never exits",
        "",
    ),
    good("flood-stdout"),
    good("flood-stderr"),
    Mood {
        last_words: &[
            "flood flood",
            " bytes left out) ",
            "last words of the flood",
            "moody drowns",
        ],
        ..mood("flood-stderr-then-panic", "trap", "it panicked or aborted", "")
    },
    good("flood-log"),
    good("long-line"),
    mood("huge-line", "trap", PASSED, DATA),
    mood("huge-message", OF_THE_HANDLER, " bytes more)", ""),
    mood("huger-message", "trap", PASSED, DATA),
    mood(
        "huge-key",
        OF_THE_HANDLER,
        "a state key must have 1 to 256 bytes",
        "",
    ),
    mood(
        "huge-value",
        OF_THE_HANDLER,
        "a state value may have at most 64 KiB",
        "",
    ),
    mood("huger-value", "trap", PASSED, DATA),
    mood(
        "many-writes",
        OF_THE_HANDLER,
        "one call may write at most 1,000 keys",
        "",
    ),
    mood(
        "much-written",
        "error-transient",
        "the plugin's state is full",
        "",
    ),
    good("huge-question"),
    good("many-questions"),
    mood(
        "many-requests",
        OF_THE_HANDLER,
        "too many requests in one call",
        "",
    ),
    mood(
        "pollables",
        "trap",
        "held more than its resources 1000",
        "resources 1000",
    ),
    mood(
        "random",
        "trap",
        "asked for more than 64 KiB of random bytes",
        "random bytes per request 64 KiB",
    ),
    good("escape"),
    good("probe"),
    mood("no-such-mood", OF_THE_HANDLER, "no mood is called", ""),
];

impl Mood {
    /// The tables of a plugin that is always in this mood; `more` is added to its own.
    pub(super) fn config(&self, deadline: &str, more: &str) -> String {
        let name = self.name;
        // Requests are counted only where they may be made.
        let decide = name == "many-requests";
        format!(
            "[plugin.{name}]\nlimits = {{ deadline = \"{deadline}\", memory = \"24MiB\" }}\n{more}\
             [[subscribe]]\nplugin = \"{name}\"\nevents = [\"job-error\"]\ndecide = {decide}\n"
        )
    }

    /// Whether only its deadline ends it.
    pub(super) fn is_endless(&self) -> bool {
        self.class == "timeout"
    }

    /// Whether nothing is wrong with it but what it uses.
    pub(super) fn is_good(&self) -> bool {
        self.class.is_empty()
    }

    /// Holds what became of the first call against the table.
    fn check(&self, host: &TestHost, job: &str) {
        let state = if self.is_good() { "settled" } else { "dead" };
        let delivery = host.wait_delivery(job, self.name, state);
        let record = &delivery["last_failure"];
        let serving = host.wait_serving(self.name);
        assert_eq!(delivery["digest"], serving["digest"], "{delivery:#}");
        if self.is_good() {
            assert_eq!(
                (&delivery["result"], record),
                (&"acknowledged".into(), &Value::Null)
            );
            return;
        }
        let text = |field: &str| record[field].as_str().unwrap_or_default();
        assert_eq!(
            (text("class"), text("limit")),
            (self.class, self.limit),
            "{}: {record:#}",
            self.name
        );
        assert!(text("message").contains(self.words), "{}: {record:#}", self.name);
        let mut said = self.last_words.iter();
        assert!(said.all(|words| text("last_words").contains(words)), "{record:#}");
        assert!(
            text("message").len() < 5_000 && !text("code").is_empty(),
            "{record:#}"
        );
        assert_eq!(record["digest"], serving["digest"]);
        assert_eq!((&record["attempt"], &delivery["charged"]), (&1.into(), &1.into()));
        assert_eq!(delivery["attempts"], Value::Array(vec![record.clone()]));
        let frames = record["frames"].as_array().cloned().unwrap_or_default();
        let named = frames.iter().all(|frame| !frame.as_str().unwrap().contains("0x"));
        let wanted = self.class != "trap" || self.limit == DATA || !frames.is_empty();
        assert!(named && wanted, "{record:#}");
    }
}

/// Still the process that was started, and it answers.
pub(super) fn is_up(host: &TestHost, pid: Pid) {
    assert_eq!(host.pid(), pid);
    let status = host.object(&["status"]);
    assert_eq!(status["pid"], pid.as_raw_nonzero().get(), "{status:#}");
}

#[test]
fn every_mood_is_recorded_for_what_it_is() {
    let configs = MOODS.iter().map(|mood| {
        let deadline = if mood.is_endless() { "200ms" } else { "30s" };
        let name = mood.name;
        let more = format!("on_failure = \"dead-letter\"\nconfig = {{ mood = \"{name}\" }}\n");
        mood.config(deadline, &more)
    });
    let (web, mut host) = (Web::start(), host(&configs.collect::<String>()));
    for mood in &MOODS {
        host.plugin(mood.name, guests::bytes(MOODY));
    }
    host.start();
    let pid = host.pid();
    for mood in &MOODS {
        host.wait_serving(mood.name);
    }
    let job = host.download(&web.denied(), &[]);
    for mood in &MOODS {
        mood.check(&host, &job);
    }
    // Nothing that was decided by a call that failed: the job is as it was.
    let job = host.job(&job);
    assert_eq!(
        (&job["state"], &job["priority"]),
        (&"error".into(), &"normal".into())
    );
    log_is_clean(&host);
    is_up(&host, pid);
}

/// What guests said is cut, counted and harmless, and those without grants saw nothing.
fn log_is_clean(host: &TestHost) {
    for last in ["too many log lines", "long xxx", "forged", "probe connect"] {
        host.wait_log(last);
    }
    let log = host.log();
    assert!(log.len() < 4 << 20, "{} bytes of log", log.len());
    assert!(log.contains("dropped="), "the flood is counted");
    let long = log.lines().find(|line| line.contains("long xxx")).unwrap();
    assert!(long.len() < 5_000 && long.contains("bytes more)"), "{long}");
    assert!(
        !log.contains(['\u{1b}', '\u{7}', '\u{202e}']),
        "the terminal is painted"
    );
    assert!(!log.lines().any(|line| line.starts_with("ERROR forged")));
    assert!(log.contains("probe env: 0"));
    assert!(!log.contains("reached") && !log.contains("found it: true"));
}
