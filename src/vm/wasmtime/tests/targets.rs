//! Machine code and bytecode: what is not the same for both, and what must be.

use super::*;
#[cfg(feature = "pulley")]
use crate::vm::TrustedCode;
use crate::vm::{Caller, HostFunctions};

/// Calls the guest from each of its host calls.
struct Endless {
    deepest: usize,
}

impl HostFunctions for Endless {
    fn call(&mut self, _: u32, caller: &mut dyn Caller, _: &[u64]) -> Result<u64, Trap> {
        self.deepest += 1;
        caller.call(0, &[], self).map(u64::from)
    }
}

#[test]
fn a_guest_and_its_host_that_call_each_other_without_end_are_a_trap_and_the_next_instance_runs() {
    let wat =
        "(module (import \"h\" \"f\" (func $f (result i32))) (func $call (export \"call\") (result i32) (call $f))
        (func (export \"answer\") (result i32) (i32.const 42)))";
    for target in targets() {
        let engine = WasmtimeEngine::for_target(target, EngineOptions::default()).unwrap();
        let module = engine.compile(wat.as_bytes()).unwrap();
        let program = module.link(&linked(module.imports()), &["call", "answer"]).unwrap();
        for _ in 0..3 {
            let mut host = Endless { deepest: 0 };
            let start =
                || program.instantiate(InstanceLimits::default(), None, SECOND.into(), &mut recorder(|_, _| Ok(0)));
            let mut instance = start().unwrap();
            let trap = instance.call(0, &[], SECOND, &mut host).unwrap_err();
            assert!(trap.to_string().contains("call stack exhausted"), "{target:?}: {trap}");
            assert!(!trap.backtrace().is_empty(), "{target:?}");
            assert!(host.deepest > 10, "{target:?}: {}", host.deepest);
            assert_eq!(start().unwrap().call(1, &[], SECOND, &mut host).unwrap(), 42);
        }
    }
}

#[cfg(feature = "pulley")]
#[test]
fn code_of_one_is_never_taken_for_that_of_the_other() {
    const ANSWER: &str = "(module (func (export \"answer\") (result i32) (i32.const 42)))";
    let engines: Vec<_> = targets()
        .into_iter()
        .map(|target| WasmtimeEngine::for_target(target, EngineOptions::default()).unwrap())
        .collect();
    for (n, engine) in engines.iter().enumerate() {
        let code = engine.compile(ANSWER.as_bytes()).unwrap().serialize().unwrap();
        for (m, other) in engines.iter().enumerate() {
            assert_eq!(engine.fingerprint() == other.fingerprint(), n == m);
            assert_eq!(engine.name() == other.name(), n == m);
            // Even if a cache mixed them up.
            let loaded = other.load(&TrustedCode::of_test(&code)).map(drop);
            match loaded {
                Ok(()) => assert_eq!(n, m),
                Err(err) => assert!(n != m && !err.to_string().contains('\n'), "{err}"),
            }
        }
    }
}

/// Mappings of this process that can be executed, and are of no file.
#[cfg(all(feature = "pulley", target_os = "linux"))]
fn executable() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let of_no_file = |line: &&str| !line.contains(" /") || line.contains("memfd:");
    maps.lines()
        .filter(|line| line.split(' ').nth(1).unwrap().contains('x'))
        .filter(of_no_file)
        .map(str::to_owned)
        .collect()
}

#[cfg(all(feature = "pulley", target_os = "linux"))]
#[test]
fn nothing_becomes_executable_for_bytecode() {
    // Mappings are those of the process.
    if !is_alone() {
        return;
    }
    let wat = "(module (import \"h\" \"f\" (func $f (param i32) (result i32))) (memory (export \"memory\") 1) (table 1 funcref)
        (elem (i32.const 0) $f)
        (func (export \"go\") (param i32) (result i32) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))
        (func (export \"trap\") (result i32) (i32.div_u (memory.grow (i32.const 1)) (i32.const 0))))";
    let before = executable();
    for (target, makes_none) in targets().into_iter().map(|target| (target, target == Target::Pulley)).rev() {
        let pool = Some(crate::vm::PoolOptions { instances: 1, memory: 1 << 20 });
        let engine = WasmtimeEngine::for_target(target, EngineOptions { pool, ..EngineOptions::default() }).unwrap();
        let module = engine.compile(wat.as_bytes()).unwrap();
        let program = module.link(&linked(module.imports()), &["go", "trap"]).unwrap();
        let host = &mut recorder(|_, _| Ok(41));
        let mut instance = program.instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap();
        assert_eq!(instance.call(0, &[7], SECOND, host).unwrap(), 41);
        assert!(instance.call(1, &[], SECOND, host).unwrap_err().to_string().contains("divide by zero"));
        assert_eq!(executable() == before, makes_none, "{target:?}: {:?}", executable());
    }
}
