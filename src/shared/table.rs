//! A table of what processes count: an entry for each thing that is counted, a row for each worker. `filter_status.rs` has one of
//! filters, `host_status.rs` one of services.
//!
//! Only its worker writes to a row, so counting is a plain store without contention. When a worker ends, or is found dead, what
//! its row counted goes to the entries, and the row is free for the next one; what its gauges said is forgotten. Entries are found by
//! a key; those that no running worker has are given to others when there are no free ones. Everything but counting takes
//! the lock.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use super::memory::{Locked, Memory, hash, seed};

/// Says that the memory has been laid out by this version.
const LAID_OUT: u64 = 0x6e67_785f_7761_0203;

// Words of the header.
const LAYOUT: usize = 0;
/// All numbers of the shape, hashed.
const SHAPE: usize = 1;
const SEED: usize = 2;
/// How many configurations have used the memory.
const GENERATION: usize = 3;
/// The first of those that the caller uses as it likes.
const OWN: usize = 8;
/// How many words those are.
pub(super) const OWN_WORDS: usize = 8;
const HEADER: usize = OWN + OWN_WORDS;

// Words of an entry.
/// The hash of what it is known by; 0 for an entry that nobody has.
const KEY: usize = 0;
/// The configuration that declared it last.
const DECLARED_BY: usize = 1;
const NAME_SIZE: usize = 2;
/// The time that its text is of; 0 for none.
const TEXT_TIME: usize = 3;
const TEXT_SIZE: usize = 4;
/// What workers that have ended counted; then its name and its text.
const BASE: usize = 8;

// Words of a row, before those of each entry.
const PID: usize = 0;
const STARTED: usize = 1;
/// The configuration that its worker has.
const WORKS_BY: usize = 2;
/// The first of those in which the caller says what the process has.
const PROCESS: usize = 3;
/// How many words those are.
pub(super) const PROCESS_WORDS: usize = 5;
const ROW_HEADER: usize = PROCESS + PROCESS_WORDS;

/// What is kept of each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// Numbers that grow.
    pub counters: usize,
    /// Numbers of each worker that are as it says last.
    pub gauges: usize,
    /// Bytes of its name, and of a text with a time; what is longer is cut.
    pub name: usize,
    pub text: usize,
}

/// How many entries and workers a memory has room for, and what is kept of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dimensions {
    pub entries: usize,
    pub rows: usize,
    pub columns: Columns,
}

impl Dimensions {
    /// Room for the workers of some configurations. The number is rounded up to a power of two, so that a small edit of the
    /// configuration keeps the memory.
    pub fn rows_for(workers: usize) -> usize {
        const CONFIGURATIONS: usize = 4;
        workers.saturating_mul(CONFIGURATIONS).max(16).next_power_of_two()
    }

    /// Where in an entry its text begins.
    fn text(self) -> usize {
        BASE + self.columns.counters + self.columns.name.div_ceil(8)
    }

    fn entry(self) -> usize {
        (self.text() + self.columns.text.div_ceil(8)).next_multiple_of(8)
    }

    /// Words of an entry in a row: whole cache lines.
    fn width(self) -> usize {
        (self.columns.counters + self.columns.gauges).next_multiple_of(8)
    }

    fn row(self) -> usize {
        ROW_HEADER + self.entries * self.width()
    }

    fn words(self) -> usize {
        // One row more for workers that have none of their own.
        HEADER + self.entries * self.entry() + (self.rows + 1) * self.row()
    }

    /// How many bytes the memory has.
    pub fn size(self) -> usize {
        self.words() * size_of::<u64>()
    }

    fn hash(self) -> u64 {
        let Columns { counters, gauges, name, text } = self.columns;
        let numbers = [self.entries, self.rows, counters, gauges, name, text].map(|number| number as u64);
        hash(LAID_OUT, &[numbers.map(u64::to_le_bytes).as_flattened()])
    }
}

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(super) u32);

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
pub(super) struct Table {
    memory: Box<dyn Memory>,
    size: Dimensions,
    /// Words of an entry in a row.
    width: usize,
    /// The configuration on whose behalf entries are declared.
    generation: Cell<u64>,
    row: Cell<Row>,
}

/// Whether a process lives.
pub type IsAlive<'a> = &'a dyn Fn(Process) -> bool;

/// What the table says at one time.
#[derive(Default)]
pub(super) struct Contents {
    /// Workers of the newest configuration that has any.
    pub workers: usize,
    /// Workers of those before it, which still serve their last requests.
    pub leaving: usize,
    /// What each worker says of itself.
    pub processes: Vec<[u64; PROCESS_WORDS]>,
    /// By slot; `None` is one that nobody has.
    pub entries: Vec<Option<Entry>>,
}

/// An entry, over all workers.
pub(super) struct Entry {
    pub name: Vec<u8>,
    /// The configuration of whoever asks has declared it, or a later one.
    pub is_current: bool,
    /// Sums over all workers that there are and were.
    pub counters: Vec<u64>,
    /// Each gauge, as each worker says it.
    pub gauges: Vec<Vec<u64>>,
    /// Its text, if there is one, and the time of that.
    pub text: Option<(Vec<u8>, u64)>,
}

impl Table {
    /// A table in `memory`, with what is there. It must have the size of these dimensions.
    pub fn new(memory: Box<dyn Memory>, size: Dimensions) -> Self {
        let (generation, row) = (Cell::new(0), Cell::new(Row::None));
        Table { memory, size, width: size.width(), generation, row }
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
        HEADER + slot * self.size.entry()
    }

    /// A row; the last one is for all.
    fn row_at(&self, row: usize) -> usize {
        HEADER + self.size.entries * self.size.entry() + row * self.size.row()
    }

    fn cell(&self, row: usize, slot: usize) -> usize {
        row + ROW_HEADER + slot * self.width
    }

    fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.size.rows).map(|row| self.row_at(row))
    }

    fn shared_row(&self) -> usize {
        self.row_at(self.size.rows)
    }

    fn slots(&self) -> std::ops::Range<usize> {
        0..self.size.entries
    }

    /// Locks the memory, and lays it out if that has not been done. `None` when it is not there, or too small.
    fn open(&self) -> Option<Locked<'_>> {
        if self.memory.words().len() < self.size.words() {
            return None;
        }
        let lock = Locked::new(self.memory.as_ref());
        let shape = self.size.hash();
        if self.load(LAYOUT) != LAID_OUT || self.load(SHAPE) != shape {
            (0..HEADER).for_each(|at| self.store(at, 0));
            self.slots().for_each(|slot| self.store(self.entry(slot) + KEY, 0));
            self.rows().chain([self.shared_row()]).for_each(|row| self.store(row + PID, 0));
            self.store(SEED, seed());
            self.store(SHAPE, shape);
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
        for slot in self.slots() {
            self.add_to_entry(row, slot, self.load(self.entry(slot) + KEY) != 0);
        }
        self.store(row + PID, 0);
    }

    /// Takes what a row has of an entry out of it, and adds the counters to the entry if they are `kept`.
    fn add_to_entry(&self, row: usize, slot: usize, kept: bool) {
        let (cell, entry) = (self.cell(row, slot), self.entry(slot));
        for counter in 0..self.size.columns.counters {
            let count = self.load(cell + counter);
            if count != 0 {
                self.store(cell + counter, 0);
                if kept {
                    self.store(entry + BASE + counter, self.load(entry + BASE + counter).wrapping_add(count));
                }
            }
        }
        self.clear_gauges(row, slot);
    }

    /// Forgets what is so with an entry in the process of a row.
    fn clear_gauges(&self, row: usize, slot: usize) {
        let first = self.cell(row, slot) + self.size.columns.counters;
        (first..first + self.size.columns.gauges).for_each(|at| self.store(at, 0));
    }

    /// Begins a new configuration. Entries that are declared again keep their counters.
    pub fn begin(&self) {
        if let Some(_lock) = self.open() {
            self.generation.set(self.load(GENERATION).saturating_add(1));
            self.store(GENERATION, self.generation.get());
        }
    }

    /// Declares what this configuration has, and is known by `key`. `None` when there is no room.
    pub fn declare(&self, key: &[&[u8]], name: &[u8], is_alive: IsAlive<'_>) -> Option<Slot> {
        let _lock = self.open()?;
        let own = self.generation.get();
        let hash = self.hash(key);
        if let Some(slot) = self.find(hash) {
            let declared_by = self.entry(slot) + DECLARED_BY;
            self.store(declared_by, self.load(declared_by).max(own));
            return Some(Slot(slot as u32));
        }
        let slot = match self.slots().find(|slot| self.load(self.entry(*slot) + KEY) == 0) {
            Some(free) => free,
            None => {
                let declared_by = |slot: &usize| self.load(self.entry(*slot) + DECLARED_BY);
                // Where all are of this configuration, which processes live needs not be asked: guests may ask for more all the time.
                let first = self.slots().min_by_key(declared_by).filter(|slot| declared_by(slot) < own)?;
                // Workers count for what their configuration, or a later one, has declared.
                self.bury(is_alive);
                let in_use = self.rows().filter(|row| self.process_of(*row).is_some());
                let oldest = in_use.map(|row| self.load(row + WORKS_BY)).min().unwrap_or(own);
                Some(first).filter(|slot| declared_by(slot) < oldest)?
            }
        };
        let entry = self.entry(slot);
        self.store(entry + KEY, 0);
        (entry..entry + self.size.entry()).for_each(|at| self.store(at, 0));
        self.rows().chain([self.shared_row()]).for_each(|row| self.add_to_entry(row, slot, false));
        let name = &name[..name.len().min(self.size.columns.name)];
        self.put(entry + BASE + self.size.columns.counters, name);
        self.store(entry + NAME_SIZE, name.len() as u64);
        self.store(entry + DECLARED_BY, own);
        self.store(entry + KEY, hash);
        Some(Slot(slot as u32))
    }

    fn hash(&self, key: &[&[u8]]) -> u64 {
        hash(self.load(SEED), key).max(1)
    }

    fn find(&self, hash: u64) -> Option<usize> {
        self.slots().find(|slot| self.load(self.entry(*slot) + KEY) == hash)
    }

    /// What an entry is known by, until its slot is another's.
    pub fn key(&self, slot: Slot) -> u64 {
        self.load(self.entry(slot.0 as usize) + KEY)
    }

    /// This process begins to count, as a worker of this configuration.
    pub fn enter(&self, process: Process, is_alive: IsAlive<'_>) {
        let Some(_lock) = self.open() else { return };
        let own = self.rows().find(|row| self.process_of(*row) == Some(process));
        // It was of another configuration. What was so there ends without being counted here.
        own.into_iter().for_each(|row| self.slots().for_each(|slot| self.clear_gauges(row, slot)));
        let row = own.or_else(|| {
            self.bury(is_alive);
            let free = self.rows().find(|row| self.process_of(*row).is_none())?;
            (free..free + self.size.row()).for_each(|at| self.store(at, 0));
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

    /// Adds to a counter of an entry.
    pub fn add(&self, slot: Slot, counter: usize, n: u64) {
        let at = |row: usize| self.memory.words().get(self.cell(row, slot.0 as usize) + counter);
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

    /// Says what a gauge of an entry is in this process, when one knows what it was. Those of workers without a row of their own
    /// are not known.
    pub fn change(&self, slot: Slot, gauge: usize, value: impl FnOnce(u64) -> u64) {
        if let Row::Own(row) = self.row.get() {
            let at = self.cell(row, slot.0 as usize) + self.size.columns.counters + gauge;
            self.store(at, value(self.load(at)));
        }
    }

    /// Says what a gauge of an entry is in this process.
    pub fn set(&self, slot: Slot, gauge: usize, value: u64) {
        self.change(slot, gauge, |_| value);
    }

    /// Says what this process has.
    pub fn set_of_process(&self, n: usize, value: u64) {
        if let Row::Own(row) = self.row.get() {
            self.store(row + PROCESS + n, value);
        }
    }

    /// One of [`OWN_WORDS`] that belong to the caller.
    pub fn own(&self, n: usize) -> u64 {
        self.load(OWN + n)
    }

    /// Changes words that belong to the caller, behind the lock.
    pub fn with_own(&self, change: impl FnOnce(&dyn Fn(usize) -> u64, &dyn Fn(usize, u64))) {
        if let Some(_lock) = self.open() {
            change(&|n| self.own(n), &|n, value| self.store(OWN + n, value));
        }
    }

    /// Keeps a text about an entry, or its beginning, and a time.
    pub fn set_text(&self, slot: Slot, text: &[u8], time: u64) {
        if !self.is_entered() || slot.0 as usize >= self.size.entries {
            return;
        }
        let Some(_lock) = self.open() else { return };
        let entry = self.entry(slot.0 as usize);
        let text = &text[..text.len().min(self.size.columns.text)];
        self.store(entry + TEXT_SIZE, 0);
        self.put(entry + self.size.text(), text);
        self.store(entry + TEXT_TIME, time);
        self.store(entry + TEXT_SIZE, text.len() as u64);
    }

    fn put(&self, at: usize, bytes: &[u8]) {
        for (n, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.store(at + n, u64::from_le_bytes(word));
        }
    }

    fn take(&self, at: usize, size: u64, most: usize) -> Vec<u8> {
        let size = (size as usize).min(most);
        let mut bytes: Vec<u8> = (0..size.div_ceil(8)).flat_map(|n| self.load(at + n).to_le_bytes()).collect();
        bytes.truncate(size);
        bytes
    }

    /// What is known now.
    pub fn read(&self, is_alive: IsAlive<'_>) -> Contents {
        let mut contents = Contents::default();
        let Some(_lock) = self.open() else { return contents };
        self.bury(is_alive);
        let rows: Vec<usize> = self.rows().filter(|row| self.process_of(*row).is_some()).collect();
        let newest = rows.iter().map(|row| self.load(row + WORKS_BY)).max();
        contents.workers = rows.iter().filter(|row| Some(self.load(*row + WORKS_BY)) == newest).count();
        contents.leaving = rows.len() - contents.workers;
        let process = |row: &usize| std::array::from_fn(|n| self.load(row + PROCESS + n));
        contents.processes = rows.iter().map(process).collect();
        contents.entries = self.slots().map(|slot| self.read_entry(slot, &rows)).collect();
        contents
    }

    fn read_entry(&self, slot: usize, rows: &[usize]) -> Option<Entry> {
        let (entry, shared, columns) = (self.entry(slot), self.shared_row(), self.size.columns);
        if self.load(entry + KEY) == 0 {
            return None;
        }
        let sum = |counter: usize| {
            let cells = rows.iter().chain([&shared]).map(|row| self.load(self.cell(*row, slot) + counter));
            cells.fold(self.load(entry + BASE + counter), u64::wrapping_add)
        };
        let gauge = |gauge: usize| {
            let cells = rows.iter().map(|row| self.load(self.cell(*row, slot) + columns.counters + gauge));
            cells.collect()
        };
        let size = self.load(entry + TEXT_SIZE);
        let text = (size != 0)
            .then(|| (self.take(entry + self.size.text(), size, columns.text), self.load(entry + TEXT_TIME)));
        Some(Entry {
            name: self.take(entry + BASE + columns.counters, self.load(entry + NAME_SIZE), columns.name),
            is_current: self.load(entry + DECLARED_BY) >= self.generation.get(),
            counters: (0..columns.counters).map(sum).collect(),
            gauges: (0..columns.gauges).map(gauge).collect(),
            text,
        })
    }

    /// The words of the header, of the first entry, and of the first row: what tests spoil.
    #[cfg(test)]
    pub fn interesting(&self) -> impl Iterator<Item = usize> + use<> {
        let row = self.row_at(0);
        (0..HEADER + self.size.entry()).chain(row..row + 40)
    }

    /// Takes the configuration of another, as a process that is forked.
    #[cfg(test)]
    pub fn inherit(&self, other: &Table) {
        self.generation.set(other.generation.get());
    }
}
