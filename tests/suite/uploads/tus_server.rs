//! tus against the server of its own project, `@tus/server` from npm: installed once below the target
//! folder, in the versions of `tests/tus/package-lock.json`. Without node, npm or the registry these
//! tests say on stderr that they were skipped, and why.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sexton_tests::poll::{eventually, until};

use super::{LARGEST, MIB, PIECE, sender, wait_bytes};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tus");
const TUS: [&str; 4] = ["--protocol", "tus", "--retry-delay", "100ms"];

/// The server as a child process, ended when it is dropped.
struct TusServer {
    child: Child,
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
    dir: tempfile::TempDir,
}

impl TusServer {
    /// Starts one that waits so long before each piece; `None`, and a word on stderr, where it cannot
    /// be had.
    fn start(wait: u32) -> Option<Self> {
        static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let place = match INSTALLED.get_or_init(install) {
            Ok(place) => place,
            Err(why) => {
                // Not by a macro: what those print is shown for failures alone.
                let words = format!("\nSKIPPED: uploads::tus_server, as @tus/server cannot be had: {why}\n");
                std::io::stderr().write_all(words.as_bytes()).unwrap();
                return None;
            }
        };
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new("node")
            .arg(place.join("server.mjs"))
            .arg(dir.path())
            .arg(wait.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node was there");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("it says its port").unwrap().parse().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Some(Self {
            child,
            port,
            log,
            dir,
        })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/files", self.port)
    }

    /// Requests of this method so far.
    fn count(&self, method: &str) -> usize {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter()
            .filter(|line| line.split(' ').next() == Some(method))
            .count()
    }

    /// What it keeps, leaving out its notes.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_none()).collect()
    }

    /// Forgets everything.
    fn forget(&self) {
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

impl Drop for TusServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts the packages where they stay until the target folder goes.
fn install() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tus-server");
    std::fs::create_dir_all(&place).map_err(|why| why.to_string())?;
    let mut same = place.join("node_modules/@tus/server").is_dir();
    for name in ["package.json", "package-lock.json", "server.mjs"] {
        let wanted = std::fs::read(Path::new(SOURCES).join(name)).map_err(|why| why.to_string())?;
        if !std::fs::read(place.join(name)).is_ok_and(|there| there == wanted) {
            same = false;
            std::fs::write(place.join(name), wanted).map_err(|why| why.to_string())?;
        }
    }
    if !same {
        let npm = Command::new("npm")
            .args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--fetch-retries",
                "1",
            ])
            .current_dir(&place)
            .stdin(Stdio::null())
            .output();
        let said = npm.map_err(|why| format!("npm: {why}"))?;
        if !said.status.success() {
            let _ = std::fs::remove_dir_all(place.join("node_modules"));
            return Err(String::from_utf8_lossy(&said.stderr).into_owned());
        }
    }
    let node = Command::new("node").arg("--version").output();
    node.map_err(|why| format!("node: {why}"))?;
    Ok(place)
}

#[test]
fn a_file_arrives_byte_for_byte_and_auto_finds_tus() {
    let Some(server) = TusServer::start(0) else { return };
    let (host, bytes) = sender("", 9 * MIB + 3);
    let id = host.upload("sent.bin", &server.url(), &["--wait"]);
    let files = server.files();
    assert_eq!(files.len(), 1);
    assert!(std::fs::read(&files[0]).unwrap() == bytes);
    assert_eq!(host.job(&id)["bytes_transferred"], bytes.len());
    assert_eq!(
        (
            server.count("OPTIONS"),
            server.count("POST"),
            server.count("PATCH")
        ),
        (1, 1, 3)
    );
}

#[test]
fn an_empty_file_is_there_once_it_is_created() {
    let Some(server) = TusServer::start(0) else { return };
    let (host, _) = sender("", 0);
    host.upload("sent.bin", &server.url(), &[&TUS[..], &["--wait"]].concat());
    assert_eq!(server.count("PATCH"), 0);
    assert_eq!(std::fs::read(&server.files()[0]).unwrap(), b"");
}

#[test]
fn a_killed_host_goes_on_where_the_server_stands() {
    let Some(server) = TusServer::start(150) else {
        return;
    };
    let (mut host, bytes) = sender("", LARGEST);
    let id = host.upload("sent.bin", &server.url(), &TUS);
    wait_bytes(&host, &id, 2 * PIECE);
    host.kill9();
    let before = server.count("PATCH");
    assert!(before < 6, "it was killed in the middle");
    host.start();
    host.wait_state(&id, "acknowledged");
    let files = server.files();
    assert_eq!(files.len(), 1, "no second upload");
    assert!(std::fs::read(&files[0]).unwrap() == bytes);
    // A piece that was on its way when the host died may land between question and answer.
    assert!(server.count("POST") == 1 && server.count("HEAD") >= 1);
    assert!(server.count("PATCH") <= 8, "little is sent twice");
}

#[test]
fn an_upload_that_the_server_has_forgotten_is_created_anew() {
    let Some(server) = TusServer::start(150) else {
        return;
    };
    let (host, bytes) = sender("", 16 * MIB);
    let id = host.upload("sent.bin", &server.url(), &TUS);
    wait_bytes(&host, &id, 2 * PIECE);
    host.cli(&["job", "suspend", &id]).code(0);
    // Its last piece may still be on its way.
    eventually("nothing is open", || {
        server.forget();
        server.files().is_empty() && host.job(&id)["state"] == "suspended"
    });
    host.cli(&["job", "resume", &id]).code(0);
    host.wait_state(&id, "acknowledged");
    let whole = until("the file is there", || {
        let files = server.files();
        files
            .into_iter()
            .find_map(|file| std::fs::read(file).ok().filter(|read| read.len() == bytes.len()))
    });
    assert!(whole == bytes);
    assert_eq!(server.count("POST"), 2);
}

#[test]
fn b46_a_cancelled_upload_is_terminated_at_the_server() {
    let Some(server) = TusServer::start(150) else {
        return;
    };
    let (host, _) = sender("", 16 * MIB);
    let id = host.upload("sent.bin", &server.url(), &TUS);
    wait_bytes(&host, &id, PIECE);
    assert_eq!(server.files().len(), 1);
    host.cli(&["job", "cancel", &id]).code(0);
    host.wait_state(&id, "cancelled");
    assert_eq!(server.count("DELETE"), 1);
    assert_eq!(server.files(), [""; 0].map(PathBuf::from));
}
