//! proxy_get_current_time_nanoseconds, ticks, and how long callbacks take.

use super::support::{Guest, probe};
use crate::proxy_wasm::config::VmConfig;
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::{RootConfig, StartError};
use crate::shared::latency::Kind;

#[test]
fn the_time_is_the_hosts_in_64_bits() {
    let answer = probe(FakeStream::default(), "proxy_get_current_time_nanoseconds", &[0x101], &[]);
    assert_eq!(answer.u64_at(0x101), FakeHost::default().now);
}

#[test]
fn a_timer_belongs_to_the_root_of_the_context_that_asks() {
    let guest = Guest::on_request("(drop (call $proxy_set_tick_period_milliseconds (i32.const 250)))");
    let mut world = guest.start();
    assert_eq!(world.vm.take_tick_periods(), []);
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.vm.take_tick_periods(), [(world.root, 250)]);
    assert_eq!(world.vm.take_tick_periods(), []);
}

#[test]
fn the_last_period_of_a_callback_counts() {
    let guest = Guest::on_request(
        "(drop (call $proxy_set_tick_period_milliseconds (i32.const 250)))
         (drop (call $proxy_set_tick_period_milliseconds (i32.const 0)))",
    );
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.vm.take_tick_periods(), [(world.root, 0)]);
}

#[test]
fn a_root_that_ends_takes_its_timer_with_it() {
    let tick = "(drop (call $proxy_set_tick_period_milliseconds (i32.const 250)))";
    let done = format!("(func (export \"proxy_on_done\") (param i32) (result i32) {tick} (i32.const 1))");
    let mut world = Guest::new(done).start();
    world.vm.end_root(world.root, &mut world.host).unwrap();
    assert_eq!(world.vm.take_tick_periods(), []);
}

#[test]
fn a_root_that_does_not_start_has_no_timer() {
    let tick = "(drop (call $proxy_set_tick_period_milliseconds (i32.const 250)))";
    let second = format!("(if (i32.ne (local.get 0) (i32.const 1)) (then {tick}))");
    let answer = "(i32.eq (local.get 0) (i32.const 1))";
    let configure = format!("(func (export \"proxy_on_configure\") (param i32 i32) (result i32) {second} {answer})");
    let mut world = Guest::new(configure).start();
    let made = world.vm.create_root(RootConfig::default(), &mut world.host);
    assert!(matches!(made, Err(StartError::Configure)));
    assert_eq!(world.vm.take_tick_periods(), []);
}

#[test]
fn a_tick_is_a_callback_of_the_root() {
    let mut world = Guest::new("").noting("on_tick", 1, "").start();
    world.vm.on_tick(world.root, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["on_tick 1"]);
}

#[test]
fn the_host_is_told_how_long_callbacks_took_if_it_wants_to_know() {
    let guest = || {
        Guest::on_request("").and(
            "(func (export \"proxy_on_context_create\") (param i32 i32))
             (func (export \"proxy_on_log\") (param i32) unreachable)",
        )
    };
    for is_measured in [false, true] {
        let vm = VmConfig { is_measured, ..VmConfig::default() };
        let mut world = guest().start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
        let id = world.stream();
        world.request_headers(id).unwrap();
        // One that traps, too.
        world.end(id).unwrap_err();
        let kinds = [Kind::ContextCreate, Kind::ContextCreate, Kind::RequestHeaders, Kind::End];
        assert_eq!(world.host.took, if is_measured { &kinds[..] } else { &[] });
    }
}
