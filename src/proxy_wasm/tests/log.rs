//! proxy_log and proxy_get_log_level.

use super::support::{Guest, probe};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::types::LogLevel;

const LEVELS: [LogLevel; 6] =
    [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error, LogLevel::Critical];

#[test]
fn every_level_reaches_the_host() {
    let calls: String =
        (0..6).map(|level| format!("(drop (call $proxy_log (i32.const {level}) (text \"message\")))")).collect();
    let mut world = Guest::on_request(&calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.host.entries, LEVELS.map(|level| (level, b"message".to_vec())));
}

#[test]
fn a_message_may_have_any_bytes() {
    // 0 to 255, as the guest computes them.
    let mut world = Guest::on_request(
        "(local $n i32)
         (loop $next
            (i32.store8 (local.get $n) (local.get $n))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $n) (i32.const 256))))
         (drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const 256)))",
    )
    .start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.host.entries, [(LogLevel::Info, (0..=255).collect::<Vec<u8>>())]);
}

#[test]
fn a_message_may_be_empty() {
    let mut world = Guest::on_request("(drop (call $proxy_log (i32.const 4) (i32.const 0) (i32.const 0)))").start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.host.entries, [(LogLevel::Error, Vec::new())]);
}

#[test]
fn the_log_level_is_the_hosts() {
    for level in LEVELS {
        let guest = Guest::on_request(
            "(drop (call $proxy_get_log_level (i32.const 0))) (note \"level\" (i32.load (i32.const 0)))",
        );
        let host = FakeHost { lowest_level: level, ..FakeHost::default() };
        let started = guest.start_with(VmConfig::default(), RootConfig::default(), host);
        let mut world = started.unwrap();
        let id = world.stream();
        world.request_headers(id).unwrap();
        assert_eq!(world.notes(), [format!("level {}", level as u32)]);
    }
}

#[test]
fn an_unknown_level_logs_nothing() {
    let mut world = Guest::on_request("(drop (call $proxy_log (i32.const 6) (text \"message\")))").start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert!(world.host.entries.is_empty());
    assert_eq!(probe(FakeStream::default(), "proxy_log", &[6, 0, 0], &[]).status, 2);
}
