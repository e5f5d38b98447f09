//! The memory that plugin and host share, as the plugin sees it. `kernel/tests.rs` has the rest.

use super::support::{Running, function, number, output, plugin, settings};

#[test]
fn a_block_has_the_length_that_was_asked_for() {
    assert_eq!(number("(call $length (call $alloc (i64.const 77)))"), 77);
    assert_eq!(number("(call $length_unsafe (call $alloc (i64.const 77)))"), 77);
    assert_eq!(number("(call $alloc (i64.const 0))"), 0);
    for wrong in ["0", "1", "65", "-1"] {
        assert_eq!(number(&format!("(call $length (i64.const {wrong}))")), 0);
        assert_eq!(number(&format!("(call $length_unsafe (i64.const {wrong}))")), 0);
    }
}

#[test]
fn what_is_stored_is_loaded_anywhere_inside_of_a_block() {
    let calls = "(local.set $h (call $block (text \"abcdefghijkl\")))
        (call $store_u8 (i64.add (local.get $h) (i64.const 3)) (i32.const 0x158))
        (call $store_u64 (i64.add (local.get $h) (i64.const 4)) (i64.const 0x3837363534333231))
        (call $give (local.get $h))";
    assert_eq!(output(calls), b"abcX12345678");
    let load = |load: &str| number(&format!("({load} (i64.add (call $block (text \"abcdefghijkl\")) (i64.const 2)))"));
    assert_eq!(load("call $load_u64"), u64::from_le_bytes(*b"cdefghij"));
    let calls =
        "(call $number (i64.extend_i32_u (call $load_u8 (i64.add (call $block (text \"\\00\\ff\")) (i64.const 1)))))";
    assert_eq!(Running::of(calls).number("f"), 0xff);
}

#[test]
fn what_is_outside_is_zero_and_stays_untouched() {
    for at in ["0", "1", "63", "-1", "-8", "0x100000000"] {
        assert_eq!(number(&format!("(call $load_u64 (i64.const {at}))")), 0);
        assert_eq!(number(&format!("(i64.extend_i32_u (call $load_u8 (i64.const {at})))")), 0);
        let calls = format!(
            "(local.set $h (call $block (text \"text\")))
             (call $store_u8 (i64.const {at}) (i32.const 1)) (call $store_u64 (i64.const {at}) (i64.const -1))
             (call $give (local.get $h))"
        );
        assert_eq!(output(&calls), b"text", "{at}");
    }
}

#[test]
fn a_block_that_was_freed_is_none() {
    let calls = "(local.set $h (call $alloc (i64.const 10))) (call $free (local.get $h))
        (call $free (local.get $h)) (call $free (i64.const 0)) (call $free (i64.const -1))
        (call $number (call $length (local.get $h)))";
    assert_eq!(Running::of(calls).number("f"), 0);
}

#[test]
fn what_finds_no_room_has_the_handle_0() {
    let allocates = |len: u32, is_room: u32| {
        let calls =
            format!("(if (i32.eq (i64.eqz (call $alloc (i64.const {len}))) (i32.const {is_room})) (then unreachable))");
        let body = function("f", &calls) + "(memory (export \"memory\") 1)";
        Running::start(&plugin(&body), &settings(r#"{"memory": {"max_pages": 1}}"#)).call("f", b"")
    };
    // The first 64 bytes are nobody's.
    allocates(65536 - 64, 1);
    allocates(65536 - 63, 0);
}

#[test]
fn a_reset_forgets_all() {
    let calls = "(local.set $h (call $block (text \"a secret\"))) (call $reset)
        (if (i64.ne (call $memory_bytes) (i64.const 0)) (then unreachable))
        (if (i64.ne (call $input_length) (i64.const 0)) (then unreachable))
        (local.set $n (call $length (local.get $h)))
        (call $number (i64.or (local.get $n) (call $load_u64 (local.get $h))))";
    assert_eq!(Running::of(calls).number("f"), 0);
}
