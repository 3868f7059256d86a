//! Builds components with a cargo of their own; included by the build scripts of `host` and
//! `tests`, so that a plain `cargo build` or `cargo test` is enough.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// One component to build.
pub(crate) struct Guest {
    /// Its package.
    pub(crate) package: &'static str,
    /// The file cargo makes of it, below the profile's folder and without `.wasm`.
    pub(crate) artifact: &'static str,
    /// What it is called in `OUT_DIR`, without `.wasm`.
    pub(crate) name: &'static str,
}

/// Builds all of them and copies them into `OUT_DIR`; ends the build with a sentence if it cannot.
#[expect(
    clippy::exit,
    reason = "cargo has the sentence; a panic would bury it under a backtrace"
)]
pub(crate) fn build(guests: &[Guest], extra: &[&str]) -> Vec<PathBuf> {
    try_build(guests, extra).unwrap_or_else(|problem| {
        println!("cargo::error={problem}");
        std::process::exit(1)
    })
}

/// Tells cargo when the build script has to run again. Everything below a folder counts.
pub(crate) fn rerun_if_changed(paths: &[&str]) {
    let root = root();
    for path in ["Cargo.toml", "Cargo.lock", "wit", "plugins/build_guests.rs"]
        .iter()
        .chain(paths)
    {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
}

fn try_build(guests: &[Guest], extra: &[&str]) -> Result<Vec<PathBuf>, String> {
    ensure_target()?;
    let target_dir = target_dir()?;
    let mut cargo = clean(&variable("CARGO")?);
    cargo
        .current_dir(root())
        .args([
            "build",
            "--locked",
            "--profile",
            "guest",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target_dir)
        .args(extra);
    let mut packages: Vec<_> = guests.iter().map(|guest| guest.package).collect();
    packages.dedup();
    for package in packages {
        cargo.args(["--package", package]);
    }
    let status = cargo
        .status()
        .map_err(|error| format!("could not start cargo: {error}"))?;
    if !status.success() {
        return Err(format!(
            "the components could not be built ({status}); cargo's own words are below"
        ));
    }
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    guests
        .iter()
        .map(|guest| collect(guest, &target_dir, &out_dir))
        .collect()
}

/// Copies a component, having checked that it is one: core modules begin with the same four bytes.
fn collect(guest: &Guest, target_dir: &Path, out_dir: &Path) -> Result<PathBuf, String> {
    let made = target_dir
        .join(TARGET)
        .join("guest")
        .join(guest.artifact)
        .with_extension("wasm");
    let bytes = fs::read(&made).map_err(|error| format!("no component at {}: {error}", made.display()))?;
    if !bytes.starts_with(b"\0asm\x0d\0\x01\0") {
        return Err(format!("{} is not a component", made.display()));
    }
    let copy = out_dir.join(guest.name).with_extension("wasm");
    fs::write(&copy, bytes).map_err(|error| format!("could not write {}: {error}", copy.display()))?;
    Ok(copy)
}

/// `TARGET` of rustup where there is a rustup; a distribution's Rust brings its own.
fn ensure_target() -> Result<(), String> {
    if has_target()? {
        return Ok(());
    }
    let added = clean(&"rustup".into()).args(["target", "add", TARGET]).output();
    if has_target()? {
        return Ok(());
    }
    let said = added.map(|done| String::from_utf8_lossy(&done.stderr).into_owned());
    let why = said
        .as_ref()
        .ok()
        .and_then(|text| text.lines().find(|line| line.starts_with("error:")));
    Err(format!(
        "the shipped plugins are WebAssembly components, and this Rust cannot build any yet: \
         run `rustup target add {TARGET}` (or install your distribution's {TARGET} standard library) and build \
         again; rustup, asked to, said: {}",
        why.unwrap_or("nothing, it could not be started")
    ))
}

fn has_target() -> Result<bool, String> {
    let asked = clean(&variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("could not start rustc: {error}"))?;
    let libdir = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    Ok(asked.status.success() && Path::new(&libdir).is_dir())
}

/// A command that knows nothing of the build around it: that one's flags, wrappers (clippy's
/// among them), target and profile are not ours.
fn clean(program: &OsString) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let about_cargo = text.starts_with("CARGO") && !KEPT.iter().any(|kept| text.starts_with(kept));
        if about_cargo || DROPPED.contains(&text.as_ref()) || text.starts_with("DEP_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Where crates come from, how messages look, and how many jobs may run at once.
const KEPT: [&str; 7] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];

const DROPPED: [&str; 15] = [
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "DEBUG",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
    "__CARGO_DEFAULT_LIB_METADATA",
];

/// Beside the profiles, not inside one: every profile shares what was built, and the folder's lock
/// is not the one the outer cargo holds.
fn target_dir() -> Result<PathBuf, String> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let build = out_dir
        .ancestors()
        .find(|dir| dir.file_name().is_some_and(|name| name == "build"));
    let profile = build.and_then(Path::parent).and_then(Path::parent);
    Ok(profile.unwrap_or(&out_dir).join("guests"))
}

/// The workspace: the folder above the package whose build script this is.
fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    Path::new(&package).join("..")
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("`{name}` is not set; is this a build script?"))
}
