//! Records of any size in a memory, found by a hash: what key_value.rs and queues.rs are made of.
//!
//! The memory is cut into cells of one size; a record is a chain of them. So records of all sizes fit as long as enough
//! cells are free, wherever they are: there is no fragmentation. Cells are named by links: the number of the cell plus one, 0
//! being none.
//!
//! A process may die at any time while it holds the lock. A mark says that it was writing; the next one finds the mark and
//! begins with an empty memory.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::thread;

use super::memory::{Locked, Memory, Usage, hash, seed};

/// Words of a cell. The first has the kind of the record and the link of the next cell.
const CELL: usize = 16;
/// Words of a cell that a record can use.
const USABLE: usize = CELL - 1;
/// More than these cannot be named by 24 bits, which queues want.
const MOST_CELLS: usize = (1 << 24) - 2;

/// Says that the memory has been laid out by this version.
const LAID_OUT: u64 = 0x6e67_785f_7761_0001;

// Words of the header.
const LAYOUT: usize = 0;
const WRITING: usize = 1;
const SEED: usize = 2;
const BUCKETS: usize = 3;
const CELLS: usize = 4;
/// Link of the first cell that was given back.
const FREE: usize = 5;
const FREE_COUNT: usize = 6;
/// How many cells were ever used; those behind them have never been touched.
const USED: usize = 7;
/// What made room for something else, and what found none.
const EVICTIONS: usize = 8;
const REFUSALS: usize = 9;
/// The first of those that the caller uses as it likes.
const OWN: usize = 16;
const HEADER: usize = 32;

/// The field of a record that has its hash.
pub(super) const HASH: usize = 0;
/// The field of a record that has the link of the next one in its bucket.
const BUCKET_NEXT: usize = 1;
/// The first field for the caller.
pub(super) const FIELDS: usize = 2;

/// A locked memory of cells.
pub(super) struct Cells<'a> {
    words: &'a [AtomicU64],
    buckets: usize,
    cells: usize,
    writing: Cell<bool>,
    _lock: Locked<'a>,
}

impl Drop for Cells<'_> {
    fn drop(&mut self) {
        if self.writing.get() && !thread::panicking() {
            fence(Ordering::SeqCst);
            self.store(WRITING, 0);
        }
    }
}

impl<'a> Cells<'a> {
    /// Locks a memory, and lays it out if that has not been done. `None` when it is too small, or not there yet.
    pub fn open(memory: &'a dyn Memory) -> Option<Cells<'a>> {
        let words = memory.words();
        let cells = (words.len().checked_sub(HEADER)? / (CELL + 1)).min(MOST_CELLS);
        if cells == 0 {
            return None;
        }
        // At most a word for each cell.
        let buckets = 1 << cells.ilog2();
        let lock = Locked::new(memory);
        let this = Cells { words, buckets, cells, writing: Cell::new(false), _lock: lock };
        let is_laid_out =
            this.load(LAYOUT) == LAID_OUT && this.load(BUCKETS) == buckets as u64 && this.load(CELLS) == cells as u64;
        if !is_laid_out || this.load(WRITING) != 0 {
            if is_laid_out {
                memory.was_reset();
            }
            this.lay_out();
        }
        Some(this)
    }

    fn lay_out(&self) {
        self.store(LAYOUT, 0);
        fence(Ordering::SeqCst);
        (LAYOUT..HEADER + self.buckets).for_each(|word| self.store(word, 0));
        self.store(SEED, seed());
        self.store(BUCKETS, self.buckets as u64);
        self.store(CELLS, self.cells as u64);
        fence(Ordering::SeqCst);
        self.store(LAYOUT, LAID_OUT);
    }

    /// Says that the memory is about to change.
    pub fn write(&self) {
        if !self.writing.replace(true) {
            self.store(WRITING, 1);
            fence(Ordering::SeqCst);
        }
    }

    fn load(&self, word: usize) -> u64 {
        self.words.get(word).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn store(&self, word: usize, value: u64) {
        if let Some(word) = self.words.get(word) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// One of 16 words that belong to the caller.
    pub fn own(&self, n: usize) -> u64 {
        self.load(OWN + n)
    }

    /// See [`Cells::own`].
    pub fn set_own(&self, n: usize, value: u64) {
        self.store(OWN + n, value);
    }

    /// How many cells a record of so many fields, and parts of these sizes, takes.
    pub fn needed(fields: usize, parts: &[usize]) -> usize {
        let words = parts.iter().fold(fields, |words, len| words.saturating_add(len.div_ceil(8)));
        words.div_ceil(USABLE).max(1)
    }

    /// Whether an empty memory of this size could hold so many bytes. What cannot be there needs not be looked for, which
    /// would take as long as its name is.
    pub fn could_hold(&self, parts: &[&[u8]]) -> bool {
        parts.iter().map(|part| part.len()).sum::<usize>() <= self.cells * USABLE * 8
    }

    /// Notes that something made room for something else. The lock is held, and the memory is being written.
    pub fn count_eviction(&self) {
        self.store(EVICTIONS, self.load(EVICTIONS).wrapping_add(1));
    }

    /// Notes that there was no room for something.
    pub fn count_refusal(&self) {
        self.store(REFUSALS, self.load(REFUSALS).wrapping_add(1));
    }

    /// How full the memory is. `evicts`: what is there makes room for what comes.
    pub fn usage(&self, evicts: bool) -> Usage {
        let bytes = |words: usize| (words * size_of::<u64>()) as u64;
        let free = self.free_count().min(self.cells) * CELL;
        Usage {
            size: bytes(self.words.len()),
            used: bytes(self.words.len() - free),
            evictions: evicts.then(|| self.load(EVICTIONS)),
            refusals: self.load(REFUSALS),
        }
    }

    /// How many cells there are.
    pub fn count(&self) -> usize {
        self.cells
    }

    /// How many cells are free.
    pub fn free_count(&self) -> usize {
        let unused = self.cells.saturating_sub(self.load(USED) as usize);
        unused + (self.load(FREE_COUNT) as usize).min(self.cells)
    }

    fn place(&self, link: u32) -> Option<usize> {
        let cell = (link as usize).checked_sub(1)?;
        (cell < self.cells).then_some(HEADER + self.buckets + cell * CELL)
    }

    fn head(&self, link: u32) -> u64 {
        self.place(link).map_or(0, |at| self.load(at))
    }

    /// The kind of the record that begins at `link`; 0 for none.
    pub fn kind(&self, link: u32) -> u32 {
        (self.head(link) >> 32) as u32
    }

    /// A field of a record; there are [`USABLE`] at most.
    pub fn field(&self, link: u32, field: usize) -> u64 {
        self.place(link).map_or(0, |at| self.load(at + 1 + field))
    }

    /// See [`Cells::field`].
    pub fn set_field(&self, link: u32, field: usize, value: u64) {
        if let Some(at) = self.place(link) {
            self.store(at + 1 + field, value);
        }
    }

    /// A new record of so many cells. `None` when there are too few.
    pub fn allocate(&self, cells: usize, kind: u32) -> Option<u32> {
        if cells > self.free_count() {
            return None;
        }
        self.write();
        let mut record = 0;
        for _ in 0..cells {
            let link = self.take_cell()?;
            let at = self.place(link)?;
            self.store(at, u64::from(record));
            record = link;
        }
        let at = self.place(record)?;
        self.store(at, u64::from(kind) << 32 | self.load(at));
        (0..USABLE).for_each(|field| self.store(at + 1 + field, 0));
        Some(record)
    }

    fn take_cell(&self) -> Option<u32> {
        let free = self.load(FREE) as u32;
        if let Some(at) = self.place(free) {
            self.store(FREE, self.load(at) & u64::from(u32::MAX));
            self.store(FREE_COUNT, self.load(FREE_COUNT).saturating_sub(1));
            return Some(free);
        }
        let used = self.load(USED).saturating_add(1);
        self.place(u32::try_from(used).ok()?)?;
        self.store(USED, used);
        Some(used as u32)
    }

    /// Gives the cells of a record back.
    pub fn release(&self, record: u32) {
        self.write();
        let mut link = record;
        // A chain is no longer than the memory.
        for _ in 0..self.cells {
            let Some(at) = self.place(link) else { return };
            let next = self.load(at) as u32;
            self.store(at, self.load(FREE));
            self.store(FREE, u64::from(link));
            self.store(FREE_COUNT, self.load(FREE_COUNT).saturating_add(1));
            link = next;
        }
    }

    /// The bytes of a record, which begin behind so many fields.
    pub fn bytes(&self, record: u32, fields: usize) -> Bytes<'_, 'a> {
        Bytes { cells: self, link: record, field: fields }
    }

    /// The hash of a key.
    pub fn hash(&self, parts: &[&[u8]]) -> u64 {
        hash(self.load(SEED), parts)
    }

    fn bucket(&self, hash: u64) -> usize {
        HEADER + (hash as usize & (self.buckets - 1))
    }

    /// The record with this hash that `is_wanted`.
    pub fn find(&self, hash: u64, is_wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let mut link = self.load(self.bucket(hash)) as u32;
        for _ in 0..self.cells {
            if link == 0 {
                break;
            }
            if self.field(link, HASH) == hash && is_wanted(link) {
                return Some(link);
            }
            link = self.field(link, BUCKET_NEXT) as u32;
        }
        None
    }

    /// Makes a record one that can be found.
    pub fn insert(&self, record: u32, hash: u64) {
        self.write();
        let bucket = self.bucket(hash);
        self.set_field(record, HASH, hash);
        self.set_field(record, BUCKET_NEXT, self.load(bucket));
        self.store(bucket, u64::from(record));
    }

    /// Makes a record one that cannot be found any more.
    pub fn remove(&self, record: u32) {
        self.write();
        let next = self.field(record, BUCKET_NEXT);
        let bucket = self.bucket(self.field(record, HASH));
        let mut link = self.load(bucket) as u32;
        if link == record {
            self.store(bucket, next);
            return;
        }
        for _ in 0..self.cells {
            let after = self.field(link, BUCKET_NEXT) as u32;
            if after == record {
                self.set_field(link, BUCKET_NEXT, next);
            }
            if after == record || after == 0 {
                return;
            }
            link = after;
        }
    }
}

/// A place in the bytes of a record. Each part begins with a word of its own.
pub(super) struct Bytes<'c, 'a> {
    cells: &'c Cells<'a>,
    link: u32,
    field: usize,
}

impl Bytes<'_, '_> {
    /// The next word. `None` behind the end of the record.
    fn next(&mut self) -> Option<usize> {
        if self.field == USABLE {
            self.link = self.cells.head(self.link) as u32;
            self.field = 0;
        }
        let at = self.cells.place(self.link)? + 1 + self.field;
        self.field += 1;
        Some(at)
    }

    /// Writes a part.
    pub fn put(&mut self, part: &[u8]) {
        for chunk in part.chunks(8) {
            let Some(at) = self.next() else { return };
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.cells.store(at, u64::from_le_bytes(word));
        }
    }

    /// Appends a part of `len` bytes to `out`.
    pub fn take(&mut self, len: usize, out: &mut Vec<u8>) {
        let len = len.min(self.cells.cells * CELL * 8);
        out.reserve(len);
        let mut left = len;
        while left > 0 {
            let Some(at) = self.next() else { return };
            let word = self.cells.load(at).to_le_bytes();
            let part = left.min(8);
            out.extend_from_slice(&word[..part]);
            left -= part;
        }
    }

    /// Whether the next part is `part`. It is read to its end only if so.
    pub fn is(&mut self, part: &[u8]) -> bool {
        part.chunks(8)
            .all(|chunk| self.next().is_some_and(|at| self.cells.load(at).to_le_bytes()[..chunk.len()] == *chunk))
    }

    /// Passes over a part of `len` bytes.
    pub fn skip(&mut self, len: usize) {
        for _ in 0..len.div_ceil(8) {
            if self.next().is_none() {
                return;
            }
        }
    }
}

/// Two numbers in one word.
pub(super) fn pack(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The two numbers of [`pack`].
pub(super) fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}
