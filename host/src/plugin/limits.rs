//! What one call may use of the machine, and what it used.

use wasmtime::ResourceLimiter;

use super::engine::{INSTANCES, MEMORIES, TABLE_ELEMENTS, TABLES};

/// Bytes that a guest may hand to the host in one host call (HL-03): the largest legal value is a
/// state value of 64 KiB; the rest is room for lists.
pub(super) const HOSTCALL_FUEL: usize = 4 << 20;
/// Live component-model handles (HL-04).
pub(super) const HANDLES: usize = 1_000;
/// Entries of the WASI resource table (HL-05).
pub(super) const RESOURCES: usize = 1_000;
/// Random bytes of one request (HL-06).
pub(super) const RANDOM: u64 = 64 << 10;

/// Counts the memory of all the instance's memories together (HL-01) and remembers a refusal,
/// because the guest's own trap afterwards says nothing of it (HX-06).
#[derive(Debug)]
pub(super) struct Meter {
    limit: usize,
    used: usize,
    grown: usize,
    peak: usize,
    denied: bool,
}

impl Meter {
    /// Nothing used of `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            used: 0,
            grown: 0,
            peak: 0,
            denied: false,
        }
    }

    /// The most memory there was.
    pub(super) fn peak(&self) -> u64 {
        u64::try_from(self.peak).unwrap_or(u64::MAX)
    }

    /// The limit in bytes.
    pub(super) fn limit(&self) -> u64 {
        u64::try_from(self.limit).unwrap_or(u64::MAX)
    }

    /// Whether the guest asked for more than it may have.
    pub(super) fn denied(&self) -> bool {
        self.denied
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
            self.denied = true;
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
        Ok(desired <= TABLE_ELEMENTS)
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
        assert!(meter.denied());
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
