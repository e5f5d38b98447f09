//! What plugins for Higress find beside the ABI of Envoy.

use super::support::{FakeHost, Guest, MEMORY, probe};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::FakeStream;
use crate::proxy_wasm::host::{HostHealth, UpstreamHost};
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::{LogLevel, Status};

#[test]
fn what_this_host_cannot_do_is_unimplemented_and_writes_nothing() {
    let name = "proxy_inject_encoded_data_to_filter_chain";
    let answer = probe(FakeStream::default(), name, &[0x1000, 4, 1], &[(0x1000, b"body")]);
    assert_eq!(answer.status, Status::Unimplemented as u32);
    assert!(answer.untouched());
}

fn with_hosts(hosts: &[(&str, HostHealth)]) -> FakeStream {
    let host = |(address, health): &(&str, HostHealth)| UpstreamHost { address: (*address).into(), health: *health };
    let mut stream = FakeStream::default();
    stream.upstream_hosts = Some(hosts.iter().map(host).collect());
    stream
}

#[test]
fn hosts_are_pairs_of_addresses_and_states() {
    let stream = with_hosts(&[
        ("127.0.0.1:80", HostHealth::Healthy),
        ("[::1]:80", HostHealth::Degraded),
        ("/run/socket", HostHealth::Unhealthy),
    ]);
    let answer = probe(stream, "proxy_get_upstream_hosts", &[0x100, 0x140], &[]);
    assert_eq!(answer.status, Status::Ok as u32);
    let pairs = Pairs::decode(answer.given(0x100, 0x140)).unwrap();
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| (name.to_vec(), String::from_utf8_lossy(value).into_owned())).collect();
    assert_eq!(
        pairs,
        [
            (b"127.0.0.1:80".to_vec(), r#"{"health_status":"Healthy"}"#.to_owned()),
            (b"[::1]:80".to_vec(), r#"{"health_status":"Degraded"}"#.to_owned()),
            (b"/run/socket".to_vec(), r#"{"health_status":"Unhealthy"}"#.to_owned()),
        ]
    );
}

#[test]
fn no_hosts_are_no_bytes_and_no_upstream_is_not_found() {
    let answer = probe(with_hosts(&[]), "proxy_get_upstream_hosts", &[0x100, 0x140], &[]);
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!((answer.u32_at(0x100), answer.u32_at(0x140)), (0, 0));
    let answer = probe(FakeStream::default(), "proxy_get_upstream_hosts", &[0x100, 0x140], &[]);
    assert_eq!(answer.status, Status::NotFound as u32);
    assert!(answer.untouched());
}

#[test]
fn a_host_is_chosen_by_its_address() {
    for address in [&b"127.0.0.1:80"[..], b""] {
        let mut stream = FakeStream::default();
        stream.chosen_hosts = Some(Vec::new());
        let args = [0x1000, address.len() as u64];
        let answer = probe(stream, "proxy_set_upstream_override_host", &args, &[(0x1000, address)]);
        assert_eq!(answer.status, Status::Ok as u32);
        assert_eq!(answer.stream.chosen_hosts, Some(vec![address.to_vec()]));
        assert!(answer.untouched());
    }
    let answer = probe(FakeStream::default(), "proxy_set_upstream_override_host", &[0x1000, 4], &[(0x1000, b"late")]);
    assert_eq!(answer.status, Status::BadArgument as u32);
}

#[test]
fn there_is_nothing_to_choose_without_a_request() {
    let guest = Guest::new(
        "(func (export \"proxy_on_configure\") (param i32 i32) (result i32)
            (note \"hosts\" (call $proxy_get_upstream_hosts (i32.const 0) (i32.const 4)))
            (note \"choice\" (call $proxy_set_upstream_override_host (i32.const 0) (i32.const 4)))
            (i32.const 1))",
    );
    let notes = guest.start().notes();
    assert_eq!(notes, [format!("hosts {}", Status::NotFound as u32), format!("choice {}", Status::BadArgument as u32)]);
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
        "(drop (call $proxy_inject_encoded_data_to_filter_chain (i32.const 0) (i32.const 4) (i32.const 1)))",
    );
    let mut world = guest.start_with(VmConfig::default(), RootConfig::default(), FakeHost::default()).unwrap();
    for _ in 0..2 {
        let id = world.stream();
        world.request_headers(id).unwrap();
    }
    let warnings = world.host.logged(LogLevel::Warn);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("\"proxy_inject_encoded_data_to_filter_chain\" of Higress is not there"),
        "{warnings:?}"
    );
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
