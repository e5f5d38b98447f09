//! Tests of `metrics.rs`.

use std::sync::Arc;

use super::*;
use crate::shared::memory::Heap;
use MetricType::{Counter, Gauge, Histogram};

fn metrics(size: usize) -> Metrics {
    Metrics::new(Heap::boxed(size), DEFAULT_MAX_NAME)
}

fn shown(metrics: &Metrics) -> Vec<(String, Reading)> {
    let mut all = Vec::new();
    metrics.visit(|name, reading, _| all.push((String::from_utf8_lossy(name).into_owned(), reading)));
    all
}

#[test]
fn a_name_has_one_number() {
    let metrics = metrics(1 << 16);
    let names: Vec<String> = (0..200).map(|n| format!("metric {n} {}", "x".repeat(n))).collect();
    let ids: Vec<u32> = names.iter().map(|name| metrics.define(Counter, name.as_bytes()).unwrap()).collect();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    for (name, id) in names.iter().zip(&ids) {
        assert_eq!(metrics.define(Counter, name.as_bytes()), Ok(*id));
    }
    assert_eq!(shown(&metrics).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
}

#[test]
fn wrong_numbers_in_the_memory_take_no_more_than_the_memory() {
    let heap = Arc::new(Heap::new(1 << 12));
    let metrics = Metrics::new(Box::new(heap.clone()), DEFAULT_MAX_NAME);
    let id = metrics.define(Counter, b"m").unwrap();
    let spoil = |at: usize, word: u64| heap.words()[at].store(word, Ordering::Relaxed);
    for count in [1 << 16, u64::from(u32::MAX), u64::MAX] {
        spoil(COUNT, count);
        // A chain that leads back to its beginning.
        spoil(metrics.slot(id) + NEXT, u64::from(id));
        spoil(metrics.slot(id) + HASH, 0);
        assert!(shown(&metrics).len() <= heap.words().len() / SLOT);
        assert_eq!(metrics.define(Counter, b"m"), Err(DefineError::Full));
        // Each name is as long as the memory.
        (1..64).for_each(|id| spoil(metrics.slot(id) + KIND, u64::MAX - 0xff));
        assert!(shown(&metrics).iter().map(|(name, _)| name.len()).sum::<usize>() <= 1 << 12);
    }
}

#[test]
fn a_name_has_one_type_in_a_configuration_and_may_have_another_in_the_next() {
    let heap = Arc::new(Heap::new(1 << 16));
    let first = Metrics::new(Box::new(heap.clone()), 256);
    first.begin();
    let counter = first.define(Counter, b"m").unwrap();
    first.increment(counter, 5).unwrap();
    assert_eq!(first.define(Gauge, b"m"), Err(DefineError::Conflict));

    let second = Metrics::new(Box::new(heap), 256);
    second.begin();
    let gauge = second.define(Gauge, b"m").unwrap();
    assert_ne!(gauge, counter);
    assert_eq!(second.define(Counter, b"m"), Err(DefineError::Conflict));
    assert_eq!(second.define(Gauge, b"m"), Ok(gauge));
    // Workers of the configuration before are still at work.
    assert_eq!(first.define(Counter, b"m"), Ok(counter));
    assert_eq!(first.get(counter), Ok(5));
}

#[test]
fn counters_go_up() {
    let metrics = metrics(1 << 16);
    let id = metrics.define(Counter, b"c").unwrap();
    metrics.increment(id, 3).unwrap();
    metrics.increment(id, 0).unwrap();
    assert_eq!(metrics.increment(id, -1), Err(MetricError::WrongType));
    metrics.record(id, 4).unwrap();
    assert_eq!(metrics.get(id), Ok(7));
    metrics.record(id, u64::MAX - 7).unwrap();
    assert_eq!(metrics.get(id), Ok(u64::MAX));
}

#[test]
fn gauges_go_both_ways_and_below_0() {
    let metrics = metrics(1 << 16);
    let id = metrics.define(Gauge, b"g").unwrap();
    metrics.record(id, 10).unwrap();
    metrics.increment(id, -12).unwrap();
    assert_eq!(metrics.get(id), Ok(-2i64 as u64));
    assert_eq!(shown(&metrics), [("g".into(), Reading::Gauge(-2))]);
    metrics.increment(id, i64::MIN).unwrap();
}

#[test]
fn histograms_count_values_by_powers_of_two() {
    let metrics = metrics(1 << 16);
    let id = metrics.define(Histogram, b"h").unwrap();
    for value in [0, 1, 2, 3, 4, 5, 8, 9] {
        metrics.record(id, value).unwrap();
    }
    assert_eq!(shown(&metrics), [("h".into(), Reading::Histogram(vec![2, 1, 2, 2, 1], 8, 32))]);
    metrics.record(id, u64::MAX).unwrap();
    let Reading::Histogram(powers, 9, _) = &shown(&metrics)[0].1 else { panic!() };
    assert_eq!((powers.len(), powers[64]), (65, 1));
    assert_eq!(metrics.get(id), Err(MetricError::WrongType));
    assert_eq!(metrics.increment(id, 1), Err(MetricError::WrongType));
}

#[test]
fn numbers_that_nobody_has_are_unknown() {
    let metrics = metrics(1 << 16);
    metrics.define(Counter, b"c").unwrap();
    for id in [0, 2, 1 << 31, u32::MAX - 3] {
        assert_eq!(metrics.get(id), Err(MetricError::Unknown), "{id}");
        assert_eq!(metrics.increment(id, 1), Err(MetricError::Unknown), "{id}");
        assert_eq!(metrics.record(id, 1), Err(MetricError::Unknown), "{id}");
    }
}

#[test]
fn names_have_a_limit() {
    let metrics = Metrics::new(Heap::boxed(1 << 16), 10);
    assert!(metrics.define(Counter, b"0123456789").is_ok());
    assert_eq!(metrics.define(Counter, b"0123456789a"), Err(DefineError::NameTooLong));
    assert_eq!(metrics.define(Counter, b""), Err(DefineError::Conflict));
}

#[test]
fn a_full_memory_keeps_what_it_has() {
    let metrics = metrics(1 << 14);
    let mut ids = Vec::new();
    let full = loop {
        match metrics.define([Counter, Gauge, Histogram][ids.len() % 3], format!("{}", ids.len()).as_bytes()) {
            Ok(id) => ids.push(id),
            Err(err) => break err,
        }
        assert!(ids.len() < 10_000);
    };
    assert_eq!(full, DefineError::Full);
    for (n, id) in ids.iter().enumerate() {
        metrics.record(*id, 1 << (n % 64)).unwrap();
    }
    assert_eq!(metrics.define(Counter, b"0"), Ok(ids[0]));
    for (n, (name, reading)) in shown(&metrics).into_iter().enumerate() {
        assert_eq!(name, format!("{n}"));
        match reading {
            Reading::Counter(value) => assert_eq!(value, 1 << (n % 64)),
            Reading::Gauge(value) => assert_eq!(value as u64, 1 << (n % 64)),
            Reading::Histogram(_, samples, sum) => assert_eq!((samples, sum), (1, 1 << (n % 64))),
        }
    }
}

#[test]
fn a_metric_that_could_not_be_defined_behaves_like_one() {
    let metrics = metrics(0);
    assert_eq!(metrics.define(Counter, b"c"), Err(DefineError::Full));
    let [counter, gauge, histogram] = [Counter, Gauge, Histogram].map(Metrics::dropped);
    assert_eq!(metrics.increment(counter, 1), Ok(()));
    assert_eq!(metrics.increment(counter, -1), Err(MetricError::WrongType));
    assert_eq!(metrics.increment(gauge, -1), Ok(()));
    assert_eq!(metrics.record(gauge, 9), Ok(()));
    assert_eq!(metrics.get(gauge), Ok(0));
    assert_eq!(metrics.record(histogram, 9), Ok(()));
    assert_eq!(metrics.get(histogram), Err(MetricError::WrongType));
}

#[test]
fn all_who_have_the_memory_count_together() {
    let heap = Arc::new(Heap::new(1 << 16));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let metrics = Metrics::new(Box::new(heap.clone()), 256);
                for n in 0..1000u32 {
                    let id = metrics.define(Counter, format!("{}", n % 50).as_bytes()).unwrap();
                    metrics.increment(id, 1).unwrap();
                }
            });
        }
    });
    let all = shown(&Metrics::new(Box::new(heap.clone()), 256));
    assert_eq!(all.len(), 50);
    assert!(all.iter().all(|(_, reading)| *reading == Reading::Counter(60)), "{all:?}");
}

#[test]
fn wrong_numbers_in_the_memory_harm_nobody() {
    let metrics = metrics(1 << 13);
    let ids = [Counter, Gauge, Histogram].map(|kind| metrics.define(kind, &[kind as u8; 40]).unwrap());
    for word in metrics.memory.words() {
        for wrong in [u64::MAX, 1 << 40, 7] {
            let before = word.swap(wrong, Ordering::Relaxed);
            for id in ids {
                let _ = (metrics.record(id, 9), metrics.increment(id, 9), metrics.get(id));
            }
            let _ = metrics.define(Counter, b"more");
            word.store(before, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_store_says_how_full_it_is_and_what_found_no_room() {
    let metrics = metrics(1 << 12);
    let empty = metrics.usage().unwrap();
    assert_eq!((empty.size, empty.evictions, empty.refusals), (1 << 12, None, 0));
    metrics.define(Counter, b"twelve bytes").unwrap();
    // A slot, and two words of a name.
    assert_eq!(metrics.usage().unwrap().used, empty.used + 48 + 16);
    while metrics.define(Histogram, format!("h{}", metrics.count()).as_bytes()).is_ok() {}
    let full = metrics.usage().unwrap();
    assert_eq!((full.refusals, full.size - full.used < 600), (1, true), "{full:?}");
    assert_eq!(super::Metrics::new(Heap::boxed(0), 1).usage(), None);
}
