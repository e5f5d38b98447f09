//! Values on their way into the guest: its allocator may answer anything, and do anything.

use super::support::{Answer, Guest, MEMORY, probe_guest, probing};
use crate::proxy_wasm::callbacks::Callback;
use crate::proxy_wasm::errors::CallError;
use crate::proxy_wasm::fake_host::FakeStream;
use crate::proxy_wasm::types::{LogLevel, MapType, Status};

const NAME: &[(u32, &[u8])] = &[(0x1000, b"name")];

fn stream(value: &str) -> FakeStream {
    let mut stream = FakeStream::default();
    stream.set_map(MapType::RequestHeaders, &[("name", value), ("inner", "from inside")]);
    stream
}

/// A guest that reads the header `name`, with this function for an allocator.
fn reading(allocator: &str) -> Guest {
    probing("proxy_get_header_map_value", &[0, 0x1000, 4, 0x100, 0x140], NAME).allocator(allocator)
}

/// What it gets when the header's value is `value`.
fn read(allocator: &str, value: &str) -> Result<Answer, CallError> {
    probe_guest(&reading(allocator), stream(value), NAME)
}

fn answering(result: &str) -> String {
    format!("(func (export \"proxy_on_memory_allocate\") (param i32) (result i32) {result})")
}

#[test]
fn a_value_lies_where_the_allocator_says() {
    let answer = read(&answering("(i32.const 0x2800)"), "value").unwrap();
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!((answer.u32_at(0x100), answer.u32_at(0x140)), (0x2800, 5));
    assert_eq!(answer.given(0x100, 0x140), b"value");
}

#[test]
fn the_allocator_is_asked_for_the_size_of_the_value() {
    let answer = read(&answering("(i32.store (i32.const 0x200) (local.get 0)) (i32.const 0x2800)"), "value").unwrap();
    assert_eq!(answer.u32_at(0x200), 5);
}

#[test]
fn malloc_is_an_allocator_too_and_the_second_choice() {
    let malloc = "(func (export \"malloc\") (param i32) (result i32) (i32.const 0x2900))";
    assert_eq!(read(malloc, "value").unwrap().u32_at(0x100), 0x2900);
    let both = answering("(i32.const 0x2800)") + malloc;
    assert_eq!(read(&both, "value").unwrap().u32_at(0x100), 0x2800);
}

#[test]
fn no_bytes_need_no_memory() {
    let answer = read(&answering("unreachable"), "").unwrap();
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!((answer.u32_at(0x100), answer.u32_at(0x140)), (0, 0));
}

#[test]
fn an_allocator_without_memory_is_an_internal_failure() {
    let answer = read(&answering("(i32.const 0)"), "value").unwrap();
    assert_eq!(answer.status, Status::InternalFailure as u32);
    assert!(answer.untouched());
}

#[test]
fn an_allocator_that_points_outside_is_an_invalid_memory_access() {
    for ptr in [MEMORY - 4, MEMORY, u32::MAX - 4, u32::MAX] {
        let answer = read(&answering(&format!("(i32.const {ptr})")), "value").unwrap();
        assert_eq!(answer.status, Status::InvalidMemoryAccess as u32, "{ptr:#x}");
        assert!(answer.untouched(), "{ptr:#x}");
    }
}

#[test]
fn memory_that_the_allocator_made_can_be_used_at_once() {
    let grow = answering("(i32.mul (memory.grow (i32.const 1)) (i32.const 0x10000))");
    // The probe shows only the memory that there was at first: the value lies in the new page.
    let answer = read(&grow, "value").unwrap();
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!((answer.u32_at(0x100), answer.u32_at(0x140)), (MEMORY, 5));
}

#[test]
fn a_bad_place_for_the_result_is_found_before_the_allocator_runs() {
    let guest = probing("proxy_get_header_map_value", &[0, 0x1000, 4, 0x100, u64::from(MEMORY) - 2], NAME);
    let answer = probe_guest(&guest.allocator(&answering("unreachable")), stream("value"), NAME).unwrap();
    assert_eq!(answer.status, Status::InvalidMemoryAccess as u32);
}

#[test]
fn a_trap_in_the_allocator_is_a_trap_of_the_callback() {
    let Err(err) = read(&answering("unreachable"), "value") else { panic!("no trap") };
    let CallError::Trap { callback: Callback::OnRequestHeaders, .. } = err else { panic!("{err}") };
    assert!(err.to_string().contains("unreachable"), "{err}");
}

#[test]
fn an_exit_in_the_allocator_is_an_exit() {
    let Err(err) = read(&answering("(call $proc_exit (i32.const 4)) unreachable"), "value") else { panic!("no trap") };
    assert_eq!(err.to_string(), "proxy_on_request_headers trapped in context 2: called proc_exit(4)");
}

#[test]
fn the_allocator_may_call_the_host() {
    let guest = reading(&answering("(drop (call $proxy_log (i32.const 2) (text \"allocating\"))) (i32.const 0x2800)"));
    let mut world = guest.start();
    let id = world.stream_of(stream("value"));
    world.request_headers(id).unwrap();
    assert_eq!(world.host.logged(LogLevel::Info), ["allocating"]);
}

/// The inner call allocates once more; neither value may spoil the other.
#[test]
fn the_allocator_may_make_a_call_that_allocates() {
    let allocator = "(global $heap (mut i32) (i32.const 0x8000)) (global $depth (mut i32) (i32.const 0))
        (func (export \"proxy_on_memory_allocate\") (param i32) (result i32)
            (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
            (if (i32.eq (global.get $depth) (i32.const 1)) (then
                (drop (call $proxy_get_header_map_value
                    (i32.const 0) (text \"inner\") (i32.const 0x200) (i32.const 0x240)))))
            (global.get $heap)
            (global.set $heap (i32.add (global.get $heap) (local.get 0))))";
    let answer = read(allocator, "outer").unwrap();
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!(answer.given(0x100, 0x140), b"outer");
    assert_eq!(answer.given(0x200, 0x240), b"from inside");
}

/// Each call allocates, and each allocation makes a call: the stack of the guest ends it, not that of the host.
#[test]
fn an_allocator_that_never_comes_to_an_end_traps() {
    let allocator = answering(
        "(drop (call $proxy_get_header_map_value (i32.const 0) (text \"inner\") (i32.const 0x200) (i32.const 0x240)))
         (i32.const 0x2800)",
    );
    let Err(err) = read(&allocator, "value") else { panic!("no trap") };
    assert!(err.to_string().contains("stack exhausted"), "{err}");
}
