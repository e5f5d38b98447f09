//! What the table tells of filters.

use super::event::{EVENTS, Event};
use crate::shared::table::Slot;

/// Whether requests have to do without a filter in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// There is an instance, or the next request gets one.
    No,
    /// There is none before this time.
    Until(u64),
    /// There is none until the configuration is loaded again.
    ForGood,
}

/// What is known about a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Counters of all workers that there are and were.
    pub counters: [u64; EVENTS],
    /// Instances of the workers that there are.
    pub instances: u64,
    /// Their memory, in bytes.
    pub memory: u64,
    /// Requests and responses that wait for it.
    pub paused: u64,
    /// Workers in which it stays away until the configuration is loaded again.
    pub stopped: u64,
    /// Workers in which it is not started again yet.
    pub waiting: u64,
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
        let Summary { instances, memory, paused, stopped, waiting, .. } = self;
        let others = [other.instances, other.memory, other.paused, other.stopped, other.waiting];
        for (sum, value) in [instances, memory, paused, stopped, waiting].into_iter().zip(others) {
            *sum = sum.wrapping_add(value);
        }
        let time = |summary: &Summary| summary.last_error.as_ref().map_or(0, |(_, time)| *time);
        if time(other) > time(self) {
            self.last_error = other.last_error.clone();
        }
    }
}

/// A filter that was declared with a name.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name.
    pub name: Vec<u8>,
    /// Its entry.
    pub slot: Slot,
    /// What is known about it.
    pub summary: Summary,
}

/// What is known at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Workers of the newest configuration that has any.
    pub workers: usize,
    /// Workers of those before it, which still serve their last requests.
    pub leaving: usize,
    /// Filters of the configuration that were declared with a name.
    pub named: Vec<Named>,
    pub(super) all: Vec<Summary>,
}

impl Snapshot {
    /// What is known about one filter.
    pub fn get(&self, slot: Slot) -> Summary {
        self.all.get(slot.0 as usize).cloned().unwrap_or_default()
    }
}
