//! What a function is given and what it gives.

use super::support::{Running, error, function, number, output, plugin, settings};
use crate::extism::Settings;

/// Copies the input to the output, by its offset.
const ECHO: &str = "(call $output_set (call $input_offset) (call $input_length))";

#[test]
fn a_function_gets_its_input_and_gives_its_output() {
    let mut running = Running::of(ECHO);
    for input in [&b"some bytes"[..], b"", b"\x00\xff", &[7; 100_000]] {
        assert_eq!(running.call("f", input), input);
    }
}

#[test]
fn the_input_is_loaded_up_to_its_end() {
    let load = |at: &str, input: &[u8]| {
        let body = function("eight", &format!("(call $number (call $input_load_u64 (i64.const {at})))"))
            + &function("one", &format!("(call $number (i64.extend_i32_u (call $input_load_u8 (i64.const {at}))))"));
        let mut running = Running::start(&plugin(&body), &Settings::default());
        ["eight", "one"].map(|f| u64::from_le_bytes(running.call(f, input).try_into().unwrap()))
    };
    assert_eq!(load("1", b"012345678"), [u64::from_le_bytes(*b"12345678"), u64::from(b'1')]);
    assert_eq!(load("2", b"012345678"), [0, u64::from(b'2')]);
    for at in ["9", "-1", "-8", "0x100000000"] {
        assert_eq!(load(at, b"012345678"), [0, 0], "{at}");
    }
    assert_eq!(load("0", b""), [0, 0]);
}

#[test]
fn an_input_that_is_freed_is_gone() {
    let body = function("f", "(call $free (call $input_offset)) (call $number (call $input_length))");
    let mut running = Running::start(&plugin(&body), &Settings::default());
    assert_eq!(running.call("f", b"input"), [0; 8]);
}

#[test]
fn the_output_is_what_it_is_in_the_end() {
    let calls = "(local.set $h (call $block (text \"output\")))
        (call $output_set (local.get $h) (i64.const 3))
        (call $store_u8 (local.get $h) (i32.const 0x4f)) (call $free (local.get $h))
        (if (i64.ne (call $output_length) (i64.const 3)) (then unreachable))
        (if (i64.ne (call $output_offset) (local.get $h)) (then unreachable))";
    assert_eq!(output(calls), b"Out");
    assert_eq!(output(""), b"");
    assert_eq!(output("(call $give (call $block (text \"x\"))) (call $output_set (i64.const 0) (i64.const 0))"), b"");
}

#[test]
fn an_output_that_is_nowhere_ends_the_plugin() {
    for (at, len) in [("0", "1"), ("64", "65"), ("-1", "2"), ("64", "-1"), ("64", "0x100000000")] {
        for function in ["output_set", "input_set"] {
            let err = error(&format!(
                "(drop (call $alloc (i64.const 64))) (call ${function} (i64.const {at}) (i64.const {len}))"
            ));
            assert!(
                err.starts_with(&format!("f trapped: {function}: ")) && err.contains("are not all in the memory"),
                "{err}"
            );
        }
    }
}

#[test]
fn a_plugin_may_say_where_its_input_is() {
    let calls = "(local.set $h (call $block (text \"another\"))) (call $input_set (local.get $h) (i64.const 7))
        (call $output_set (call $input_offset) (call $input_length))";
    assert_eq!(output(calls), b"another");
}

#[test]
fn an_error_is_told_with_the_result() {
    let body = r#"(func (export "quiet") (result i32) (i32.const 3))
        (func (export "negative") (result i32) (i32.const -1))
        (func (export "loud") (result i32) (call $error_set (call $block (text "it is wrong"))) (i32.const 1))
        (func (export "says_so") (call $error_set (call $block (text "it is wrong"))))
        (func (export "was_wrong")
            (call $error_set (call $block (text "it was wrong"))) (call $error_set (i64.const 0)))"#;
    let mut running = Running::start(&plugin(body), &Settings::default());
    assert_eq!(running.error("quiet"), "quiet returned 3");
    assert_eq!(running.error("negative"), "negative returned -1");
    assert_eq!(running.error("loud"), "loud failed: it is wrong");
    assert_eq!(running.error("says_so"), "says_so failed: it is wrong");
    assert_eq!(running.try_call("loud", b"").unwrap_err().message(), b"it is wrong");
    assert_eq!(running.call("was_wrong", b""), b"", "and nothing is left of the calls before");
}

#[test]
fn the_error_that_is_set_can_be_asked_for() {
    assert_eq!(number("(call $error_get)"), 0);
    let calls = "(local.set $h (call $block (text \"x\"))) (call $error_set (local.get $h))
        (if (i64.ne (call $error_get) (local.get $h)) (then unreachable)) (call $error_set (i64.const 0))";
    assert_eq!(output(calls), b"");
}

#[test]
fn an_error_that_is_no_block_ends_the_plugin() {
    for handle in ["1", "-1", "65"] {
        let err = error(&format!("(drop (call $alloc (i64.const 10))) (call $error_set (i64.const {handle}))"));
        assert!(err.starts_with("f trapped: error_set: the handle of its text, ") && err.contains("no block"), "{err}");
    }
}

#[test]
fn an_input_that_finds_no_room_is_refused_and_nothing_runs() {
    let body = function("f", ECHO) + "(memory (export \"memory\") 1)";
    let mut running = Running::start(&plugin(&body), &settings(r#"{"memory": {"max_pages": 1}}"#));
    let err = running.try_call("f", &[0; 65536]).unwrap_err().to_string();
    assert!(err.starts_with("f cannot take its input of 65536 bytes: the memory that it shares"), "{err}");
    assert_eq!(running.call("f", &[1; 60000]), [1; 60000]);
}

#[test]
fn each_call_finds_the_shared_memory_empty() {
    let mut running = Running::of("(call $number (call $memory_bytes)) (drop (call $alloc (i64.const 1000)))");
    assert_eq!(running.number("f"), 0);
    assert_eq!(running.number("f"), 0);
}
