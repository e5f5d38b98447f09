//! What is WasmEdge's own: its library, code that comes back, stacks that end, signals, tokens that are set too late.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::WasmEdgeEngine;
use super::setup::MOST_OPTIMIZED;
use crate::vm::tests::{SECOND, engine, instance, is_alone, linked, program, recorder};
use crate::vm::{
    Caller, CompileError, Deadline, Engine, EngineOptions, InstanceLimits, Optimize, TICK, Trap, TrustedCode, Watch,
};

/// Options with what the environment says of code: modules of tests are small, and are optimized unless it says that they are not.
pub(in crate::vm) fn optimized(options: EngineOptions) -> EngineOptions {
    match std::env::var("NGX_WASM_TEST_OPTIMIZE").as_deref() {
        Ok("off") => EngineOptions { optimize: Optimize::Off, ..options },
        Err(_) | Ok("on") => options,
        Ok(other) => panic!("NGX_WASM_TEST_OPTIMIZE={other}"),
    }
}

/// Recurses without end: by itself, through a table, and with a host call at each level. Of sums the compiler would make loops.
const DEEP: &str = r#"(module (import "h" "f" (func $f))
    (table 1 funcref) (elem (i32.const 0) $indirect)
    (func $direct (param i32) (result i32)
        (i32.sub (local.get 0) (call $direct (i32.add (local.get 0) (i32.const 1)))))
    (func $indirect (param i32) (result i32)
        (i32.add (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)) (i32.const 1)))
    (func $host (param i32) (result i32)
        (call $f) (i32.sub (local.get 0) (call $host (i32.add (local.get 0) (i32.const 1)))))
    (func (export "direct") (result i32) (call $direct (i32.const 0)))
    (func (export "indirect") (result i32) (call $indirect (i32.const 0)))
    (func (export "host") (result i32) (call $host (i32.const 0)))
    (func (export "fine") (result i32) (i32.const 7)))"#;

fn recurse_in_all_ways() {
    let exports = ["direct", "indirect", "host", "fine"];
    let program = program(DEEP, &exports).unwrap();
    let host = &mut recorder(|_, _| Ok(0));
    let start = || {
        let host = &mut recorder(|_, _| Ok(0));
        program.instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap()
    };
    for export in [0, 1, 2, 0, 2] {
        let trap = start().call(export, &[], SECOND, host).unwrap_err();
        assert_eq!(trap.to_string(), "wasm trap: call stack exhausted", "{}", exports[export]);
        assert_eq!(start().call(3, &[], SECOND, host).unwrap(), 7);
    }
}

#[test]
fn a_guest_that_recurses_without_end_traps() {
    recurse_in_all_ways();
    // On another thread, with a stack of another size.
    thread::Builder::new().stack_size(8 << 20).spawn(recurse_in_all_ways).unwrap().join().unwrap();
}

/// Two instances, of which one is called in a host call of the other.
#[test]
fn a_trap_of_an_instance_in_another_one_is_its_own() {
    let mut inner = instance("(module (func (export \"go\") unreachable))", &["go"]);
    let mut outer = instance(
        "(module (import \"h\" \"f\" (func $f (result i32))) (func (export \"go\") (result i32) (call $f)))",
        &["go"],
    );
    let host = &mut recorder(|_, _| {
        let trap = inner.call(0, &[], SECOND, &mut recorder(|_, _| Ok(0))).unwrap_err();
        assert_eq!(trap.to_string(), "wasm trap: unreachable");
        Ok(5)
    });
    assert_eq!(outer.call(0, &[], SECOND, host).unwrap(), 5);
}

#[test]
fn a_panic_of_the_host_passes_by_the_library() {
    let wat = "(module (import \"h\" \"f\" (func $f (result i32))) (func (export \"go\") (result i32) (call $f)))";
    let mut instance = instance(wat, &["go"]);
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        instance.call(0, &[], SECOND, &mut recorder(|_, _| panic!("on purpose")))
    }));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"on purpose"));
}

#[test]
fn memory_of_the_host_call_is_looked_at_again_when_the_guest_has_grown_it() {
    let wat = "(module (import \"h\" \"f\" (func $f)) (memory (export \"memory\") 1)
        (func (export \"go\") (call $f))
        (func (export \"grow\") (result i32) (i32.store (i32.const 8) (i32.const 9)) (memory.grow (i32.const 3))))";
    let mut instance = instance(wat, &["go", "grow"]);
    let host = &mut recorder(|_, caller: &mut dyn Caller| {
        caller.memory().write_u32(8, 1).unwrap();
        assert_eq!(caller.memory().size(), 1 << 16);
        assert_eq!(caller.call(1, &[], &mut recorder(|_, _| Ok(0))).unwrap(), 1);
        assert_eq!((caller.memory().size(), caller.memory().read_u32(8)), (4 << 16, Ok(9)));
        Ok(0)
    });
    instance.call(0, &[], SECOND, host).unwrap();
    assert_eq!(instance.stats().memory, 4 << 16);
}

#[test]
fn growth_that_the_cap_refuses_is_counted_and_a_memory_that_is_too_large_does_not_start() {
    let wat = "(module (memory (export \"memory\") 2) (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0))))";
    let program = program(wat, &["grow"]).unwrap();
    let host = &mut recorder(|_, _| Ok(0));
    let limits = |pages: usize| InstanceLimits { memory: pages << 16, pooled: false };
    let mut instance = program.instantiate(limits(3), None, SECOND.into(), host).unwrap();
    assert!(instance.has_new_stats());
    assert_eq!(instance.stats().memory, 2 << 16);
    assert!(!instance.has_new_stats());
    assert_eq!(instance.call(0, &[1], SECOND, host).unwrap(), 2);
    assert_eq!(instance.call(0, &[1], SECOND, host).unwrap(), u32::MAX);
    assert!(instance.has_new_stats());
    assert_eq!((instance.stats().memory, instance.stats().refused_growth), (3 << 16, 1));
    let with_data = self::program("(module (memory 2) (data (i32.const 70000) \"x\"))", &[]).unwrap();
    for program in [program, with_data] {
        let Err(trap) = program.instantiate(limits(1), None, SECOND.into(), host) else { panic!("it started") };
        assert!(trap.to_string().starts_with("cannot instantiate: no room for its memory"), "{trap}");
    }
}

/// What would be read at address 0 and behind it, as far as a guest can count, is not the guest's.
#[test]
fn without_address_space_for_its_memory_nothing_of_a_guest_runs() {
    if !is_alone() {
        return;
    }
    let wat = "(module (import \"h\" \"f\" (func $f)) (memory 1) (start $f))";
    let program = program(wat, &[]).unwrap();
    let refused = || {
        let limit = libc::rlimit { rlim_cur: 4 << 30, rlim_max: 4 << 30 };
        // SAFETY: the structure is complete.
        #[allow(unsafe_code)]
        unsafe {
            libc::setrlimit(libc::RLIMIT_AS, &limit)
        };
        let mut calls = 0;
        let host = &mut recorder(|_, _| {
            calls += 1;
            Ok(0)
        });
        let refused = match program.instantiate(InstanceLimits::default(), None, SECOND.into(), host) {
            Ok(_) => "it started".into(),
            Err(trap) => trap.to_string(),
        };
        if calls > 0 || !refused.starts_with("cannot instantiate: WasmEdge reserves 12 GiB of address space") {
            std::process::abort();
        }
    };
    assert_eq!(status_of_fork(refused), 0);
}

/// A call that ends when it is to be stopped: the token is not for the next one.
#[test]
fn a_call_that_ends_in_time_leaves_nothing_behind() {
    let engine = engine(EngineOptions::default());
    let wat =
        "(module (import \"h\" \"f\" (func $f)) (func (export \"go\") (call $f)) (func (export \"next\") (loop)))";
    let module = engine.compile(wat.as_bytes()).unwrap();
    let program = module.link(&linked(module.imports()), &["go", "next"]).unwrap();
    let mut instance =
        program.instantiate(InstanceLimits::default(), None, SECOND.into(), &mut recorder(|_, _| Ok(0))).unwrap();
    instance.count_cpu_time(false);
    // The guest has nothing left but to return when the time has passed.
    let host = &mut recorder(|_, _| {
        (0..10).for_each(|_| engine.tick());
        Ok(0)
    });
    let _ = instance.call(0, &[], TICK, host);
    (0..10).for_each(|_| engine.tick());
    instance.call(1, &[], SECOND, host).unwrap();
}

#[test]
fn code_comes_back_in_another_engine_and_broken_code_does_not() {
    let wat = "(module (func (export \"answer\") (result i32) (i32.const 42)))";
    for fuel in [false, true] {
        let options = EngineOptions { fuel, ..EngineOptions::default() };
        let bytes = engine(options).compile(wat.as_bytes()).unwrap().serialize().unwrap();
        let other = engine(options);
        let module = other.load(&TrustedCode::of_test(&bytes)).unwrap();
        let program = module.link(&[], &["answer"]).unwrap();
        let host = &mut recorder(|_, _| Ok(0));
        let mut instance = program.instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap();
        assert_eq!(instance.call(0, &[], SECOND, host).unwrap(), 42);
        for broken in [&bytes[..bytes.len() / 2], b"".as_slice(), &wat::parse_str(wat).unwrap()] {
            let err = other.load(&TrustedCode::of_test(broken)).map(|_| ()).unwrap_err();
            assert!(matches!(err, CompileError::Compiled(_)), "{err}");
        }
    }
    let fingerprint = |fuel| engine(EngineOptions { fuel, ..EngineOptions::default() }).fingerprint();
    assert_ne!(fingerprint(true), fingerprint(false));
    assert_eq!(fingerprint(true), fingerprint(true));
}

#[test]
fn a_module_with_code_of_somebody_else_is_refused() {
    let engine = engine(EngineOptions::default());
    let compiled = engine.compile(b"(module (func (export \"f\")))").unwrap().serialize().unwrap();
    let err = engine.compile(&compiled).map(|_| ()).unwrap_err();
    assert!(matches!(err, CompileError::Invalid(_)), "{err}");
    assert!(err.to_string().contains("before it was compiled"), "{err}");
}

#[test]
fn nobody_watches_and_there_is_no_pool() {
    struct Never;
    impl Watch for Never {
        fn may_go_on(&self) -> bool {
            false
        }
    }
    let program = program("(module)", &[]).unwrap();
    let host = &mut recorder(|_, _| Ok(0));
    let started = program.instantiate(InstanceLimits::default(), None, Deadline::Watch(Arc::new(Never)), host);
    assert!(matches!(started.map(|_| ()), Err(Trap::Instantiate(_))));
    let pool = crate::vm::PoolOptions { instances: 1, memory: 1 << 20 };
    let engine = engine(EngineOptions { pool: Some(pool), ..EngineOptions::default() });
    assert!(engine.pool_failure().is_some() && engine.watch_refusal().is_some());
}

#[test]
fn what_modules_may_not_use_is_said_when_they_are_compiled() {
    for wat in [
        "(module (memory 1 1 shared))",
        "(module (memory 1) (memory 1))",
        "(module (memory i64 1))",
        "(module (table 0x7fffffff funcref))",
    ] {
        let err = engine(EngineOptions::default()).compile(wat.as_bytes()).map(|_| ()).unwrap_err();
        assert!(matches!(err, CompileError::Invalid(_)), "{wat}: {err}");
    }
}

#[test]
fn tables_grow_to_the_cap_and_not_beyond() {
    let wat = "(module (table $t 1 funcref)
        (func (export \"grow\") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))";
    let mut instance = instance(wat, &["grow"]);
    let host = &mut recorder(|_, _| Ok(0));
    assert_eq!(instance.call(0, &[(1 << 20) - 1], SECOND, host).unwrap(), 1);
    assert_eq!(instance.call(0, &[1], SECOND, host).unwrap(), u32::MAX);
}

/// Whoever had the signals before has them for all that no guest does.
#[test]
fn what_goes_wrong_outside_of_guests_is_no_trap() {
    if !is_alone() {
        return;
    }
    let mut instance = instance("(module (memory 1) (func (export \"go\") (drop (i32.load (i32.const -4)))))", &["go"]);
    let trap = instance.call(0, &[], SECOND, &mut recorder(|_, _| Ok(0))).unwrap_err();
    assert_eq!(trap.to_string(), "wasm trap: out of bounds memory access");
    assert_eq!(status_of_fork(|| ()), 0);
    let crash = || {
        // SAFETY: this is the crash of a process that does nothing else.
        #[allow(unsafe_code)]
        unsafe {
            std::ptr::without_provenance_mut::<u8>(8).write_volatile(1);
        }
    };
    assert_eq!(status_of_fork(crash), libc::SIGSEGV);
    // In a host call, too.
    let wat = "(module (import \"h\" \"f\" (func $f)) (func (export \"go\") (call $f)))";
    let in_host_call = || {
        let mut instance = self::instance(wat, &["go"]);
        let _ = instance.call(
            0,
            &[],
            SECOND,
            &mut recorder(|_, _| {
                crash();
                Ok(0)
            }),
        );
    };
    assert_eq!(status_of_fork(in_host_call), libc::SIGSEGV);
}

#[allow(unsafe_code)]
fn status_of_fork(body: impl FnOnce()) -> i32 {
    // SAFETY: the process that this is called in runs one test, and the fork ends without its destructors.
    unsafe {
        match libc::fork() {
            0 => {
                body();
                libc::_exit(0)
            }
            process => {
                let mut status = 0;
                assert_eq!(libc::waitpid(process, &mut status, 0), process);
                status
            }
        }
    }
}

/// Deadlines of calls on two threads, by the clock that both have.
#[test]
fn threads_are_stopped_each_at_its_time() {
    let engine = engine(EngineOptions::default());
    let module = engine.compile(b"(module (func (export \"go\") (loop $again (br $again))))").unwrap();
    let program = module.link(&[], &["go"]).unwrap();
    let run = |timeout: Duration| {
        let host = &mut recorder(|_, _| Ok(0));
        let mut instance = program.instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap();
        instance.count_cpu_time(false);
        instance.call(0, &[], timeout, host).unwrap_err()
    };
    thread::scope(|scope| {
        let short = scope.spawn(|| run(SECOND));
        let long = scope.spawn(|| run(3 * SECOND));
        while !short.is_finished() {
            engine.tick();
            thread::sleep(Duration::from_millis(1));
        }
        assert!(!long.is_finished());
        assert!(matches!(short.join().unwrap(), Trap::Timeout(SECOND)));
        while !long.is_finished() {
            engine.tick();
            thread::sleep(Duration::from_millis(1));
        }
        assert!(matches!(long.join().unwrap(), Trap::Timeout(_)));
    });
}

/// `auto` takes its time for small modules alone: what comes out is that of `on` or of `off`, as its size tells.
#[test]
fn large_modules_are_not_optimized_unless_all_are() {
    // What the compiler finds out beforehand, beside instructions of which there is no code.
    let module = |nops: usize| {
        let (sums, nops) = ("(i32.add (i32.const 1))".repeat(40), "nop ".repeat(nops));
        format!("(module (func (export \"sum\") (result i32) {nops} (i32.const 2) {sums}))")
    };
    let code = |wat: &str, optimize| {
        let engine = WasmEdgeEngine::new(EngineOptions { optimize, ..EngineOptions::default() }).unwrap();
        let module = engine.compile(wat.as_bytes()).unwrap();
        let host = &mut recorder(|_, _| Ok(0));
        let program = module.link(&[], &["sum"]).unwrap();
        let mut instance = program.instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap();
        assert_eq!(instance.call(0, &[], SECOND, host).unwrap(), 42);
        module.serialize().unwrap().len()
    };
    for (nops, like) in [(0, Optimize::On), (MOST_OPTIMIZED + 1, Optimize::Off)] {
        let wat = module(nops);
        let (on, off) = (code(&wat, Optimize::On), code(&wat, Optimize::Off));
        assert_ne!(on, off);
        assert_eq!(code(&wat, Optimize::Auto), if like == Optimize::On { on } else { off });
    }
}
