//! The first content of memories, mapped and copied: it is the same, and so is everything that becomes of it.

use super::*;
use crate::vm::PoolOptions;
use crate::vm::wasmtime::page_map::Way;
use crate::vm::wasmtime::reset::tests::set_way;

/// Data at the beginning, in the middle of a page, and at the very end.
const GUEST: &str = r#"(module (memory (export "memory") 2)
    (data (i32.const 0) "\07") (data (i32.const 70000) "\08") (data (i32.const 131071) "\09")
    (func (export "add") (param i32) (result i32)
        (i32.store8 (local.get 0) (i32.add (i32.load8_u (local.get 0)) (i32.const 1)))
        (i32.load8_u (local.get 0))))"#;

const PLACES: [(u32, u32); 4] = [(0, 7), (70000, 8), (131_071, 9), (100, 0)];

fn add(instance: &mut dyn Instance, place: u32) -> u32 {
    instance.call(0, &[place], SECOND, &mut recorder(|_, _| Ok(0))).unwrap()
}

#[test]
fn each_instance_has_the_data_of_the_module_and_is_put_back_to_it() {
    set_way(Ok(Way::Scan));
    let pool = Some(PoolOptions { instances: 2, memory: 1 << 20 });
    for target in targets() {
        for contents in [Contents::Mapped, Contents::Copied] {
            for (pool, saves_address_space) in [(pool, false), (None, false), (None, true)] {
                let options = EngineOptions { pool, saves_address_space, ..EngineOptions::default() };
                let engine = WasmtimeEngine::with(target, contents, options).unwrap();
                let compiled = engine.compile(GUEST.as_bytes()).unwrap();
                let loaded = engine.load(&crate::vm::TrustedCode::of_test(&compiled.serialize().unwrap())).unwrap();
                for module in [compiled, loaded] {
                    let program = module.link(&[], &["add"]).unwrap();
                    let limits = InstanceLimits { pooled: true, ..InstanceLimits::default() };
                    for _ in 0..3 {
                        let host = &mut recorder(|_, _| Ok(0));
                        let mut instance = program.instantiate(limits, None, SECOND.into(), host).unwrap();
                        assert_eq!(instance.stats().pooled, pool.is_some());
                        let image = instance.snapshot().unwrap();
                        let mut again = program.instantiate_from(&image, limits, SECOND.into()).unwrap();
                        for (place, value) in PLACES {
                            assert_eq!(add(instance.as_mut(), place), value + 1, "{target:?} {contents:?} {options:?}");
                            assert_eq!(add(again.as_mut(), place), value + 1, "{target:?} {contents:?} {options:?}");
                        }
                        again.restore(&image).unwrap();
                        for (place, value) in PLACES {
                            assert_eq!(add(again.as_mut(), place), value + 1, "{target:?} {contents:?} {options:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn code_for_one_way_is_not_taken_for_the_other() {
    for target in targets() {
        let [mapped, copied] = [Contents::Mapped, Contents::Copied]
            .map(|contents| WasmtimeEngine::with(target, contents, EngineOptions::default()).unwrap());
        assert_ne!(mapped.fingerprint(), copied.fingerprint());
    }
}

#[test]
fn tests_run_where_there_are_files_in_memory() {
    assert_eq!(Contents::find(), Contents::Mapped);
}
