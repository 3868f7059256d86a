//! From bytes to machine code: in a child process with limits, cached by digest, checked before it
//! is mapped (HC-01…HC-05).

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::fail_fast::Children;

use super::engine::{RESERVATION_MIN, compile_engine};
use super::refusal::Refusal;
use super::text::{Lines, TEXT_MAX, bytes, escape};

/// How the host tells its child the limits and the one number that compiled code depends on.
const ENV_MEMORY: &str = "SEXTON_COMPILE_MEMORY";
const ENV_SECONDS: &str = "SEXTON_COMPILE_SECONDS";
const ENV_RESERVATION: &str = "SEXTON_COMPILE_RESERVATION";
/// The engine's full version: patch releases accept each other's code, which is more trust than a
/// cache needs (HC-02). A test compares it with `Cargo.lock`.
const WASMTIME: &str = "48.0.8";
/// Where nothing is said: a script engine of 18 MB compiles in about 1 GiB and half a minute.
const MEMORY: u64 = 2 << 30;
const SECONDS: u64 = 120;
/// Compilers at the same time: a slow one leaves room for another, and the machine for the work.
const COMPILERS: usize = 2;

/// What the hidden command `compile-component IN OUT` does: limits itself, then compiles. It runs
/// in a process of its own, so that no component can exhaust or crash the host (HC-01).
///
/// # Errors
/// One sentence: what is wrong with the component, or what could not be read or written.
pub fn compile_component(input: &Path, output: &Path) -> Result<(), String> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    end_with_the_host().map_err(|error| error.to_string())?;
    limit(Resource::As, number(ENV_MEMORY).unwrap_or(MEMORY))?;
    limit(Resource::Cpu, number(ENV_SECONDS).unwrap_or(SECONDS))?;
    limit(Resource::Core, 0)?;
    let engine = compile_engine(number(ENV_RESERVATION).unwrap_or(RESERVATION_MIN))?;
    let wasm = fs::read(input).map_err(|error| format!("{}: {error}", input.display()))?;
    let code = engine
        .precompile_component(&wasm)
        .map_err(|error| format!("{error:#}"))?;
    fs::write(output, code).map_err(|error| format!("{}: {error}", output.display()))
}

/// A host that is killed has no time to end its compilers. Its end of the pipe closes whenever it dies,
/// even before this line; a parent-death signal would come too late for that, and too early when only
/// the thread that started the compiler ends.
fn end_with_the_host() -> std::io::Result<()> {
    std::thread::Builder::new().name("host".to_owned()).spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = kill_process(getpid(), Signal::KILL);
    })?;
    Ok(())
}

fn limit(resource: Resource, value: u64) -> Result<(), String> {
    let limit = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(resource, limit).map_err(|error| format!("the limit {resource:?} cannot be set: {error}"))
}

/// The host's side: the cache, and the child when there is nothing in it.
#[derive(Debug)]
pub(super) struct Compiler {
    /// Where compiled code lives: 0700, ours alone.
    dir: PathBuf,
    program: PathBuf,
    timeout: Duration,
    memory: u64,
    reservation: u64,
    children: Children,
    slots: Semaphore,
    engine: Engine,
    /// What besides the component decides whether code fits this host (HC-02).
    suffix: String,
}

impl Compiler {
    /// Makes the cache folder.
    ///
    /// # Errors
    /// When the folder cannot be made, or made private.
    pub(super) fn new(
        dir: PathBuf,
        program: PathBuf,
        timeout: Duration,
        memory: u64,
        children: Children,
        reservation: u64,
        engine: &Engine,
    ) -> std::io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        // What a crash left behind: temporary files have no other name.
        for entry in fs::read_dir(&dir)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".tmp") {
                let _ = fs::remove_file(entry.path());
            }
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let suffix = format!("{:016x}-{}", hasher.finish(), WASMTIME);
        Ok(Self {
            dir,
            program,
            timeout,
            memory,
            reservation,
            children,
            slots: Semaphore::new(COMPILERS),
            engine: engine.clone(),
            suffix,
        })
    }

    fn code_path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}-{}.cwasm", self.suffix))
    }

    fn record_path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}-{}.sha256", self.suffix))
    }

    /// The component of `wasm`, whose SHA-256 is `digest`: from the cache, or compiled into it.
    ///
    /// # Errors
    /// A [`Refusal`] with the compiler's words, or the engine's when there is no slot large enough.
    pub(super) async fn component(&self, digest: &str, wasm: &[u8]) -> Result<Component, Refusal> {
        if let Ok(component) = self.cached(digest) {
            return Ok(component);
        }
        // Never closed.
        let _slot = self.slots.acquire().await;
        // The same bytes may lie there under two names.
        if let Ok(component) = self.cached(digest) {
            return Ok(component);
        }
        self.compile(digest, wasm).await?;
        self.cached(digest).map_err(|miss| match miss {
            Miss::Refused(error) => Refusal::slot(&error),
            Miss::NotWhole => Refusal::Host {
                why: "the code that was just compiled is not what the compiler wrote".to_owned(),
            },
        })
    }

    /// On any doubt the entry is deleted, and the component compiled again (HC-03).
    #[expect(
        unsafe_code,
        reason = "mapping code that was compiled before: this program's own child wrote it into a folder \
                  that only this user can enter, and its digest was compared with the record a moment ago"
    )]
    fn cached(&self, digest: &str) -> Result<Component, Miss> {
        let (code, record) = (self.code_path(digest), self.record_path(digest));
        let recorded = fs::read_to_string(&record).map_err(|_| Miss::NotWhole)?;
        let loaded = match hash_file(&code) {
            Ok(found) if found == recorded.trim() => {
                // SAFETY: see the reason above; files in the cache are never overwritten (HC-04).
                unsafe { Component::deserialize_file(&self.engine, &code) }.map_err(Miss::Refused)
            }
            _ => Err(Miss::NotWhole),
        };
        if let Err(miss) = &loaded {
            tracing::warn!(file = %code.display(), "compiled code is not used: {miss}");
            let _ = fs::remove_file(&record);
            let _ = fs::remove_file(&code);
        }
        loaded
    }

    async fn compile(&self, digest: &str, wasm: &[u8]) -> Result<(), Refusal> {
        let host = |error: std::io::Error| Refusal::Host {
            why: format!("{}: {error}", self.dir.display()),
        };
        // The child reads what was checked, not what lies in the plugin folder by then.
        let mut input = tempfile::NamedTempFile::new_in(&self.dir).map_err(host)?;
        input.write_all(wasm).map_err(host)?;
        let output = tempfile::NamedTempFile::new_in(&self.dir).map_err(host)?;
        self.run_child(input.path(), output.path()).await?;
        let sum = hash_file(output.path()).map_err(host)?;
        output.as_file().sync_all().map_err(host)?;
        // The code first: a record without its code is no entry, and neither is code without record.
        output
            .persist(self.code_path(digest))
            .map_err(|error| host(error.error))?;
        write_durably(&self.record_path(digest), sum.as_bytes()).map_err(host)
    }

    async fn run_child(&self, input: &Path, output: &Path) -> Result<(), Refusal> {
        let seconds = self.timeout.as_secs().saturating_add(1);
        let mut child = tokio::process::Command::new(&self.program)
            .arg("compile-component")
            .args([input, output])
            .env_clear()
            .env(ENV_MEMORY, self.memory.to_string())
            .env(ENV_SECONDS, seconds.to_string())
            .env(ENV_RESERVATION, self.reservation.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Refusal::Host {
                why: format!(
                    "the compiler {} cannot be started: {error}",
                    self.program.display()
                ),
            })?;
        let _registered = child.id().map(|pid| self.children.register(pid));
        // Open as long as this host lives; waiting for the child would close it.
        let _alive = child.stdin.take();
        let mut said = Vec::new();
        let stderr = child.stderr.take();
        let ended = tokio::time::timeout(self.timeout, async {
            if let Some(stderr) = stderr {
                let _ = stderr.take(TEXT_MAX as u64).read_to_end(&mut said).await;
            }
            child.wait().await
        });
        let status = match ended.await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => {
                return Err(Refusal::Host {
                    why: format!("the compiler was lost: {error}"),
                });
            }
            // Dropping the child kills it.
            Err(_) => {
                let limit = humantime::format_duration(self.timeout);
                return Err(Refusal::Compile {
                    why: format!("the compiler did not end within {limit}"),
                });
            }
        };
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let why = match status.signal() {
            Some(signal) => format!(
                "the compiler was ended by signal {signal}; it may have needed more than {} of memory",
                bytes(self.memory)
            ),
            None => escape(said.trim(), Lines::Join, TEXT_MAX),
        };
        Err(Refusal::Compile { why })
    }

    /// Deletes what no digest of `in_use` needs: code of replaced components and of other versions
    /// of wasmtime. Mapped code stays usable after that (HC-04).
    pub(super) fn prune(&self, in_use: &dyn Fn(&str) -> bool) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let digest = name.split('-').next().unwrap_or_default();
            let is_entry = name.ends_with(".cwasm") || name.ends_with(".sha256");
            if is_entry && !(name.contains(&self.suffix) && in_use(digest)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Why nothing came out of the cache.
#[derive(Debug, thiserror::Error)]
enum Miss {
    /// It is not there, or not as it was written.
    #[error("it does not match its record")]
    NotWhole,
    /// The engine will not have it.
    #[error("{0:#}")]
    Refused(wasmtime::Error),
}

/// What [`Compiler::component`] does, with the compiler in this process and nothing kept.
///
/// # Errors
/// As for [`Compiler::component`].
#[expect(
    unsafe_code,
    reason = "loading code that `compiler`, an engine of this process, made a moment ago"
)]
pub(super) fn compile_here(compiler: &Engine, host: &Engine, wasm: &[u8]) -> Result<Component, Refusal> {
    let code = compiler
        .precompile_component(wasm)
        .map_err(|error| Refusal::Compile {
            why: escape(&format!("{error:#}"), Lines::Join, TEXT_MAX),
        })?;
    // SAFETY: see the reason above; nobody else has seen the bytes.
    unsafe { Component::deserialize(host, code) }.map_err(|error| Refusal::slot(&error))
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hash_file(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut out, byte| {
        use std::fmt::Write as _;
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Writes a small file so that a crash leaves the old one or the new one, never half of it.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temp = tempfile::NamedTempFile::new_in(dir)?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hc02_the_cache_is_keyed_by_the_full_version() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n")));
    }

    #[test]
    fn a_digest_is_hexadecimal() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(b""), empty);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write_durably(&path, b"").unwrap();
        assert_eq!(hash_file(&path).unwrap(), empty);
    }
}
