//! What has become of each filter, counted over all workers: `ngx_module/src/process/status/` counts with it and shows it.
//!
//! The memory has an entry for each filter, and a row for each worker. Only its worker writes to a row, so counting is a
//! plain store without contention. When a worker ends, or is found dead, what its row counted goes to the entries, and
//! the row is free for the next one. Entries are found by a key; those of filters that no running worker has are given to
//! others when there are no free ones. Everything but counting takes the lock.

mod event;
mod exposition;
mod summary;

use std::cell::Cell;
use std::sync::atomic::Ordering;

use super::memory::{Locked, Memory, hash, seed};
pub use event::{EVENTS, Event};
pub(super) use exposition::is_reserved;
pub use exposition::{FilterLabels, exposition};
pub use summary::{Slot, Snapshot, Summary};

/// Says that the memory has been laid out by this version.
const LAID_OUT: u64 = 0x6e67_785f_7761_0202;

// Words of the header.
const LAYOUT: usize = 0;
const FILTERS: usize = 1;
const ROWS: usize = 2;
const SEED: usize = 3;
/// How many configurations have used the memory.
const GENERATION: usize = 4;
const HEADER: usize = 16;

// Words of an entry.
/// The hash of what the filter is known by; 0 for an entry that nobody has.
const KEY: usize = 0;
/// The configuration that declared it last.
const DECLARED_BY: usize = 1;
const NAME_SIZE: usize = 2;
/// Unix seconds; 0 for none.
const ERROR_TIME: usize = 3;
const ERROR_SIZE: usize = 4;
/// What workers that have ended counted.
const BASE: usize = 8;
const NAME: usize = BASE + EVENTS;
const NAME_WORDS: usize = 16;
const ERROR: usize = NAME + NAME_WORDS;
const ERROR_WORDS: usize = 32;
const ENTRY: usize = (ERROR + ERROR_WORDS).next_multiple_of(8);

// Words of a row, before those of each filter.
const PID: usize = 0;
const STARTED: usize = 1;
/// The configuration that its worker has.
const WORKS_BY: usize = 2;
const ROW_HEADER: usize = 8;
// Words of a filter in a row, behind its counters.
const INSTANCES: usize = EVENTS;
const BYTES: usize = EVENTS + 1;
/// Whole cache lines.
const WIDTH: usize = (EVENTS + 2).next_multiple_of(8);

/// How many filters and workers a memory has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    filters: usize,
    rows: usize,
}

impl Shape {
    /// Room for a configuration with so many filters, and the next with about as many, and for those that Lua loads; for
    /// the workers of some configurations. Both numbers are rounded up to powers of two, so that a small edit of the
    /// configuration keeps the memory.
    pub fn of(filters: usize, workers: usize) -> Shape {
        const FOR_LUA: usize = 32;
        const CONFIGURATIONS: usize = 4;
        Shape {
            filters: (filters.saturating_mul(2) + FOR_LUA).next_power_of_two(),
            rows: workers.saturating_mul(CONFIGURATIONS).max(16).next_power_of_two(),
        }
    }

    fn row(self) -> usize {
        ROW_HEADER + self.filters * WIDTH
    }

    fn words(self) -> usize {
        // One row more for workers that have none of their own.
        HEADER + self.filters * ENTRY + (self.rows + 1) * self.row()
    }

    /// How many bytes the memory has.
    pub fn size(self) -> usize {
        self.words() * size_of::<u64>()
    }
}

/// A process, so that another one with the same number later is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u64,
    /// When it started, in any unit.
    pub started: u64,
}

/// Where this process counts.
#[derive(Clone, Copy)]
enum Row {
    None,
    /// A row of its own, by its first word.
    Own(usize),
    /// The one for all that found none.
    Shared(usize),
}

/// The table.
pub struct StatusTable {
    memory: Box<dyn Memory>,
    shape: Shape,
    /// The configuration on whose behalf filters are declared.
    generation: Cell<u64>,
    row: Cell<Row>,
}

/// Whether a process lives.
pub type IsAlive<'a> = &'a dyn Fn(Process) -> bool;

impl StatusTable {
    /// A table in `memory`, with what is there. It must have [`Shape::size`].
    pub fn new(memory: Box<dyn Memory>, shape: Shape) -> Self {
        StatusTable { memory, shape, generation: Cell::new(0), row: Cell::new(Row::None) }
    }

    fn load(&self, at: usize) -> u64 {
        self.memory.words().get(at).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn store(&self, at: usize, value: u64) {
        if let Some(word) = self.memory.words().get(at) {
            word.store(value, Ordering::Relaxed);
        }
    }

    fn entry(&self, slot: usize) -> usize {
        HEADER + slot * ENTRY
    }

    /// A row; the last one is for all.
    fn row_at(&self, row: usize) -> usize {
        HEADER + self.shape.filters * ENTRY + row * self.shape.row()
    }

    fn cell(&self, row: usize, slot: usize) -> usize {
        row + ROW_HEADER + slot * WIDTH
    }

    fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.shape.rows).map(|row| self.row_at(row))
    }

    fn shared_row(&self) -> usize {
        self.row_at(self.shape.rows)
    }

    /// Locks the memory, and lays it out if that has not been done. `None` when it is not there, or too small.
    fn open(&self) -> Option<Locked<'_>> {
        if self.memory.words().len() < self.shape.words() {
            return None;
        }
        let lock = Locked::new(self.memory.as_ref());
        let shape = [(FILTERS, self.shape.filters), (ROWS, self.shape.rows)];
        if self.load(LAYOUT) != LAID_OUT || shape.iter().any(|(at, value)| self.load(*at) != *value as u64) {
            (0..HEADER).for_each(|at| self.store(at, 0));
            (0..self.shape.filters).for_each(|slot| self.store(self.entry(slot) + KEY, 0));
            self.rows().chain([self.shared_row()]).for_each(|row| self.store(row + PID, 0));
            self.store(SEED, seed());
            shape.iter().for_each(|(at, value)| self.store(*at, *value as u64));
            self.store(LAYOUT, LAID_OUT);
        }
        Some(lock)
    }

    fn process_of(&self, row: usize) -> Option<Process> {
        let pid = self.load(row + PID);
        (pid != 0).then(|| Process { pid, started: self.load(row + STARTED) })
    }

    /// Frees the rows of processes that are no more.
    fn bury(&self, is_alive: IsAlive<'_>) {
        for row in self.rows() {
            if self.process_of(row).is_some_and(|process| !is_alive(process)) {
                self.release(row);
            }
        }
    }

    /// Frees a row. A process that dies in the middle of this leaves the rest to the next one.
    fn release(&self, row: usize) {
        for slot in 0..self.shape.filters {
            self.add_to_entry(row, slot, self.load(self.entry(slot) + KEY) != 0);
        }
        self.store(row + PID, 0);
    }

    /// Takes the counters of a filter out of a row, and adds them to its entry if it `is_kept`.
    fn add_to_entry(&self, row: usize, slot: usize, is_kept: bool) {
        let (cell, entry) = (self.cell(row, slot), self.entry(slot));
        for event in 0..EVENTS {
            let count = self.load(cell + event);
            if count != 0 {
                self.store(cell + event, 0);
                if is_kept {
                    self.store(entry + BASE + event, self.load(entry + BASE + event).wrapping_add(count));
                }
            }
        }
        self.store(cell + INSTANCES, 0);
        self.store(cell + BYTES, 0);
    }

    /// Begins a new configuration. Filters that are declared again keep their counters.
    pub fn begin(&self) {
        if let Some(_lock) = self.open() {
            self.generation.set(self.load(GENERATION).saturating_add(1));
            self.store(GENERATION, self.generation.get());
        }
    }

    /// Declares a filter of this configuration, which is known by `key`. One with a `name` is found in
    /// [`Snapshot::named`]. `None` when there is no room.
    pub fn declare(&self, key: &[&[u8]], name: &[u8], is_alive: IsAlive<'_>) -> Option<Slot> {
        let _lock = self.open()?;
        let hash = hash(self.load(SEED), key).max(1);
        let own = self.generation.get();
        let slots = || 0..self.shape.filters;
        if let Some(slot) = slots().find(|slot| self.load(self.entry(*slot) + KEY) == hash) {
            let declared_by = self.entry(slot) + DECLARED_BY;
            self.store(declared_by, self.load(declared_by).max(own));
            return Some(Slot(slot as u32));
        }
        let slot = match slots().find(|slot| self.load(self.entry(*slot) + KEY) == 0) {
            Some(free) => free,
            None => {
                // Workers count for filters that their configuration, or a later one, has declared.
                self.bury(is_alive);
                let in_use = self.rows().filter(|row| self.process_of(*row).is_some());
                let oldest = in_use.map(|row| self.load(row + WORKS_BY)).min().unwrap_or(own).min(own);
                let declared_by = |slot: &usize| self.load(self.entry(*slot) + DECLARED_BY);
                slots().min_by_key(declared_by).filter(|slot| declared_by(slot) < oldest)?
            }
        };
        let entry = self.entry(slot);
        self.store(entry + KEY, 0);
        (entry + KEY..entry + ENTRY).for_each(|at| self.store(at, 0));
        self.rows().chain([self.shared_row()]).for_each(|row| self.add_to_entry(row, slot, false));
        let name = &name[..name.len().min(NAME_WORDS * 8)];
        self.put(entry + NAME, name);
        self.store(entry + NAME_SIZE, name.len() as u64);
        self.store(entry + DECLARED_BY, own);
        self.store(entry + KEY, hash);
        Some(Slot(slot as u32))
    }

    /// This process begins to count, as a worker of this configuration.
    pub fn enter(&self, process: Process, is_alive: IsAlive<'_>) {
        let Some(_lock) = self.open() else { return };
        let own = self.rows().find(|row| self.process_of(*row) == Some(process));
        let row = own.or_else(|| {
            self.bury(is_alive);
            let free = self.rows().find(|row| self.process_of(*row).is_none())?;
            (free..free + self.shape.row()).for_each(|at| self.store(at, 0));
            Some(free)
        });
        self.row.set(match row {
            Some(row) => {
                self.store(row + STARTED, process.started);
                self.store(row + WORKS_BY, self.generation.get());
                self.store(row + PID, process.pid);
                Row::Own(row)
            }
            None => Row::Shared(self.shared_row()),
        });
    }

    /// Whether this process counts.
    pub fn is_entered(&self) -> bool {
        !matches!(self.row.get(), Row::None)
    }

    /// This process counts no more.
    pub fn leave(&self) {
        if let Row::Own(row) = self.row.replace(Row::None)
            && let Some(_lock) = self.open()
        {
            self.release(row);
        }
    }

    /// Counts `n` events of a filter.
    pub fn add(&self, slot: Slot, event: Event, n: u64) {
        let at = |row: usize| self.memory.words().get(self.cell(row, slot.0 as usize) + event as usize);
        match self.row.get() {
            // Nobody else writes it.
            Row::Own(row) => {
                if let Some(word) = at(row) {
                    word.store(word.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
                }
            }
            Row::Shared(row) => {
                if let Some(word) = at(row) {
                    word.fetch_add(n, Ordering::Relaxed);
                }
            }
            Row::None => {}
        }
    }

    /// How many instances of a filter this process has, and the bytes of their memory. What workers without a row of their
    /// own have is not known.
    pub fn set_instances(&self, slot: Slot, count: u64, bytes: u64) {
        if let Row::Own(row) = self.row.get() {
            let cell = self.cell(row, slot.0 as usize);
            self.store(cell + INSTANCES, count);
            self.store(cell + BYTES, bytes);
        }
    }

    /// Keeps the last error of a filter, or its beginning, and when it happened.
    pub fn set_error(&self, slot: Slot, text: &[u8], time: u64) {
        if !self.is_entered() || slot.0 as usize >= self.shape.filters {
            return;
        }
        let Some(_lock) = self.open() else { return };
        let entry = self.entry(slot.0 as usize);
        let text = &text[..text.len().min(ERROR_WORDS * 8)];
        self.store(entry + ERROR_SIZE, 0);
        self.put(entry + ERROR, text);
        self.store(entry + ERROR_TIME, time);
        self.store(entry + ERROR_SIZE, text.len() as u64);
    }

    fn put(&self, at: usize, bytes: &[u8]) {
        for (n, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.store(at + n, u64::from_le_bytes(word));
        }
    }

    fn take(&self, at: usize, size: u64, most_words: usize) -> Vec<u8> {
        let size = (size as usize).min(most_words * 8);
        let mut bytes: Vec<u8> = (0..size.div_ceil(8)).flat_map(|n| self.load(at + n).to_le_bytes()).collect();
        bytes.truncate(size);
        bytes
    }

    /// What is known now.
    pub fn snapshot(&self, is_alive: IsAlive<'_>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let Some(_lock) = self.open() else { return snapshot };
        self.bury(is_alive);
        let rows: Vec<usize> = self.rows().filter(|row| self.process_of(*row).is_some()).collect();
        let shared = self.shared_row();
        let newest = rows.iter().map(|row| self.load(row + WORKS_BY)).max();
        snapshot.workers = rows.iter().filter(|row| Some(self.load(*row + WORKS_BY)) == newest).count();
        snapshot.leaving = rows.len() - snapshot.workers;
        for slot in 0..self.shape.filters {
            let entry = self.entry(slot);
            let mut summary = Summary::default();
            if self.load(entry + KEY) == 0 {
                snapshot.all.push(summary);
                continue;
            }
            for (event, sum) in summary.counters.iter_mut().enumerate() {
                let cells = rows.iter().chain([&shared]).map(|row| self.load(self.cell(*row, slot) + event));
                *sum = cells.fold(self.load(entry + BASE + event), u64::wrapping_add);
            }
            for cell in rows.iter().map(|row| self.cell(*row, slot)) {
                summary.instances = summary.instances.wrapping_add(self.load(cell + INSTANCES));
                summary.memory = summary.memory.wrapping_add(self.load(cell + BYTES));
            }
            let size = self.load(entry + ERROR_SIZE);
            if size != 0 {
                let text = self.take(entry + ERROR, size, ERROR_WORDS);
                summary.last_error = Some((text, self.load(entry + ERROR_TIME)));
            }
            let name = self.take(entry + NAME, self.load(entry + NAME_SIZE), NAME_WORDS);
            if !name.is_empty() && self.load(entry + DECLARED_BY) >= self.generation.get() {
                snapshot.named.push((name, summary.clone()));
            }
            snapshot.all.push(summary);
        }
        snapshot
    }
}

#[cfg(test)]
mod tests;
