//! Tests of `key_value.rs`.

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

#[test]
fn a_store_says_how_full_it_is_what_made_room_and_what_found_none() {
    let evicting = store(1 << 12);
    let empty = evicting.usage().unwrap();
    assert_eq!((empty.size, empty.evictions, empty.refusals), (1 << 12, Some(0), 0));
    (0..40).for_each(|n: u32| evicting.set(b"vm", &n.to_le_bytes(), b"value", 0).unwrap());
    assert_eq!(evicting.set(b"vm", b"key", &[0; 1 << 12], 0), Err(SetError::Full));
    let full = evicting.usage().unwrap();
    let kept =
        (0..40).filter(|n: &u32| evicting.get(b"vm", &n.to_le_bytes(), &mut Vec::new()).is_some()).count() as u64;
    assert_eq!((full.evictions, full.refusals), (Some(40 - kept), 1));
    assert_eq!(full.used, empty.used + kept * 128);

    let refusing = KeyValue::new(Heap::boxed(1 << 12), Eviction::None);
    let stored = (0..40).filter(|n: &u32| refusing.set(b"vm", &n.to_le_bytes(), b"value", 0).is_ok()).count() as u64;
    let full = refusing.usage().unwrap();
    assert_eq!((full.evictions, full.refusals), (None, 40 - stored));
    assert_eq!(KeyValue::new(Heap::boxed(0), Eviction::None).usage(), None);
}
