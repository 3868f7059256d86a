//! What one call may use of the machine, and what it used.

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTableError;

use super::engine::{INSTANCES, MEMORIES, TABLE_ELEMENTS, TABLES};
use super::text::bytes;

/// Bytes that a guest may hand to the host in one host call (HL-03): the largest legal value is a
/// state value of 64 KiB; the rest is room for lists.
pub(super) const HOSTCALL_FUEL: usize = 4 << 20;
/// Live component-model handles (HL-04).
pub(super) const HANDLES: usize = 1_000;
/// Entries of the WASI resource table (HL-05).
pub(super) const RESOURCES: usize = 1_000;
/// Random bytes of one request (HL-06).
pub(super) const RANDOM: u64 = 64 << 10;

/// The limit that a guest ran into, as its record tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// Its name and size: `memory 64 MiB`.
    pub(super) limit: String,
    /// One sentence.
    pub(super) message: String,
}

/// Which of the limits above ended a guest with this error, if one did. Where wasmtime has no type
/// for it, only `words`, the error's own, tell it (HX-08).
pub(super) fn hit(error: &wasmtime::Error, words: &str) -> Option<Hit> {
    if words.contains("fuel allocated for hostcalls") {
        let cap = bytes(HOSTCALL_FUEL as u64);
        return Some(Hit {
            message: format!("it passed more than {cap} to or from the host at once"),
            limit: format!("data per host call {cap}"),
        });
    }
    let held = |limit: String| {
        let message = format!("it held more than its {limit} at once");
        Hit { limit, message }
    };
    if words.contains("store handle limit exceeded") {
        return Some(held(format!("handles {HANDLES}")));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Some(held(format!("resources {RESOURCES}")));
    }
    if words.starts_with("requested len") {
        let cap = bytes(RANDOM);
        return Some(Hit {
            message: format!("it asked for more than {cap} of random bytes at once"),
            limit: format!("random bytes per request {cap}"),
        });
    }
    None
}

/// Counts the memory of all the instance's memories together (HL-01) and remembers a refusal,
/// because the guest's own trap afterwards says nothing of it (HX-06).
#[derive(Debug)]
pub(super) struct Meter {
    limit: usize,
    used: usize,
    grown: usize,
    peak: usize,
    denied: Option<Denied>,
}

/// What a guest was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    Memory,
    Table,
}

impl Meter {
    /// Nothing used of `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            used: 0,
            grown: 0,
            peak: 0,
            denied: None,
        }
    }

    /// The most memory there was.
    pub(super) fn peak(&self) -> u64 {
        u64::try_from(self.peak).unwrap_or(u64::MAX)
    }

    /// The limit beyond which the guest asked for more, if it did.
    pub(super) fn denied(&self) -> Option<String> {
        Some(match self.denied? {
            Denied::Memory => format!("memory {}", bytes(u64::try_from(self.limit).unwrap_or(u64::MAX))),
            Denied::Table => format!("table {TABLE_ELEMENTS} elements"),
        })
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        let total = self.used.saturating_add(grown);
        if total > self.limit {
            self.denied = Some(Denied::Memory);
            return Ok(false);
        }
        self.used = total;
        self.grown = grown;
        self.peak = self.peak.max(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.used = self.used.saturating_sub(self.grown);
        self.grown = 0;
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= TABLE_ELEMENTS;
        if !fits {
            self.denied = Some(Denied::Table);
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hl01_all_memories_count_together() {
        let mut meter = Meter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(!meter.memory_growing(0, 60, None).unwrap());
        assert_eq!(meter.denied().as_deref(), Some("memory 100 B"));
        assert!(meter.memory_growing(0, 40, None).unwrap());
        assert_eq!(meter.peak(), 100);
    }

    #[test]
    fn a_growth_that_failed_is_given_back() {
        let mut meter = Meter::new(100);
        assert!(meter.memory_growing(0, 80, None).unwrap());
        meter
            .memory_grow_failed(wasmtime::Error::msg("no pages"))
            .unwrap();
        assert!(meter.memory_growing(0, 100, None).unwrap());
    }
}
