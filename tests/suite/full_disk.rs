//! The state directory on a disk that is really full (J-154): nothing more is accepted, in words that
//! name the disk; what runs goes on; and with some room again the host recovers without a restart.
//!
//! The disk is a small tmpfs in a mount namespace of the host's own. Where namespaces are not
//! allowed the test says so and proves nothing.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::{eventually, until};
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

const MIB: usize = 1 << 20;

/// Room for the store, the component and its compiled code.
const DISK: &str = "48m";

const CONFIG: &str = "[plugin.moody]\nconfig = { mood = \"state-count\" }\n\
    [[subscribe]]\nplugin = \"moody\"\nevents = [\"on-ended\"]\n";

/// What the host says of it, in answers, in `status` and in the log.
const WORDS: &str = "the disk of the state directory is full";

/// Runs `sh -c SCRIPT` as root of a mount namespace of its own.
const NAMESPACE: &str = "unshare --user --map-root-user --mount";

fn namespaces_are_allowed(dir: &Path) -> bool {
    let script = format!("{NAMESPACE} mount -t tmpfs -o size=1m small {}", dir.display());
    Command::new("sh")
        .args(["-c", &script])
        .status()
        .is_ok_and(|status| status.success())
}

/// The program, but `run` finds a small disk of its own mounted on `folder`.
fn on_a_small_disk(dir: &Path, folder: &str, size: &str) -> PathBuf {
    let program = env!("CARGO_BIN_EXE_sexton-under-test");
    let wrapper = dir.join("sexton");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" != run ]; then exec {program} \"$@\"; fi\n\
         exec {NAMESPACE} sh -c 'mount -t tmpfs -o size={size} small {folder} && exec {program} \"$@\"' sh \"$@\"\n"
    );
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, PermissionsExt::from_mode(0o700)).unwrap();
    wrapper
}

/// Takes room until so much is left.
fn fill_but(path: &Path, left: usize) {
    fill(path);
    let filler = File::options().write(true).open(path).unwrap();
    let size = filler.metadata().unwrap().len();
    filler.set_len(size - left as u64).unwrap();
}

/// Takes all the room there is, down to the last page.
fn fill(path: &Path) {
    let mut filler = File::create(path).unwrap();
    for size in [MIB, 4_096] {
        while filler.write_all(&vec![1; size]).is_ok() {}
    }
}

/// A path as the host sees it.
fn inside(host: &TestHost, name: &str) -> PathBuf {
    let root = format!("/proc/{}/root", host.pid().as_raw_nonzero());
    PathBuf::from(format!("{root}{}", host.path(name).display()))
}

fn submit(host: &TestHost, url: &str, name: &str) -> sexton_tests::output::Output {
    let to = host.path(name);
    host.cli(&["submit", "download", url, to.to_str().unwrap(), "--key", name])
}

fn degraded(host: &TestHost) -> Vec<String> {
    let status = host.object(&["status"]);
    let all = status["degraded"].as_array().unwrap().iter();
    all.map(|one| one.as_str().unwrap().to_owned()).collect()
}

#[test]
fn j154_a_full_disk_refuses_what_is_new_keeps_what_runs_and_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    if !namespaces_are_allowed(dir.path()) {
        eprintln!("SKIPPED: no user and mount namespaces here, so no small disk; nothing was proved");
        return;
    }
    let (web, mut host) = (
        Web::start(),
        TestHost::new(on_a_small_disk(dir.path(), "state", DISK), CONFIG),
    );
    std::fs::create_dir(host.path("state")).unwrap();
    host.plugin("moody", guests::bytes(MOODY));
    host.start();
    host.wait_serving("moody");
    let good = web.good();
    let mut accepted = vec![submit(&host, &good, "before").code(0).stdout];
    host.wait_delivery(accepted[0].trim_end(), "moody", "settled");
    let remote = Remote::new(vec![5; 8 * MIB]);
    let pace = Duration::from_millis(20);
    let url = web.route(
        "/big",
        Behaviour::Slow {
            remote: remote.clone(),
            chunk: 128 << 10,
            delay: pace,
        },
    );
    let big = submit(&host, &url, "big").code(0).stdout;
    eventually("some of it is durable", || {
        host.job(big.trim_end())["bytes_transferred"].as_u64().unwrap() >= 2 * MIB as u64
    });

    let pid = host.pid();
    let inside = |name: &str| inside(&host, name);
    fill(&inside("state/filler"));
    let mut tries = 0;
    let refused = until("a submission is refused", || {
        let name = format!("full-{tries}");
        tries += 1;
        let said = submit(&host, &good, &name);
        if said.code != 0 {
            return Some((name, said));
        }
        accepted.push(said.stdout);
        fill(&inside(&format!("state/filler-{tries}")));
        None
    });
    let (name, said) = refused;
    assert_eq!(said.code, 7, "{said:?}");
    assert!(said.stderr.contains(WORDS), "{said:?}");
    assert_eq!(
        degraded(&host).iter().filter(|one| one.contains(WORDS)).count(),
        1
    );
    eventually("the bytes go on", || web.sent("/big") == remote.body.len() as u64);
    assert_eq!(
        host.job(big.trim_end())["state"],
        "transferring",
        "not given up, and not said to be whole"
    );
    assert!(!host.path("big").exists());
    host.wait_log(WORDS);

    let fillers = std::fs::read_dir(inside("state"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for filler in fillers.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("filler")) {
        std::fs::remove_file(filler).unwrap();
    }
    eventually("all is well", || degraded(&host).is_empty());
    host.wait_state(big.trim_end(), "acknowledged");
    assert!(std::fs::read(host.path("big")).unwrap() == remote.body);
    assert_eq!(web.requests("/big").len(), 1, "it was never begun anew");
    accepted.push(big);
    // What was refused is not there; under its key it is accepted now.
    assert_eq!(host.list(&["job", "list"]).len(), accepted.len());
    accepted.push(submit(&host, &good, &name).code(0).stdout);
    for job in &accepted {
        host.wait_state(job.trim_end(), "acknowledged");
        host.wait_delivery(job.trim_end(), "moody", "settled");
    }
    assert_eq!(host.deliveries(&[]).len(), accepted.len());
    assert_eq!(host.pid(), pid, "it was never started again");
    assert_eq!(host.term().code, Some(0));
}

/// Space comes back without anyone touching the job (B-92): the error is one that passes.
#[test]
fn b92_a_full_destination_is_a_passing_error_and_the_file_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    if !namespaces_are_allowed(dir.path()) {
        eprintln!("SKIPPED: no user and mount namespaces here, so no small disk; nothing was proved");
        return;
    }
    let (web, mut host) = (
        Web::start(),
        TestHost::new(on_a_small_disk(dir.path(), "disk", "12m"), ""),
    );
    std::fs::create_dir(host.path("disk")).unwrap();
    host.start();
    fill_but(&inside(&host, "disk/filler"), 5 * MIB);
    let remote = Remote::new(crate::download::body(10 * MIB, 92));
    let url = web.route("/f", Behaviour::Serve(remote.clone()));
    let id = host.download_to(&url, &host.path("disk/f"), &["--retry-delay", "200ms"]);
    let job = until("the disk is full", || {
        let job = host.job(&id);
        (job["error"]["code"] == "0x8007001C").then_some(job)
    });
    assert_eq!(job["error"]["context"], "local-file");
    assert_ne!(job["state"], "error", "it may pass");
    std::fs::remove_file(inside(&host, "disk/filler")).unwrap();
    host.wait_state(&id, "acknowledged");
    assert!(std::fs::read(inside(&host, "disk/f")).unwrap() == remote.body);
}

/// A disk of the host that nobody may write to needs a person (B-92).
#[test]
fn b92_a_read_only_destination_is_an_error_in_words() {
    let dir = tempfile::tempdir().unwrap();
    if !namespaces_are_allowed(dir.path()) {
        eprintln!("SKIPPED: no user and mount namespaces here, so no read-only disk; nothing was proved");
        return;
    }
    let (web, mut host) = (
        Web::start(),
        TestHost::new(on_a_small_disk(dir.path(), "disk", "12m,ro"), ""),
    );
    std::fs::create_dir(host.path("disk")).unwrap();
    host.start();
    let url = web.good();
    let said = submit(&host, &url, "disk/f");
    assert!(said.code == 6 && said.stderr.contains("Read-only"), "{said:?}");
}
