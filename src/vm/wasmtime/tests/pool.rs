//! Instances from the pool, and what happens when there is no room in it.

use super::*;
use crate::vm::{Module, PoolOptions};

const SMALL: PoolOptions = PoolOptions { instances: 2, memory: 64 << 20 };

fn engine(pool: PoolOptions) -> WasmtimeEngine {
    engine_of_tests(EngineOptions { pool: Some(pool), ..EngineOptions::default() })
}

fn module(engine: &WasmtimeEngine, wat: &str) -> Arc<dyn Module> {
    engine.compile(wat.as_bytes()).unwrap()
}

fn pooled(memory: usize) -> InstanceLimits {
    InstanceLimits { memory, pooled: true }
}

fn start(program: &Arc<dyn Program>, limits: InstanceLimits) -> Box<dyn Instance> {
    program.instantiate(limits, None, SECOND.into(), &mut recorder(|_, _| Ok(0))).unwrap()
}

const COUNTING: &str = "(module (memory (export \"memory\") 1) (data (i32.const 8) \"\\05\")
    (func (export \"count\") (result i32)
        (i32.store8 (i32.const 8) (i32.add (i32.load8_u (i32.const 8)) (i32.const 1)))
        (i32.store8 (i32.const 60000) (i32.add (i32.load8_u (i32.const 60000)) (i32.const 1)))
        (i32.add (i32.load8_u (i32.const 8)) (i32.load8_u (i32.const 60000)))))";

fn count(instance: &mut Box<dyn Instance>) -> u32 {
    instance.call(0, &[], SECOND, &mut recorder(|_, _| Ok(0))).unwrap()
}

#[test]
fn each_instance_begins_with_the_memory_of_the_module() {
    let engine = engine(SMALL);
    let program = module(&engine, COUNTING).link(&[], &["count"]).unwrap();
    for _ in 0..20 {
        let mut instance = start(&program, pooled(1 << 20));
        assert!(instance.stats().pooled);
        assert_eq!(count(&mut instance), 7);
        assert_eq!(count(&mut instance), 9);
    }
}

#[test]
fn when_it_is_full_instances_are_made_on_demand_until_there_is_room_again() {
    let engine = engine(SMALL);
    let program = module(&engine, COUNTING).link(&[], &["count"]).unwrap();
    let mut instances: Vec<_> = (0..5).map(|_| start(&program, pooled(1 << 20))).collect();
    assert_eq!(instances.iter_mut().map(|i| i.stats().pooled).collect::<Vec<_>>(), [true, true, false, false, false]);
    for instance in &mut instances {
        assert_eq!(count(instance), 7);
    }
    instances.remove(0);
    assert!(start(&program, pooled(1 << 20)).stats().pooled);
}

#[test]
fn only_instances_that_want_to_are_made_in_it() {
    let engine = engine(SMALL);
    let program = module(&engine, COUNTING).link(&[], &["count"]).unwrap();
    let mut instance = start(&program, InstanceLimits { memory: 1 << 20, pooled: false });
    assert!(!instance.stats().pooled);
    assert_eq!(count(&mut instance), 7);
}

#[test]
fn an_engine_without_it_makes_them_on_demand() {
    let mut instance = start(&program(COUNTING, &["count"]).unwrap(), pooled(1 << 20));
    assert!(!instance.stats().pooled);
    assert_eq!(count(&mut instance), 7);
}

#[test]
fn one_for_which_there_is_no_address_space_is_done_without() {
    // More than a processor has.
    let options = EngineOptions {
        pool: Some(PoolOptions { instances: 1 << 20, memory: 4 << 30 }),
        saves_address_space: true,
        ..EngineOptions::default()
    };
    let engine = engine_of_tests(options);
    let without = engine_of_tests(EngineOptions { pool: None, ..options });
    assert_eq!(engine.fingerprint(), without.fingerprint());
    let reason = engine.pool_failure().unwrap();
    assert!(!reason.is_empty() && !reason.contains('\n'), "{reason}");
    let program = module(&engine, COUNTING).link(&[], &["count"]).unwrap();
    let mut instance = start(&program, pooled(1 << 20));
    assert!(!instance.stats().pooled);
    assert_eq!(count(&mut instance), 7);
}

#[test]
fn a_module_that_does_not_fit_says_why_and_runs_on_demand() {
    let engine = engine(SMALL);
    for (wat, word) in [
        ("(module (memory (export \"memory\") 1025))", "memory"),
        ("(module (memory 1) (memory 1) (memory (export \"memory\") 1))", "memories"),
        ("(module (memory (export \"memory\") 1) (table 40000 funcref))", "table"),
    ] {
        let module = module(&engine, wat);
        let reason = module.pool_refusal().unwrap();
        assert!(reason.contains(word) && !reason.contains('\n'), "{reason}");
    }
    let large = module(&engine, "(module (memory (export \"memory\") 1025))").link(&[], &[]).unwrap();
    let stats = start(&large, pooled(128 << 20)).stats();
    assert_eq!((stats.memory, stats.pooled), (1025 << 16, false));
    assert_eq!(module(&engine, COUNTING).pool_refusal(), None);
}

const GROWING: &str = "(module (memory (export \"memory\") 1) (table $t 1 funcref)
    (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export \"grow_table\") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0)))
    (func $deeper (export \"recurse\") (param i32) (result i32)
        (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1))))";

/// An instance of [`GROWING`] in the pool, and one on demand.
fn growing(memory: usize) -> Vec<(WasmtimeEngine, Box<dyn Instance>)> {
    [true, false]
        .map(|pooled| {
            let engine = engine(SMALL);
            let program = module(&engine, GROWING).link(&[], &["grow", "grow_table", "recurse"]).unwrap();
            let mut instance = start(&program, InstanceLimits { memory, pooled });
            assert_eq!(instance.stats(), InstanceStats { memory: 1 << 16, refused_growth: 0, pooled });
            (engine, instance)
        })
        .into()
}

fn call(instance: &mut dyn Instance, export: usize, arg: u32) -> Result<u32, Trap> {
    instance.call(export, &[arg], SECOND, &mut recorder(|_, _| Ok(0)))
}

const REFUSED: u32 = u32::MAX;

#[test]
fn growth_ends_at_the_limit_in_it_and_outside_and_is_counted() {
    for (_, mut instance) in growing(3 << 16) {
        assert_eq!(call(instance.as_mut(), 0, 2).unwrap(), 1);
        assert_eq!(instance.stats().refused_growth, 0);
        assert_eq!(call(instance.as_mut(), 0, 1).unwrap(), REFUSED);
        assert_eq!(call(instance.as_mut(), 0, 65535).unwrap(), REFUSED);
        let stats = instance.stats();
        assert_eq!((stats.memory, stats.refused_growth), (3 << 16, 2));
    }
}

#[test]
fn growth_in_it_ends_at_its_size_too() {
    for (_, mut instance) in growing(1 << 30) {
        let beyond = call(instance.as_mut(), 0, 1024).unwrap();
        assert_eq!(beyond, if instance.stats().pooled { REFUSED } else { 1 });
        assert_eq!(instance.stats().refused_growth, u64::from(instance.stats().pooled));
    }
}

#[test]
fn tables_do_not_grow_for_ever_in_it_and_outside() {
    for (_, mut instance) in growing(1 << 20) {
        assert_eq!(call(instance.as_mut(), 1, 1000).unwrap(), 1);
        assert_eq!(call(instance.as_mut(), 1, 1 << 20).unwrap(), REFUSED);
        assert_eq!(call(instance.as_mut(), 1, u32::MAX - 2000).unwrap(), REFUSED);
        assert_eq!(instance.stats().refused_growth, 2);
    }
}

#[test]
fn an_endless_recursion_ends_in_it_and_outside_and_the_next_instance_runs() {
    for (engine, mut instance) in growing(1 << 20) {
        for _ in 0..2 {
            let trap = call(instance.as_mut(), 2, 0).unwrap_err();
            assert!(trap.to_string().contains("call stack exhausted"), "{trap}");
            assert!(!trap.backtrace().is_empty());
        }
        let limits = pooled(1 << 20);
        let mut next = start(&module(&engine, GROWING).link(&[], &["grow"]).unwrap(), limits);
        assert_eq!(call(next.as_mut(), 0, 1).unwrap(), 1);
    }
}

#[test]
fn memory_leaves_no_trace_in_the_next_instance_even_when_it_had_grown() {
    let engine = engine(SMALL);
    let wat = "(module (memory (export \"memory\") 1)
        (func (export \"fill\") (result i32)
            (drop (memory.grow (i32.const 40)))
            (memory.fill (i32.const 0) (i32.const 0xee) (i32.mul (memory.size) (i32.const 65536))) (i32.const 0))
        (func (export \"sum\") (result i32) (local $at i32) (local $sum i32)
            (drop (memory.grow (i32.const 40)))
            (loop $next
                (local.set $sum (i32.or (local.get $sum) (i32.load (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 4)))
                (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
            (local.get $sum)))";
    let program = module(&engine, wat).link(&[], &["fill", "sum"]).unwrap();
    let host = &mut recorder(|_, _| Ok(0));
    for _ in 0..5 {
        let mut dirty = start(&program, pooled(16 << 20));
        dirty.call(0, &[], SECOND, host).unwrap();
        drop(dirty);
        let mut clean = start(&program, pooled(16 << 20));
        assert!(clean.stats().pooled);
        assert_eq!(clean.stats().memory, 1 << 16);
        assert_eq!(clean.call(1, &[], SECOND, host).unwrap(), 0);
    }
}

#[test]
fn a_start_function_that_traps_has_run_once() {
    let engine = engine(SMALL);
    let wat = "(module (import \"h\" \"f\" (func $f)) (func $go (call $f) unreachable) (start $go))";
    let compiled = module(&engine, wat);
    let program = compiled.link(&linked(compiled.imports()), &[]).unwrap();
    let mut host = recorder(|_, _| Ok(0));
    let Err(trap) = program.instantiate(pooled(1 << 20), None, SECOND.into(), &mut host) else { panic!("it started") };
    assert!(matches!(trap, Trap::Instantiate(_)), "{trap}");
    assert_eq!(host.calls.len(), 1);
    let mut host = recorder(|_, _| Err(Trap::host("no")));
    assert!(program.instantiate(pooled(1 << 20), None, SECOND.into(), &mut host).is_err());
    assert_eq!(host.calls.len(), 1);
}

#[test]
fn deadlines_hold_in_it() {
    let engine = Arc::new(engine(SMALL));
    let wat = "(module (func (export \"go\") (loop $again (br $again))))";
    let program = module(&engine, wat).link(&[], &["go"]).unwrap();
    let mut instance = start(&program, pooled(1 << 20));
    assert!(instance.stats().pooled);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let trap = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                engine.tick();
                std::thread::yield_now();
            }
        });
        let trap = instance.call(0, &[], SECOND, &mut recorder(|_, _| Ok(0)));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        trap
    });
    assert!(matches!(trap, Err(Trap::Timeout(SECOND))), "{trap:?}");
}

#[test]
fn little_address_space_is_enough_without_a_pool() {
    let options = EngineOptions { saves_address_space: true, ..EngineOptions::default() };
    let engine = engine_of_tests(options);
    let compiled = engine.compile(GROWING.as_bytes()).unwrap();
    let program = compiled.link(&[], &["grow"]).unwrap();
    let mut instance = start(&program, InstanceLimits { memory: 16 << 20, pooled: false });
    assert_eq!(call(instance.as_mut(), 0, 200).unwrap(), 1);
    assert_eq!(instance.stats().memory, 201 << 16);
    assert_eq!(call(instance.as_mut(), 0, 100).unwrap(), REFUSED);
}
