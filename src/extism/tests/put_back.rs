//! Instances that are put back after a request: nothing of it is left.

use std::sync::Arc;

use super::support::{FakeWorld, Running, Switch, function, plugin, settings};
use crate::extism::{HttpResponse, Instance, Plugin, Settings};

/// `keep` puts a secret wherever a plugin can put one, `find` gives all that it finds there. The start has left something itself.
fn keeping() -> Arc<Plugin> {
    let body = "(global $g (mut i64) (i64.const 1))
        (func (export \"_initialize\")
            (call $var_set (call $block (text \"of start\")) (call $block (text \"kept\")))
            (i64.store (i32.const 64) (i64.const 0x7472617473)) (global.set $g (i64.const 2)))"
        .to_owned()
        + &function(
            "keep",
            "(call $var_set (call $block (text \"secret\")) (call $block (text \"SECRET\")))
             (call $var_set (call $block (text \"of start\")) (call $block (text \"SECRET\")))
             (i64.store (i32.const 64) (i64.const 0x544552434553)) (i64.store (i32.const 0x18000) (i64.const 0x544552434553))
             (global.set $g (i64.const 0x544552434553))
             (drop (call $http_request (call $block (text \"{\\22url\\22:\\22http://a\\22}\")) (i64.const 0)))
             (drop (call $block (text \"SECRET SECRET SECRET\"))) (call $error_set (call $block (text \"SECRET\")))",
        )
        + &function(
            "find",
            "(local.set $h (call $alloc (i64.const 72)))
             (call $store_u64 (local.get $h) (i64.load (i32.const 64)))
             (call $store_u64 (i64.add (local.get $h) (i64.const 8)) (i64.load (i32.const 0x18000)))
             (call $store_u64 (i64.add (local.get $h) (i64.const 16)) (global.get $g))
             (call $store_u64 (i64.add (local.get $h) (i64.const 24)) (call $load_u64 (call $var_get (call $block (text \"secret\")))))
             (call $store_u64 (i64.add (local.get $h) (i64.const 32)) (call $load_u64 (call $var_get (call $block (text \"of start\")))))
             (call $store_u64 (i64.add (local.get $h) (i64.const 40)) (i64.extend_i32_u (call $http_status_code)))
             (call $store_u64 (i64.add (local.get $h) (i64.const 48)) (call $length (call $http_headers)))
             (call $store_u64 (i64.add (local.get $h) (i64.const 56)) (call $error_get))
             (call $store_u64 (i64.add (local.get $h) (i64.const 64)) (call $load_u64 (call $alloc (i64.const 4096))))
             (call $give (local.get $h))",
        );
    plugin(&body)
}

fn answering() -> FakeWorld {
    let answer = |_: &_| {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-secret", "SECRET".parse().unwrap());
        Ok(HttpResponse { status: 200, headers, body: b"SECRET".to_vec() })
    };
    FakeWorld { answer: Box::new(answer), ..FakeWorld::default() }
}

#[test]
fn nothing_of_a_request_is_left_to_the_next() {
    let settings = settings(r#"{"allowed_hosts": ["a"]}"#);
    let mut running = Running::start(&keeping(), &settings);
    running.world = answering();
    let fresh = running.call("find", b"");
    assert!(fresh.starts_with(b"start") && fresh[16] == 2 && fresh[32..36] == *b"kept");
    for _ in 0..3 {
        running.instance.put_back().unwrap();
        let err = running.try_call("keep", &[b'S'; 5000]).unwrap_err();
        assert_eq!(err.message(), b"SECRET");
        let dirty = running.call("find", b"");
        for place in [0, 8, 16, 24, 32] {
            assert_eq!(dirty[place..place + 6], *b"SECRET", "{place}");
        }
        assert_eq!(dirty[40], 200);
        assert_ne!(dirty[48..], fresh[48..]);
        running.instance.put_back().unwrap();
        assert_eq!(running.call("find", b""), fresh);
    }
}

#[test]
fn an_instance_from_an_image_is_what_the_other_one_was() {
    let settings = settings(r#"{"allowed_hosts": ["a"]}"#);
    let plugin = keeping();
    let mut running = Running::start(&plugin, &settings);
    running.world = answering();
    let fresh = running.call("find", b"");
    assert!(running.try_call("keep", b"").is_err());
    let image = running.instance.image().unwrap().clone();
    let mut other = Instance::from_image(&plugin, &settings, Switch::on(), &image).unwrap();
    assert_eq!(other.call("find", b"", &mut running.world).unwrap(), fresh);
    assert!(other.call("keep", b"", &mut running.world).is_err());
    other.put_back().unwrap();
    assert_eq!(other.call("find", b"", &mut running.world).unwrap(), fresh);
    running.instance.put_back().unwrap();
    assert_eq!(running.call("find", b""), fresh);
}

#[test]
fn an_instance_that_cannot_be_put_back_is_made_anew() {
    let body = "(global $g (mut i32) (i32.const 0)) (func (export \"_initialize\") (global.set $g (i32.const 7)))"
        .to_owned()
        + &function("get", "(call $number (i64.extend_i32_u (i32.add (global.get $g) (i32.load (i32.const 64)))))")
        + &function("set", "(global.set $g (i32.const 8)) (i32.store (i32.const 64) (i32.const 100))")
        + &function("grows", "(drop (memory.grow (i32.const 1))) (global.set $g (i32.const 8))")
        + &function(
            "traps",
            "(call $var_set (call $block (text \"a\")) (call $block (text \"b\"))) (global.set $g (i32.const 8)) unreachable",
        )
        + &function("exits", "(global.set $g (i32.const 8)) (call $proc_exit (i32.const 1))")
        + &function("length", "(call $number (call $length (call $var_get (call $block (text \"a\")))))");
    let mut running = Running::start(&plugin(&body), &Settings::default());
    let memory = running.instance.stats().memory;
    for function in ["set", "grows", "traps", "exits"] {
        let _ = running.try_call(function, b"");
        running.instance.put_back().unwrap();
        assert_eq!((running.number("get"), running.number("length")), (7, 0), "{function}");
        assert_eq!(running.instance.stats().memory, memory);
    }
}

#[test]
fn a_module_that_changes_its_tables_has_no_image() {
    let body = function("f", "(table.set (i32.const 0) (ref.null func))") + "(table 1 funcref)";
    let mut running = Running::start(&plugin(&body), &Settings::default());
    let reason = "its code changes tables or segments (table.set)";
    assert_eq!(running.instance.image().err(), Some(reason));
    running.call("f", b"");
    assert_eq!(running.instance.put_back(), Err(reason.to_owned()));
}

#[test]
fn an_image_knows_whether_random_numbers_are_in_it() {
    let reads = "(drop (call $random_get (i32.const 0) (i32.const 8)))";
    let has_read = |body: &str| {
        let running = Running::start(&plugin(body), &Settings::default());
        running.instance.image().unwrap().has_read_random()
    };
    assert!(has_read(&format!("(func (export \"_initialize\") {reads}) {}", function("f", ""))));
    assert!(!has_read(&function("f", reads)));
}

#[test]
fn a_start_that_calls_others_has_no_image() {
    let body = "(func (export \"_initialize\")
        (drop (call $http_request (call $block (text \"{\\22url\\22:\\22http://a\\22}\")) (i64.const 0))))"
        .to_owned()
        + &function("f", "");
    let mut world = answering();
    let settings = settings(r#"{"allowed_hosts": ["a"]}"#);
    let instance = Instance::start(&plugin(&body), &settings, Switch::on(), &mut world).unwrap();
    assert_eq!(instance.image().err(), Some("its start makes calls of HTTP"));
}
