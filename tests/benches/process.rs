//! What the kernel tells of a process: memory, wake-ups, processor time.

use std::path::PathBuf;

/// What the kernel tells of a process.
pub struct Process(PathBuf);

impl Process {
    /// The process of this id.
    pub fn of(id: u32) -> Self {
        Self(PathBuf::from(format!("/proc/{id}")))
    }

    /// A line of its status, in bytes.
    pub fn memory(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(self.0.join("status")).expect("it lives");
        number(&text, field) * 1024
    }

    /// Context switches of all its threads so far.
    pub fn switches(&self) -> u64 {
        let threads = std::fs::read_dir(self.0.join("task")).expect("it lives");
        let status = threads.filter_map(|thread| {
            // A thread may end between the listing and the look.
            std::fs::read_to_string(thread.ok()?.path().join("status")).ok()
        });
        status
            .map(|text| {
                number(&text, "voluntary_ctxt_switches:") + number(&text, "nonvoluntary_ctxt_switches:")
            })
            .sum()
    }

    /// Ticks of processor time of all its threads so far, user's and system's.
    pub fn ticks(&self) -> u64 {
        let text = std::fs::read_to_string(self.0.join("stat")).expect("it lives");
        // The name in brackets may have spaces; `utime` and `stime` are the 12th and 13th after it.
        let rest = text.rsplit(')').next().unwrap_or_default();
        let words = rest.split_whitespace().skip(11).take(2);
        words.filter_map(|word| word.parse::<u64>().ok()).sum()
    }
}

/// The number of a line that begins with `field`.
fn number(text: &str, field: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}
