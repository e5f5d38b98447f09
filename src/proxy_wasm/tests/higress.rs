//! What plugins for Higress find beside the ABI of Envoy.

use super::support::{FakeHost, Guest, MEMORY, probe};
use crate::proxy_wasm::fake_host::FakeStream;
use crate::proxy_wasm::types::{LogLevel, Status};
use crate::proxy_wasm::vm::{RootConfig, VmConfig};

#[test]
fn what_this_host_cannot_do_is_unimplemented_and_writes_nothing() {
    for (name, args) in [
        ("proxy_inject_encoded_data_to_filter_chain", &[0x1000, 4, 1][..]),
        ("proxy_get_upstream_hosts", &[0x100, 0x140]),
        ("proxy_set_upstream_override_host", &[0x1000, 4]),
    ] {
        let answer = probe(FakeStream::default(), name, args, &[(0x1000, b"body")]);
        assert_eq!(answer.status, Status::Unimplemented as u32, "{name}");
        assert!(answer.untouched(), "{name}");
    }
}

#[test]
fn pointers_are_looked_at_first() {
    let outside = u64::from(MEMORY);
    for (name, args) in [
        ("proxy_inject_encoded_data_to_filter_chain", &[outside, 1, 0][..]),
        ("proxy_inject_encoded_data_to_filter_chain", &[0, u64::from(u32::MAX), 0]),
        ("proxy_get_upstream_hosts", &[outside, 0x140]),
        ("proxy_get_upstream_hosts", &[0x100, outside]),
        ("proxy_set_upstream_override_host", &[outside, 1]),
    ] {
        let answer = probe(FakeStream::default(), name, args, &[]);
        assert_eq!(answer.status, Status::InvalidMemoryAccess as u32, "{name} {args:?}");
        assert!(answer.untouched(), "{name}");
    }
}

#[test]
fn the_log_says_once_what_is_not_there() {
    let guest = Guest::on_request(
        "(drop (call $proxy_get_upstream_hosts (i32.const 0) (i32.const 4)))
         (drop (call $proxy_set_upstream_override_host (i32.const 0) (i32.const 4)))",
    );
    let mut world = guest.start_with(VmConfig::default(), RootConfig::default(), FakeHost::default()).unwrap();
    for _ in 0..2 {
        let id = world.stream();
        world.request_headers(id).unwrap();
    }
    let warnings = world.host.logged(LogLevel::Warn);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("\"proxy_get_upstream_hosts\" of Higress is not there"), "{warnings:?}");
    assert!(warnings[1].starts_with("\"proxy_set_upstream_override_host\" of Higress is not there"), "{warnings:?}");
}

#[test]
fn plugin_vm_memory_is_the_size_of_memory_in_eight_bytes() {
    for path in [&b"plugin_vm_memory"[..], b"plugin_vm_memory\0"] {
        let args = [0x1000, path.len() as u64, 0x100, 0x140];
        let answer = probe(FakeStream::default(), "proxy_get_property", &args, &[(0x1000, path)]);
        assert_eq!(answer.status, Status::Ok as u32);
        assert_eq!(answer.given(0x100, 0x140), u64::from(MEMORY).to_le_bytes());
    }
}
