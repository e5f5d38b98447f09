//! What compilers expect in `env` beside Proxy-Wasm.

use super::support::{Guest, World};
use crate::proxy_wasm::types::LogLevel;

fn after(calls: &str) -> World {
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world
}

#[test]
fn equal_threads_are_equal() {
    let calls = "(note \"a\" (call $pthread_equal (i32.const 5) (i32.const 5)))
        (note \"b\" (call $pthread_equal (i32.const 5) (i32.const 6)))";
    assert_eq!(after(calls).notes(), ["a 1", "b 0"]);
}

#[test]
fn news_of_more_memory_changes_nothing() {
    assert!(after("(call $emscripten_notify_memory_growth (i32.const 0))").host.entries.is_empty());
}

/// Calls abort with two strings in AssemblyScript's form: UTF-16, its size in bytes in front of it.
fn aborted(message: u32, file: u32) -> (String, Vec<String>) {
    let mut world = Guest::on_request(&format!(
        "(call $abort (i32.const {message}) (i32.const {file}) (i32.const 12) (i32.const 34))"
    ))
    .and("(data (i32.const 0x0c) \"\\06\\00\\00\\00n\\00o\\00\\e9\\00\")")
    .and("(data (i32.const 0x2c) \"\\08\\00\\00\\00a\\00.\\00t\\00s\\00\")")
    .and("(data (i32.const 0x4c) \"\\ff\\ff\\ff\\ff\")")
    .start();
    let id = world.stream();
    let err = world.request_headers(id).unwrap_err().to_string();
    (err, world.host.logged(LogLevel::Critical))
}

#[test]
fn abort_traps_and_logs_message_file_line_and_column() {
    let (err, logged) = aborted(0x10, 0x30);
    assert!(err.contains("abort: noé at a.ts:12:34"), "{err}");
    assert_eq!(logged, ["abort: noé at a.ts:12:34"]);
}

#[test]
fn abort_with_strings_that_are_not_there_traps_all_the_same() {
    for (message, file) in [(0, 0), (3, u32::MAX), (0x0200_0000, 0)] {
        let (err, logged) = aborted(message, file);
        assert!(err.contains("abort:  at :12:34"), "{err}");
        assert_eq!(logged, ["abort:  at :12:34"]);
    }
}

#[test]
fn abort_with_a_size_that_is_too_large_shows_a_part() {
    let (err, logged) = aborted(0x50, 0x30);
    assert!(err.contains("at a.ts:12:34"), "{err}");
    assert!(logged[0].len() < 2048, "{}", logged[0].len());
}
