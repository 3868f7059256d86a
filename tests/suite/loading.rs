//! Loading: a slow compile keeps nobody else waiting and does not outlive the host, what was good last
//! stays until it is removed on purpose, and a signal during the start ends it in order.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use sexton::clock::Clock;
use sexton::fail_fast::Children;
use sexton::plugin::{PluginRoom, RoomOptions};
use sexton_tests::guests::{self, MINIMAL, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;

use crate::host;

/// Compiles as the program does, but never ends with a component that says `tarry`, and with one that
/// says `dawdle` not before it is told to.
const COMPILER: &str = "#!/bin/sh\n\
    if grep -q tarry \"$2\"; then echo $$ >> \"$0.slow\"; exec sleep 600; fi\n\
    if grep -q dawdle \"$2\"; then : > \"$0.slow\"; until [ -e \"$0.go\" ]; do sleep 0.02; done; fi\n\
    exec ";

/// A room whose compiler is [`COMPILER`], in a folder with one component that says `word`.
fn room(dir: &Path, children: Children, word: &str) -> PluginRoom {
    let compiler = dir.join("compiler");
    let program = env!("CARGO_BIN_EXE_sexton-under-test");
    std::fs::write(&compiler, format!("{COMPILER}{program} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&compiler, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(dir.join("plugins")).unwrap();
    std::fs::write(dir.join("plugins/slow.wasm"), guests::marked(MOODY, word)).unwrap();
    let options = RoomOptions {
        plugin_dir: dir.join("plugins"),
        state_dir: dir.join("state"),
        compiler,
        compile_timeout: Duration::from_secs(600),
        compile_memory: 4 << 30,
        children,
        calls: 4,
        workers: 1,
        clock: Clock::real(),
        plugins: Default::default(),
    };
    std::fs::create_dir(dir.join("state")).unwrap();
    PluginRoom::new(options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_while_it_is_compiled_is_loaded_after_all() {
    let dir = tempfile::tempdir().unwrap();
    let room = room(dir.path(), Children::default(), "dawdle");
    let (at, asking) = (dir.path().to_owned(), room.clone());
    let run = tokio::spawn(room.run(Default::default()));
    let looking = asking.clone();
    let rescan = tokio::spawn(async move { looking.rescan().await });
    tokio::task::spawn_blocking(move || {
        eventually("the slow compile has begun", || at.join("compiler.slow").exists());
        let second = guests::marked(MOODY, "another one");
        std::fs::write(at.join("plugins/slow.wasm"), &second).unwrap();
        std::fs::write(at.join("plugins/quick.wasm"), guests::bytes(MINIMAL)).unwrap();
        let quick = "quick".parse().unwrap();
        eventually("the folder was looked at since", || asking.is_serving(&quick));
        std::fs::write(at.join("compiler.go"), "").unwrap();
        let size = second.len() as u64;
        eventually("the second file serves", || {
            asking.list().iter().any(|info| info.serving && info.size == size)
        });
    })
    .await
    .unwrap();
    rescan.abort();
    run.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_compile_keeps_nobody_waiting_and_is_one_of_the_hosts_children() {
    let dir = tempfile::tempdir().unwrap();
    let children = Children::default();
    let room = room(dir.path(), children.clone(), "tarry");
    let (looking, asking) = (room.clone(), room.clone());
    let run = tokio::spawn(room.clone().run(Default::default()));
    let rescan = tokio::spawn(async move { looking.rescan().await });
    let begun = dir.path().join("compiler.slow");
    tokio::task::spawn_blocking(move || {
        eventually("the slow compile has begun", || begun.exists());
        std::fs::write(dir.path().join("plugins/quick.wasm"), guests::bytes(MINIMAL)).unwrap();
        let quick = "quick".parse().unwrap();
        eventually("the other plugin serves meanwhile", || asking.is_serving(&quick));
        let slow = |name: &str| {
            asking
                .list()
                .into_iter()
                .find(|info| info.name.as_str() == name)
                .unwrap()
        };
        assert!(slow("slow").problem.unwrap().contains("is being loaded"));
        // What a FailFast does.
        children.kill_all();
        eventually("the compiler is gone and that is told", || {
            slow("slow")
                .problem
                .is_some_and(|why| why.contains("ended by signal 9"))
        });
    })
    .await
    .unwrap();
    run.abort();
    rescan.abort();
}

fn serving(config: &str) -> TestHost {
    let mut host = host(config);
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    host.wait_serving("moody");
    host
}

fn degraded(host: &TestHost) -> String {
    host.object(&["status"])["degraded"].to_string()
}

#[test]
fn a_folder_that_is_empty_at_start_unloads_nothing() {
    let mut host = serving("");
    assert_eq!(host.term().code, Some(0));
    // What an unmounted volume leaves.
    std::fs::rename(host.path("plugins"), host.path("volume")).unwrap();
    std::fs::create_dir(host.path("plugins")).unwrap();
    for turn in 0..2 {
        host.start();
        host.wait_serving("moody");
        let _ = host.cli(&["plugin", "reload"]).code(0);
        host.wait_serving("moody");
        assert!(degraded(&host).contains("is its volume not mounted?"), "{turn}");
        assert_eq!(host.term().code, Some(0));
    }
    // The volume comes back under a running host.
    host.start();
    std::fs::remove_dir(host.path("plugins")).unwrap();
    std::fs::rename(host.path("volume"), host.path("plugins")).unwrap();
    let _ = host.cli(&["plugin", "reload"]).code(0);
    assert!(!degraded(&host).contains("volume"), "{}", degraded(&host));
    host.unplug("moody");
    eventually("it is unloaded", || host.plugin_view("moody").is_none());
    host.restart();
    assert_eq!(
        host.plugin_view("moody"),
        None,
        "it was removed while a host saw it"
    );
}

#[test]
fn what_was_good_last_is_forgotten_by_plugin_remove() {
    let mut host = serving("");
    assert_eq!(host.term().code, Some(0));
    std::fs::remove_file(host.path("plugins/moody.wasm")).unwrap();
    host.start();
    host.wait_serving("moody");
    let removed = host.object(&["plugin", "remove", "moody"]);
    assert_eq!(
        (&removed["removed"], &removed["name"]),
        (&false.into(), &"moody".into())
    );
    assert_eq!(host.plugin_view("moody"), None);
    let _ = host.cli(&["plugin", "reload"]).code(0);
    assert!(!degraded(&host).contains("volume"), "{}", degraded(&host));
    host.cli(&["plugin", "remove", "moody"]).code(5);
    // And without a host.
    host.plugin("moody", guests::bytes(MOODY));
    host.wait_serving("moody");
    assert_eq!(host.term().code, Some(0));
    host.cli(&["plugin", "remove", "moody"]).code(0);
    host.start();
    assert_eq!(host.plugin_view("moody"), None);
}

#[test]
fn what_was_taken_out_while_no_host_ran_still_stands_in_for_a_bad_file() {
    let mut host = serving("");
    host.plugin("other", guests::bytes(MINIMAL));
    host.wait_serving("other");
    assert_eq!(host.term().code, Some(0));
    host.unplug("moody");
    host.start();
    host.wait_serving("other");
    assert_eq!(host.plugin_view("moody"), None);
    host.plugin("moody", "half a deployment");
    host.wait_plugin("moody", |plugin| {
        plugin["serving"] == true && plugin["problem"].is_string()
    });
}

#[test]
fn a_signal_during_the_start_ends_it_in_order() {
    let mut host = host("");
    // New components are compiled, which the start waits for.
    for name in ["one", "two", "three", "four"] {
        host.plugin(name, guests::marked(MOODY, name));
    }
    host.spawn(&[]);
    // It is there before plugins are loaded.
    eventually("the start is under way", || host.path("control.sock").exists());
    host.signal(Signal::TERM);
    let ending = host.ended();
    assert_eq!((ending.code, ending.signal), (Some(0), None));
    host.start();
    assert!(!host.log().contains("not closed in order"));
}
