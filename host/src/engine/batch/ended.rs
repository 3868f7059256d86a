//! What the end of a command means: exit status, signal, deadline and memory are told apart.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::job::Code;

/// Why a command was made to end, if it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forced {
    /// Its deadline had passed.
    Deadline,
    /// Its result would have come too late.
    Expired,
    /// The run was taken away.
    Stopped,
}

/// The code of an end and what is said of it; `None` is success.
pub(super) fn code(status: ExitStatus, forced: Option<Forced>, oom: bool) -> Option<(Code, String)> {
    if forced == Some(Forced::Deadline) {
        return Some((Code::SX_DEADLINE, "did not end within its deadline".to_owned()));
    }
    if forced == Some(Forced::Expired) {
        return Some((Code::SX_EXPIRED, "was not finished when it had to be".to_owned()));
    }
    if let Some(signal) = status.signal() {
        const KILL: i32 = rustix::process::Signal::KILL.as_raw();
        if oom && signal == KILL {
            return Some((Code::SX_OUT_OF_MEMORY, "was killed for its memory".to_owned()));
        }
        let core = if status.core_dumped() { ", core dumped" } else { "" };
        return Some((Code::SX_SIGNAL, format!("was ended by {}{core}", name(signal))));
    }
    match status.code() {
        Some(0) => None,
        Some(code) => Some((Code::SX_EXIT_STATUS, format!("ended with status {code}"))),
        None => Some((Code::SX_EXIT_STATUS, format!("ended with {status}"))),
    }
}

/// `SIGTERM`, or the number of one that has no such name.
fn name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
}

/// How often the kernel has killed for memory in the host's own control group, where that is told.
pub(super) fn oom_kills() -> u64 {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(group) = own.lines().find_map(|line| line.strip_prefix("0::")) else {
        return 0;
    };
    let events = std::fs::read_to_string(format!("/sys/fs/cgroup{group}/memory.events"));
    events.map_or(0, |events| counted(&events))
}

fn counted(events: &str) -> u64 {
    let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    kills.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(raw: i32, forced: Option<Forced>, oom: bool) -> Option<Code> {
        code(ExitStatus::from_raw(raw), forced, oom).map(|(code, _)| code)
    }

    #[test]
    fn every_kind_of_end_has_its_code() {
        assert_eq!(said(0, None, false), None);
        assert_eq!(said(3 << 8, None, false), Some(Code::SX_EXIT_STATUS));
        assert_eq!(said(15, None, false), Some(Code::SX_SIGNAL));
        assert_eq!(said(9, None, true), Some(Code::SX_OUT_OF_MEMORY));
        assert_eq!(said(15, None, true), Some(Code::SX_SIGNAL));
        assert_eq!(said(9, Some(Forced::Deadline), true), Some(Code::SX_DEADLINE));
        assert_eq!(said(0, Some(Forced::Deadline), false), Some(Code::SX_DEADLINE));
        assert_eq!(said(15, Some(Forced::Expired), false), Some(Code::SX_EXPIRED));
    }

    #[test]
    fn a_signal_is_named() {
        let words = |raw| code(ExitStatus::from_raw(raw), None, false).unwrap().1;
        assert_eq!(words(9), "was ended by SIGKILL");
        assert_eq!(words(139), "was ended by SIGSEGV, core dumped");
        assert_eq!(words(3 << 8), "ended with status 3");
    }

    #[test]
    fn kills_for_memory_are_counted_by_the_kernel() {
        assert_eq!(
            counted("low 0\nhigh 0\nmax 5\noom 2\noom_kill 3\noom_group_kill 0\n"),
            3
        );
        assert_eq!(counted(""), 0);
    }
}
