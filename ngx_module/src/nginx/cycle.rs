//! Cycles of nginx: a configuration with all that belongs to it, until the next one takes its place.

use std::sync::atomic::{AtomicU64, Ordering};

use nginx_sys::ngx_cycle;

use super::log::Log;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Nginx goes over to a new cycle.
pub fn begin() {
    NUMBER.fetch_add(1, Ordering::Relaxed);
}

/// Whether the process only ends what it has begun.
pub fn is_exiting() -> bool {
    // SAFETY: nginx sets this flag of its own outside of the code of modules.
    unsafe { nginx_sys::ngx_exiting != 0 }
}

/// How many cycles this process, and the master before it, have gone over to. What is kept of a configuration by its address
/// needs that, too: memory of one that is gone may be the next one's.
pub fn number() -> u64 {
    NUMBER.load(Ordering::Relaxed)
}

/// The log of the cycle that runs, for lines about no request.
pub fn log<'l>() -> Log<'l> {
    // SAFETY: nginx always has a cycle, and that has a log.
    unsafe { Log::from_ptr((*ngx_cycle).log) }
}

/// Which worker this is, counted from 0.
pub fn worker() -> usize {
    // SAFETY: nginx sets the variable before a worker begins; in the master it is 0.
    unsafe { nginx_sys::ngx_worker }
}

/// Seconds and milliseconds since 1970, as nginx has looked at the clock last.
pub fn time() -> (i64, i64) {
    // SAFETY: nginx always has a time.
    let now = unsafe { *nginx_sys::ngx_cached_time };
    (now.sec, now.msec as i64)
}
