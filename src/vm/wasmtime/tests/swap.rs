//! What a slot of the pool keeps of the instance that was there: nothing, wherever the kernel has put its memory meanwhile.

#![allow(unsafe_code)]

use std::fs;
use std::io::Write;

use rustix::mm::{Advice, madvise};

use super::*;
use crate::vm::PoolOptions;
use crate::vm::wasmtime::page_map::Way;
use crate::vm::wasmtime::reset::tests::set_way;

/// Wasmtime's scan of the page map leaves alone what is in swap. This sees it on machines without swap too.
#[test]
fn an_engine_with_a_pool_does_not_ask_for_the_page_map() {
    // Other tests open it, to put instances back.
    if !is_alone() {
        return;
    }
    let secrets = Secrets::new("");
    drop(secrets.instance());
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open: Vec<_> = open.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    assert!(!open.is_empty());
    assert!(!open.iter().any(|path| path.ends_with("pagemap")), "{open:?}");
}

#[test]
fn what_went_to_swap_is_gone_for_the_next_instance() {
    // Without a first content, with one of the first pages, and with one behind them.
    for data in ["", "(data (i32.const 16) \"image\")", "(data (i32.const 524288) \"image\")"] {
        let secrets = Secrets::new(data);
        for _ in 0..3 {
            let mut first = secrets.instance();
            let swapped = secrets.write_and_page_out(first.as_mut());
            drop(first);
            let mut next = secrets.instance();
            assert_eq!(secrets.found(next.as_mut()), 0, "{swapped} KiB were in swap");
            if swapped == 0 {
                return skip("what_went_to_swap_is_gone_for_the_next_instance");
            }
        }
    }
}

#[test]
fn what_went_to_swap_is_put_back() {
    for way in [Way::Scan, Way::Words] {
        set_way(Ok(way));
        for data in ["", "(data (i32.const 16) \"image\")", "(data (i32.const 524288) \"image\")"] {
            let secrets = Secrets::new(data);
            let image = secrets.instance().snapshot().unwrap();
            let limits = InstanceLimits { memory: 16 << 20, pooled: true };
            let mut instance = secrets.program.instantiate_from(&image, limits, SECOND.into()).unwrap();
            for _ in 0..3 {
                let swapped = secrets.write_and_page_out(instance.as_mut());
                instance.restore(&image).unwrap();
                assert_eq!(secrets.found(instance.as_mut()), 0, "{swapped} KiB were in swap");
                if swapped == 0 {
                    return skip("what_went_to_swap_is_put_back");
                }
            }
        }
    }
}

fn skip(test: &str) {
    // The harness keeps back what `eprintln` says.
    let line = format!(
        "SKIPPED: {test}: nothing was paged out. Is there no swap (/proc/swaps)? tools/with-swap.sh runs a command with some\n"
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// How large the memory is: what Wasmtime's scan would restore, and more; and as much as is put back.
const MEMORY: u32 = 2 << 20;

/// Filters of which each has all of its memory full of secrets, in the one slot of a pool.
struct Secrets {
    program: Arc<dyn Program>,
}

impl Secrets {
    fn new(data: &str) -> Secrets {
        let wat = format!(
            "(module (import \"h\" \"look\" (func $look)) (memory (export \"memory\") {pages}) {data}
                (func (export \"fill\") (memory.fill (i32.const 0) (i32.const 0x5e) (i32.const {MEMORY})) (call $look))
                (func (export \"look\") (call $look)))",
            pages = MEMORY >> 16
        );
        let pool = Some(PoolOptions { instances: 1, memory: 64 << 20 });
        let engine = engine_of_tests(EngineOptions { pool, ..EngineOptions::default() });
        let module = engine.compile(wat.as_bytes()).unwrap();
        Secrets { program: module.link(&linked(module.imports()), &["fill", "look"]).unwrap() }
    }

    fn instance(&self) -> Box<dyn Instance> {
        let limits = InstanceLimits { memory: 16 << 20, pooled: true };
        let mut instance = self.program.instantiate(limits, None, SECOND.into(), &mut recorder(|_, _| Ok(0))).unwrap();
        assert!(instance.stats().pooled);
        instance
    }

    /// Answers how many KiB of it the kernel has put into swap.
    fn write_and_page_out(&self, instance: &mut dyn Instance) -> u64 {
        let mut swapped = 0;
        let host = &mut recorder(|_, caller| {
            let mut memory = caller.memory();
            let bytes = memory.bytes(0, MEMORY).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 0x5e));
            // SAFETY: where the kernel keeps bytes does not change them.
            unsafe { madvise(bytes.as_mut_ptr().cast(), bytes.len(), Advice::LinuxPageOut).unwrap() };
            swapped = swap_of(bytes.as_ptr() as u64, MEMORY.into());
            Ok(0)
        });
        instance.call(0, &[], SECOND, host).unwrap();
        swapped
    }

    /// How many bytes of secrets there are.
    fn found(&self, instance: &mut dyn Instance) -> usize {
        let mut found = 0;
        let host = &mut recorder(|_, caller| {
            let memory = caller.memory();
            found = memory.read(0, MEMORY).unwrap().iter().filter(|byte| **byte == 0x5e).count();
            Ok(0)
        });
        instance.call(1, &[], SECOND, host).unwrap();
        found
    }
}

/// How many KiB of the mappings in this range are in swap, from `/proc/self/smaps`: a line `START-END …` begins a mapping, a
/// line `Swap: NUMBER kB` is about it.
fn swap_of(start: u64, len: u64) -> u64 {
    let mut is_inside = false;
    let mut sum = 0;
    for line in fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let word = line.split(' ').next().unwrap();
        if let Some((from, to)) = word.split_once('-') {
            let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
            is_inside = from < start + len && start < to;
        } else if let Some(number) = line.strip_prefix("Swap:").filter(|_| is_inside) {
            sum += number.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        }
    }
    sum
}
