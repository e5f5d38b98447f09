//! From a module to a root context: which functions run, in which order, with which arguments, and how each may fail.

use super::support::{Failed, Guest, notes};
use crate::proxy_wasm::callbacks::Callback;
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::errors::{CallError, StartError};
use crate::proxy_wasm::fake_host::FakeHost;
use crate::proxy_wasm::ids::ContextId;
use crate::proxy_wasm::types::LogLevel;
use crate::proxy_wasm::vm::Vm;
use crate::vm::Trap;

/// A function that notes that it ran.
fn says(export: &str, types: &str, result: &str) -> String {
    format!("(func (export \"{export}\") {types} (note \"{export}\" (i32.const 0)) {result})")
}

/// Without a callback, a module with "_start" is refused before it is started.
const CALLBACK: &str = "(func (export \"proxy_on_log\") (param i32))";

fn configs() -> (VmConfig, RootConfig) {
    let vm = VmConfig { configuration: b"four".to_vec(), ..VmConfig::default() };
    (vm, RootConfig { configuration: b"sixsix".to_vec(), ..RootConfig::default() })
}

fn start_notes(guest: &Guest) -> Vec<String> {
    let (vm, root) = configs();
    guest.start_with(vm, root, FakeHost::default()).unwrap().notes()
}

#[test]
fn initialize_comes_first_and_main_after_it() {
    let guest =
        Guest::new(says("_initialize", "", "") + &says("main", "(param i32 i32) (result i32)", "(i32.const 0)"))
            .and(&says("_start", "", ""))
            .noting("on_context_create", 2, "")
            .noting("on_vm_start", 2, "(i32.const 1)")
            .noting("on_configure", 2, "(i32.const 1)");
    assert_eq!(
        start_notes(&guest),
        ["_initialize 0", "main 0", "on_context_create 1 0", "on_vm_start 1 4", "on_configure 1 6"]
    );
}

#[test]
fn main_gets_no_arguments() {
    let guest = Guest::new("(func (export \"_initialize\"))").and(
        "(func (export \"main\") (param i32 i32) (result i32)
            (note \"main\" (i32.or (local.get 0) (local.get 1))) (i32.const 3))",
    );
    assert_eq!(start_notes(&guest), ["main 0"]);
}

#[test]
fn main_void_is_the_other_name_of_main() {
    let initialize = says("_initialize", "", "");
    let main_void = says("__main_void", "(result i32)", "(i32.const 0)");
    assert_eq!(start_notes(&Guest::new(initialize.clone() + &main_void)), ["_initialize 0", "__main_void 0"]);
    let main = says("main", "(param i32 i32) (result i32)", "(i32.const 0)");
    assert_eq!(start_notes(&Guest::new(initialize + &main_void + &main)), ["_initialize 0", "main 0"]);
}

#[test]
fn start_runs_only_without_initialize() {
    let start = says("_start", "", "") + CALLBACK;
    let main = says("main", "(param i32 i32) (result i32)", "(i32.const 0)");
    assert_eq!(start_notes(&Guest::new(start.clone() + &main)), ["_start 0"]);
    assert_eq!(start_notes(&Guest::new(start + &says("_initialize", "", ""))), ["_initialize 0"]);
}

#[test]
fn main_alone_does_not_run() {
    assert!(start_notes(&Guest::new(says("main", "(param i32 i32) (result i32)", "(i32.const 0)"))).is_empty());
}

#[test]
fn every_callback_is_optional() {
    assert!(start_notes(&Guest::new("")).is_empty());
}

#[test]
fn the_result_of_main_does_not_matter() {
    let main = says("main", "(param i32 i32) (result i32)", "(i32.const 7)");
    Guest::new(says("_initialize", "", "") + &main).start();
}

#[test]
fn the_start_section_may_call_the_host() {
    let mut world = Guest::new("(func $go (note \"start\" (i32.const 5))) (start $go)").start();
    assert_eq!(world.notes(), ["start 5"]);
}

#[test]
fn a_false_on_vm_start_ends_the_start() {
    let guest = Guest::new("").noting("on_vm_start", 2, "(i32.const 0)").noting("on_configure", 2, "(i32.const 1)");
    let (vm, root) = configs();
    let Err(failed) = guest.start_with(vm, root, FakeHost::default()) else { panic!("it started") };
    let Failed { err, mut host } = *failed;
    assert!(matches!(err, StartError::VmStart));
    assert_eq!(err.to_string(), "proxy_on_vm_start returned false: the filter refuses its VM configuration");
    assert_eq!(notes(&mut host), ["on_vm_start 1 4"]);
}

#[test]
fn a_false_on_configure_ends_the_start() {
    let err = Guest::new("").noting("on_configure", 2, "(i32.const 0)").start_error();
    assert!(matches!(err, StartError::Configure));
    assert_eq!(err.to_string(), "proxy_on_configure returned false: the filter refuses its configuration");
}

#[test]
fn any_number_but_zero_is_true() {
    Guest::new("").noting("on_vm_start", 2, "(i32.const -1)").noting("on_configure", 2, "(i32.const 256)").start();
}

#[test]
fn a_trap_while_starting_names_its_callback() {
    for (export, types, callback, context) in [
        ("_initialize", "", Callback::Initialize, 0),
        ("_start", "", Callback::Start, 0),
        ("proxy_on_context_create", "(param i32 i32)", Callback::OnContextCreate, 1),
        ("proxy_on_vm_start", "(param i32 i32) (result i32)", Callback::OnVmStart, 1),
        ("proxy_on_configure", "(param i32 i32) (result i32)", Callback::OnConfigure, 1),
    ] {
        let err = Guest::new(format!("(func (export \"{export}\") {types} unreachable) {CALLBACK}")).start_error();
        let text = err.to_string();
        let StartError::Call(CallError::Trap { callback: found, context: id, .. }) = err else { panic!("{err}") };
        assert_eq!((found, id), (callback, ContextId(context)), "{export}");
        assert!(text.starts_with(&format!("{export} trapped in context {context}: ")), "{text}");
        assert!(text.contains("unreachable"), "{text}");
    }
}

#[test]
fn a_trap_in_main_names_it() {
    let initialize = "(func (export \"_initialize\"))";
    for (export, types) in [("main", "(param i32 i32) (result i32)"), ("__main_void", "(result i32)")] {
        let err = Guest::new(format!("{initialize} (func (export \"{export}\") {types} unreachable)")).start_error();
        assert!(err.to_string().starts_with(&format!("{export} trapped in context 0: ")), "{err}");
    }
}

#[test]
fn a_trap_in_the_start_section_is_told() {
    let err = Guest::new("(func $go unreachable) (start $go)").start_error();
    assert!(matches!(err, StartError::Instantiate { .. }));
    assert!(err.to_string().starts_with("cannot instantiate: "), "{err}");
    assert!(err.to_string().contains("unreachable"), "{err}");
}

#[test]
fn a_program_that_ends_is_no_filter_and_its_error_says_how_to_build_one() {
    for code in [0, 2] {
        let err = Guest::new(format!("(func (export \"_start\") (call $proc_exit (i32.const {code}))) {CALLBACK}"))
            .start_error();
        assert_eq!(
            err.to_string(),
            format!(
                "its _start called proc_exit({code}): it is a program that runs and ends, and no filter; build it as a library (a \
                 \"reactor\"): Go with -buildmode=c-shared, Rust with crate-type = [\"cdylib\"], C and C++ with \
                 -mexec-model=reactor"
            )
        );
    }
}

#[test]
fn a_start_that_traps_otherwise_is_no_program() {
    let err = Guest::new(format!("(func (export \"_start\") unreachable) {CALLBACK}")).start_error();
    assert!(err.to_string().starts_with("_start trapped in context 0: "), "{err}");
}

/// What is known of the root id after a start in which a guest does these things.
fn may_not_know_root(create: &str, configure: &str, configuration: &str) -> bool {
    let guest = Guest::new(format!(
        "(func (export \"proxy_on_context_create\") (param i32 i32) {create})
         (func (export \"proxy_on_configure\") (param i32 i32) (result i32) {configure} (i32.const 1))"
    ));
    let root = RootConfig { configuration: configuration.into(), ..RootConfig::default() };
    let world = guest.start_with(VmConfig::default(), root, FakeHost::default()).unwrap();
    world.vm.may_not_know_root(ContextId(1))
}

#[test]
fn a_guest_that_asks_for_its_root_id_and_leaves_its_configuration_unread_is_suspected() {
    let asks = "(drop (call $proxy_get_property (text \"plugin_root_id\") (i32.const 0) (i32.const 4)))";
    let reads =
        "(drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))";
    let sizes = "(drop (call $proxy_get_buffer_status (i32.const 7) (i32.const 0) (i32.const 4)))";
    let other =
        "(drop (call $proxy_get_buffer_bytes (i32.const 6) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))";
    assert!(may_not_know_root(asks, "", "{}"));
    assert!(may_not_know_root(asks, other, "{}"));
    assert!(!may_not_know_root(asks, reads, "{}"));
    assert!(!may_not_know_root(asks, sizes, "{}"));
    assert!(!may_not_know_root(asks, "", ""));
    assert!(!may_not_know_root("", "", "{}"));
    assert!(!may_not_know_root(&asks.replace("root_id", "vm_id"), "", "{}"));
}

#[test]
fn what_a_guest_printed_before_it_failed_is_logged() {
    let guest = Guest::new(
        "(data (i32.const 0) \"\\10\\00\\00\\00\\03\\00\\00\\00\") (data (i32.const 16) \"why\")
         (func (export \"_initialize\")
            (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))) unreachable)",
    );
    let Err(failed) = guest.start_with(VmConfig::default(), RootConfig::default(), FakeHost::default()) else {
        panic!("it started")
    };
    assert_eq!(failed.host.logged(LogLevel::Error), ["why"]);
}

#[test]
fn a_root_that_was_refused_leaves_no_context() {
    let module = Guest::new("").noting("on_configure", 2, "(i32.ge_u (local.get 1) (i32.const 3))").module().unwrap();
    let mut host = FakeHost::default();
    let mut vm = Vm::start(&module, VmConfig::default(), &mut host).unwrap();
    assert!(vm.create_root(RootConfig::default(), &mut host).is_err());
    assert_eq!(vm.contexts(), 0);
    assert!(!vm.is_dead());
    let config = RootConfig { configuration: b"long enough".to_vec(), ..RootConfig::default() };
    assert_eq!(vm.create_root(config, &mut host).unwrap(), ContextId(2));
}

#[test]
fn on_vm_start_runs_for_every_root() {
    let module = Guest::new("").noting("on_vm_start", 2, "(i32.const 1)").module().unwrap();
    let mut host = FakeHost::default();
    let (vm, root) = configs();
    let mut vm = Vm::start(&module, vm, &mut host).unwrap();
    vm.create_root(root.clone(), &mut host).unwrap();
    vm.create_root(root, &mut host).unwrap();
    assert_eq!(notes(&mut host), ["on_vm_start 1 4 2 4"]);
}

#[test]
fn the_first_failure_of_an_instance_is_a_trap_of_its_own_kind() {
    let err = Guest::new("(func $go (call $proc_exit (i32.const 3))) (start $go)").start_error();
    assert!(matches!(err, StartError::Instantiate { trap: Trap::Exit(3) }), "{err:?}");
}

#[test]
fn a_guest_without_callbacks_starts_and_is_known_to_have_none() {
    for (body, has_any) in [
        ("", false),
        ("(func (export \"_initialize\"))", false),
        ("(func (export \"proxy_on_configure\") (param i32 i32) (result i32) (i32.const 1))", true),
        ("(func (export \"proxy_on_log\") (param i32))", true),
        ("(func (export \"proxy_on_context_create\") (param i32 i32))", true),
    ] {
        assert_eq!(Guest::new(body).start().vm.has_callbacks(), has_any, "{body}");
    }
}
