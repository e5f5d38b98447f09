//! Fuel: what the callbacks about a request may compute together.

use super::support::{Guest, World};
use crate::proxy_wasm::Module;
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::errors::{CallError, StartError};
use crate::proxy_wasm::fake_host::FakeHost;
use crate::vm::tests::engine;
use crate::vm::{EngineOptions, Trap};

/// Burns a few units for each of its number.
const BURN: &str = "(func $burn (param $n i32)
    (loop $next
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $next (local.get $n))))";

fn start(guest: &Guest, fuel: u64) -> Result<World, StartError> {
    let engine = engine(EngineOptions { fuel: true, ..EngineOptions::default() });
    let module = guest.module_on(engine.as_ref()).unwrap();
    let vm = VmConfig { fuel: Some(fuel), ..VmConfig::default() };
    World::start(&module, vm, RootConfig::default(), FakeHost::default()).map_err(|failed| failed.err)
}

/// A guest that burns in both callbacks with headers, and in on_tick.
fn burning(request: u32, response: u32, tick: u32) -> Guest {
    Guest::on_request(&format!("(call $burn (i32.const {request}))")).and(BURN).and(&format!(
        "(func (export \"proxy_on_response_headers\") (param i32 i32 i32) (result i32)
            (call $burn (i32.const {response})) (i32.const 0))
         (func (export \"proxy_on_tick\") (param i32) (call $burn (i32.const {tick})))"
    ))
}

fn assert_out_of_fuel<T: std::fmt::Debug>(result: Result<T, CallError>) {
    let Err(CallError::Trap { trap: Trap::OutOfFuel, .. }) = result else { panic!("{result:?}") };
}

#[test]
fn the_same_request_takes_the_same_and_the_callbacks_add_up() {
    let mut world = start(&burning(1000, 500, 1), 1 << 30).unwrap();
    let mut taken = Vec::new();
    for _ in 0..3 {
        let id = world.stream();
        let created = world.vm.fuel_used(id).unwrap();
        world.request_headers(id).unwrap();
        let request = world.vm.fuel_used(id).unwrap();
        world.response_headers(id).unwrap();
        let both = world.vm.fuel_used(id).unwrap();
        world.end(id).unwrap();
        assert_eq!(world.vm.fuel_used(id), Some(both));
        taken.push([created, request, both]);
    }
    assert_eq!(taken[0], taken[1]);
    assert_eq!(taken[0], taken[2]);
    let [created, request, both] = taken[0];
    assert!(created < request && request < both && both - request < request - created, "{taken:?}");
}

#[test]
fn a_request_that_uses_up_its_fuel_ends_in_the_middle_of_a_callback() {
    let mut world = start(&burning(1000, 1_000_000, 1), 100_000).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let result = world.response_headers(id);
    let text = result.as_ref().unwrap_err().to_string();
    assert_eq!(text, "proxy_on_response_headers trapped in context 2: has used up its fuel (wasm_fuel)");
    assert_out_of_fuel(result);
    assert_eq!(world.vm.fuel_used(id), Some(100_000));
    assert!(world.vm.is_dead());
}

#[test]
fn what_one_request_used_up_another_one_has() {
    // Enough for one of these callbacks, and not for two.
    let mut world = start(&burning(10_000, 10_000, 1), 70_000).unwrap();
    let ids = [world.stream(), world.stream()];
    for id in ids {
        world.request_headers(id).unwrap();
    }
    assert_eq!(world.vm.fuel_used(ids[0]), world.vm.fuel_used(ids[1]));
    assert_out_of_fuel(world.response_headers(ids[0]));
}

#[test]
fn a_callback_about_no_request_has_as_much_each_time() {
    let mut world = start(&burning(1, 1, 10_000), 70_000).unwrap();
    let root = world.root;
    for _ in 0..10 {
        world.vm.on_tick(root, &mut world.host).unwrap();
    }
    assert_eq!(world.vm.fuel_used(root), None);
    let mut world = start(&burning(1, 1, 100_000), 70_000).unwrap();
    assert_out_of_fuel(world.vm.on_tick(root, &mut world.host));
}

#[test]
fn a_start_that_takes_too_long_fails() {
    let guest = Guest::new("(func (export \"_initialize\") (loop $again (br $again)))");
    let Err(StartError::Call(err)) = start(&guest, 1000) else { panic!("it started") };
    assert_out_of_fuel(Err::<(), _>(err));
    let guest = Guest::new("(func $go (loop $again (br $again))) (start $go)");
    let Err(StartError::Instantiate { trap: Trap::OutOfFuel }) = start(&guest, 1000) else { panic!("it started") };
}

#[test]
fn host_calls_and_the_bytes_that_they_give_take_fuel() {
    let logs = |len: u32| {
        let call = format!("(drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const {len})))");
        let mut world = start(&Guest::on_request(&call), 1 << 30).unwrap();
        let id = world.stream();
        let before = world.vm.fuel_used(id).unwrap();
        world.request_headers(id).unwrap();
        world.vm.fuel_used(id).unwrap() - before
    };
    assert!(logs(0) >= crate::vm::HOST_CALL_FUEL);
    assert_eq!(logs(16_000) - logs(0), 1000);
}

#[test]
fn host_calls_in_a_loop_end_too() {
    let guest = Guest::on_request(
        "(loop $again (drop (call $proxy_log (i32.const 0) (i32.const 0) (i32.const 8))) (br $again))",
    );
    let mut world = start(&guest, 100_000).unwrap();
    let id = world.stream();
    assert_out_of_fuel(world.request_headers(id));
    let lines = world.host.entries.len();
    assert!((900..1000).contains(&lines), "{lines}");
}

#[test]
fn without_a_limit_nothing_is_counted() {
    let mut world = burning(1000, 1000, 1).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.vm.fuel_used(id), None);
}

#[test]
fn a_limit_wants_a_module_that_was_compiled_for_it() {
    let vm = VmConfig { fuel: Some(1000), ..VmConfig::default() };
    let Err(failed) = Guest::new("").start_with(vm, RootConfig::default(), FakeHost::default()) else {
        panic!("it started")
    };
    assert!(failed.err.to_string().contains("compiled without counting it"), "{}", failed.err);
}

#[test]
fn a_module_that_counts_runs_without_a_limit() {
    let engine = engine(EngineOptions { fuel: true, ..EngineOptions::default() });
    let module = Module::new(engine.as_ref(), burning(100_000, 1, 1).wat().as_bytes()).unwrap().into();
    let started = World::start(&module, VmConfig::default(), RootConfig::default(), FakeHost::default());
    let mut world = started.unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.vm.fuel_used(id), None);
}
