//! The file as a whole: template, examples, schema, what is shown, what is found where. Faults are
//! files: `ui/NAME.toml` with the text that it must give beside it in `NAME.err`, written anew with
//! `BLESS=1`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load::client_socket_in;
use super::*;
use crate::job::Then;

const BASE: &str = "/srv/sexton";

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(
        text,
        Path::new("sexton.toml"),
        Path::new(BASE),
        &Overrides::default(),
    )
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn dc07_a_server_has_30_s_to_take_a_connection_and_60_s_to_say_something() {
    let transfer = good("").transfer;
    assert_eq!(transfer.connect_timeout.as_secs(), 30);
    assert_eq!(transfer.idle_timeout.as_secs(), 60);
}

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Compares with a file that `BLESS=1` writes.
fn same_as_file(path: &Path, found: &str) {
    if blessing() {
        fs::write(path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        found,
        expected,
        "{} differs; BLESS=1 writes it anew",
        path.display()
    );
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_bad_file_says_what_where_and_what_to_write() {
    let bad = files(&folder("src/config/ui"));
    assert!(bad.len() >= 45, "{} files", bad.len());
    for path in bad {
        let text = fs::read_to_string(&path).unwrap();
        let name = PathBuf::from(path.file_name().unwrap());
        let result = Config::parse(&text, &name, Path::new(BASE), &Overrides::default());
        let errors = result.expect_err(&name.display().to_string());
        same_as_file(&path.with_extension("err"), &format!("{errors}\n"));
    }
}

#[test]
fn one_check_finds_every_fault_in_the_order_of_the_file() {
    let text = include_str!("ui/six-sections.toml");
    let errors = parse(text).unwrap_err();
    let keys: Vec<_> = errors
        .0
        .iter()
        .map(|error| (error.line, error.key.as_str()))
        .collect();
    let expected = [
        (2, "host.calls"),
        (3, "host.drain"),
        (6, "fail_fast.mode"),
        (9, "transfer.slots"),
        (12, "retention.failed"),
        (15, "log.filter"),
        (18, "plugin.pager.on_failure"),
        (22, "subscribe[0].events"),
        (25, "subscribe[1].events"),
    ];
    assert_eq!(keys, expected, "{errors}");
}

/// The template with every key uncommented.
fn template_in_force() -> String {
    let lines = TEMPLATE.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| !c.is_whitespace()) => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_template_says_the_defaults() {
    let commented = good(TEMPLATE);
    assert_eq!(commented, good(""));
    let mut in_force = good(&template_in_force());
    let pager = in_force.plugins.remove(&"pager".parse().unwrap()).unwrap();
    assert_eq!(pager.limits, PluginConfig::default().limits);
    assert_eq!(pager.grant.job_control, PluginConfig::default().grant.job_control);
    let nightly = in_force.activities.remove(&"nightly".parse().unwrap()).unwrap();
    assert_eq!((nightly.concurrency, nightly.max_queued), (1, 0));
    assert_eq!(in_force.subscriptions.len(), 1);
    in_force.subscriptions.clear();
    let orders = in_force.query.providers.remove("orders").unwrap();
    assert!(orders.password.is_some());
    let media = in_force.transfer.s3.remove("media").unwrap();
    assert!(media.keys.is_some() && !media.path_style);
    // As many as this machine has processors.
    in_force.batch = commented.batch.clone();
    assert_eq!(in_force, commented);
}

#[test]
fn the_template_has_every_key_of_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let shapes = schema["$defs"].as_object().unwrap();
    for (shape, definition) in shapes {
        let Some(keys) = definition["properties"].as_object() else {
            continue;
        };
        for key in keys.keys() {
            let lines = [format!("#{key} = "), format!("{key} = ")];
            let there = lines.iter().any(|line| TEMPLATE.contains(line.as_str())) || TEMPLATE.contains(key);
            assert!(there, "{shape}.{key} is not in config/sexton.toml");
        }
    }
}

#[test]
fn the_schema_says_the_defaults() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    for (section, shape) in [
        ("host", "Host"),
        ("fail_fast", "FailFast"),
        ("transfer", "Transfer"),
        ("batch", "Batch"),
        ("batch.retry", "Retry"),
        ("query", "Query"),
        ("retention", "Retention"),
        ("log", "Log"),
        ("plugin.x.limits", "Limits"),
        ("plugin.x.grant", "Grant"),
        ("plugin.x.on_failure", "Ladder"),
    ] {
        let keys = schema["$defs"][shape]["properties"].as_object().unwrap();
        let mut text = format!("[{section}]\n");
        for (key, rules) in keys {
            if let Some(default) = rules.get("default") {
                text += &format!("{key} = {default}\n");
            }
        }
        let written = good(&text);
        let bare = good(&format!("[{section}]\n"));
        assert_eq!(written, bare, "{text}");
    }
}

#[test]
fn the_schema_file_is_the_generated_one() {
    same_as_file(&folder("../config/sexton.schema.json"), &schema());
}

#[test]
fn every_example_loads_and_survives_being_shown() {
    let examples = files(&folder("../config/examples"));
    assert!(examples.len() >= 5);
    for path in examples {
        let text = fs::read_to_string(&path).unwrap();
        let config = Config::parse(&text, &path, Path::new(BASE), &Overrides::default())
            .unwrap_or_else(|errors| panic!("{errors}"));
        let shown = config.to_toml();
        let again = Config::parse(&shown, &path, Path::new("/elsewhere"), &Overrides::default())
            .unwrap_or_else(|errors| panic!("{shown}\n{errors}"));
        assert_eq!(again, config, "{shown}");
    }
    let full = good(&template_in_force());
    assert_eq!(good(&full.to_toml()), full);
}

#[test]
fn what_init_writes_keeps_everything_beside_the_file() {
    let config = good(init_text());
    assert_eq!(config.host.state_dir, Path::new("/srv/sexton/state"));
    assert_eq!(config.host.plugin_dir, Path::new("/srv/sexton/plugins"));
    assert_eq!(config.host.control, Path::new("/srv/sexton/control.sock"));
    assert_eq!(config.fail_fast.report_dir, Path::new("/srv/sexton/reports"));
}

#[test]
fn a_plugin_table_is_read_in_full() {
    let config = good(
        r#"
        [plugin.pager]
        on_failure = { attempts = 5, initial = "10min", jitter = "10%", then = "notify-command" }
        on = { trap = "fail-fast", error-permanent = { attempts = 1 } }
        limits = { memory = "128MiB" }
        config = { channel = "ops", count = 3, ratio = 0.5, on = true, deep = { er = { key = "v" } }, day = 2026-01-02 }
        [plugin.pager.grant]
        http = ["HTTPS://Hooks.Example.com", "http://[::1]:8080", "https://hooks.example.com:443"]
        env = ["PAGER_TOKEN"]
        dirs = ["templates", "/var/log/pager:rw", { path = "data", as = "d", write = true }]
        job_control = false
        "#,
    );
    let pager = &config.plugins[&"pager".parse().unwrap()];
    let Some(Policy::Own(ladder)) = &pager.on_failure else {
        panic!("{pager:?}")
    };
    assert_eq!(ladder.attempts, Some(5));
    assert_eq!(ladder.backoff.max, Duration::from_secs(600));
    assert_eq!(ladder.age, Duration::from_secs(14 * 86_400));
    assert_eq!(ladder.then, Then::NotifyCommand);
    assert!((ladder.jitter - 0.1).abs() < 1e-9);
    assert_eq!(pager.on[&FailureClass::Trap], Policy::FailFast);
    assert_eq!(pager.limits.memory, 128 << 20);
    assert_eq!(pager.limits.deadline, Duration::from_secs(5));
    let settings: Vec<_> = pager.config.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let expected = [
        "channel=ops",
        "count=3",
        "day=2026-01-02",
        "deep.er.key=v",
        "on=true",
        "ratio=0.5",
    ];
    assert_eq!(settings, expected);
    let origins: Vec<_> = pager.grant.http.iter().map(ToString::to_string).collect();
    assert_eq!(origins, ["https://hooks.example.com", "http://[::1]:8080"]);
    let dirs: Vec<_> = pager
        .grant
        .dirs
        .iter()
        .map(|dir| (dir.path.to_str().unwrap(), dir.guest.as_str(), dir.write))
        .collect();
    assert_eq!(
        dirs,
        [
            ("/srv/sexton/templates", "/templates", false),
            ("/var/log/pager", "/pager", true),
            ("/srv/sexton/data", "/d", true),
        ]
    );
    assert!(!pager.grant.job_control);
}

#[test]
fn b68_the_ancestors_profiles_have_one_background_slot() {
    assert_eq!(good("").transfer.slots, 8);
    assert_eq!(good("[host]\nprofile = 'bits'").transfer.slots, 1);
    let written = good("[host]\nprofile = 'delivery-optimization'\n[transfer]\nslots = 3");
    assert_eq!(written.transfer.slots, 3);
}

#[test]
fn c58_there_are_as_many_slots_for_calls_as_processors() {
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(good("").batch.slots, processors);
    assert_eq!(good("[batch]\nslots = 9").batch.slots, 9);
    let old = good("");
    assert_eq!(old.live_differences(&good("[batch]\nslots = 999")), ["batch"]);
}

#[test]
fn only_what_cannot_apply_live_is_named() {
    let old = good("");
    let live =
        good("[retention]\ndead = '1d'\n[plugin.x]\n[[subscribe]]\nplugin = 'x'\nevents = ['on-ended']");
    assert!(old.live_differences(&live).is_empty());
    let restart = good("[host]\ncalls = 8\nstate_dir = 'other'\n[transfer]\nslots = 2");
    assert_eq!(
        old.live_differences(&restart),
        ["host.state_dir", "host.calls", "fail_fast", "transfer"]
    );
}

/// Folders and an environment for the search.
struct World {
    dir: tempfile::TempDir,
    env: BTreeMap<&'static str, String>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["cwd", "xdg/sexton", "home/.config/sexton", "given"] {
            fs::create_dir_all(dir.path().join(sub)).unwrap();
        }
        Self {
            dir,
            env: BTreeMap::new(),
        }
    }

    fn path(&self, sub: &str) -> PathBuf {
        self.dir.path().join(sub)
    }

    fn file(&self, sub: &str, text: &str) -> &Self {
        fs::write(self.path(sub), text).unwrap();
        self
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.env.insert(name, value.into());
        self
    }

    fn load(&self, explicit: Option<&Path>, overrides: &Overrides) -> Result<Config, ConfigErrors> {
        let env = |name: &str| self.env.get(name).cloned();
        Config::load_in(&self.path("cwd"), explicit, &env, overrides)
    }

    fn loaded(&self) -> Config {
        self.load(None, &Overrides::default())
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn socket(&self) -> Result<PathBuf, ConfigErrors> {
        let env = |name: &str| self.env.get(name).cloned();
        client_socket_in(&self.path("cwd"), None, None, &env)
    }
}

#[test]
fn the_nearest_file_wins() {
    let mut world = World::new();
    let home = world.path("home").display().to_string();
    world.set("HOME", home);
    let none = world.loaded();
    assert_eq!(none.source, None);
    assert_eq!(none.host.state_dir, world.path("home/.local/state/sexton/state"));

    world.file("home/.config/sexton/sexton.toml", "");
    assert_eq!(
        world.loaded().host.state_dir,
        world.path("home/.config/sexton/state")
    );
    let xdg = world.path("xdg").display().to_string();
    world
        .set("XDG_CONFIG_HOME", xdg)
        .file("xdg/sexton/sexton.toml", "");
    assert_eq!(world.loaded().host.state_dir, world.path("xdg/sexton/state"));
    world.file("cwd/sexton.toml", "");
    assert_eq!(world.loaded().host.state_dir, world.path("cwd/state"));
    world.file("given/a.toml", "");
    world.set("SEXTON_CONFIG", "../given/a.toml");
    assert_eq!(world.loaded().source, Some(world.path("cwd/../given/a.toml")));
    let flag = world.path("given/b.toml");
    world.file("given/b.toml", "");
    let config = world.load(Some(&flag), &Overrides::default()).unwrap();
    assert_eq!(config.source, Some(flag));
    let missing = world.load(Some(Path::new("none.toml")), &Overrides::default());
    let text = missing.unwrap_err().to_string();
    assert!(text.contains("none.toml: there is no such file"), "{text}");
}

#[test]
fn environment_beats_the_file_and_flags_beat_both() {
    let mut world = World::new();
    world.file(
        "cwd/sexton.toml",
        "[host]\nstate_dir = 'a'\nplugin_dir = 'p'\n[log]\nfilter = 'warn'",
    );
    world
        .set("SEXTON_STATE_DIR", "b")
        .set("SEXTON_LOG", "debug")
        .set("SEXTON_CONTROL", "");
    let config = world.loaded();
    assert_eq!(config.host.state_dir, world.path("cwd/b"));
    assert_eq!(config.host.plugin_dir, world.path("cwd/p"));
    assert_eq!(config.host.control, world.path("cwd/control.sock"));
    assert_eq!(config.log.filter, "debug");
    let flags = Overrides {
        state_dir: Some("/c".into()),
        ..Overrides::default()
    };
    let config = world.load(None, &flags).unwrap();
    assert_eq!(config.host.state_dir, Path::new("/c"));
    assert_eq!(config.fail_fast.report_dir, Path::new("/c/reports"));
    world.set("SEXTON_LOG", "sexton=loud");
    let text = world.load(None, &flags).unwrap_err().to_string();
    assert!(text.starts_with("error: SEXTON_LOG: "), "{text}");
}

#[test]
fn a_client_finds_the_socket_of_a_half_edited_file() {
    let mut world = World::new();
    world.file(
        "cwd/sexton.toml",
        "[host]\ncontrol = 'c.sock'\n[plugin.x]\non_failure = 'bitz'\nfoo = ",
    );
    assert_eq!(world.socket().unwrap(), world.path("cwd/c.sock"));
    world.file("cwd/sexton.toml", "[host\ncontrol");
    assert!(world.socket().is_err());
    world.set("SEXTON_SOCKET", "/run/s.sock");
    assert_eq!(world.socket().unwrap(), Path::new("/run/s.sock"));
}

#[test]
fn no_text_makes_the_reader_panic_or_hang() {
    let template = template_in_force();
    for cut in (0..template.len()).step_by(7) {
        if let Some(text) = template.get(..cut) {
            drop(parse(text));
        }
        if let (Some(head), Some(tail)) = (template.get(..cut), template.get(cut + 3..)) {
            drop(parse(&format!("{head}{tail}")));
        }
    }
    drop(parse(&"[".repeat(10_000)));
    drop(parse(&format!("x = {}", "[".repeat(10_000))));
}

#[test]
fn c58_calls_have_as_many_slots_as_the_machine_has_processors() {
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(good("").batch.slots, processors);
    assert_eq!(good("[batch]\nslots = 7").batch.slots, 7);
}
