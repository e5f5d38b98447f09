//! How calls fail, and what becomes of the instance.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::support::{FakeWorld, Running, Switch, Ticking, error, function, own_engine, plugin, plugin_on, settings};
use crate::extism::{Instance, Reason, Settings};
use crate::vm::EngineOptions;

#[test]
fn a_trap_has_its_reason_and_the_error_before_it() {
    let err = error("unreachable");
    assert!(
        err.starts_with("f trapped: wasm trap: wasm `unreachable` instruction executed (guest backtrace: "),
        "{err}"
    );
    let err = error("(call $error_set (call $block (text \"the reason\"))) unreachable");
    assert!(err.contains("instruction executed, after the error \"the reason\" (guest backtrace: "), "{err}");
}

#[test]
fn an_exit_ends_the_instance_and_0_is_success() {
    let body = function("done", "(call $give (call $block (text \"all\"))) (call $proc_exit (i32.const 0))")
        + &function("bad", "(call $proc_exit (i32.const -1))")
        + &function("said", "(call $error_set (call $block (text \"why\"))) (call $proc_exit (i32.const 0))");
    let plugin = plugin(&body);
    let start = || Running::start(&plugin, &Settings::default());
    let mut running = start();
    assert_eq!(running.call("done", b""), b"all");
    assert_eq!(running.error("done"), "done cannot run any more: it has exited");
    assert_eq!(start().error("bad"), "bad called proc_exit(4294967295)");
    assert_eq!(start().error("said"), "said failed: why");
}

#[test]
fn an_instance_that_trapped_is_not_called_again() {
    let body = function("bad", "unreachable") + &function("good", "");
    let mut running = Running::start(&plugin(&body), &Settings::default());
    assert_eq!(running.call("good", b""), b"");
    running.error("bad");
    assert_eq!(running.error("good"), "good cannot run any more: it has trapped");
}

#[test]
fn a_function_that_is_not_there_is_told_with_those_that_are() {
    let mut running = Running::start(&plugin(&(function("one", "") + &function("two", ""))), &Settings::default());
    assert_eq!(running.error("three"), "three is no function of the plugin; it has one, two");
    assert_eq!(running.call("one", b""), b"");
}

#[test]
fn a_function_that_says_it_failed_can_be_called_again() {
    let mut running = Running::of("(if (call $input_load_u8 (i64.const 0)) (then (return (i32.const 1))))");
    assert!(running.try_call("f", b"x").is_err());
    assert_eq!(running.call("f", b""), b"");
}

#[test]
fn a_program_runs_once() {
    let body = "(func (export \"_start\") (call $give (call $block (text \"out\"))))".to_owned() + &function("f", "");
    let mut running = Running::start(&plugin(&body), &Settings::default());
    assert_eq!(running.call("_start", b""), b"out");
    assert!(running.error("f").ends_with("it has run \"_start\", and programs run once"));
    running.instance.put_back().unwrap();
    assert_eq!(running.call("_start", b""), b"out");
}

#[test]
fn the_time_of_the_manifest_ends_a_function() {
    let engine = own_engine(EngineOptions::default());
    let _ticking = Ticking::new(&engine);
    let plugin = plugin_on(engine.as_ref(), &(function("endless", "(loop (br 0))") + &function("f", "")));
    let settings = settings(r#"{"timeout_ms": 30}"#);
    let mut running = Running::start(&plugin, &settings);
    let begun = Instant::now();
    let err = running.try_call("endless", b"").unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(30));
    assert!(matches!(err.reason, Reason::Timeout(time) if time == Duration::from_millis(30)));
    assert_eq!(err.to_string(), "endless was still running after 30 ms (timeout_ms of its manifest)");

    let mut running = Running::start(&plugin, &settings);
    thread::sleep(2 * Duration::from_millis(30));
    assert_eq!(running.call("f", b""), b"", "the time of a call begins with it");
}

#[test]
fn whoever_watches_ends_a_function_and_a_start() {
    let engine = own_engine(EngineOptions::default());
    let _ticking = Ticking::new(&engine);
    let plugin = plugin_on(engine.as_ref(), &function("f", "(loop (br 0))"));
    let mut world = FakeWorld::default();
    let watch = Switch::on();
    let mut instance = Instance::start(&plugin, &Settings::default(), Switch::on(), &mut world).unwrap();
    instance.set_watch(watch.clone());
    watch.0.store(false, Ordering::SeqCst);
    let err = instance.call("f", b"", &mut world).unwrap_err();
    assert!(matches!(err.reason, Reason::Stopped));
    assert_eq!(err.to_string(), "f was stopped");

    let body = "(func (export \"_initialize\") (loop (br 0)))".to_owned() + &function("f", "");
    let plugin = plugin_on(engine.as_ref(), &body);
    let err = Instance::start(&plugin, &Settings::default(), watch, &mut world).err().unwrap();
    assert_eq!(err.to_string(), "_initialize was stopped");
}

#[test]
fn each_call_has_its_fuel() {
    let engine = own_engine(EngineOptions { fuel: true, ..EngineOptions::default() });
    let plugin = plugin_on(engine.as_ref(), &(function("endless", "(loop (br 0))") + &function("f", "")));
    let settings = Settings { fuel: Some(10_000), ..Settings::default() };
    let mut running = Running::start(&plugin, &settings);
    for _ in 0..3 {
        running.call("f", b"");
        assert!(running.instance.fuel().unwrap() > 9_000);
    }
    let err = running.try_call("endless", b"").unwrap_err();
    assert!(matches!(err.reason, Reason::OutOfFuel));
    assert_eq!(err.to_string(), "endless has used up its fuel (wasm_fuel)");

    let plugin = super::support::plugin(&function("f", ""));
    let err = Running::try_start(&plugin, &settings).err().unwrap().to_string();
    assert!(err.contains("it has fuel, but the module was compiled without counting it"), "{err}");
}
