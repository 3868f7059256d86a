//! Why a file is not loaded: what was found, what is spoken, what to do (HV-03).

use super::text::{Lines, TEXT_MAX, bytes, escape};

/// The interface package of this host.
pub(super) const SPOKEN: &str = "sexton:plugin@0.1";

/// Why a file is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// No bytes.
    #[error("the file is empty; copy the component again")]
    Empty,
    /// Over the size cap.
    #[error("the file has {} and at most {} are loaded; build it with `strip` and `opt-level = \"s\"`", bytes(*size), bytes(*max))]
    TooLarge {
        /// Its size.
        size: u64,
        /// The cap.
        max: u64,
    },
    /// Letters.
    #[error("this is text, not WebAssembly; a plugin is a compiled component")]
    Text,
    /// Some other format.
    #[error("this is not WebAssembly; a plugin is a component built for wasm32-wasip2")]
    NotWasm,
    /// It ends in the middle.
    #[error("the file ends in the middle of a section; copy the component again")]
    Truncated,
    /// HW-02.
    #[error("this is a core module, not a component; build for wasm32-wasip2")]
    Module,
    /// HC-01.
    #[error(
        "this is precompiled machine code, which is never loaded from the plugin folder; copy the .wasm component itself"
    )]
    Precompiled,
    /// Another interface version.
    #[error("it {verb} `{found}` and this host speaks {SPOKEN}.x; {}", if *.newer { "update the host, or rebuild the plugin with an older SDK" } else { "rebuild the plugin with the current SDK" })]
    Version {
        /// `exports` or `imports`.
        verb: &'static str,
        /// The name found.
        found: String,
        /// Newer than this host.
        newer: bool,
    },
    /// Nothing to call.
    #[error(
        "it exports no handler of {SPOKEN} (job-callback, job-end, async-error-notify, object-sink, final-retry, service-call, provider); it exports {found}"
    )]
    NoHandler {
        /// What it exports instead.
        found: String,
    },
    /// `wasi:http` without a grant.
    #[error(
        "it imports `{import}`, which is not granted; add `grant.http = [\"https://HOST\"]` to its table in the configuration, with the origins it may ask"
    )]
    HttpNotGranted {
        /// The import.
        import: String,
    },
    /// `job-control` with `job_control = false`.
    #[error("it imports `{import}`, which `grant.job_control = false` in its table forbids")]
    JobControlNotGranted {
        /// The import.
        import: String,
    },
    /// Something this host does not offer.
    #[error(
        "it imports `{import}`, which this host does not offer; it offers WASI 0.2 (cli, clocks, filesystem, io, random, sockets; http where granted) and {SPOKEN}"
    )]
    UnknownImport {
        /// The import.
        import: String,
    },
    /// The names are right, the shapes are not.
    #[error(
        "its interface differs from this host's {SPOKEN} under the same version: {why}; rebuild it with this host's WIT"
    )]
    WrongType {
        /// wasmtime's words.
        why: String,
    },
    /// It failed before its first call.
    #[error("it cannot be started: {why}")]
    Trial {
        /// The finding's words.
        why: String,
    },
    /// The compiler said no.
    #[error("it does not compile: {why}")]
    Compile {
        /// The compiler's words.
        why: String,
    },
    /// It compiles, and the instance pool has no room for it.
    #[error("it needs more than one instance may have: {why}")]
    Slot {
        /// The engine's words.
        why: String,
    },
    /// Not its fault.
    #[error("the host could not load it: {why}")]
    Host {
        /// What failed.
        why: String,
    },
}

impl Refusal {
    /// Of the engine's error about code that the same version compiled.
    pub(super) fn slot(error: &wasmtime::Error) -> Self {
        Self::Slot {
            why: escape(&format!("{error:#}"), Lines::Join, TEXT_MAX),
        }
    }
}
