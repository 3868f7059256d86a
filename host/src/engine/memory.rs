//! How much memory is left for new work (C-56): of this machine, or of the control group that the host
//! lives in where that is less.

use std::path::{Path, PathBuf};

/// Tells the part of the memory that is free; `None` where nobody knows.
pub type MemoryProbe = Box<dyn Fn() -> Option<f64> + Send + Sync>;

/// Least part of the memory that must be free for a call to begin: the ancestor's own number for a new
/// object. It cannot be configured there either.
pub(super) const FREE_MIN: f64 = 0.05;

/// Asks the kernel.
#[must_use]
pub fn probe() -> MemoryProbe {
    let group = own_group();
    Box::new(move || {
        let machine = machine(&read(Path::new("/proc/meminfo"))?)?;
        let group = group.as_deref().and_then(of_group);
        Some(group.map_or(machine, |group| group.min(machine)))
    })
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[expect(clippy::cast_precision_loss, reason = "a part of a whole")]
fn part(of: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| of as f64 / whole as f64)
}

/// The number behind a word at the beginning of a line.
fn number(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.split_whitespace().next()?.parse().ok()
}

fn machine(meminfo: &str) -> Option<f64> {
    part(number(meminfo, "MemAvailable:")?, number(meminfo, "MemTotal:")?)
}

/// The folder of the control group of this process, if there is one hierarchy.
fn own_group() -> Option<PathBuf> {
    let text = read(Path::new("/proc/self/cgroup"))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new("/sys/fs/cgroup").join(path))
}

/// `memory.max` is a word where there is no limit.
fn of_group(group: &Path) -> Option<f64> {
    let whole = read(&group.join("memory.max"))?.trim().parse().ok()?;
    let used: u64 = read(&group.join("memory.current"))?.trim().parse().ok()?;
    // What was read from files goes as soon as somebody needs the room.
    let cached = read(&group.join("memory.stat")).and_then(|stat| number(&stat, "inactive_file "));
    let used = used.saturating_sub(cached.unwrap_or(0));
    part(u64::saturating_sub(whole, used), whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c56_the_least_of_machine_and_group_counts() {
        let meminfo = "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    250 kB\n";
        assert_eq!(machine(meminfo), Some(0.25));
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("memory.max", "max\n");
        write("memory.current", "900\n");
        write("memory.stat", "anon 5\ninactive_file 100\n");
        assert_eq!(of_group(dir.path()), None, "no limit");
        write("memory.max", "1000\n");
        assert_eq!(of_group(dir.path()), Some(0.2));
        assert!(probe()().is_some_and(|free| (0.0..=1.0).contains(&free)));
    }
}
