//! Shared data: values by key, for each vm_id its own, with a number that changes with each write (cas).
//! Source: specification 0.2.1, "Shared Key-Value Store".

use super::cells::{Cells, FIELDS, pack, unpack};
use super::memory::Memory;

const ENTRY: u32 = 1;

// Fields of an entry, and what is in their two halves.
/// The entry that was used next after this one, and the one before it.
const USE: usize = FIELDS;
/// Sizes of vm_id and key.
const NAME: usize = FIELDS + 1;
/// Size of the value, cas.
const VALUE: usize = FIELDS + 2;
const ENTRY_FIELDS: usize = FIELDS + 3;

// Words of the memory.
const LAST_CAS: usize = 0;
const NEWEST: usize = 1;
const OLDEST: usize = 2;

/// What a full store does with a new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Drops the values that were not read or written for longest.
    LeastRecentlyUsed,
    /// Refuses it.
    None,
}

/// Why a value was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The value was written meanwhile.
    CasMismatch,
    /// There is no room.
    Full,
}

/// One store of keys and values.
pub struct KeyValue {
    memory: Box<dyn Memory>,
    eviction: Eviction,
}

impl KeyValue {
    /// A store in `memory`, with what is there.
    pub fn new(memory: Box<dyn Memory>, eviction: Eviction) -> Self {
        KeyValue { memory, eviction }
    }

    /// Appends the value to `out`. Answers its cas, which is not 0.
    pub fn get(&self, vm_id: &[u8], key: &[u8], out: &mut Vec<u8>) -> Option<u32> {
        let cells = Cells::open(self.memory.as_ref()).filter(|cells| cells.could_hold(&[vm_id, key]))?;
        let entry = find(&cells, cells.hash(&[vm_id, key]), vm_id, key)?;
        let (len, cas) = unpack(cells.field(entry, VALUE));
        let mut bytes = cells.bytes(entry, ENTRY_FIELDS);
        bytes.skip(vm_id.len());
        bytes.skip(key.len());
        bytes.take(len as usize, out);
        if cells.own(NEWEST) as u32 != entry {
            cells.write();
            forget_use(&cells, entry);
            note_use(&cells, entry);
        }
        Some(cas)
    }

    /// Stores a value, if `cas` is 0, or that of the value that is there, or none is there.
    pub fn set(&self, vm_id: &[u8], key: &[u8], value: &[u8], cas: u32) -> Result<(), SetError> {
        let cells = Cells::open(self.memory.as_ref()).ok_or(SetError::Full)?;
        if !cells.could_hold(&[vm_id, key, value]) {
            return Err(SetError::Full);
        }
        let hash = cells.hash(&[vm_id, key]);
        let mut old = find(&cells, hash, vm_id, key);
        if cas != 0 && old.is_some_and(|entry| unpack(cells.field(entry, VALUE)).1 != cas) {
            return Err(SetError::CasMismatch);
        }
        let size = |len: usize| Cells::needed(ENTRY_FIELDS, &[vm_id.len(), key.len(), len]);
        let needed = size(value.len());
        let old_size = |entry| size(unpack(cells.field(entry, VALUE)).0 as usize);
        let room = cells.free_count() + old.map_or(0, old_size);
        let fits = match self.eviction {
            Eviction::None => needed <= room,
            Eviction::LeastRecentlyUsed => needed <= cells.count(),
        };
        let sizes = (u32::try_from(vm_id.len()), u32::try_from(key.len()), u32::try_from(value.len()));
        let (true, (Ok(vm_len), Ok(key_len), Ok(value_len))) = (fits, sizes) else { return Err(SetError::Full) };

        cells.write();
        if let Some(entry) = old.filter(|entry| old_size(*entry) != needed) {
            drop_entry(&cells, entry);
            old = None;
        }
        let entry = match old {
            Some(entry) => {
                forget_use(&cells, entry);
                entry
            }
            None => {
                while cells.free_count() < needed && cells.own(OLDEST) != 0 {
                    drop_entry(&cells, cells.own(OLDEST) as u32);
                }
                let entry = cells.allocate(needed, ENTRY).ok_or(SetError::Full)?;
                cells.set_field(entry, NAME, pack(vm_len, key_len));
                cells.insert(entry, hash);
                entry
            }
        };
        let cas = match (cells.own(LAST_CAS) as u32).wrapping_add(1) {
            0 => 1,
            next => next,
        };
        cells.set_own(LAST_CAS, u64::from(cas));
        cells.set_field(entry, VALUE, pack(value_len, cas));
        let mut bytes = cells.bytes(entry, ENTRY_FIELDS);
        [vm_id, key, value].into_iter().for_each(|part| bytes.put(part));
        note_use(&cells, entry);
        Ok(())
    }
}

fn find(cells: &Cells<'_>, hash: u64, vm_id: &[u8], key: &[u8]) -> Option<u32> {
    let (Ok(vm_len), Ok(key_len)) = (u32::try_from(vm_id.len()), u32::try_from(key.len())) else { return None };
    cells.find(hash, |entry| {
        let mut bytes = cells.bytes(entry, ENTRY_FIELDS);
        cells.field(entry, NAME) == pack(vm_len, key_len) && bytes.is(vm_id) && bytes.is(key)
    })
}

fn drop_entry(cells: &Cells<'_>, entry: u32) {
    forget_use(cells, entry);
    cells.remove(entry);
    cells.release(entry);
}

/// Puts an entry before all others in the order of use.
fn note_use(cells: &Cells<'_>, entry: u32) {
    let newest = cells.own(NEWEST) as u32;
    cells.set_field(entry, USE, pack(0, newest));
    if newest == 0 {
        cells.set_own(OLDEST, u64::from(entry));
    } else {
        let (_, older) = unpack(cells.field(newest, USE));
        cells.set_field(newest, USE, pack(entry, older));
    }
    cells.set_own(NEWEST, u64::from(entry));
}

/// Takes an entry out of the order of use.
fn forget_use(cells: &Cells<'_>, entry: u32) {
    let (newer, older) = unpack(cells.field(entry, USE));
    if newer == 0 {
        cells.set_own(NEWEST, u64::from(older));
    } else {
        let (before, _) = unpack(cells.field(newer, USE));
        cells.set_field(newer, USE, pack(before, older));
    }
    if older == 0 {
        cells.set_own(OLDEST, u64::from(newer));
    } else {
        let (_, after) = unpack(cells.field(older, USE));
        cells.set_field(older, USE, pack(newer, after));
    }
}

/// All stores of a configuration: one for the keys of everybody, and some for the keys that begin with their name and a
/// slash.
pub struct SharedData {
    default: KeyValue,
    named: Vec<(Vec<u8>, KeyValue)>,
}

impl SharedData {
    /// Only the store for everybody.
    pub fn new(default: KeyValue) -> Self {
        SharedData { default, named: Vec::new() }
    }

    /// Adds a store for keys that begin with `name/`.
    pub fn add(&mut self, name: &[u8], store: KeyValue) {
        self.named.push((name.to_vec(), store));
    }

    /// The store that has this key.
    pub fn store(&self, key: &[u8]) -> &KeyValue {
        let name = key.split(|byte| *byte == b'/').next().filter(|name| name.len() < key.len());
        self.named.iter().find(|(known, _)| name == Some(known)).map_or(&self.default, |(_, store)| store)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::shared::memory::Heap;

    fn store(size: usize) -> KeyValue {
        KeyValue::new(Heap::boxed(size), Eviction::LeastRecentlyUsed)
    }

    fn value(store: &KeyValue, key: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        store.get(b"vm", key.as_bytes(), &mut out).map(|_| out)
    }

    fn cas(store: &KeyValue, key: &str) -> u32 {
        store.get(b"vm", key.as_bytes(), &mut Vec::new()).unwrap()
    }

    #[test]
    fn values_of_all_sizes_come_back_as_they_were() {
        let store = store(1 << 20);
        for len in (0..400).chain([5000, 70_001, 500_000]) {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 7 % 251) as u8).collect();
            let key = format!("key of {len}");
            store.set(b"vm", key.as_bytes(), &bytes, 0).unwrap();
            assert_eq!(value(&store, &key), Some(bytes), "{len}");
        }
        assert_eq!(value(&store, "key of 399").unwrap().len(), 399);
        assert_eq!(value(&store, "key of 401"), None);
    }

    #[test]
    fn each_vm_id_has_its_own_keys() {
        let store = store(1 << 16);
        store.set(b"a", b"bc", b"1", 0).unwrap();
        store.set(b"ab", b"c", b"2", 0).unwrap();
        let mut out = Vec::new();
        store.get(b"a", b"bc", &mut out).unwrap();
        assert_eq!(out, b"1");
        assert_eq!(store.get(b"abc", b"", &mut out), None);
        assert_eq!(store.get(b"", b"abc", &mut out), None);
    }

    #[test]
    fn cas_0_writes_always_and_another_one_only_over_what_it_was_read_with() {
        let store = store(1 << 16);
        store.set(b"vm", b"k", b"one", 0).unwrap();
        let first = cas(&store, "k");
        assert_ne!(first, 0);
        store.set(b"vm", b"k", b"two", first).unwrap();
        let second = cas(&store, "k");
        assert_ne!(second, first);
        assert_eq!(store.set(b"vm", b"k", b"three", first), Err(SetError::CasMismatch));
        assert_eq!(value(&store, "k").unwrap(), b"two");
        store.set(b"vm", b"k", b"four", 0).unwrap();
        assert_eq!(store.set(b"vm", b"k", b"five", second), Err(SetError::CasMismatch));
        assert_eq!(value(&store, "k").unwrap(), b"four");
    }

    #[test]
    fn a_cas_for_a_key_that_is_not_there_is_no_mismatch() {
        let store = store(1 << 16);
        store.set(b"vm", b"k", b"one", 77).unwrap();
        assert_eq!(value(&store, "k").unwrap(), b"one");
    }

    #[test]
    fn the_number_of_a_write_is_never_0() {
        let store = store(1 << 16);
        store.set(b"vm", b"k", b"", 0).unwrap();
        Cells::open(store.memory.as_ref()).unwrap().set_own(LAST_CAS, u64::from(u32::MAX));
        store.set(b"vm", b"k", b"", 0).unwrap();
        assert_eq!(cas(&store, "k"), 1);
    }

    #[test]
    fn a_full_store_drops_what_was_not_used_for_longest() {
        let store = store(1 << 14);
        let capacity = Cells::open(store.memory.as_ref()).unwrap().count();
        for n in 0..capacity {
            store.set(b"vm", format!("{n}").as_bytes(), b"x", 0).unwrap();
        }
        assert!(value(&store, "0").is_some());
        store.set(b"vm", b"more", b"x", 0).unwrap();
        assert!(value(&store, "0").is_some(), "it was read meanwhile");
        assert!(value(&store, "1").is_none());
        assert!(value(&store, "2").is_some());
        // Room for a value that takes all cells but a few.
        store.set(b"vm", b"large", &vec![7; (capacity - 3) * 120], 0).unwrap();
        assert_eq!(value(&store, "large").unwrap(), vec![7; (capacity - 3) * 120]);
        assert!(value(&store, "3").is_none());
    }

    #[test]
    fn a_value_that_never_fits_changes_nothing() {
        let store = store(1 << 14);
        store.set(b"vm", b"k", b"one", 0).unwrap();
        store.set(b"vm", b"other", b"two", 0).unwrap();
        assert_eq!(store.set(b"vm", b"k", &vec![0; 1 << 14], 0), Err(SetError::Full));
        assert_eq!(store.set(b"vm", &vec![0; 1 << 14], b"", 0), Err(SetError::Full));
        assert_eq!(store.get(b"vm", &vec![0; 1 << 14], &mut Vec::new()), None);
        assert_eq!(value(&store, "k").unwrap(), b"one");
        assert_eq!(value(&store, "other").unwrap(), b"two");
    }

    #[test]
    fn without_eviction_a_full_store_keeps_what_it_has() {
        let store = KeyValue::new(Heap::boxed(1 << 14), Eviction::None);
        let capacity = Cells::open(store.memory.as_ref()).unwrap().count();
        for n in 0..capacity {
            store.set(b"vm", format!("{n}").as_bytes(), b"x", 0).unwrap();
        }
        assert_eq!(store.set(b"vm", b"more", b"x", 0), Err(SetError::Full));
        assert_eq!(store.set(b"vm", b"0", &[1; 200], 0), Err(SetError::Full));
        assert_eq!(value(&store, "0").unwrap(), b"x");
        store.set(b"vm", b"0", b"y", 0).unwrap();
        assert_eq!(value(&store, "0").unwrap(), b"y");
    }

    #[test]
    fn cells_come_back_whatever_is_written_over_what() {
        let store = store(1 << 15);
        let free = || Cells::open(store.memory.as_ref()).unwrap().free_count();
        let before = free();
        for n in 0..5000usize {
            let key = format!("{}", n % 13);
            store.set(b"vm", key.as_bytes(), &vec![n as u8; n * 31 % 900], 0).unwrap();
            assert_eq!(value(&store, &key).unwrap().len(), n * 31 % 900);
        }
        for n in 0..13 {
            store.set(b"vm", format!("{n}").as_bytes(), b"", 0).unwrap();
        }
        assert_eq!(free(), before - 13);
    }

    #[test]
    fn a_memory_whose_writer_died_begins_empty() {
        let store = store(1 << 15);
        store.set(b"vm", b"k", b"one", 0).unwrap();
        std::mem::forget({
            let cells = Cells::open(store.memory.as_ref()).unwrap();
            cells.write();
            cells
        });
        // What nginx' master does for a worker that has died.
        store.memory.unlock();
        assert_eq!(value(&store, "k"), None);
        store.set(b"vm", b"k", b"two", 0).unwrap();
        assert_eq!(value(&store, "k").unwrap(), b"two");
    }

    #[test]
    fn wrong_numbers_in_the_memory_harm_nobody() {
        let store = store(1 << 14);
        for n in 0..40 {
            store.set(b"vm", format!("{n}").as_bytes(), &[n; 300], 0).unwrap();
        }
        // Everything but the mark that the memory is laid out, in turn.
        for n in 2..store.memory.words().len() {
            let word = &store.memory.words()[n];
            let before = word.swap(u64::MAX, std::sync::atomic::Ordering::Relaxed);
            for key in 0..40 {
                let _ = value(&store, &format!("{key}"));
            }
            let _ = store.set(b"vm", b"x", &[1; 2000], 0);
            word.store(before, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn no_memory_holds_nothing() {
        let store = store(0);
        assert_eq!(store.set(b"vm", b"k", b"", 0), Err(SetError::Full));
        assert_eq!(value(&store, "k"), None);
    }

    #[test]
    fn writers_at_the_same_time_lose_no_write_with_cas() {
        let heap = Arc::new(Heap::new(1 << 15));
        let count = |heap: &Arc<Heap>| {
            let store = KeyValue::new(Box::new(heap.clone()), Eviction::None);
            for _ in 0..2000 {
                loop {
                    let mut out = Vec::new();
                    let cas = store.get(b"", b"n", &mut out).unwrap();
                    let number = u64::from_le_bytes(out.try_into().unwrap()) + 1;
                    if store.set(b"", b"n", &number.to_le_bytes(), cas).is_ok() {
                        break;
                    }
                }
            }
        };
        let store = KeyValue::new(Box::new(heap.clone()), Eviction::None);
        store.set(b"", b"n", &0u64.to_le_bytes(), 0).unwrap();
        std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(|| count(&heap)))));
        let mut out = Vec::new();
        store.get(b"", b"n", &mut out).unwrap();
        assert_eq!(out, 6000u64.to_le_bytes());
    }

    #[test]
    fn keys_that_begin_with_the_name_of_a_store_are_in_it() {
        let mut data = SharedData::new(store(1 << 14));
        data.add(b"cache", store(1 << 14));
        for (key, named) in
            [("cache/a", true), ("cache/", true), ("cache", false), ("cach/a", false), ("/cache/a", false), ("", false)]
        {
            assert_eq!(std::ptr::eq(data.store(key.as_bytes()), &data.named[0].1), named, "{key}");
        }
    }
}
