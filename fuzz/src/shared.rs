//! Shared memory that another process has filled with anything: what stands there is wrong then, and nothing worse happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ngx_wasm::shared::page::{Format, Page};
use ngx_wasm::shared::{
    DEFAULT_MAX_METRIC_NAME, Eviction, Heap, KeyValue, Memory, MetricType, Metrics, QueueZone, Queues, SharedData,
    guest_metrics,
};

const SIZE: usize = 4 << 10;
const STEPS: usize = 64;

/// Operations on stores, while words of their memory change to what they should not be.
pub fn shared(data: &[u8]) {
    let [kind, rest @ ..] = data else { return };
    let mut rest = rest;
    let memory = Arc::new(Heap::new(SIZE));
    let spoil = |at: u16, word: u64| {
        let words = memory.words();
        words[usize::from(at) % words.len()].store(word, Ordering::Relaxed);
    };
    let store = Store::new(*kind, Box::new(memory.clone()));
    for _ in 0..STEPS {
        let [step, a, b, c, behind @ ..] = rest else { break };
        rest = behind;
        if step % 4 == 0 {
            // Small numbers are taken for indexes and sizes; so are those with all bits.
            let word = match c % 4 {
                0 => u64::from(*c),
                1 => u64::MAX - u64::from(*c),
                2 => u64::from(*c) << 32,
                _ => {
                    let (bytes, behind) = rest.split_at(rest.len().min(8));
                    rest = behind;
                    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
                }
            };
            spoil(u16::from_le_bytes([*a, *b]), word);
            continue;
        }
        let (value, behind) = rest.split_at(usize::from(*c).min(rest.len()));
        rest = behind;
        store.step(*step, *a, *b, value);
    }
}

enum Store {
    Metrics(Metrics),
    Data(SharedData),
    Queues(Queues),
}

impl Store {
    fn new(kind: u8, memory: Box<dyn Memory>) -> Store {
        match kind % 4 {
            0 => Store::Metrics(Metrics::new(memory, DEFAULT_MAX_METRIC_NAME)),
            1 => Store::Data(SharedData::new(KeyValue::new(memory, Eviction::LeastRecentlyUsed))),
            2 => Store::Data(SharedData::new(KeyValue::new(memory, Eviction::None))),
            _ => Store::Queues(Queues::new(QueueZone::new(memory))),
        }
    }

    fn step(&self, step: u8, a: u8, b: u8, value: &[u8]) {
        let name = [b'k', a % 8];
        match self {
            Store::Metrics(metrics) => match step % 5 {
                0 | 1 => {
                    let kind = [MetricType::Counter, MetricType::Gauge, MetricType::Histogram][usize::from(b % 3)];
                    let _ = metrics.define(kind, if value.is_empty() { &name } else { value });
                }
                2 => drop(metrics.increment(u32::from(a), i64::from(b)).ok()),
                3 => drop(metrics.record(u32::from(a), u64::from(b)).ok()),
                _ => {
                    let _ = metrics.get(u32::from(a));
                    let _ = metrics.usage();
                    for format in [Format::Text, Format::OpenMetrics] {
                        guest_metrics(&mut Page::new(format), metrics);
                    }
                }
            },
            Store::Data(data) => {
                let store = data.store(&name);
                let mut out = Vec::new();
                match step % 4 {
                    0 | 1 => drop(store.set(b"vm", &name, value, u32::from(b % 4)).ok()),
                    2 => drop(store.get(b"vm", &name, &mut out)),
                    _ => drop(store.usage()),
                }
            }
            Store::Queues(queues) => match step % 5 {
                0 => drop(queues.register(b"vm", &name)),
                1 => drop(queues.resolve(b"vm", &name)),
                2 => drop(queues.enqueue(u32::from(a), value).ok()),
                3 => drop(queues.dequeue(u32::from(a), &mut Vec::new()).ok()),
                _ => {
                    drop(queues.depths(usize::from(b % 4)));
                    queues.zones().for_each(|(_, zone)| _ = zone.usage());
                }
            },
        }
    }
}
