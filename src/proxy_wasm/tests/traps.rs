//! A guest that does not return: what the host is told, and that nothing runs in it any more. Limits of time and memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::support::{Guest, World, own_engine};
use crate::proxy_wasm::callbacks::Callback;
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::errors::{CallError, StartError};
use crate::proxy_wasm::fake_host::FakeHost;
use crate::proxy_wasm::ids::ContextId;
use crate::proxy_wasm::types::LogLevel;
use crate::vm::tests::IS_WASMTIME;
use crate::vm::{Engine, InstanceLimits, Trap};

fn trap(calls: &str) -> (World, CallError) {
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    let err = world.request_headers(id).unwrap_err();
    (world, err)
}

fn reason(calls: &str) -> String {
    match trap(calls).1 {
        CallError::Trap { trap, .. } => trap.to_string(),
        CallError::Dead => panic!("dead before it ran"),
    }
}

#[test]
fn each_trap_has_its_reason() {
    for (calls, wanted) in [
        ("unreachable", if IS_WASMTIME { "wasm `unreachable` instruction executed" } else { "wasm trap: unreachable" }),
        ("(drop (i32.load (i32.const -4)))", "out of bounds memory access"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "integer divide by zero"),
    ] {
        let found = reason(calls);
        assert!(found.contains(wanted), "{found}");
        assert!(!found.contains('\n'), "{found}");
    }
    let recursion = Guest::on_request("(drop (call $deeper (i32.const 0)))")
        .and("(func $deeper (param i32) (result i32) (i32.sub (i32.const 1) (call $deeper (local.get 0))))");
    let mut world = recursion.start();
    let id = world.stream();
    let err = world.request_headers(id).unwrap_err();
    assert!(err.to_string().contains("call stack exhausted"), "{err}");
}

#[test]
fn an_exit_is_a_trap_with_its_code() {
    assert_eq!(reason("(call $proc_exit (i32.const 42))"), "called proc_exit(42)");
}

// LLVM puts functions that are called once into those that call them.
#[cfg(feature = "wasmtime")]
#[test]
fn a_trap_is_told_with_callback_context_and_backtrace() {
    let guest = Guest::on_request("(call $inner)").and("(func $inner unreachable)");
    let mut world = guest.start();
    let id = world.stream();
    let err = world.request_headers(id).unwrap_err();
    let text = err.to_string();
    assert!(text.starts_with("proxy_on_request_headers trapped in context 2: "), "{text}");
    assert!(text.contains("(guest backtrace: inner < "), "{text}");
    assert_eq!(err.level(), LogLevel::Critical);
}

// LLVM makes a loop of it.
#[cfg(feature = "wasmtime")]
#[test]
fn a_backtrace_has_20_frames_at_most() {
    let guest = Guest::on_request("(call $deeper (i32.const 50))").and(
        "(func $deeper (param i32)
            (if (i32.eqz (local.get 0)) (then unreachable))
            (call $deeper (i32.sub (local.get 0) (i32.const 1))))",
    );
    let mut world = guest.start();
    let id = world.stream();
    let CallError::Trap { trap, .. } = world.request_headers(id).unwrap_err() else { panic!("dead") };
    assert_eq!(trap.backtrace().len(), 20);
}

#[test]
fn a_report_has_as_many_frames_as_there_is_room_for() {
    let frames: Vec<String> = ["inner", "middle\n", "outer"].map(str::to_owned).into();
    let trap = Trap::Guest { reason: "unreachable".into(), backtrace: frames };
    let err = CallError::Trap { callback: Callback::OnTick, context: ContextId(1), trap };
    let text = "proxy_on_tick trapped in context 1: unreachable; why";
    let all = format!("{text} (guest backtrace: inner < middle? < outer)");
    assert_eq!(err.report("; why", 1000), all);
    assert_eq!(err.report("; why", all.len()), all);
    let with = |frames: &str| format!("{text} (guest backtrace: {frames} < ...)");
    assert_eq!(err.report("; why", with("inner < middle?").len()), with("inner < middle?"));
    assert_eq!(err.report("; why", with("inner < middle?").len() - 1), with("inner"));
    assert_eq!(err.report("; why", with("inner").len() - 1), text);
    for room in 0..all.len() {
        let report = err.report("; why", room);
        assert!(report.len() <= room);
        // What follows from the trap has room before what happened has.
        let is_whole = report.ends_with("; why") || report.ends_with("...)");
        assert!(is_whole || "; why".starts_with(&report), "{room}: {report}");
    }
    assert_eq!(err.report("", 1000), all.replace("; why", ""));
    assert_eq!(CallError::Dead.report("; why", 1000), "the VM has trapped before; why");
}

#[test]
fn nothing_runs_after_a_trap() {
    let (mut world, _) = trap("unreachable");
    assert!(world.vm.is_dead());
    let root = world.root;
    for err in [
        world.vm.on_request_headers(root, 1, true, &mut world.host).unwrap_err(),
        world.vm.on_request_headers(root, 1, true, &mut world.host).unwrap_err(),
    ] {
        assert!(matches!(err, CallError::Dead), "{err}");
        assert_eq!(err.to_string(), "the VM has trapped before");
        assert_eq!(err.level(), LogLevel::Error);
    }
}

#[test]
fn every_callback_of_a_dead_vm_fails() {
    let guest = Guest::on_request("unreachable").noting("on_response_headers", 3, "(i32.const 0)");
    let guest = guest.noting("on_done", 1, "(i32.const 1)").noting("on_context_create", 2, "");
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap_err();
    world.notes();
    assert!(matches!(world.response_headers(id), Err(CallError::Dead)));
    assert!(matches!(world.end(id), Err(CallError::Dead)));
    let token = crate::proxy_wasm::StreamToken(world.token(id));
    let created = world.vm.create_stream(world.root, token, &mut world.host);
    assert!(matches!(created, Err(CallError::Dead)));
    let root = world.vm.create_root(RootConfig::default(), &mut world.host);
    assert!(matches!(root, Err(StartError::Call(CallError::Dead))));
    assert!(world.notes().is_empty());
    assert_eq!(world.vm.contexts(), 2);
}

/// Runs `body` while another thread moves the clock of `engine` on, as fast as it can.
fn while_ticking<R>(engine: &dyn Engine, body: impl FnOnce() -> R) -> R {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                engine.tick();
                thread::yield_now();
            }
        });
        // Also when `body` panics: the scope waits for its threads.
        let _stop = Stop(&stop);
        body()
    })
}

#[test]
fn an_endless_loop_ends_at_the_deadline_and_the_vm_with_it() {
    let engine = own_engine();
    let module = Guest::on_request("(loop $again (br $again))").module_on(engine.as_ref()).unwrap();
    let host = FakeHost { timeout: Duration::from_millis(250), ..FakeHost::default() };
    let started = World::start(&module, VmConfig::default(), RootConfig::default(), host);
    let mut world = started.unwrap();
    let id = world.stream();
    let err = while_ticking(engine.as_ref(), || world.request_headers(id)).unwrap_err();
    assert!(
        matches!(&err, CallError::Trap { trap: Trap::Timeout(after), .. } if *after == world.host.timeout),
        "{err}"
    );
    assert_eq!(
        err.to_string(),
        "proxy_on_request_headers trapped in context 2: still running after 250 ms (wasm_timeout)"
    );
    assert!(matches!(world.request_headers(id), Err(CallError::Dead)));
}

#[test]
fn an_endless_allocator_ends_at_the_deadline_of_the_callback() {
    let engine = own_engine();
    let guest = Guest::on_request("(drop (call $proxy_get_configuration (i32.const 0) (i32.const 4)))")
        .allocator("(func (export \"malloc\") (param i32) (result i32) (loop $again (br $again)) (i32.const 0))");
    let module = guest.module_on(engine.as_ref()).unwrap();
    let root = RootConfig { configuration: b"x".to_vec(), ..RootConfig::default() };
    let started = World::start(&module, VmConfig::default(), root, FakeHost::default());
    let mut world = started.unwrap();
    let id = world.stream();
    let err = while_ticking(engine.as_ref(), || world.request_headers(id)).unwrap_err();
    assert!(err.to_string().ends_with("still running after 1000 ms (wasm_timeout)"), "{err}");
}

#[test]
fn an_endless_start_section_ends_at_the_deadline() {
    let engine = own_engine();
    let module = Guest::new("(func $go (loop $again (br $again))) (start $go)").module_on(engine.as_ref()).unwrap();
    let started = while_ticking(engine.as_ref(), || {
        World::start(&module, VmConfig::default(), RootConfig::default(), FakeHost::default())
    });
    let Err(failed) = started else { panic!("it started") };
    assert_eq!(failed.err.to_string(), "still running after 1000 ms (wasm_timeout)");
}

#[test]
fn callbacks_of_a_start_are_measured_in_cpu_time_and_others_are_not() {
    // Time passes for others, and the guest goes on.
    let busy = "(drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const 0)))
        (loop $again (br_if $again (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100))))";
    let function = |name: &str, types: &str, result: &str| {
        format!("(func (export \"{name}\") {types} (local $n i32) {busy} {result})")
    };
    let guest = Guest::new(function("_initialize", "", ""))
        .and(&function("proxy_on_vm_start", "(param i32 i32) (result i32)", "(i32.const 1)"))
        .and(&function("proxy_on_configure", "(param i32 i32) (result i32)", "(i32.const 1)"))
        .and(&function("proxy_on_request_headers", "(param i32 i32 i32) (result i32)", "(i32.const 0)"));
    let engine = own_engine();
    let module = guest.module_on(engine.as_ref()).unwrap();
    let clock = engine.clone();
    let on_log: Box<dyn Fn()> = Box::new(move || (0..500).for_each(|_| clock.tick()));
    let host = FakeHost { on_log: Some(on_log), ..FakeHost::default() };
    let started = World::start(&module, VmConfig::default(), RootConfig::default(), host);
    let mut world = started.unwrap_or_else(|failed| panic!("{}", failed.err));
    let id = world.stream();
    let err = world.request_headers(id).unwrap_err();
    assert!(matches!(&err, CallError::Trap { trap: Trap::Timeout(_), .. }), "{err}");
}

#[test]
fn each_callback_has_the_whole_time() {
    let engine = own_engine();
    let module = Guest::new("").noting("on_request_headers", 3, "(i32.const 0)").module_on(engine.as_ref()).unwrap();
    let started = World::start(&module, VmConfig::default(), RootConfig::default(), FakeHost::default());
    let mut world = started.unwrap();
    let id = world.stream();
    for _ in 0..3 {
        // More than the deadline of 1 s has, in ticks of 10 ms, but between callbacks.
        (0..500).for_each(|_| engine.tick());
        world.request_headers(id).unwrap();
    }
}

/// Starts a guest that may have `pages` of memory.
fn limited(guest: &Guest, pages: usize) -> Result<World, StartError> {
    let vm = VmConfig { limits: InstanceLimits { memory: pages << 16, pooled: false }, ..VmConfig::default() };
    guest.start_with(vm, RootConfig::default(), FakeHost::default()).map_err(|failed| failed.err)
}

#[test]
fn memory_grows_up_to_the_limit_and_not_beyond() {
    let guest = Guest::on_request(
        "(note \"grow\" (memory.grow (i32.const 1)))
         (note \"grow\" (memory.grow (i32.const 1)))
         (note \"grow\" (memory.grow (i32.const 0xffff)))
         (note \"size\" (memory.size))",
    );
    let mut world = limited(&guest, 3).unwrap();
    assert_eq!(world.vm.stats().memory, 2 << 16);
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["grow 2 -1 -1", "size 3"]);
    assert_eq!(world.vm.stats().memory, 3 << 16);
}

#[test]
fn a_guest_that_wants_more_than_the_limit_from_the_start_does_not_start() {
    let Err(err) = limited(&Guest::new(""), 1) else { panic!("it started") };
    let reason = if IS_WASMTIME {
        "memory minimum size of 2 pages exceeds memory limits"
    } else {
        "no room for its memory, of which it may have 65536 bytes: Limited 1 page in configuration."
    };
    assert_eq!(err.to_string(), format!("cannot instantiate: {reason}"));
}

// WasmEdge is set up to refuse a second memory.
#[cfg(feature = "wasmtime")]
#[test]
fn memory_that_the_host_never_sees_counts_too() {
    let guest = Guest::new("").memory("(memory (export \"memory\") 2) (memory $second 2)");
    let Err(err) = limited(&guest, 3) else { panic!("it started") };
    assert!(err.to_string().starts_with("cannot instantiate: "), "{err}");
}

#[test]
fn tables_do_not_grow_for_ever() {
    let guest = Guest::on_request("(note \"grow\" (table.grow $t (ref.null func) (i32.const 0x7fffffff)))")
        .and("(table $t 1 funcref)");
    let mut world = limited(&guest, 3).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["grow -1"]);
}

#[test]
fn callbacks_that_have_run_are_counted_those_that_trap_too() {
    let mut world = Guest::on_request("(if (local.get 1) (then unreachable))").start();
    let id = world.stream();
    world.vm.take_callbacks();
    world.vm.on_request_headers(id, 0, false, &mut world.host).unwrap();
    // The guest has no such callback.
    world.vm.on_response_headers(id, 0, false, &mut world.host).unwrap();
    assert_eq!(world.vm.take_callbacks(), 1);
    assert_eq!(world.vm.take_callbacks(), 0);
    world.vm.on_request_headers(id, 1, false, &mut world.host).unwrap_err();
    world.vm.on_request_headers(id, 1, false, &mut world.host).unwrap_err();
    assert_eq!(world.vm.take_callbacks(), 1);
}
