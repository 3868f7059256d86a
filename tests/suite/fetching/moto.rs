//! moto: another's implementation of an object store, from the registry of Python, installed once
//! beside the build.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sexton_tests::host::TestHost;
use sexton_tests::poll::until;

use super::program;

/// What the registry is asked for.
const MOTO: &str = "moto[server]==5.1.15";

/// A moto server that is killed by its id when the value goes.
pub(crate) struct Moto {
    child: Child,
    port: u16,
    /// A line for each request.
    log: Arc<Mutex<Vec<String>>>,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where moto is installed; `None`, said loudly, where it cannot be.
fn installed() -> Option<&'static Path> {
    static PLACE: OnceLock<Option<PathBuf>> = OnceLock::new();
    PLACE.get_or_init(install).as_deref()
}

fn install() -> Option<PathBuf> {
    let python = program("python3").or_else(|| {
        let said = Command::new("sh")
            .args(["-c", "command -v python3"])
            .output()
            .ok()?;
        let path = String::from_utf8(said.stdout).ok()?;
        (!path.trim().is_empty()).then(|| PathBuf::from(path.trim()))
    })?;
    let beside = Path::new(env!("CARGO_BIN_EXE_sexton-under-test")).parent()?;
    let (place, ready) = (beside.join("moto-5.1.15"), beside.join("moto-5.1.15/ready"));
    if ready.exists() {
        return Some(place);
    }
    let run = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let made = run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&place))
        && run(Command::new(place.join("bin/pip")).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            MOTO,
        ]));
    if !made || std::fs::write(ready, MOTO).is_err() {
        eprintln!("SKIPPED: {MOTO} cannot be installed here, so no bucket was tried");
        return None;
    }
    Some(place)
}

impl Moto {
    /// Starts one; `None`, said loudly, where there is none.
    pub(crate) fn start() -> Option<Self> {
        let place = installed()?;
        let mut child = Command::new(place.join("bin/moto_server"))
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, port) = std::sync::mpsc::channel();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&log);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let port = line.split("http://127.0.0.1:").nth(1);
                if let Some(port) = port.and_then(|port| port.trim().parse().ok()) {
                    let _ = told.send(port);
                }
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let port = until("moto listens", || port.try_recv().ok());
        Some(Self { child, port, log })
    }

    /// Requests so far whose line has all of these.
    pub(crate) fn count(&self, parts: &[&str]) -> usize {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter()
            .filter(|line| parts.iter().all(|part| line.contains(part)))
            .count()
    }

    /// What it answers to anybody who asks by that method.
    pub(crate) fn ask(&self, method: &str, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        let said = Command::new("curl")
            .args(["--silent", "--request", method, &url])
            .output();
        String::from_utf8(said.unwrap().stdout).unwrap()
    }

    /// Puts an object there as anybody may: moto checks no signature on this way in.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        std::fs::write(&file, bytes).unwrap();
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        let status = Command::new("curl")
            .args(["--silent", "--fail", "--output", "/dev/null", "--upload-file"])
            .arg(file)
            .arg(url)
            .status();
        assert!(status.unwrap().success(), "curl put {path}");
    }

    /// A host that knows its bucket `media`, with more configuration.
    pub(crate) fn host(&self, more: &str) -> TestHost {
        let host = crate::host(&format!(
            "[transfer.s3.media]\nendpoint = \"http://127.0.0.1:{}\"\npath_style = true\n\
             access_key = \"env:HOME\"\nsecret_key = \"file:/proc/sys/kernel/ostype\"\n{more}",
            self.port
        ));
        self.put("media", b"");
        host
    }
}
