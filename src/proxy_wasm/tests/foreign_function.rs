//! proxy_call_foreign_function and proxy_clear_route_cache: how they meet the guest's memory. What each foreign function
//! does is tested where it is.

use super::support::{Answer, Guest, probe};
use crate::proxy_wasm::fake_host::FakeStream;
use crate::proxy_wasm::types::Status;

const NAME: u32 = 0x1000;
const ARGUMENTS: u32 = 0x1100;

fn call(name: &[u8], arguments: &[u8], ptr_at: u32, len_at: u32) -> Answer {
    let raw = [NAME, name.len() as u32, ARGUMENTS, arguments.len() as u32, ptr_at, len_at].map(u64::from);
    probe(FakeStream::default(), "proxy_call_foreign_function", &raw, &[(NAME, name), (ARGUMENTS, arguments)])
}

#[test]
fn an_unknown_name_is_not_found() {
    for name in [&b""[..], b"nothing", b"compress\0", b"\xff"] {
        let answer = call(name, b"x", 0x100, 0x140);
        assert_eq!(answer.status, Status::NotFound as u32, "{name:?}");
        assert!(answer.untouched(), "{name:?}");
    }
}

#[cfg(feature = "cel")]
#[test]
fn a_result_is_given_in_memory_of_the_guest() {
    let answer = call(b"expr_create", b"1", 0x100, 0x140);
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!(answer.given(0x100, 0x140), [0; 4]);
}

#[test]
fn no_result_is_a_null_pointer_and_no_size() {
    let answer = call(b"clear_route_cache", b"", 0x100, 0x140);
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!((answer.u32_at(0x100), answer.u32_at(0x140)), (0, 0));
}

#[cfg(feature = "cel")]
#[test]
fn each_place_for_the_result_may_be_0() {
    let answer = call(b"expr_create", b"1", 0, 0);
    assert_eq!(answer.status, Status::Ok as u32);
    assert!(answer.untouched());
    let answer = call(b"expr_create", b"1", 0, 0x140);
    assert_eq!((answer.status, answer.u32_at(0x140)), (Status::Ok as u32, 4));
    let answer = call(b"expr_create", b"1", 0x100, 0);
    let at = answer.u32_at(0x100) as usize;
    assert_eq!((answer.status, &answer.memory[at..at + 4]), (Status::Ok as u32, &[0; 4][..]));
}

#[test]
fn a_function_that_fails_writes_nothing() {
    for (name, arguments, status) in [
        (&b"uncompress"[..], &b"no stream"[..], Status::SerializationFailure),
        #[cfg(feature = "cel")]
        (b"expr_evaluate", b"\0\0\0\0", Status::NotFound),
        #[cfg(feature = "cel")]
        (b"expr_create", b"1 +", Status::BadArgument),
        #[cfg(feature = "signatures")]
        (b"sign", b"", Status::BadArgument),
    ] {
        let answer = call(name, arguments, 0x100, 0x140);
        assert_eq!(answer.status, status as u32, "{name:?}");
        assert!(answer.untouched(), "{name:?}");
    }
}

#[test]
fn a_bad_place_for_the_result_is_seen_before_the_function_runs() {
    let raw = [NAME, 17, ARGUMENTS, 0, u32::MAX, 0x140].map(u64::from);
    let guest = Guest::on_request(
        "(note \"bad\" (call $proxy_call_foreign_function (text \"clear_route_cache\")
            (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0)))
         (note \"good\" (call $proxy_call_foreign_function (text \"clear_route_cache\")
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
    );
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["bad 6", "good 0"]);
    assert_eq!(world.host_of(id).routes_cleared, 1);
    let answer = probe(FakeStream::default(), "proxy_call_foreign_function", &raw, &[(NAME, b"clear_route_cache")]);
    assert_eq!(answer.status, Status::InvalidMemoryAccess as u32);
}

#[test]
fn the_route_cache_is_cleared_with_and_without_a_result() {
    let guest = Guest::on_request("(note \"cleared\" (call $proxy_clear_route_cache))");
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!((world.notes(), world.host_of(id).routes_cleared), (vec!["cleared 0".to_owned()], 1));
    let guest = Guest::on_request("(call $clear)").import("(import \"env\" \"proxy_clear_route_cache\" (func $clear))");
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.host_of(id).routes_cleared, 1);
}

#[test]
fn outside_of_streams_clearing_the_route_cache_is_no_failure() {
    let guest = Guest::new(
        "(func (export \"proxy_on_configure\") (param i32 i32) (result i32)
            (note \"cleared\" (call $proxy_clear_route_cache)) (i32.const 1))",
    );
    assert_eq!(guest.start().notes(), ["cleared 0"]);
}

#[test]
fn a_property_that_the_host_does_not_know_is_kept_for_the_other_filters() {
    let setter = Guest::on_request("(note \"set\" (call $proxy_set_property (text \"mine\") (text \"value\")))");
    let mut world = setter.start();
    let id = world.stream();
    world.host_of(id).knows_no_property = true;
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["set 0"]);
    let state = std::mem::take(&mut world.host_of(id).filter_state);

    let path = b"mine";
    let mut stream = FakeStream::default();
    stream.filter_state = state;
    let raw = [NAME, path.len() as u32, 0x100, 0x140].map(u64::from);
    let answer = probe(stream, "proxy_get_property", &raw, &[(NAME, path)]);
    assert_eq!((answer.status, answer.given(0x100, 0x140)), (Status::Ok as u32, &b"value"[..]));
}
