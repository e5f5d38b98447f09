//! The memory that stores are laid out in: words that other processes see too, and a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Memory of a store. Words are atomic, so that a process which does not keep the rules, or dies in the middle of them,
/// does no worse than to leave wrong numbers.
pub trait Memory {
    /// All of it: always the same words, zero at first. Empty while it is not there yet.
    fn words(&self) -> &[AtomicU64];

    /// Waits for the lock. What other holders wrote is visible then.
    fn lock(&self);

    /// Gives the lock back.
    fn unlock(&self);

    /// A holder of the lock died while it wrote, so what was there is gone.
    fn was_reset(&self) {}
}

/// How full a store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of its memory.
    pub size: u64,
    /// Those that are used.
    pub used: u64,
    /// What made room for something else; `None`: nothing ever does.
    pub evictions: Option<u64>,
    /// What was not stored because there was no room.
    pub refusals: u64,
}

/// The lock of a memory, until dropped.
pub(super) struct Locked<'a>(&'a dyn Memory);

impl<'a> Locked<'a> {
    pub fn new(memory: &'a dyn Memory) -> Self {
        memory.lock();
        Locked(memory)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

/// Memory of this process: for unit tests, and for filters that run in the master, whose state nobody sees.
pub struct Heap {
    words: Box<[AtomicU64]>,
    locked: AtomicBool,
}

impl Heap {
    /// So many bytes.
    pub fn new(size: usize) -> Heap {
        Heap { words: (0..size / 8).map(|_| AtomicU64::new(0)).collect(), locked: AtomicBool::new(false) }
    }

    /// The same, as stores want it.
    pub fn boxed(size: usize) -> Box<dyn Memory> {
        Box::new(Heap::new(size))
    }
}

impl<T: Memory> Memory for Arc<T> {
    fn words(&self) -> &[AtomicU64] {
        self.as_ref().words()
    }

    fn lock(&self) {
        self.as_ref().lock();
    }

    fn unlock(&self) {
        self.as_ref().unlock();
    }

    fn was_reset(&self) {
        self.as_ref().was_reset();
    }
}

impl Memory for Heap {
    fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    fn lock(&self) {
        while self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            thread::yield_now();
        }
    }

    fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
    }
}

/// A number that whoever chooses keys does not know, so that hashes cannot be made to collide.
pub(super) fn seed() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness hashes are merely predictable.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// The hash of a key of several parts, the same in all processes.
pub(super) fn hash(seed: u64, parts: &[&[u8]]) -> u64 {
    use std::hash::Hasher;
    // Its keys are the same in all processes, unlike those of a HashMap; the seed goes through the hash instead.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write_u64(seed);
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish()
}
