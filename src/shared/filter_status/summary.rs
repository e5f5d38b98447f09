//! What the table tells of filters.

use super::event::{EVENTS, Event};

/// The entry of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(super) u32);

/// What is known about a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Counters of all workers that there are and were.
    pub counters: [u64; EVENTS],
    /// Instances of the workers that there are.
    pub instances: u64,
    /// Their memory, in bytes.
    pub memory: u64,
    /// The last error, and when it happened, in Unix seconds.
    pub last_error: Option<(Vec<u8>, u64)>,
}

impl Summary {
    /// How often something happened.
    pub fn get(&self, event: Event) -> u64 {
        self.counters[event as usize]
    }

    /// Adds what is known about another filter. Of two last errors the later one stays.
    pub fn add(&mut self, other: &Summary) {
        for (sum, count) in self.counters.iter_mut().zip(other.counters) {
            *sum = sum.wrapping_add(count);
        }
        self.instances = self.instances.wrapping_add(other.instances);
        self.memory = self.memory.wrapping_add(other.memory);
        let time = |summary: &Summary| summary.last_error.as_ref().map_or(0, |(_, time)| *time);
        if time(other) > time(self) {
            self.last_error = other.last_error.clone();
        }
    }
}

/// What is known at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Workers of the newest configuration that has any.
    pub workers: usize,
    /// Workers of those before it, which still serve their last requests.
    pub leaving: usize,
    /// Filters of the configuration that were declared with a name.
    pub named: Vec<(Vec<u8>, Summary)>,
    pub(super) all: Vec<Summary>,
}

impl Snapshot {
    /// What is known about one filter.
    pub fn get(&self, slot: Slot) -> Summary {
        self.all.get(slot.0 as usize).cloned().unwrap_or_default()
    }
}
