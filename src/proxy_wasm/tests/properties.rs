//! Properties: the VM's own, and how a path reaches the host.

use super::support::{Answer, Guest, probe};
use crate::proxy_wasm::fake_host::FakeStream;
use crate::proxy_wasm::types::Status;

fn stream() -> FakeStream {
    let mut stream = FakeStream::default();
    stream.set_property(b"request\0path", b"/index");
    stream.set_property(b"dotted.name", b"one segment");
    stream
}

fn get(path: &[u8]) -> Answer {
    probe(stream(), "proxy_get_property", &[0x1000, path.len() as u64, 0x100, 0x140], &[(0x1000, path)])
}

fn value(path: &[u8]) -> Vec<u8> {
    let answer = get(path);
    assert_eq!(answer.status, Status::Ok as u32);
    answer.given(0x100, 0x140).to_vec()
}

#[test]
fn the_vm_knows_its_own() {
    assert_eq!(value(b"plugin_name"), b"name");
    assert_eq!(value(b"plugin_root_id"), b"root");
    assert_eq!(value(b"plugin_vm_id"), b"id");
}

#[test]
fn a_path_goes_to_the_host_as_it_is() {
    assert_eq!(value(b"request\0path"), b"/index");
    assert_eq!(value(b"dotted.name"), b"one segment");
}

#[test]
fn a_nul_at_the_end_of_a_path_is_accepted() {
    assert_eq!(value(b"request\0path\0"), b"/index");
    assert_eq!(value(b"plugin_name\0"), b"name");
}

#[test]
fn an_unknown_or_empty_path_is_not_found() {
    for path in [&b"request\0nothing"[..], b"request", b"plugin_names", b"", b"\0"] {
        let answer = get(path);
        assert_eq!(answer.status, Status::NotFound as u32, "{path:?}");
        assert!(answer.untouched());
    }
}

fn set(path: &[u8], value: &[u8]) -> u32 {
    let data = [(0x1000, path), (0x1100, value)];
    probe(stream(), "proxy_set_property", &[0x1000, path.len() as u64, 0x1100, value.len() as u64], &data).status
}

#[test]
fn the_vms_own_cannot_be_set() {
    for path in [&b"plugin_name"[..], b"plugin_root_id", b"plugin_vm_id", b"plugin_vm_memory", b"plugin_name\0"] {
        assert_eq!(set(path, b"x"), Status::BadArgument as u32, "{path:?}");
    }
}

#[test]
fn an_empty_path_cannot_be_set() {
    assert_eq!(set(b"", b"x"), Status::NotFound as u32);
    assert_eq!(set(b"\0", b"x"), Status::NotFound as u32);
}

#[test]
fn a_path_and_a_value_reach_the_host() {
    let mut world =
        Guest::on_request("(note \"set\" (call $proxy_set_property (text \"a\\00b\") (text \"v\\ff\")))").start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["set 0"]);
    assert_eq!(world.host_of(id).property(b"a\0b"), Some(&b"v\xff"[..]));
}

#[test]
fn the_vms_own_are_known_without_a_stream() {
    let guest = Guest::new(
        "(func (export \"proxy_on_configure\") (param i32 i32) (result i32)
            (note \"own\" (call $proxy_get_property (text \"plugin_name\") (i32.const 0) (i32.const 4)))
            (note \"other\" (call $proxy_get_property (text \"request\") (i32.const 0) (i32.const 4)))
            (i32.const 1))
         (func (export \"_initialize\")
            (note \"no root yet\" (call $proxy_get_property (text \"plugin_name\") (i32.const 0) (i32.const 4))))",
    );
    assert_eq!(guest.start().notes(), ["no root yet 1", "own 0", "other 1"]);
}
