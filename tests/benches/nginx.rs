//! The server of the transfer benchmarks: nginx, one worker, over a folder. Its answers cost next to
//! nothing, so what is measured is whoever asks.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sexton_tests::poll::eventually;
use tempfile::TempDir;

use crate::bench::{Bench, installed};

/// A running nginx; ends when dropped.
pub struct Nginx {
    child: Child,
    dir: TempDir,
    port: u16,
}

impl Nginx {
    /// Starts one over an empty folder; `None` where nginx is not installed.
    pub fn start(bench: &Bench) -> Option<Self> {
        let program = installed("nginx").or_else(|| installed_in_sbin("nginx"))?;
        let dir = bench.folder();
        std::fs::create_dir(dir.path().join("files")).expect("a folder can be made");
        // The port is free now; nobody else on this machine is after it.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port can be bound");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let at = dir.path().display();
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;\n\
             client_body_temp_path {at}; proxy_temp_path {at}; fastcgi_temp_path {at};\n\
             uwsgi_temp_path {at}; scgi_temp_path {at};\n\
             server {{ listen 127.0.0.1:{port}; root {at}/files; }} }}\n"
        );
        std::fs::write(dir.path().join("nginx.conf"), config).expect("a file can be written");
        let child = Command::new(program)
            .args(["-e", "stderr", "-c"])
            .arg(dir.path().join("nginx.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx can be started");
        let nginx = Self { child, dir, port };
        eventually("nginx listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(nginx)
    }

    /// The folder that it serves.
    pub fn files(&self) -> std::path::PathBuf {
        self.dir.path().join("files")
    }

    /// The URL of a file in that folder.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Debian puts it where a user's `PATH` does not look.
fn installed_in_sbin(program: &str) -> Option<std::path::PathBuf> {
    let path = Path::new("/usr/sbin").join(program);
    path.is_file().then_some(path)
}
