//! A real server of Debian's packages, in a folder of its own, reached by its socket alone. Where there is none,
//! it is said and left out.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sexton_tests::poll::until;
use tempfile::TempDir;

use super::{ask, completed, with_sink};

/// Whom the server runs as: it refuses root.
const NOBODY: u32 = 65_534;

struct Server {
    dir: TempDir,
    bin: PathBuf,
    child: Child,
}

impl Server {
    fn start() -> Option<Self> {
        let Some(bin) = bin() else {
            eprintln!("SKIPPED: there is no PostgreSQL here; `apt-get install postgresql` brings one");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut initdb = Command::new(bin.join("initdb"));
        initdb
            .args(["-A", "trust", "-U", "reader", "-N", "-D"])
            .arg(&data);
        let made = user(&mut initdb).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let child = user(
            Command::new(bin.join("postgres"))
                .arg("-D")
                .arg(&data)
                .arg("-k")
                .arg(dir.path()),
        )
        .args(["-h", "", "-F"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        let server = Self { dir, bin, child };
        until("the server answers", || server.psql("SELECT 1").then_some(()));
        Some(server)
    }

    fn psql(&self, text: &str) -> bool {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-v",
            "ON_ERROR_STOP=1",
            "-q",
            "-U",
            "reader",
            "-d",
            "postgres",
            "-c",
            text,
            "-h",
        ]);
        psql.arg(self.dir.path()).output().unwrap().status.success()
    }

    fn url(&self) -> String {
        format!(
            "postgres:///postgres?user=reader&host={}",
            self.dir.path().display()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        let _ = self.child.wait();
    }
}

/// As somebody the server accepts.
fn user(command: &mut Command) -> &mut Command {
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/")
}

/// The newest version that is installed.
fn bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|one| Some(one.ok()?.path().join("bin")))
        .collect();
    found.retain(|bin| Path::new(bin).join("initdb").exists());
    found.sort();
    found.pop()
}

#[test]
fn w07_a_database_server_is_asked_and_only_read() {
    let Some(server) = Server::start() else { return };
    assert!(server.psql(
        "CREATE TABLE orders (id int PRIMARY KEY, state text, paid bool, sum numeric, at timestamptz, raw bytea); \
         INSERT INTO orders VALUES (1, 'stuck', true, 12.50, '2026-01-02T03:04:05Z', '\\x00ff'), (2, NULL, false, NULL, NULL, NULL)"
    ));
    let mut host = with_sink(
        "",
        &format!("[query.provider.orders]\nurl = \"{}\"", server.url()),
    );
    let pull = |host: &sexton_tests::host::TestHost, text: &str| {
        host.list(&["submit", "query", "-p", "orders", "--wait", text])
    };
    let rows = pull(&host, "SELECT * FROM orders ORDER BY id");
    assert_eq!(rows[0]["id"], 1);
    assert_eq!(rows[0]["paid"], true);
    assert_eq!(rows[0]["sum"], "12.50");
    assert_eq!(rows[0]["raw"]["base64"], "AP8=");
    assert!(
        rows[0]["at"].as_str().unwrap().starts_with("2026-01-02"),
        "{rows:#?}"
    );
    assert!(rows[1]["state"].is_null());
    let many = ask(
        &host,
        "orders",
        "SELECT i FROM generate_series(1, 2500) i",
        &["--name", "series"],
    );
    assert!(completed(&host, "series").contains("delivered=2500"));
    // The error, in both shapes and with its place.
    let job = ask(&host, "orders", "Select * From ?????", &["--name", "bad"]);
    assert!(completed(&host, "bad").starts_with("code=80041017"));
    let error = host.object(&["job", "error", &job]);
    assert_eq!(error["extended"]["provider"]["error_code"], "42601", "{error:#}");
    assert_eq!(error["extended"]["position"], 14, "{error:#}");
    assert!(error["extended"]["provider"]["line"].as_u64().unwrap() > 0);
    let name = format!("postgres://reader@{}/postgres", server.dir.path().display());
    assert_eq!(error["extended"]["provider_name"], name);
    let job = ask(
        &host,
        "orders",
        "SELECT statte FROM orders",
        &["--name", "column"],
    );
    completed(&host, "column");
    let error = host.object(&["job", "error", &job]);
    assert_eq!(
        (
            &error["extended"]["position"],
            &error["extended"]["provider"]["error_code"]
        ),
        (&7.into(), &"42703".into())
    );
    // It only reads.
    ask(
        &host,
        "orders",
        "DELETE FROM orders RETURNING id",
        &["--name", "delete"],
    );
    assert!(completed(&host, "delete").starts_with("code=80041024"));
    assert_eq!(pull(&host, "SELECT count(*) AS n FROM orders")[0]["n"], 2);
    // A cancel reaches the server.
    let job = ask(&host, "orders", "SELECT pg_sleep(600)", &["--name", "sleep"]);
    let sleeping = "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid() AND state = 'active'";
    until("the server sleeps", || {
        (pull(&host, sleeping)[0]["n"] == 1).then_some(())
    });
    host.cli(&["job", "cancel", &job]).code(0);
    until("the server is awake", || {
        (pull(&host, sleeping)[0]["n"] == 0).then_some(())
    });
    assert!(completed(&host, "sleep").starts_with("code=80041032"));
    // W-49: a lost connection is no error of the query, and is tried again.
    drop(server);
    let job = ask(&host, "orders", "SELECT 1", &["--name", "gone"]);
    let shown = host.wait_state(&job, "transient-error");
    assert_eq!(shown["error"]["name"], "WBEM_E_TRANSPORT_FAILURE", "{shown:#}");
    assert_eq!(shown["error"]["context"], "general-transport");
    host.cli(&["job", "show", &many]).code(0);
    assert_eq!(host.term().code, Some(0));
}
