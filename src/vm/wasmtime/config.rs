//! How Wasmtime is set up: for instances on demand, and for those in a pool. Both have the same machine code.

use rustix::fs::{MemfdFlags, memfd_create};
use wasmtime as wt;

use crate::vm::{EngineOptions, Optimize, PoolOptions};

/// Compilers make one table, of the functions that are called through pointers: some ten thousand in large Go programs.
pub(super) const MAX_TABLES: usize = 8;
pub(super) const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// How large a table can be in the pool, where room is kept for each.
const POOL_TABLE_ELEMENTS: usize = 32 << 10;

/// WebAssembly counts memory in these.
const PAGE: u64 = 64 << 10;

/// What a slot of the pool keeps of its memory when its instance ends, to be overwritten for the next one. Nothing: the kernel
/// takes all pages back, those too that it has put into swap. Wasmtime would keep the first bytes of a memory, where most guests
/// have the end of a stack that they never reach.
const KEEP_MEMORY: usize = 0;

/// The same for tables. Up to a page is simply overwritten, which for most tables is all.
const KEEP_TABLE: usize = 4 << 10;

/// How a memory gets its first content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// It is mapped from a file in memory that all instances share: what an instance does not write to costs nothing.
    Mapped,
    /// It is copied, because there are no such files: a filter for system calls may refuse `memfd_create`.
    Copied,
}

impl Contents {
    /// Tries it out.
    pub fn find() -> Contents {
        // As Wasmtime makes them.
        match memfd_create("wasm-memory-image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING) {
            Ok(_) => Contents::Mapped,
            Err(_) => Contents::Copied,
        }
    }

    /// Has an engine do so.
    pub fn configure(self, config: &mut wt::Config) {
        config.memory_init_cow(self == Contents::Mapped);
    }
}

/// For instances on demand.
pub(super) fn on_demand(options: &EngineOptions) -> wt::Config {
    let mut config = wt::Config::new();
    config.epoch_interruption(true);
    config.consume_fuel(options.fuel);
    if options.optimize == Optimize::Off {
        config.cranelift_opt_level(wt::OptLevel::None);
    }
    config.wasm_backtrace_details(match options.backtrace_details {
        true => wt::WasmBacktraceDetails::Enable,
        false => wt::WasmBacktraceDetails::Disable,
    });
    match options.pool {
        Some(pool) => {
            config.memory_reservation(pool.memory.next_multiple_of(PAGE));
        }
        None if options.saves_address_space => {
            config.memory_reservation(0);
            config.memory_reservation_for_growth(1 << 20);
        }
        None => {}
    }
    if options.saves_address_space {
        config.memory_guard_size(PAGE);
    }
    config
}

/// For instances in the pool, if there is one.
pub(super) fn pool(options: &EngineOptions) -> Option<wt::Config> {
    let mut config = on_demand(options);
    config.allocation_strategy(allocation(options.pool?));
    Some(config)
}

fn allocation(options: PoolOptions) -> wt::PoolingAllocationConfig {
    let mut pool = wt::PoolingAllocationConfig::new();
    let instances = options.instances;
    pool.total_core_instances(instances).total_memories(instances).total_tables(instances);
    pool.max_memories_per_module(1).max_tables_per_module(MAX_TABLES as u32).table_elements(POOL_TABLE_ELEMENTS);
    let memory = options.memory.next_multiple_of(PAGE);
    pool.max_memory_size(usize::try_from(memory).unwrap_or(usize::MAX));
    // Wasmtime can ask the kernel which pages of a slot were written to, and restore these alone. It asks for those that are
    // present: what went to swap would stay as it is, for the next request to read. To ask whether the kernel can tell opens
    // /proc/self/pagemap already.
    pool.pagemap_scan(wt::Enabled::No);
    pool.linear_memory_keep_resident(KEEP_MEMORY).table_keep_resident(KEEP_TABLE);
    pool
}
