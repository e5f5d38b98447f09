//! How instances start.

use super::support::{Running, function, plugin, settings, wat};
use crate::extism::{Level, Plugin, Settings};
use crate::vm::InstanceLimits;
use std::sync::Arc;

/// Exports these, each of which logs its name. They have the types that they should.
fn logging(exports: &[&str]) -> Arc<Plugin> {
    let body: String = exports
        .iter()
        .map(|name| {
            let params = if *name == "hs_init" { "(param i32 i32)" } else { "" };
            format!("(func (export \"{name}\") {params} (call $log_info (call $block (text \"{name}\"))))")
        })
        .collect();
    plugin(&(body + &function("f", "(call $log_info (call $block (text \"f\")))")))
}

fn started(exports: &[&str]) -> Vec<String> {
    let mut running = Running::start(&logging(exports), &Settings::default());
    running.call("f", b"");
    running.world.logged().into_iter().map(|(_, name)| name).collect()
}

#[test]
fn a_runtime_is_started_in_one_of_three_ways() {
    assert_eq!(started(&["hs_init", "_initialize"]), ["_initialize", "hs_init", "f"]);
    assert_eq!(started(&["hs_init", "__wasm_call_ctors"]), ["hs_init", "f"]);
    assert_eq!(started(&["__wasm_call_ctors", "_initialize"]), ["__wasm_call_ctors", "f"]);
    assert_eq!(started(&["_initialize"]), ["_initialize", "f"]);
    assert_eq!(started(&[]), ["f"]);
}

#[test]
fn a_start_that_fails_says_where() {
    let body = |start: &str| format!("(func (export \"_initialize\") {start}) {}", function("f", ""));
    let failed = |start: &str| {
        let failure = Running::try_start(&plugin(&body(start)), &Settings::default()).err().unwrap();
        failure.to_string()
    };
    assert!(failed("unreachable").starts_with("_initialize trapped: "));
    assert_eq!(failed("(call $proc_exit (i32.const 3))"), "_initialize called proc_exit(3)");
}

#[test]
fn the_start_function_of_the_module_may_call_the_host() {
    let body = function("f", "") + "(func $s (call $log_warn (call $block (text \"made\")))) (start $s)";
    let mut running = Running::start(&plugin(&body), &Settings::default());
    assert_eq!(running.world.logged(), [(Level::Warn, "made".to_owned())]);
}

#[test]
fn memory_is_what_both_limits_allow() {
    let plugin =
        plugin(&function("f", "(drop (memory.grow (i32.const 3))) (call $number (i64.extend_i32_u (memory.size)))"));
    for (pages, limit, wanted) in [(None, 100, 5), (Some(5), 100, 5), (Some(4), 100, 2), (Some(100), 4, 2)] {
        let manifest = pages.map_or("{}".to_owned(), |pages| format!(r#"{{"memory": {{"max_pages": {pages}}}}}"#));
        let limits = InstanceLimits { memory: limit << 16, pooled: false };
        let mut running = Running::start(&plugin, &Settings { limits, ..settings(&manifest) });
        assert_eq!(running.number("f"), wanted, "{pages:?} {limit}");
    }
    let too_small = settings(r#"{"memory": {"max_pages": 1}}"#);
    let err = Running::try_start(&plugin, &too_small).err().unwrap().to_string();
    assert!(err.starts_with("start trapped: cannot instantiate: "), "{err}");
}

#[test]
fn directories_must_be_there() {
    let settings = settings(r#"{"allowed_paths": {"/no/such/folder": "/a"}}"#);
    let err = Running::try_start(&plugin(&function("f", "")), &settings).err().unwrap().to_string();
    assert!(err.starts_with("start failed: cannot open the directory \"/no/such/folder\": "), "{err}");
    assert!(err.ends_with(" (allowed_paths of its manifest)"), "{err}");
}

#[test]
fn the_texts_of_these_tests_are_modules() {
    assert!(
        wat(&function("f", "(call $give (call $block (text \"\\00x\")))"))
            .contains("(data (i32.const 4096) \"\\00x\")")
    );
}
