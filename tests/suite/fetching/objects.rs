//! Objects of a bucket (`s3://`), against moto: another's implementation of the server, from the
//! registry of Python, installed once beside the build.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use sexton_tests::host::TestHost;
use sexton_tests::poll::until;

use super::{MIB, body, content, program, sum};

/// What the registry is asked for.
const MOTO: &str = "moto[server]==5.1.15";

/// A moto server that is killed by its id when the value goes.
struct Moto {
    child: Child,
    port: u16,
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
    fn start() -> Option<Self> {
        let place = installed()?;
        let mut child = Command::new(place.join("bin/moto_server"))
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, port) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let port = line.split("http://127.0.0.1:").nth(1);
                if let Some(port) = port.and_then(|port| port.trim().parse().ok()) {
                    let _ = told.send(port);
                }
            }
        });
        let port = until("moto listens", || port.try_recv().ok());
        Some(Self { child, port })
    }

    /// Puts an object there as anybody may: moto checks no signature on this way in.
    fn put(&self, path: &str, bytes: &[u8]) {
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

    fn host(&self) -> TestHost {
        let host = crate::host(&format!(
            "[transfer.s3.media]\nendpoint = \"http://127.0.0.1:{}\"\npath_style = true\n\
             access_key = \"env:HOME\"\nsecret_key = \"file:/proc/sys/kernel/ostype\"\n",
            self.port
        ));
        self.put("media", b"");
        host
    }
}

#[test]
fn an_object_is_fetched_like_any_file_whole_in_ranges_and_in_segments() {
    let Some(moto) = Moto::start() else { return };
    let mut host = moto.host();
    host.start();
    let bytes = body(6 * MIB, 41);
    moto.put("media/a%20b/object.bin", &bytes);
    let url = "s3://media/a%20b/object.bin";
    host.download_to(url, &host.path("whole"), &["--checksum", &sum(&bytes), "--wait"]);
    assert!(content(&host, "whole") == bytes);
    host.download_to(
        url,
        &host.path("ranges"),
        &["--range", "5-9", "--range", "0-1", "--wait"],
    );
    assert_eq!(content(&host, "ranges"), [&bytes[5..10], &bytes[..2]].concat());
    let id = host.download_to(url, &host.path("segments"), &["--segments", "3", "--wait"]);
    assert!(content(&host, "segments") == bytes);
    let shown = host.job(&id).to_string() + &host.log();
    assert!(!shown.contains("X-Amz-Signature"), "signatures are shown nowhere");
    let gone = host.download_to("s3://media/none", &host.path("none"), &[]);
    host.wait_state(&gone, "error");
    let error = host.object(&["job", "error", &gone]);
    assert_eq!(
        (&error["code"], &error["protocol"]),
        (&"0x80190194".into(), &"s3".into())
    );
    let refused = host.cli(&["submit", "download", "s3://other/x", "x"]).code(2);
    assert!(refused.stderr.contains("[transfer.s3.other]"), "{refused:?}");
}

#[test]
fn an_object_is_sent_by_a_signed_put() {
    let Some(moto) = Moto::start() else { return };
    let mut host = moto.host();
    host.start();
    let bytes = body(3 * MIB, 42);
    std::fs::write(host.path("up.bin"), &bytes).unwrap();
    let url = "s3://media/sent/up.bin";
    host.cli(&["submit", "upload", "up.bin", url, "--wait"]).code(0);
    host.download_to(url, &host.path("back"), &["--wait"]);
    assert!(content(&host, "back") == bytes);
    let line = ["submit", "upload", "up.bin", url, "--protocol", "tus"];
    let refused = host.cli(&line).code(2);
    assert!(refused.stderr.contains("takes a file by `put`"), "{refused:?}");
}

#[test]
fn b96_a_key_that_is_not_to_be_had_is_an_error() {
    let config = "[transfer.s3.media]\nendpoint = \"http://127.0.0.1:9\"\n\
        access_key = \"env:SEXTON_NO_SUCH_VARIABLE\"\nsecret_key = \"env:HOME\"\npath_style = true\n";
    let mut host = crate::host(config);
    host.start();
    let id = host.download_to("s3://media/x", &host.path("x"), &[]);
    host.wait_state(&id, "error");
    let error = host.object(&["job", "error", &id]);
    assert_eq!(error["name"], "BG_E_INVALID_CREDENTIALS");
    let words = error["description"].as_str().unwrap();
    assert!(words.contains("env:SEXTON_NO_SUCH_VARIABLE"), "{words}");
}
