//! Configuration and variables, and what becomes of the handles that are given to host functions.

use super::support::{Running, function, output, plugin, settings};
use crate::extism::Settings;

fn config(key: &str) -> String {
    function("f", &format!("(call $give (call $config_get (call $block (text \"{key}\"))))"))
}

#[test]
fn a_value_of_the_manifest_is_given() {
    let settings = settings(r#"{"config": {"key": "the value", "empty": ""}}"#);
    for (key, value) in [("key", "the value"), ("empty", ""), ("none", ""), ("", ""), ("\\ff\\fe", "")] {
        let mut running = Running::start(&plugin(&config(key)), &settings);
        assert_eq!(running.call("f", b""), value.as_bytes(), "{key}");
    }
}

#[test]
fn what_nginx_says_wins_over_the_manifest() {
    let mut running = Running::start(&plugin(&config("key")), &settings(r#"{"config": {"key": "of the manifest"}}"#));
    running.world.config.insert(b"key".to_vec(), b"of \xff".to_vec());
    assert_eq!(running.call("f", b""), b"of \xff");
}

#[test]
fn variables_are_kept_from_call_to_call() {
    let body = function("set", "(call $var_set (call $block (text \"a\")) (call $block (text \"value\")))")
        + &function("empty", "(call $var_set (call $block (text \"a\")) (i64.const 0))")
        + &function("get", "(call $give (call $var_get (call $block (text \"a\"))))");
    let mut running = Running::start(&plugin(&body), &Settings::default());
    assert_eq!(running.call("get", b""), b"");
    running.call("set", b"");
    assert_eq!(running.call("get", b""), b"value");
    running.call("empty", b"");
    assert_eq!(running.call("get", b""), b"");
}

#[test]
fn variables_have_a_cap_and_may_be_off() {
    let body = function("f", "(call $var_set (call $block (text \"a\")) (call $alloc (i64.const 100)))");
    let full = "var_set: all variables together have 148 bytes at most (memory.max_var_bytes of the manifest)";
    let off = "var_set: there are no variables (memory.max_var_bytes of the manifest is 0)";
    for (most, wanted) in [(149, None), (148, Some(full)), (0, Some(off))] {
        let settings = settings(&format!(r#"{{"memory": {{"max_var_bytes": {most}}}}}"#));
        let result = Running::start(&plugin(&body), &settings).try_call("f", b"");
        let text = result.err().map(|err| err.to_string());
        assert!(
            text.as_ref().map_or(wanted.is_none(), |text| text.starts_with(&format!("f trapped: {}", wanted.unwrap()))),
            "{text:?}"
        );
    }
}

#[test]
fn a_megabyte_is_the_cap_unless_the_manifest_says_otherwise() {
    let set = |len: u32| {
        let calls = format!("(call $var_set (call $block (text \"a\")) (call $alloc (i64.const {len})))");
        Running::of(&calls).try_call("f", b"").is_ok()
    };
    assert!(set((1 << 20) - 49) && !set((1 << 20) - 48));
}

#[test]
fn a_handle_that_is_given_is_freed() {
    let all = [
        "(drop (call $config_get (local.get $h)))",
        "(drop (call $var_get (local.get $h)))",
        "(call $var_set (local.get $h) (i64.const 0))",
        "(call $var_set (i64.const 0) (local.get $h))",
        "(call $log_error (local.get $h))",
        "(call $log_trace (local.get $h))",
    ];
    for call in all {
        let calls =
            format!("(local.set $h (call $block (text \"abc\"))) {call} (call $number (call $length (local.get $h)))");
        assert_eq!(Running::of(&calls).number("f"), 0, "{call}");
    }
}

#[test]
fn a_handle_that_is_freed_once_more_hits_no_other_block() {
    let calls = "(local.set $h (call $block (text \"key\"))) (local.set $n (call $config_get (local.get $h)))
        (call $free (local.get $h)) (call $give (local.get $n))";
    let mut running = Running::start(&plugin(&function("f", calls)), &settings(r#"{"config": {"key": "value"}}"#));
    assert_eq!(running.call("f", b""), b"value");
}

#[test]
fn a_handle_of_no_block_ends_the_plugin() {
    let all = [
        ("(drop (call $config_get HANDLE))", "config_get: the handle of its key, "),
        ("(drop (call $var_get HANDLE))", "var_get: the handle of its key, "),
        ("(call $var_set HANDLE (i64.const 0))", "var_set: the handle of its key, "),
        ("(call $var_set (i64.const 0) HANDLE)", "var_set: the handle of its value, "),
        ("(call $log_info HANDLE)", "log_info: the handle of its message, "),
        ("(drop (call $http_request HANDLE (i64.const 0)))", "http_request: the handle of its request, "),
        ("(drop (call $http_request (i64.const 0) HANDLE))", "http_request: the handle of its body, "),
    ];
    for (call, message) in all {
        for handle in ["1", "65", "-1", "0x7fffffffffffffff"] {
            let call = call.replace("HANDLE", &format!("(i64.const {handle})"));
            let err = Running::of(&format!("(drop (call $alloc (i64.const 10))) {call}")).error("f");
            assert!(err.starts_with(&format!("f trapped: {message}")) && err.contains(", is of no block"), "{err}");
        }
    }
}

#[test]
fn handle_0_is_no_bytes() {
    assert_eq!(output("(call $give (call $config_get (i64.const 0)))"), b"");
    let calls =
        "(call $var_set (i64.const 0) (call $block (text \"of nothing\"))) (call $give (call $var_get (i64.const 0)))";
    assert_eq!(output(calls), b"of nothing");
}

#[test]
fn what_finds_no_room_ends_the_plugin() {
    let body = config("key") + "(memory (export \"memory\") 1)";
    let value = "x".repeat(65536);
    let manifest = format!(r#"{{"memory": {{"max_pages": 1}}, "config": {{"key": "{value}"}}}}"#);
    let err = Running::start(&plugin(&body), &settings(&manifest)).error("f");
    assert!(err.starts_with("f trapped: config_get: its result of 65536 bytes finds no room"), "{err}");
}
