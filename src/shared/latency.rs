//! How long callbacks of filters took, by filter and kind, over all workers (`wasm_latency`). The memory goes with that of
//! `filter_status.rs`: what is known of a filter is found by its slot there, and belongs to the key that the filter has there.
//!
//! Workers add to the words at the same time. There are several sets of them, so that two workers seldom want the same one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::filter_status::Slot;
use super::histogram::{Bounds, Histogram, bucket, nanoseconds};
use super::memory::{Locked, Memory};

/// Says that the memory has been laid out by this version.
const LAID_OUT: u64 = 0x6e67_785f_7761_0301;

// Words of the header.
const LAYOUT: usize = 0;
const SLOTS: usize = 1;
const SETS: usize = 2;
const HEADER: usize = 8;

/// From 5 µs, in which a small filter has done its work, to the longest that clients do not notice, and beyond.
const BOUNDS: Bounds = &[
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
];
const BUCKETS: usize = BOUNDS.len() + 1;
/// The word behind the buckets.
const SUM: usize = BUCKETS;
const HISTOGRAM: usize = BUCKETS + 1;

/// What took its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[allow(missing_docs)]
pub enum Kind {
    Start,
    ContextCreate,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    CallResponse,
    Tick,
    QueueReady,
    End,
    /// Not a callback: a program, from its beginning to the end of its response.
    Program,
}

impl Kind {
    /// All.
    pub const ALL: [Kind; KINDS] = [
        Kind::Start,
        Kind::ContextCreate,
        Kind::RequestHeaders,
        Kind::RequestBody,
        Kind::RequestTrailers,
        Kind::ResponseHeaders,
        Kind::ResponseBody,
        Kind::ResponseTrailers,
        Kind::CallResponse,
        Kind::Tick,
        Kind::QueueReady,
        Kind::End,
        Kind::Program,
    ];

    /// What operators see.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Start => "start",
            Kind::ContextCreate => "context_create",
            Kind::RequestHeaders => "request_headers",
            Kind::RequestBody => "request_body",
            Kind::RequestTrailers => "request_trailers",
            Kind::ResponseHeaders => "response_headers",
            Kind::ResponseBody => "response_body",
            Kind::ResponseTrailers => "response_trailers",
            Kind::CallResponse => "call_response",
            Kind::Tick => "tick",
            Kind::QueueReady => "queue_ready",
            Kind::End => "end",
            Kind::Program => "program",
        }
    }
}

/// How many kinds there are.
const KINDS: usize = Kind::Program as usize + 1;
/// Words of a filter in a set.
const FILTER: usize = KINDS * HISTOGRAM;

/// The histograms of all filters.
pub struct Latencies {
    memory: Box<dyn Memory>,
    slots: usize,
    sets: usize,
}

impl Latencies {
    /// How many sets there are for so many workers.
    fn sets_for(workers: usize) -> usize {
        workers.clamp(1, 8).next_power_of_two()
    }

    /// How many bytes the memory has for a table of so many filters, and so many workers.
    pub fn size(slots: usize, workers: usize) -> usize {
        (HEADER + slots + Self::sets_for(workers) * slots * FILTER) * size_of::<u64>()
    }

    /// Histograms in `memory`, with what is there. It must have [`Latencies::size`].
    pub fn new(memory: Box<dyn Memory>, slots: usize, workers: usize) -> Latencies {
        Latencies { memory, slots, sets: Self::sets_for(workers) }
    }

    fn load(&self, at: usize) -> u64 {
        self.memory.words().get(at).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn store(&self, at: usize, value: u64) {
        if let Some(word) = self.memory.words().get(at) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Locks the memory, and lays it out if that has not been done. `None` when it is not there, or too small.
    fn open(&self) -> Option<Locked<'_>> {
        if self.memory.words().len() < HEADER + self.slots + self.sets * self.slots * FILTER {
            return None;
        }
        let lock = Locked::new(self.memory.as_ref());
        let shape = [(SLOTS, self.slots), (SETS, self.sets)];
        if self.load(LAYOUT) != LAID_OUT || shape.iter().any(|(at, value)| self.load(*at) != *value as u64) {
            // What belongs to a key is cleared when that takes its place.
            (0..self.slots).for_each(|slot| self.store(HEADER + slot, 0));
            shape.iter().for_each(|(at, value)| self.store(*at, *value as u64));
            self.store(LAYOUT, LAID_OUT);
        }
        Some(lock)
    }

    fn at(&self, set: usize, slot: usize, kind: usize) -> usize {
        HEADER + self.slots + (set * self.slots + slot) * FILTER + kind * HISTOGRAM
    }

    /// A slot is that of the filter with this key from now on. What was counted for another one is forgotten.
    pub fn claim(&self, slot: Slot, key: u64) {
        let slot = slot.0 as usize;
        let Some(_lock) = self.open().filter(|_| slot < self.slots) else { return };
        if self.load(HEADER + slot) == key {
            return;
        }
        for set in 0..self.sets {
            let begin = self.at(set, slot, 0);
            (begin..begin + FILTER).for_each(|at| self.store(at, 0));
        }
        self.store(HEADER + slot, key);
    }

    /// Counts something that took its time in this worker, which is number `worker`.
    pub fn add(&self, worker: usize, slot: Slot, kind: Kind, time: Duration) {
        if slot.0 as usize >= self.slots {
            return;
        }
        let time = nanoseconds(time);
        let begin = self.at(worker % self.sets, slot.0 as usize, kind as usize);
        for (at, n) in [(begin + bucket(BOUNDS, time), 1), (begin + SUM, time)] {
            if let Some(word) = self.memory.words().get(at) {
                word.fetch_add(n, Ordering::Relaxed);
            }
        }
    }

    /// What was counted for a slot, as far as there is anything.
    pub fn of(&self, slot: Slot) -> Vec<(Kind, Histogram)> {
        if slot.0 as usize >= self.slots {
            return Vec::new();
        }
        let sum = |kind: Kind, word: usize| {
            let words = (0..self.sets).map(|set| self.load(self.at(set, slot.0 as usize, kind as usize) + word));
            words.fold(0, u64::wrapping_add)
        };
        let all = Kind::ALL.into_iter().map(|kind| {
            let counts = (0..BUCKETS).map(|bucket| sum(kind, bucket)).collect();
            (kind, Histogram::new(BOUNDS, counts, sum(kind, SUM)))
        });
        all.filter(|(_, histogram)| histogram.count() > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::shared::memory::Heap;

    fn latencies(heap: &Arc<Heap>, workers: usize) -> Latencies {
        Latencies::new(Box::new(heap.clone()), 4, workers)
    }

    fn counts(latencies: &Latencies, slot: u32) -> Vec<(Kind, u64)> {
        latencies.of(Slot(slot)).iter().map(|(kind, histogram)| (*kind, histogram.count())).collect()
    }

    #[test]
    fn what_all_workers_count_is_summed_by_filter_and_kind() {
        let heap = Arc::new(Heap::new(Latencies::size(4, 3)));
        let latencies = latencies(&heap, 3);
        (0..4).for_each(|slot| latencies.claim(Slot(slot), u64::from(slot) + 10));
        for worker in 0..10 {
            latencies.add(worker, Slot(1), Kind::RequestHeaders, Duration::from_micros(7));
        }
        latencies.add(0, Slot(1), Kind::End, Duration::from_secs(100));
        latencies.add(0, Slot(3), Kind::Program, Duration::ZERO);
        assert_eq!(counts(&latencies, 1), [(Kind::RequestHeaders, 10), (Kind::End, 1)]);
        assert_eq!(counts(&latencies, 3), [(Kind::Program, 1)]);
        let mean = latencies.of(Slot(1))[0].1.mean().unwrap();
        assert!((mean - 7e-6).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn what_was_counted_stays_with_its_key() {
        let heap = Arc::new(Heap::new(Latencies::size(4, 1)));
        let first = latencies(&heap, 1);
        first.claim(Slot(2), 7);
        first.add(0, Slot(2), Kind::Tick, Duration::from_millis(1));
        let second = latencies(&heap, 1);
        second.claim(Slot(2), 7);
        assert_eq!(counts(&second, 2), [(Kind::Tick, 1)]);
        second.claim(Slot(2), 8);
        assert_eq!(counts(&second, 2), []);
    }

    #[test]
    fn a_memory_that_is_not_there_or_of_another_shape_has_nothing() {
        let latencies = Latencies::new(Heap::boxed(0), 4, 1);
        latencies.claim(Slot(0), 7);
        latencies.add(0, Slot(0), Kind::Tick, Duration::from_millis(1));
        latencies.add(0, Slot(u32::MAX), Kind::Tick, Duration::from_millis(1));
        assert_eq!((counts(&latencies, 0), counts(&latencies, u32::MAX)), (vec![], vec![]));
        let heap = Arc::new(Heap::new(Latencies::size(8, 8)));
        let four = Latencies::new(Box::new(heap.clone()), 4, 8);
        four.claim(Slot(0), 7);
        four.add(0, Slot(0), Kind::Tick, Duration::from_millis(1));
        let eight = Latencies::new(Box::new(heap), 8, 8);
        eight.claim(Slot(0), 7);
        assert_eq!(counts(&eight, 0), []);
    }

    #[test]
    fn kinds_stand_in_their_order_and_have_names_of_their_own() {
        for (n, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, n);
            assert!(Kind::ALL.iter().all(|other| *other == kind || other.name() != kind.name()));
        }
    }
}
