//! Sources that are files of this machine, when the host dies or they change while they are copied.

use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;

use super::{MIB, body, content, wait_bytes};
use crate::host;

/// Slow enough for a middle.
const SLOW: &str = "[transfer.bandwidth]\nbackground = '6MB'\n";

/// A host that copies `DIR/source` to `DIR/copy`, some MiB in; and the bytes, and the job.
fn copying() -> (TestHost, Vec<u8>, String) {
    let mut host = host(SLOW);
    let bytes = body(12 * MIB, 61);
    std::fs::write(host.path("source"), &bytes).unwrap();
    host.start();
    let id = host.download_to(&url(&host), &host.path("copy"), &["--retry-delay", "100ms"]);
    wait_bytes(&host, &id, 4 * MIB);
    (host, bytes, id)
}

fn url(host: &TestHost) -> String {
    format!("file://{}", host.path("source").display())
}

/// Puts another file in the place of the source, of the same size.
fn replace(host: &TestHost, bytes: &[u8]) -> Vec<u8> {
    let other: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    std::fs::write(host.path("beside"), &other).unwrap();
    std::fs::rename(host.path("beside"), host.path("source")).unwrap();
    other
}

fn restarts(host: &TestHost, id: &str) -> u64 {
    host.job(id)["files"][0]["restarts"].as_u64().unwrap_or(0)
}

#[test]
fn a_copy_is_gone_on_with_after_a_kill() {
    let (mut host, bytes, id) = copying();
    host.kill9();
    assert!(!host.path("copy").exists());
    host.start();
    host.wait_state(&id, "acknowledged");
    assert!(content(&host, "copy") == bytes);
    assert_eq!(restarts(&host, &id), 0, "what was there was not copied again");
    assert!(content(&host, "source") == bytes);
}

#[test]
fn b94_a_source_that_is_another_one_after_a_kill_is_never_mixed() {
    let (mut host, bytes, id) = copying();
    host.kill9();
    let other = replace(&host, &bytes);
    host.start();
    host.wait_state(&id, "acknowledged");
    assert!(content(&host, "copy") == other);
    assert_eq!(restarts(&host, &id), 1);
}

#[test]
fn b94_a_source_that_is_written_to_while_it_is_copied_is_copied_again() {
    let (host, mut bytes, id) = copying();
    let before = std::fs::metadata(host.path("source"))
        .unwrap()
        .modified()
        .unwrap();
    bytes[0] ^= 1;
    // In place, and of the same size: its time alone tells.
    let write = || std::fs::write(host.path("source"), &bytes).unwrap();
    eventually("its time is another one", || {
        write();
        std::fs::metadata(host.path("source"))
            .unwrap()
            .modified()
            .unwrap()
            != before
    });
    host.wait_state(&id, "acknowledged");
    assert!(content(&host, "copy") == bytes);
    assert!(restarts(&host, &id) >= 1);
}

#[test]
fn b66_nothing_is_sent_to_a_file_of_this_machine() {
    let (host, ..) = copying();
    let line = ["submit", "upload", "source", "file:///srv/x"];
    let refused = host.cli(&line).code(2);
    assert!(refused.stderr.contains("E_NOTIMPL"), "{refused:?}");
    assert!(
        refused.stderr.contains("download it from its `file:` name"),
        "{refused:?}"
    );
}
