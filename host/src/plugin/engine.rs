//! The engine: one configuration for the host and for its compile child, and the pool that every
//! call takes its instance from.

use std::collections::BTreeMap;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::config::PluginConfig;
use crate::job::PluginName;

/// Address space of one linear memory where no plugin is granted more; a pool of 4 GiB
/// reservations would take terabytes (HB-24).
pub(super) const RESERVATION_MIN: u64 = 64 << 20;
/// The most a plugin may be granted: the pool's reservation follows the largest limit.
const RESERVATION_MAX: u64 = 1 << 30;
/// Guard behind each memory, enough to catch small overruns without a bounds check (HW-07).
const GUARD: u64 = 64 << 10;
/// Trial instantiations take slots beside the calls.
pub(super) const SPARE_SLOTS: usize = 4;
/// Components that do a job's work at the same time. They may take minutes, so they have slots of their
/// own; more of them than this would only share the same processors.
pub(super) const WORK_SLOTS: usize = 16;
/// One component can be 38 core instances (HW-06).
const CORE_INSTANCES: u32 = 40;
/// Memories per instance: script engines have two or three (HL-01).
pub(super) const MEMORIES: u32 = 4;
/// Tables per instance (HL-02).
pub(super) const TABLES: u32 = 16;
/// Elements per table; Python guests need most (HW-06).
pub(super) const TABLE_ELEMENTS: usize = 20_000;
/// Core instances per store (HL-02).
pub(super) const INSTANCES: u32 = 64;
/// Size of one instance's tables of functions and globals.
const INSTANCE_SIZE: usize = 10 << 20;
/// What a freed slot keeps mapped, so that the next call pays no page faults (HB-20).
const MEMORY_RESIDENT: usize = 2 << 20;
const TABLE_RESIDENT: usize = 1 << 20;
/// Below this, a round over many plugins is five times slower (HB-22).
const WARM_SLOTS: u32 = 1_000;
/// Frames kept of a trap.
pub(super) const FRAMES: usize = 20;

/// The address space that each memory needs: a power of two, so that small changes of limits do
/// not make every compiled component useless.
pub(super) fn reservation(plugins: &BTreeMap<PluginName, PluginConfig>) -> u64 {
    let largest = plugins.values().map(|plugin| plugin.limits.memory).max();
    largest
        .unwrap_or(RESERVATION_MIN)
        .clamp(RESERVATION_MIN, RESERVATION_MAX)
        .next_power_of_two()
}

/// The one configuration (HW-01): code compiled under another one cannot be loaded. The pool is
/// the host's alone; a compile child reserves nothing.
fn config(reservation: u64) -> Config {
    let mut config = Config::new();
    config
        .memory_reservation(reservation)
        .memory_guard_size(GUARD)
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(FRAMES));
    config
}

fn pool(reservation: u64, calls: usize) -> PoolingAllocationConfig {
    let slots = u32::try_from(calls.saturating_add(WORK_SLOTS + SPARE_SLOTS)).unwrap_or(u32::MAX);
    let memory = usize::try_from(reservation).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES))
        .total_memories(slots.saturating_mul(MEMORIES))
        .total_tables(slots.saturating_mul(TABLES))
        .total_stacks(slots)
        .max_core_instances_per_component(INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(4)
        .max_memories_per_module(MEMORIES)
        .max_core_instance_size(INSTANCE_SIZE)
        .max_component_instance_size(INSTANCE_SIZE)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(memory)
        .max_unused_warm_slots(WARM_SLOTS)
        .linear_memory_keep_resident(MEMORY_RESIDENT)
        .table_keep_resident(TABLE_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The host's engine, with a pool for `calls` calls at a time.
///
/// # Errors
/// A sentence when the address space cannot be reserved; there is no quiet fallback (HW-07).
pub(super) fn host_engine(reservation: u64, calls: usize) -> Result<Engine, String> {
    let mut config = config(reservation);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(reservation, calls)));
    Engine::new(&config).map_err(|error| {
        format!(
            "the instance pool for {calls} calls cannot be reserved: {error:#}; \
             lower `[host] calls` or the largest `limits.memory`, or raise `ulimit -v`"
        )
    })
}

/// The compile child's engine: the same code, no pool.
///
/// # Errors
/// A sentence when the engine refuses the configuration.
pub(super) fn compile_engine(reservation: u64) -> Result<Engine, String> {
    Engine::new(&config(reservation)).map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hash, Hasher};

    fn hash(engine: &Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn hw01_the_child_compiles_what_the_host_can_load() {
        for reservation in [RESERVATION_MIN, RESERVATION_MAX] {
            let host = host_engine(reservation, 2).unwrap();
            assert_eq!(hash(&host), hash(&compile_engine(reservation).unwrap()));
        }
    }

    #[test]
    fn the_reservation_follows_the_largest_limit() {
        let mut plugins = BTreeMap::new();
        assert_eq!(reservation(&plugins), RESERVATION_MIN);
        let mut config = PluginConfig::default();
        config.limits.memory = 100 << 20;
        plugins.insert("a".parse().unwrap(), config.clone());
        assert_eq!(reservation(&plugins), 128 << 20);
        config.limits.memory = 8 << 30;
        plugins.insert("b".parse().unwrap(), config);
        assert_eq!(reservation(&plugins), RESERVATION_MAX);
    }
}
