//! Shared data: values by key, for each vm_id its own, with a number that changes with each write (cas).
//! Source: specification 0.2.1, "Shared Key-Value Store".

use super::cells::{Cells, FIELDS, pack, unpack};
use super::memory::{Memory, Usage};

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
            cells.count_refusal();
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
        let (true, (Ok(vm_len), Ok(key_len), Ok(value_len))) = (fits, sizes) else {
            cells.count_refusal();
            return Err(SetError::Full);
        };

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
                    cells.count_eviction();
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

    /// How full it is; `None` while it has no memory.
    pub fn usage(&self) -> Option<Usage> {
        Some(Cells::open(self.memory.as_ref())?.usage(self.eviction == Eviction::LeastRecentlyUsed))
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

    /// All stores, with the names that keys begin with; that for everybody has none.
    pub fn stores(&self) -> impl Iterator<Item = (Option<&[u8]>, &KeyValue)> {
        let named = self.named.iter().map(|(name, store)| (Some(name.as_slice()), store));
        std::iter::once((None, &self.default)).chain(named)
    }

    /// The store that has this key.
    pub fn store(&self, key: &[u8]) -> &KeyValue {
        let name = key.split(|byte| *byte == b'/').next().filter(|name| name.len() < key.len());
        self.named.iter().find(|(known, _)| name == Some(known)).map_or(&self.default, |(_, store)| store)
    }
}

#[cfg(test)]
mod tests;
