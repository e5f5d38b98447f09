//! proxy_get_shared_data, proxy_set_shared_data. The rules of the store itself are tested in `crate::shared`.

use super::support::{Guest, SHARED_KEY, probe};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::types::{LogLevel, Status};

#[test]
fn a_value_comes_with_its_cas() {
    let args = [0x1000, SHARED_KEY.len() as u64, 0x100, 0x110, 0x120];
    let answer = probe(FakeStream::default(), "proxy_get_shared_data", &args, &[(0x1000, SHARED_KEY)]);
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!(answer.given(0x100, 0x110), b"value");
    assert_eq!(answer.u32_at(0x120), 1);
}

#[test]
fn a_key_that_is_not_there_is_not_found() {
    let args = [0x1000, 5, 0x100, 0x110, 0x120];
    let answer = probe(FakeStream::default(), "proxy_get_shared_data", &args, &[(0x1000, b"other")]);
    assert_eq!(answer.status, Status::NotFound as u32);
    assert!(answer.untouched());
}

#[test]
fn a_cas_that_does_not_fit_is_a_mismatch() {
    for (key, cas, status) in [
        (SHARED_KEY, 0, Status::Ok),
        (SHARED_KEY, 1, Status::Ok),
        (SHARED_KEY, 2, Status::CasMismatch),
        (b"new", 2, Status::Ok),
    ] {
        let args = [0x1000, key.len() as u64, 0x1040, 3, cas];
        let answer = probe(FakeStream::default(), "proxy_set_shared_data", &args, &[(0x1000, key), (0x1040, b"new")]);
        assert_eq!(answer.status, status as u32, "{cas}");
    }
}

#[test]
fn vms_of_one_id_share_and_others_do_not() {
    let set = Guest::on_request("(drop (call $proxy_set_shared_data (text \"k\") (text \"v\") (i32.const 0)))");
    let get = "(note \"get\" (call $proxy_get_shared_data (text \"k\") (i32.const 0) (i32.const 4) (i32.const 8)))";
    let get = Guest::on_request(get);
    let vm = |id: &str| VmConfig { id: id.into(), ..VmConfig::default() };
    let mut world = set.start_with(vm("a"), RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let mut stores = world.host.stores;
    for (vm_id, status) in [("a", Status::Ok), ("b", Status::NotFound)] {
        let host = FakeHost { stores, ..FakeHost::default() };
        let mut world = get.start_with(vm(vm_id), RootConfig::default(), host).unwrap();
        let id = world.stream();
        world.request_headers(id).unwrap();
        assert_eq!(world.notes(), [format!("get {}", status as u32)], "{vm_id}");
        stores = world.host.stores;
    }
}

#[test]
fn a_value_for_which_there_is_no_room_is_not_stored_and_the_log_says_what_to_do() {
    let calls =
        "(note \"set\" (call $proxy_set_shared_data (text \"k\") (i32.const 0) (i32.const 0x10000) (i32.const 0)))
        (note \"get\" (call $proxy_get_shared_data (text \"k\") (i32.const 0) (i32.const 4) (i32.const 8)))";
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(
        world.notes(),
        [format!("set {}", Status::CasMismatch as u32), format!("get {}", Status::NotFound as u32)]
    );
    assert_eq!(
        world.host.logged(LogLevel::Error),
        [
            "no room for shared data \"k\" (key of 1 bytes, value of 65536), it is not stored; enlarge \"shm_kv\" in \"wasm { }\""
        ]
    );
}
