//! WebDAV: files put to a server that the world uses, nginx with its dav module.

use super::{MIB, error, sender, wait_bytes};
use crate::fetching::nginx::Nginx;

#[test]
fn nginx_takes_a_file_whole_or_not_at_all_also_across_a_kill() {
    let Some(nginx) = Nginx::start("0") else { return };
    let (mut host, bytes) = sender("[transfer.bandwidth]\nbackground = '6MB'\n", 9 * MIB + 3);
    let there = nginx.dir.path().join("root/new/folder/f");
    let url = format!("dav://127.0.0.1:{}/new/folder/f", nginx.port);
    let id = host.upload("sent.bin", &url, &["--retry-delay", "100ms"]);
    wait_bytes(&host, &id, 2 * MIB);
    host.kill9();
    assert!(!there.exists(), "what is cut off is no file");
    host.start();
    let job = host.wait_state(&id, "acknowledged");
    assert_eq!(job["bytes_transferred"], bytes.len());
    assert!(std::fs::read(&there).unwrap() == bytes);
    // Over one that is there.
    std::fs::write(host.path("sent.bin"), "short").unwrap();
    host.upload("sent.bin", &url, &["--wait"]);
    assert_eq!(std::fs::read(&there).unwrap(), b"short");
}

#[test]
fn nginx_that_takes_no_files_is_an_error_in_its_own_words() {
    let Some(nginx) = Nginx::start("0") else { return };
    let (host, _) = sender("", 1000);
    let url = format!("dav://127.0.0.1:{}/closed/f", nginx.port);
    let id = host.upload("sent.bin", &url, &[]);
    assert_eq!(error(&host, &id)["name"], "HTTP_405");
}
