//! How a call went wrong, told apart (HX-01…HX-13): whose fault it was, and the words for it.

use std::fmt::Write as _;
use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace, WasmtimeBug};
use wasmtime_wasi::I32Exit;

use super::bindings::{CallError, GuestFailure, StoreFault};
use super::engine::FRAMES;
use super::limits::{Meter, hit};
use super::text::{Lines, TEXT_MAX, escape};
use crate::job::{Code, FailureClass};

/// Longest delay a handler may ask for.
const WISH_MAX: Duration = Duration::from_secs(3600);
/// Longest name of a frame: generic code has names of several hundred characters.
const FRAME_MAX: usize = 300;
/// A function that fills this many of the innermost frames calls itself.
const RECURSION: usize = 5;

/// What went wrong, without the circumstances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Whose fault, of which kind.
    pub(super) class: FailureClass,
    /// The handler's own code or one of ours.
    pub(super) code: Code,
    /// One sentence.
    pub(super) message: String,
    /// Innermost first.
    pub(super) frames: Vec<String>,
    /// The limit that was hit.
    pub(super) limit: Option<String>,
    /// The delay the handler asked for.
    pub(super) retry_after: Option<Duration>,
}

impl Finding {
    fn new(class: FailureClass, code: Code, message: impl Into<String>) -> Self {
        Self {
            class,
            code,
            message: message.into(),
            frames: Vec::new(),
            limit: None,
            retry_after: None,
        }
    }

    /// Ours.
    pub(super) fn host_fault(message: impl Into<String>) -> Self {
        Self::new(FailureClass::HostFault, Code::SX_HOST_FAULT, message)
    }

    /// No slot was free.
    pub(super) fn overload(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Overload, Code::SX_OVERLOAD, message)
    }

    /// It did not return in time.
    pub(super) fn timeout(deadline: Duration) -> Self {
        let limit = format!("deadline {}", humantime::format_duration(deadline));
        let message = format!("it did not return within its {limit}");
        Self {
            limit: Some(limit),
            ..Self::new(FailureClass::Timeout, Code::SX_DEADLINE, message)
        }
    }

    /// It returned a failure.
    pub(super) fn returned(failure: &GuestFailure) -> Self {
        let class = if failure.permanent {
            FailureClass::ErrorPermanent
        } else {
            FailureClass::ErrorTransient
        };
        // A handler that fails with `S_OK` has still failed.
        let code = if failure.code.is_failure() {
            failure.code
        } else {
            Code::FAIL
        };
        let wish = failure.retry_after_ms.map(u64::from).map(Duration::from_millis);
        Self {
            retry_after: wish.map(|wish| wish.min(WISH_MAX)),
            ..Self::new(class, code, escape(&failure.message, Lines::Join, TEXT_MAX))
        }
    }

    /// It did not return at all.
    pub(super) fn broken(error: &CallError, meter: &Meter, deadline: Duration) -> Self {
        match error {
            CallError::Incomplete(why) => Self::host_fault(*why),
            CallError::Wasm(error) => Self::of_wasm(error, meter, deadline),
        }
    }

    /// Of wasmtime's error; the order of the questions is the meaning.
    fn of_wasm(error: &wasmtime::Error, meter: &Meter, deadline: Duration) -> Self {
        let trap = error.downcast_ref::<Trap>();
        if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
            return Self::overload("every slot of the instance pool is taken");
        }
        if let Some(fault) = error.downcast_ref::<StoreFault>() {
            return Self::host_fault(fault.to_string());
        }
        if error.downcast_ref::<WasmtimeBug>().is_some() {
            return Self::host_fault(sentence(error));
        }
        if matches!(trap, Some(Trap::Interrupt)) {
            return Self::timeout(deadline);
        }
        let frames = error
            .downcast_ref::<WasmBacktrace>()
            .map(frames)
            .unwrap_or_default();
        if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
            // WASI 0.2 only knows success and failure (HX-07).
            let how = if *status == 0 { "success" } else { "failure" };
            let message = format!("it called exit ({how}); a handler returns, it never exits");
            return Self {
                frames,
                ..Self::new(FailureClass::Exit, Code::SX_EXIT, message)
            };
        }
        if let Some(limit) = meter.denied() {
            let message = format!("it asked for more than its {limit} and did not survive the refusal");
            return Self {
                frames,
                limit: Some(limit),
                ..Self::new(FailureClass::Memory, Code::SX_OUT_OF_MEMORY, message)
            };
        }
        Self::of_trap(error, trap, frames)
    }

    fn of_trap(error: &wasmtime::Error, trap: Option<&Trap>, frames: Vec<String>) -> Self {
        let mut message = sentence(error);
        if let Some(hit) = hit(error, &message) {
            return Self {
                frames,
                limit: Some(hit.limit),
                ..Self::new(FailureClass::Trap, Code::SX_TRAP, hit.message)
            };
        }
        match trap {
            Some(Trap::StackOverflow) => message = format!("stack overflow: {message}"),
            // A Rust or C stack lives in linear memory and runs off its front (HX-02).
            Some(Trap::MemoryOutOfBounds) if is_recursion(&frames) => {
                message = format!("stack overflow, a function calls itself without end: {message}");
            }
            Some(Trap::UnreachableCodeReached) => {
                message = format!("it panicked or aborted: {message}");
            }
            _ => {}
        }
        Self {
            frames,
            ..Self::new(FailureClass::Trap, Code::SX_TRAP, message)
        }
    }
}

/// The sentence of an error: its root cause, because the first line only says that there is a
/// backtrace (HX-13).
pub(super) fn sentence(error: &wasmtime::Error) -> String {
    escape(&error.root_cause().to_string(), Lines::Join, TEXT_MAX)
}

/// Demangled names, innermost first, without addresses.
fn frames(trace: &WasmBacktrace) -> Vec<String> {
    // wasmtime demangles only while it formats.
    let mut text = String::new();
    if write!(text, "{trace}").is_err() {
        return Vec::new();
    }
    text.lines().filter_map(frame).take(FRAMES).collect()
}

/// `  0: 0x1a2b - module!name` or, inlined, `- name`.
fn frame(line: &str) -> Option<String> {
    let line = line.trim_start();
    let rest = match line.split_once(": ") {
        Some((number, rest)) if number.parse::<u32>().is_ok() => rest.trim_start(),
        _ => line.strip_prefix("- ")?,
    };
    let named = match rest.split_once(" - ") {
        Some((address, name)) if address.starts_with("0x") => name,
        _ => rest,
    };
    let name = match named.split_once('!') {
        Some((_module, name)) if !name.is_empty() => name,
        _ => named,
    };
    Some(escape(&without_hashes(name), Lines::Join, FRAME_MAX))
}

/// `std[d123b7a1a2ed1472]::process::abort` and `guest::deep::haa3c68ad794391ec` without what only
/// a linker reads.
fn without_hashes(name: &str) -> String {
    let is_hash = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let name = match name.rsplit_once("::h") {
        Some((path, hash)) if is_hash(hash) => path,
        _ => name,
    };
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        match after.split_once(']') {
            Some((hash, after)) if is_hash(hash) => rest = after,
            _ => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_recursion(frames: &[String]) -> bool {
    frames.len() >= FRAMES / 2
        && frames
            .iter()
            .any(|name| frames.iter().filter(|other| *other == name).count() >= RECURSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: wasmtime::Error) -> Finding {
        let second = Duration::from_secs(1);
        Finding::broken(&CallError::Wasm(error), &Meter::new(64 << 20), second)
    }

    #[test]
    fn classes_are_told_apart() {
        assert_eq!(of(Trap::UnreachableCodeReached.into()).class, FailureClass::Trap);
        assert_eq!(of(Trap::Interrupt.into()).class, FailureClass::Timeout);
        assert_eq!(of(I32Exit(0).into()).class, FailureClass::Exit);
        assert_eq!(
            of(StoreFault("disk".to_owned()).into()).class,
            FailureClass::HostFault
        );
        let fuel = wasmtime::Error::msg("fuel allocated for hostcalls has been exhausted");
        assert_eq!(of(fuel).limit.as_deref(), Some("data per host call 4 MiB"));
        let borrow = wasmtime::Error::msg("borrow handles still remain at the end of the call");
        assert_eq!(of(borrow).class, FailureClass::Trap);
    }

    #[test]
    fn hx06_a_refused_growth_explains_the_trap() {
        use wasmtime::ResourceLimiter;
        let mut meter = Meter::new(64 << 20);
        assert!(!meter.memory_growing(0, 65 << 20, None).unwrap());
        let error = CallError::Wasm(Trap::UnreachableCodeReached.into());
        let finding = Finding::broken(&error, &meter, Duration::ZERO);
        assert_eq!(finding.class, FailureClass::Memory);
        assert_eq!(finding.limit.as_deref(), Some("memory 64 MiB"));
    }

    #[test]
    fn a_handlers_words_and_wishes_are_capped() {
        let finding = Finding::returned(&GuestFailure {
            permanent: false,
            code: Code::OK,
            message: "x".repeat(10_000),
            retry_after_ms: Some(u32::MAX),
            fault: None,
        });
        assert_eq!(finding.class, FailureClass::ErrorTransient);
        assert_eq!(finding.code, Code::FAIL);
        assert_eq!(finding.retry_after, Some(WISH_MAX));
        assert!(finding.message.len() < TEXT_MAX + 40);
    }

    #[test]
    fn frames_lose_their_addresses() {
        assert_eq!(
            frame("    0:   0x4b8b - pager.wasm!abort").as_deref(),
            Some("abort")
        );
        assert_eq!(
            frame("    1: 0x10 - <unknown>!<wasm function 7>").as_deref(),
            Some("<wasm function 7>")
        );
        assert_eq!(
            frame("                - pager::inner").as_deref(),
            Some("pager::inner")
        );
        assert_eq!(
            without_hashes("std[d123b7a1a2ed1472]::f::<[u8]>::h0123456789abcdef"),
            "std::f::<[u8]>"
        );
        assert_eq!(frame("error while executing at wasm backtrace:"), None);
        assert_eq!(frame("                    at src/lib.rs:3"), None);
    }
}
