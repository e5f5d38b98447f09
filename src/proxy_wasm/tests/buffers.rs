//! Buffers: the two configurations, and those of the stream.

use super::support::{Answer, Guest, MEMORY, probe};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::types::{BufferType, LogLevel, Status};

const BODY: &[u8] = b"0123456789";

fn stream() -> FakeStream {
    let mut stream = FakeStream::default();
    stream.set_buffer(BufferType::RequestBody, BODY);
    stream
}

fn bytes(buffer: BufferType, start: u32, max: u32) -> Answer {
    probe(stream(), "proxy_get_buffer_bytes", &[buffer as u64, u64::from(start), u64::from(max), 0x100, 0x140], &[])
}

#[test]
fn a_part_of_a_buffer_is_from_start_and_at_most_max_long() {
    for (start, max, wanted) in [
        (0, 10, &b"0123456789"[..]),
        (0, 4, b"0123"),
        (3, 4, b"3456"),
        (8, 4, b"89"),
        (10, 4, b""),
        (0, 0, b""),
        (0, u32::MAX, b"0123456789"),
        (5, u32::MAX, b"56789"),
    ] {
        let answer = bytes(BufferType::RequestBody, start, max);
        assert_eq!(answer.status, Status::Ok as u32, "{start} {max}");
        assert_eq!(answer.given(0x100, 0x140), wanted, "{start} {max}");
    }
}

#[test]
fn a_start_behind_the_end_is_ok_and_empty() {
    for (start, max) in [(11, 1), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        let answer = bytes(BufferType::RequestBody, start, max);
        assert_eq!(answer.status, Status::Ok as u32, "{start} {max}");
        assert_eq!((answer.u32_at(0x100), answer.u32_at(0x140)), (0, 0), "{start} {max}");
    }
}

#[test]
fn a_buffer_that_is_not_there_now_is_not_found() {
    for buffer in [
        BufferType::ResponseBody,
        BufferType::DownstreamData,
        BufferType::UpstreamData,
        BufferType::HttpCallBody,
        BufferType::GrpcMessage,
        BufferType::ForeignFunctionArguments,
        BufferType::RedisReply,
    ] {
        assert_eq!(bytes(buffer, 0, 10).status, Status::NotFound as u32, "{buffer:?}");
    }
}

#[test]
fn the_status_of_a_buffer_is_its_size_without_flags() {
    let answer = probe(stream(), "proxy_get_buffer_status", &[BufferType::RequestBody as u64, 0x100, 0x140], &[]);
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!((answer.u32_at(0x100), answer.u32_at(0x140)), (10, 0));
}

#[test]
fn both_configurations_can_be_read_at_any_time() {
    assert_eq!(bytes(BufferType::VmConfiguration, 0, u32::MAX).given(0x100, 0x140), b"vm");
    assert_eq!(bytes(BufferType::PluginConfiguration, 2, 3).given(0x100, 0x140), b"ugi");
}

#[test]
fn a_body_is_changed_where_the_guest_says() {
    for (start, size, wanted) in [
        (0, 0, &b"newS0123456789"[..]),
        (0, 10, b"newS"),
        (3, 4, b"012newS789"),
        (10, 0, b"0123456789newS"),
        (u64::from(u32::MAX), u64::from(u32::MAX), b"0123456789newS"),
    ] {
        let arguments = [BufferType::RequestBody as u64, start, size, 0x1000, 4];
        let answer = probe(stream(), "proxy_set_buffer_bytes", &arguments, &[(0x1000, b"newS")]);
        assert_eq!(answer.status, Status::Ok as u32, "{start} {size}");
        assert_eq!(answer.stream.buffer(BufferType::RequestBody), wanted, "{start} {size}");
    }
}

#[test]
fn what_is_no_body_or_not_there_is_not_changed() {
    for (buffer, status) in [
        (BufferType::ResponseBody as u64, Status::NotFound),
        (BufferType::HttpCallBody as u64, Status::BadArgument),
        (BufferType::VmConfiguration as u64, Status::BadArgument),
        (BufferType::PluginConfiguration as u64, Status::BadArgument),
        (BufferType::ForeignFunctionArguments as u64, Status::BadArgument),
        (BufferType::RedisReply as u64, Status::BadArgument),
        (10, Status::BadArgument),
    ] {
        let answer = probe(stream(), "proxy_set_buffer_bytes", &[buffer, 0, 0, 0x1000, 4], &[]);
        assert_eq!(answer.status, status as u32, "{buffer}");
    }
    let outside = [0, 0, 0, u64::from(MEMORY) - 1, 2];
    assert_eq!(probe(stream(), "proxy_set_buffer_bytes", &outside, &[]).status, Status::InvalidMemoryAccess as u32);
}

#[test]
fn get_configuration_is_that_of_the_callback() {
    let log = "(drop (call $proxy_get_configuration (i32.const 0) (i32.const 4)))
        (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4))))";
    let guest = Guest::on_request(log).abi("0_1_0").and(&format!(
        "(func (export \"proxy_on_vm_start\") (param i32 i32) (result i32) {log} (i32.const 1))
         (func (export \"proxy_on_configure\") (param i32 i32) (result i32) {log} (i32.const 1))"
    ));
    let vm = VmConfig { configuration: b"of the vm".to_vec(), ..VmConfig::default() };
    let root = RootConfig { configuration: b"of the plugin".to_vec(), ..RootConfig::default() };
    let mut world = guest.start_with(vm, root, FakeHost::default()).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.host.logged(LogLevel::Info), ["of the vm", "of the plugin", "of the plugin"]);
}

#[test]
fn a_configuration_may_have_any_bytes_or_none() {
    let log = "(drop (call $proxy_get_buffer_bytes
            (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
        (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4))))";
    let guest =
        Guest::new(format!("(func (export \"proxy_on_configure\") (param i32 i32) (result i32) {log} (i32.const 1))"));
    for configuration in [&b""[..], b"\0\xff\n\xc3\x28"] {
        let root = RootConfig { configuration: configuration.to_vec(), ..RootConfig::default() };
        let world = guest.start_with(VmConfig::default(), root, FakeHost::default()).unwrap();
        assert_eq!(world.host.entries, [(LogLevel::Info, configuration.to_vec())]);
    }
}
