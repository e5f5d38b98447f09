//! Metrics: counters, gauges and histograms, by name. A metric stays once it is defined, under a number that all workers
//! understand. Source: specification 0.2.1, "Metrics".
//!
//! The memory fills from both ends: slots of one size from the front, numbered from 1; names and the buckets of histograms
//! from the back. Only a definition takes the lock. Values are changed and read without it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::memory::{Locked, Memory, Usage, hash, seed};

pub(super) const DEFAULT_MAX_NAME: usize = 256;

/// Says that the memory has been laid out by this version.
const LAID_OUT: u64 = 0x6e67_785f_7761_0101;

// Words of the header.
const LAYOUT: usize = 0;
const SEED: usize = 1;
const BUCKETS: usize = 2;
/// How many metrics there are. Written after all else of a new one.
const COUNT: usize = 3;
/// Where names and histograms begin.
const BACK: usize = 4;
/// How many configurations have used the memory.
const GENERATION: usize = 5;
/// Definitions for which there was no room.
const REFUSALS: usize = 6;
const HEADER: usize = 16;

// Words of a slot.
/// Type, and size of the name.
const KIND: usize = 0;
const HASH: usize = 1;
/// The number of the next metric with this hash.
const NEXT: usize = 2;
/// Where the name is.
const NAME: usize = 3;
/// The configuration that defined it last.
const DEFINED_BY: usize = 4;
/// The value, or where the histogram is.
const VALUE: usize = 5;
const SLOT: usize = 6;

// Words of a histogram: bucket n counts the values up to 2^n that are above 2^(n-1).
const POWERS: usize = 65;
const SAMPLES: usize = POWERS;
const SUM: usize = POWERS + 1;
const HISTOGRAM: usize = POWERS + 2;

/// Why a metric was not defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefineError {
    /// The name is empty, or that of a metric of another type in the same configuration.
    Conflict,
    /// The name has more bytes than allowed.
    NameTooLong,
    /// There is no room.
    Full,
}

/// A kind of metric, with the number that it has in the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

impl MetricType {
    /// The kind that has this number.
    pub fn numbered(number: u32) -> Option<MetricType> {
        [MetricType::Counter, MetricType::Gauge, MetricType::Histogram].into_iter().find(|kind| *kind as u32 == number)
    }
}

/// Why a metric was not changed or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// No metric has this number.
    Unknown,
    /// Metrics of this type do not do that.
    WrongType,
}

/// A metric as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Counter(u64),
    Gauge(i64),
    /// Values up to 1, 2, 4, 8 and so on, up to the largest that occurred; number of values; sum.
    Histogram(Vec<u64>, u64, u64),
}

/// All metrics.
pub struct Metrics {
    memory: Box<dyn Memory>,
    max_name: usize,
    /// The configuration on whose behalf metrics are defined.
    generation: Cell<u64>,
}

impl Metrics {
    /// Metrics in `memory`, with what is there; names may have up to `max_name` bytes.
    pub fn new(memory: Box<dyn Memory>, max_name: usize) -> Self {
        Metrics { memory, max_name, generation: Cell::new(0) }
    }

    /// The longest name that may be defined.
    pub fn max_name(&self) -> usize {
        self.max_name
    }

    /// Begins a new configuration: metrics keep their values, and a name may get another type.
    pub fn begin(&self) {
        if let Some(_lock) = self.open() {
            self.generation.set(self.load(GENERATION).saturating_add(1));
            self.store(GENERATION, self.generation.get());
        }
    }

    fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.memory.words().get(at)
    }

    fn load(&self, at: usize) -> u64 {
        self.word(at).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn store(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// How many buckets of the hash table a memory of this size has: a power of two.
    fn buckets(&self) -> usize {
        1 << (self.memory.words().len() / 32).max(1).ilog2()
    }

    /// Locks the memory, and lays it out if that has not been done. `None` when there is none.
    fn open(&self) -> Option<Locked<'_>> {
        let words = self.memory.words().len();
        let buckets = self.buckets();
        if words < HEADER + buckets {
            return None;
        }
        let lock = Locked::new(self.memory.as_ref());
        if self.load(LAYOUT) != LAID_OUT || self.load(BUCKETS) != buckets as u64 {
            (0..HEADER + buckets).for_each(|at| self.store(at, 0));
            self.store(SEED, seed());
            self.store(BUCKETS, buckets as u64);
            self.store(BACK, words as u64);
            self.store(LAYOUT, LAID_OUT);
        }
        Some(lock)
    }

    /// How many metrics there are: no more than there is room for, whatever the memory says.
    fn count(&self) -> usize {
        let count = self.word(COUNT).map_or(0, |count| count.load(Ordering::Acquire));
        (count as usize).min(self.memory.words().len() / SLOT)
    }

    fn slot(&self, id: u32) -> usize {
        HEADER + self.buckets() + (id as usize - 1) * SLOT
    }

    /// The slot of a number that may be anything.
    fn find(&self, id: u32) -> Option<(usize, MetricType)> {
        if id == 0 || id as usize > self.count() {
            return None;
        }
        let slot = self.slot(id);
        let kind = MetricType::numbered(self.load(slot + KIND) as u32 & 0xff)?;
        Some((slot, kind))
    }

    /// The number of the metric with this name and type, new or not.
    pub fn define(&self, kind: MetricType, name: &[u8]) -> Result<u32, DefineError> {
        if name.is_empty() {
            return Err(DefineError::Conflict);
        }
        if name.len() > self.max_name {
            return Err(DefineError::NameTooLong);
        }
        let _lock = self.open().ok_or(DefineError::Full)?;
        let hash = hash(self.load(SEED), &[name]);
        let bucket = HEADER + (hash as usize & (self.buckets() - 1));
        let described = (name.len() as u64) << 8;
        let mut id = self.load(bucket) as u32;
        let (mut own, mut conflict) = (None, false);
        // A chain is no longer than the memory.
        for _ in 0..self.count() {
            let Some((slot, found)) = self.find(id) else { break };
            let is_same = self.load(slot + HASH) == hash
                && self.load(slot + KIND) & !0xff == described
                && self.has_name(slot, name);
            let is_current = self.load(slot + DEFINED_BY) >= self.generation.get();
            if is_same && found == kind {
                if is_current {
                    return Ok(id);
                }
                own = Some((id, slot));
            }
            conflict |= is_same && found != kind && is_current;
            id = self.load(slot + NEXT) as u32;
        }
        match own {
            _ if conflict => Err(DefineError::Conflict),
            Some((id, slot)) => {
                self.store(slot + DEFINED_BY, self.generation.get());
                Ok(id)
            }
            None => self.add(kind, name, hash, bucket).ok_or_else(|| {
                self.store(REFUSALS, self.load(REFUSALS).wrapping_add(1));
                DefineError::Full
            }),
        }
    }

    fn add(&self, kind: MetricType, name: &[u8], hash: u64, bucket: usize) -> Option<u32> {
        let id = u32::try_from(self.count().saturating_add(1))
            .ok()
            .filter(|id| *id < Self::dropped(MetricType::Histogram))?;
        let slot = self.slot(id);
        let is_histogram = kind == MetricType::Histogram;
        let needed = name.len().div_ceil(8) + if is_histogram { HISTOGRAM } else { 0 };
        let back = (self.load(BACK) as usize).min(self.memory.words().len()).checked_sub(needed)?;
        if slot + SLOT > back {
            return None;
        }
        let name_at = back + if is_histogram { HISTOGRAM } else { 0 };
        (back..name_at).for_each(|at| self.store(at, 0));
        for (n, chunk) in name.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.store(name_at + n, u64::from_le_bytes(word));
        }
        self.store(slot + KIND, (name.len() as u64) << 8 | kind as u64);
        self.store(slot + HASH, hash);
        self.store(slot + NEXT, self.load(bucket));
        self.store(slot + NAME, name_at as u64);
        self.store(slot + DEFINED_BY, self.generation.get());
        self.store(slot + VALUE, if is_histogram { back as u64 } else { 0 });
        self.store(BACK, back as u64);
        // The others see the metric now. A process that dies before the last line leaves one that nobody finds by name.
        self.word(COUNT)?.store(u64::from(id), Ordering::Release);
        self.store(bucket, u64::from(id));
        Some(id)
    }

    /// How full the memory is; `None` while there is none.
    pub fn usage(&self) -> Option<Usage> {
        let words = self.memory.words().len();
        let _lock = self.open()?;
        let back = (self.load(BACK) as usize).min(words);
        let front = HEADER + self.buckets() + self.count() * SLOT;
        let bytes = |words: usize| (words * size_of::<u64>()) as u64;
        let used = front.saturating_add(words - back).min(words);
        Some(Usage { size: bytes(words), used: bytes(used), evictions: None, refusals: self.load(REFUSALS) })
    }

    fn has_name(&self, slot: usize, name: &[u8]) -> bool {
        let at = self.load(slot + NAME) as usize;
        name.chunks(8).enumerate().all(|(n, chunk)| {
            self.word(at.saturating_add(n))
                .is_some_and(|word| word.load(Ordering::Relaxed).to_le_bytes()[..chunk.len()] == *chunk)
        })
    }

    /// A number that works like that of a metric of this type, but keeps nothing: for filters that should go on when
    /// theirs could not be defined.
    pub fn dropped(kind: MetricType) -> u32 {
        u32::MAX - kind as u32
    }

    fn dropped_type(id: u32) -> Option<MetricType> {
        MetricType::numbered(u32::MAX - id)
    }

    /// Adds to a counter or a gauge. A counter does not go down.
    pub fn increment(&self, id: u32, by: i64) -> Result<(), MetricError> {
        let (slot, kind) = match Self::dropped_type(id) {
            Some(kind) => (None, kind),
            None => self.find(id).map(|(slot, kind)| (Some(slot), kind)).ok_or(MetricError::Unknown)?,
        };
        if kind == MetricType::Histogram || (kind == MetricType::Counter && by < 0) {
            return Err(MetricError::WrongType);
        }
        if let Some(value) = slot.and_then(|slot| self.word(slot + VALUE)) {
            // Of a negative number this is the two's complement, so that adding subtracts.
            value.fetch_add(by as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Adds to a counter, sets a gauge, adds a value to a histogram.
    pub fn record(&self, id: u32, value: u64) -> Result<(), MetricError> {
        if Self::dropped_type(id).is_some() {
            return Ok(());
        }
        let (slot, kind) = self.find(id).ok_or(MetricError::Unknown)?;
        let add = |at: usize, value: u64| {
            if let Some(word) = self.word(at) {
                word.fetch_add(value, Ordering::Relaxed);
            }
        };
        match kind {
            MetricType::Counter => add(slot + VALUE, value),
            MetricType::Gauge => self.store(slot + VALUE, value),
            MetricType::Histogram => {
                if let Some(at) = self.histogram(slot) {
                    add(at + power(value), 1);
                    add(at + SUM, value);
                    add(at + SAMPLES, 1);
                }
            }
        }
        Ok(())
    }

    /// The value of a counter or a gauge.
    pub fn get(&self, id: u32) -> Result<u64, MetricError> {
        let (slot, kind) = match Self::dropped_type(id) {
            Some(kind) => (None, kind),
            None => self.find(id).map(|(slot, kind)| (Some(slot), kind)).ok_or(MetricError::Unknown)?,
        };
        if kind == MetricType::Histogram {
            return Err(MetricError::WrongType);
        }
        Ok(slot.map_or(0, |slot| self.load(slot + VALUE)))
    }

    /// Where the words of a histogram are. It is behind all slots, unless the memory has wrong numbers.
    fn histogram(&self, slot: usize) -> Option<usize> {
        let at = self.load(slot + VALUE) as usize;
        (at > slot && at.checked_add(HISTOGRAM)? <= self.memory.words().len()).then_some(at)
    }

    /// Shows all metrics in the order of their definition, with the number of the configuration that defined them last.
    pub(super) fn visit(&self, mut visit: impl FnMut(&[u8], Reading, u64)) {
        let mut name = Vec::new();
        // All names together are no longer than the memory, unless it has wrong numbers.
        let mut room = self.memory.words().len();
        for id in 1..=u32::try_from(self.count()).unwrap_or(u32::MAX) {
            let Some((slot, kind)) = self.find(id) else { return };
            name.clear();
            let len = (self.load(slot + KIND) >> 8) as usize;
            let at = self.load(slot + NAME) as usize;
            let Some(left) = room.checked_sub(len.div_ceil(8)) else { return };
            room = left;
            for n in 0..len.div_ceil(8) {
                let Some(word) = self.word(at.saturating_add(n)) else { break };
                name.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
            }
            name.truncate(len);
            let value = self.load(slot + VALUE);
            let reading = match kind {
                MetricType::Counter => Reading::Counter(value),
                MetricType::Gauge => Reading::Gauge(value as i64),
                MetricType::Histogram => {
                    let Some(at) = self.histogram(slot) else { continue };
                    let mut powers: Vec<u64> = (0..POWERS).map(|power| self.load(at + power)).collect();
                    while powers.last() == Some(&0) {
                        powers.pop();
                    }
                    // From the buckets, so that the two agree while others record.
                    let samples = powers.iter().fold(0, |sum: u64, count| sum.wrapping_add(*count));
                    Reading::Histogram(powers, samples, self.load(at + SUM))
                }
            };
            visit(&name, reading, self.load(slot + DEFINED_BY));
        }
    }
}

/// The smallest power of two that is not below `value`.
fn power(value: u64) -> usize {
    match value {
        0 | 1 => 0,
        _ => 64 - (value - 1).leading_zeros() as usize,
    }
}

#[cfg(test)]
mod tests;
