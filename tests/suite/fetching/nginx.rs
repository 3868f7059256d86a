//! A server that the world uses: nginx with its dav module, plain files and WebDAV names alike.

use std::process::{Child, Command, Stdio};

use sexton_tests::poll::eventually;
use tempfile::TempDir;

use super::{MIB, body, content, program, wait_bytes};
use crate::host;

pub(crate) struct Nginx {
    child: Child,
    pub(crate) dir: TempDir,
    pub(crate) port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nginx {
    /// One process, so that killing it by its id leaves nothing behind. `rate` is in bytes a second. Files
    /// may be put anywhere but below `/closed/`.
    pub(crate) fn start(rate: &str) -> Option<Self> {
        let program = program("nginx")?;
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f;\n\
             uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
             server {{ listen 127.0.0.1:{port}; root {0}/root; client_max_body_size 0; location /closed/ {{ }}\n\
             location / {{ limit_rate {rate}; dav_methods PUT DELETE; create_full_put_path on; }} }} }}\n",
            dir.path().display()
        );
        std::fs::create_dir(dir.path().join("root")).unwrap();
        std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let child = Command::new(program)
            .arg("-e")
            .arg(dir.path().join("error.log"))
            .arg("-c")
            .arg(dir.path().join("nginx.conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("nginx listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(Self { child, dir, port })
    }
}

#[test]
fn nginx_serves_ranges_segments_and_a_resume_after_a_kill() {
    let Some(nginx) = Nginx::start("8m") else { return };
    let mut host = host("");
    host.start();
    let bytes = body(24 * MIB, 51);
    std::fs::write(nginx.dir.path().join("root/f"), &bytes).unwrap();
    let url = format!("dav://127.0.0.1:{}/f", nginx.port);
    let one = host.download_to(&url, &host.path("one"), &[]);
    let four = host.download_to(&url, &host.path("four"), &["--segments", "4"]);
    wait_bytes(&host, &one, 6 * MIB);
    host.kill9();
    host.start();
    let ranged = ["--range", "1000-1009", "--range", "0-9", "--wait"];
    host.download_to(&url, &host.path("ranges"), &ranged);
    assert_eq!(
        content(&host, "ranges"),
        [&bytes[1000..1010], &bytes[..10]].concat()
    );
    for (id, name) in [(&one, "one"), (&four, "four")] {
        host.wait_state(id, "acknowledged");
        assert!(content(&host, name) == bytes, "{name}");
    }
    assert_eq!(
        host.job(&one)["files"][0]["restarts"],
        serde_json::Value::Null,
        "it was gone on with"
    );
}
