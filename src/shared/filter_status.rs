//! What has become of each filter, counted over all workers: `ngx_module/src/process/status/` counts with it, `content/` shows it.

mod event;
mod summary;

use super::memory::Memory;
use super::table::{Columns, Dimensions, Entry, Table};
pub use super::table::{IsAlive, Process, Slot};
pub use event::{EVENTS, Event, Shown};
pub use summary::{Down, Named, Snapshot, Summary};

// Gauges of a filter in a worker.
const INSTANCES: usize = 0;
const BYTES: usize = 1;
const PAUSED: usize = 2;
/// 0, a time in milliseconds, or [`FOR_GOOD`].
const NOT_BEFORE: usize = 3;
const FOR_GOOD: u64 = u64::MAX;

const COLUMNS: Columns = Columns { counters: EVENTS, gauges: 4, name: 128, text: 256 };

/// How many filters and workers a memory has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape(Dimensions);

impl Shape {
    /// Room for a configuration with so many filters, and the next with about as many, and for those that Lua loads; for
    /// the workers of some configurations. Both numbers are rounded up to powers of two, so that a small edit of the
    /// configuration keeps the memory.
    pub fn of(filters: usize, workers: usize) -> Shape {
        const FOR_LUA: usize = 32;
        let entries = (filters.saturating_mul(2) + FOR_LUA).next_power_of_two();
        Shape(Dimensions { entries, rows: Dimensions::rows_for(workers), columns: COLUMNS })
    }

    /// How many bytes the memory has.
    pub fn size(self) -> usize {
        self.0.size()
    }

    /// How many filters it has room for.
    pub fn filters(self) -> usize {
        self.0.entries
    }
}

/// The table.
pub struct StatusTable(Table);

impl StatusTable {
    /// A table in `memory`, with what is there. It must have [`Shape::size`].
    pub fn new(memory: Box<dyn Memory>, shape: Shape) -> Self {
        StatusTable(Table::new(memory, shape.0))
    }

    /// Begins a new configuration. Filters that are declared again keep their counters.
    pub fn begin(&self) {
        self.0.begin();
    }

    /// Declares a filter of this configuration, which is known by `key`. One with a `name` is found in
    /// [`Snapshot::named`]. `None` when there is no room.
    pub fn declare(&self, key: &[&[u8]], name: &[u8], is_alive: IsAlive<'_>) -> Option<Slot> {
        self.0.declare(key, name, is_alive)
    }

    /// What a filter is known by where more is kept about its slot.
    pub fn key(&self, slot: Slot) -> u64 {
        self.0.key(slot)
    }

    /// This process begins to count, as a worker of this configuration.
    pub fn enter(&self, process: Process, is_alive: IsAlive<'_>) {
        self.0.enter(process, is_alive);
    }

    /// Whether this process counts.
    pub fn is_entered(&self) -> bool {
        self.0.is_entered()
    }

    /// This process counts no more.
    pub fn leave(&self) {
        self.0.leave();
    }

    /// Counts `n` events of a filter.
    pub fn add(&self, slot: Slot, event: Event, n: u64) {
        self.0.add(slot, event as usize, n);
    }

    /// How many instances of a filter this process has, and the bytes of their memory. What workers without a row of their
    /// own have is not known.
    pub fn set_instances(&self, slot: Slot, count: u64, bytes: u64) {
        self.0.set(slot, INSTANCES, count);
        self.0.set(slot, BYTES, bytes);
    }

    /// One more stream waits for a filter in this process, or one less.
    pub fn change_paused(&self, slot: Slot, is_more: bool) {
        self.0.change(slot, PAUSED, |paused| if is_more { paused + 1 } else { paused.saturating_sub(1) });
    }

    /// Whether requests have to do without a filter in this process. Times are milliseconds of a clock that all processes share.
    pub fn set_down(&self, slot: Slot, down: Down) {
        let not_before = match down {
            Down::No => 0,
            Down::Until(time) => time.min(FOR_GOOD - 1),
            Down::ForGood => FOR_GOOD,
        };
        self.0.set(slot, NOT_BEFORE, not_before);
    }

    /// Keeps the last error of a filter, or its beginning, and when it happened.
    pub fn set_error(&self, slot: Slot, text: &[u8], time: u64) {
        self.0.set_text(slot, beginning(text, COLUMNS.text), time);
    }

    /// What is known now, which is the time `now` of the clock of [`StatusTable::set_down`].
    pub fn snapshot(&self, now: u64, is_alive: IsAlive<'_>) -> Snapshot {
        let contents = self.0.read(is_alive);
        let mut snapshot = Snapshot { workers: contents.workers, leaving: contents.leaving, ..Snapshot::default() };
        for (slot, entry) in contents.entries.into_iter().enumerate() {
            let Some(entry) = entry else {
                snapshot.all.push(Summary::default());
                continue;
            };
            let summary = summary(&entry, now);
            if !entry.name.is_empty() && entry.is_current {
                snapshot.named.push(Named { name: entry.name, slot: Slot(slot as u32), summary: summary.clone() });
            }
            snapshot.all.push(summary);
        }
        snapshot
    }
}

/// The beginning of a text, so many bytes at most, in which no character of UTF-8 is cut in two.
fn beginning(text: &[u8], most: usize) -> &[u8] {
    if text.len() <= most {
        return text;
    }
    // A character has three bytes at most behind its first: what goes on for longer is none.
    let is_inside = |end: &usize| text[*end] & 0xc0 == 0x80;
    let end = (most.saturating_sub(3)..=most).rev().find(|end| !is_inside(end)).unwrap_or(most);
    &text[..end]
}

fn summary(entry: &Entry, now: u64) -> Summary {
    let mut summary = Summary { last_error: entry.text.clone(), ..Summary::default() };
    for (sum, counter) in summary.counters.iter_mut().zip(&entry.counters) {
        *sum = *counter;
    }
    let values = |gauge: usize| entry.gauges.get(gauge).map_or(&[][..], Vec::as_slice);
    let sum = |gauge: usize| values(gauge).iter().fold(0, |sum: u64, value| sum.wrapping_add(*value));
    summary.instances = sum(INSTANCES);
    summary.memory = sum(BYTES);
    summary.paused = sum(PAUSED);
    let count = |is_down: fn(u64, u64) -> bool| {
        values(NOT_BEFORE).iter().filter(|not_before| is_down(**not_before, now)).count() as u64
    };
    summary.stopped = count(|not_before, _| not_before == FOR_GOOD);
    summary.waiting = count(|not_before, now| not_before != FOR_GOOD && not_before > now);
    summary
}

#[cfg(test)]
mod tests;
