//! Cycles of nginx: a configuration with all that belongs to it, until the next one takes its place.

use std::sync::atomic::{AtomicU64, Ordering};

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Nginx goes over to a new cycle.
pub fn begin() {
    NUMBER.fetch_add(1, Ordering::Relaxed);
}

/// How many cycles this process, and the master before it, have gone over to. What is kept of a configuration by its address
/// needs that, too: memory of one that is gone may be the next one's.
pub fn number() -> u64 {
    NUMBER.load(Ordering::Relaxed)
}
