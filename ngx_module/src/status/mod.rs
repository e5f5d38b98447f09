#![allow(dead_code)]
//! What has become of each filter, counted over all workers: callbacks, failures, instances, memory. `filters/` and
//! `request.rs` count, `wasm_status;` and `wasm_metrics;` show it.

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Event {
    /// A callback was run.
    Call,
    /// A request has got a context of the filter.
    Request,
    /// A callback trapped, other than by the two below.
    Trap,
    /// A callback took longer than `wasm_timeout`.
    Timeout,
    /// A request used up its `wasm_fuel`.
    OutOfFuel,
    /// A new instance took the place of one that had failed.
    Restart,
    /// An instance did not start.
    StartFailure,
    /// A new instance took the place of one that had grown.
    Recycle,
    /// The memory limit refused growth.
    RefusedGrowth,
    /// A request failed because the filter had failed, or was not there.
    Closed,
    /// A request went on without the filter.
    Open,
    /// An instance for a request came from the pool.
    Pooled,
    /// The pool was empty, and an instance was made without it.
    PoolExhausted,
    /// `proxy_wasm_allow` kept the filter from something.
    Denied,
    /// A line was not logged because of `proxy_wasm_log_rate`.
    DroppedLine,
}

/// How many kinds of events there are.
pub const EVENTS: usize = Event::DroppedLine as usize + 1;

/// What is counted about one filter in this worker.
#[derive(Default)]
pub struct FilterStatus {}

impl FilterStatus {
    /// Counts an event.
    pub fn count(&self, event: Event) {
        self.add(event, 1);
    }

    /// Counts `n` events.
    pub fn add(&self, _event: Event, _n: u64) {}

    /// How many instances this worker has of the filter, and how many bytes of memory they have together.
    pub fn instances(&self, _count: usize, _memory: usize) {}

    /// Keeps the last error of the filter, and the time.
    pub fn error(&self, _what: &str) {}
}
