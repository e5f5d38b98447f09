//! What a process has beside requests: engines, clock, module supply, shared memory, counters.

#[allow(unsafe_code)]
pub mod cpu_clock;
#[allow(unsafe_code)]
pub mod engine;
pub mod guest_log;
#[allow(unsafe_code)]
pub mod new_workers;
pub mod regular_file;
#[allow(unsafe_code)]
pub mod shared_memory;
#[allow(unsafe_code)]
pub mod status;
#[allow(unsafe_code)]
pub mod supply;
