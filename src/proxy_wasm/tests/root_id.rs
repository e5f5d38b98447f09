//! What shows of whether a guest knows the root id that it is given.

use super::support::{FakeHost, Guest};
use crate::proxy_wasm::RootIdUse;
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::vm::Vm;

const ASKS: &str = "(drop (call $proxy_get_property (text \"plugin_root_id\") (i32.const 0) (i32.const 4)))";
const READS: &str =
    "(drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 99) (i32.const 0) (i32.const 4)))";

/// What becomes of the root of a guest that does `create` and `configure` in these callbacks.
fn seen(create: &str, configure: &str) -> (RootIdUse, bool) {
    let guest = Guest::new(format!(
        "(func (export \"proxy_on_context_create\") (param i32 i32) {create})
         (func (export \"proxy_on_configure\") (param i32 i32) (result i32) {configure})"
    ));
    let mut host = FakeHost::default();
    let mut vm = Vm::start(&guest.module().unwrap(), VmConfig::default(), &mut host).unwrap();
    let made = vm.create_root(RootConfig { root_id: b"one".to_vec(), ..RootConfig::default() }, &mut host);
    (vm.root_id_use(), made.is_ok())
}

#[test]
fn a_guest_that_does_not_ask_takes_any() {
    assert_eq!(seen("", "(i32.const 1)"), (RootIdUse::Ignored, true));
    assert_eq!(seen("", &format!("{READS} (i32.const 1)")), (RootIdUse::Ignored, true));
    assert_eq!(seen("unreachable", "(i32.const 1)"), (RootIdUse::Ignored, false));
}

#[test]
fn a_guest_that_asks_and_goes_on_to_work_knows_it() {
    assert_eq!(seen(ASKS, &format!("{READS} (i32.const 1)")), (RootIdUse::Known, true));
    // The class for what is not known refuses nothing, and cannot trap in its own callbacks.
    assert_eq!(seen(ASKS, "(i32.const 0)"), (RootIdUse::Known, false));
    assert_eq!(seen(ASKS, "unreachable"), (RootIdUse::Known, false));
}

#[test]
fn a_guest_that_asks_and_does_nothing_may_not_know_it() {
    assert_eq!(seen(ASKS, "(i32.const 1)"), (RootIdUse::Silent, true));
}

#[test]
fn a_guest_that_traps_when_it_has_asked_does_not_know_it() {
    assert_eq!(seen(&format!("{ASKS} unreachable"), "(i32.const 1)"), (RootIdUse::Unknown, false));
}

#[test]
fn each_context_is_looked_at_for_itself() {
    // The first root works, the others do not.
    let guest = Guest::new(format!(
        "(func (export \"proxy_on_context_create\") (param i32 i32) {ASKS}
           (if (i32.eq (local.get 0) (i32.const 1)) (then {READS})))"
    ));
    let mut host = FakeHost::default();
    let mut vm = Vm::start(&guest.module().unwrap(), VmConfig::default(), &mut host).unwrap();
    vm.create_root(RootConfig::default(), &mut host).unwrap();
    assert_eq!(vm.root_id_use(), RootIdUse::Known);
    vm.create_root(RootConfig::default(), &mut host).unwrap();
    assert_eq!(vm.root_id_use(), RootIdUse::Silent);
}
