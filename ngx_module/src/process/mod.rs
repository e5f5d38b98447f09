//! What a process has beside requests: engines, clock, module supply, shared memory, counters.

pub mod cpu_clock;
pub mod engine;
pub mod log_rate;
pub mod regular_file;
pub mod shared_memory;
pub mod status;
pub mod supply;
