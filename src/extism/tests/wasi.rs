//! WASI, as far as it has to do with plugins.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::support::{Running, Switch, Ticking, function, own_engine, plugin, plugin_on, settings};
use crate::extism::{Instance, Level, Reason, Settings};
use crate::vm::EngineOptions;

/// A folder with a file in it, that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("ngx-wasm-extism-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "content").unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Opens the file with these rights. The number of the error is left, and the descriptor is at 16.
fn opening(rights: u64) -> String {
    format!(
        "(call $path_open (i32.const 3) (i32.const 0) (text \"file\") (i32.const 0)
            (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 16))"
    )
}

/// A function that gives both, the error in the upper half.
fn open(name: &str, rights: u64) -> String {
    function(
        name,
        &format!(
            "(local.set $n (i64.extend_i32_u {}))
             (call $number (i64.or (i64.shl (local.get $n) (i64.const 32)) (i64.load32_u (i32.const 16))))",
            opening(rights)
        ),
    )
}

const READ: u64 = 2;
const WRITE: u64 = 64;

#[test]
fn a_granted_directory_is_there_and_its_files_are_closed_between_requests() {
    let scratch = Scratch::new("files");
    let plugin = plugin(&(open("read", READ) + &open("write", READ | WRITE)));
    let host = scratch.0.display();
    let mut running = Running::start(&plugin, &settings(&format!(r#"{{"allowed_paths": {{"ro:{host}": "/mnt"}}}}"#)));
    assert_eq!((running.number("read"), running.number("read")), (4, 5));
    assert_eq!(running.number("write") >> 32, 69, "read only");
    running.instance.put_back().unwrap();
    assert_eq!(running.number("read"), 4);
    let mut running = Running::start(&plugin, &settings(&format!(r#"{{"allowed_paths": {{"{host}": "/mnt"}}}}"#)));
    assert_eq!(running.number("write"), 4);
    let mut running = Running::start(&plugin, &settings("{}"));
    assert_ne!(running.number("read") >> 32, 0);
}

#[test]
fn a_directory_that_was_closed_is_there_again() {
    let scratch = Scratch::new("closed");
    let plugin = plugin(&function("f", "(call $number (i64.extend_i32_u (call $fd_close (i32.const 3))))"));
    let host = scratch.0.display();
    let mut running = Running::start(&plugin, &settings(&format!(r#"{{"allowed_paths": {{"{host}": "/mnt"}}}}"#)));
    for _ in 0..2 {
        assert_eq!(running.number("f"), 0);
        assert_ne!(running.number("f"), 0);
        running.instance.put_back().unwrap();
    }
}

#[test]
fn a_start_that_leaves_files_open_has_no_image() {
    let scratch = Scratch::new("left");
    let body = format!("(func (export \"_initialize\") (drop {})) {}", opening(READ), function("f", ""));
    let host = scratch.0.display();
    let running = Running::start(&plugin(&body), &settings(&format!(r#"{{"allowed_paths": {{"{host}": "/mnt"}}}}"#)));
    assert_eq!(running.instance.image().err(), Some("its start leaves files open"));
}

#[test]
fn what_is_printed_is_logged_line_by_line() {
    let print = |fd: u32, text: &str| {
        format!(
            "(call $vector (text \"{text}\")) (drop (call $fd_write (i32.const {fd}) (i32.const 0) (i32.const 1) (i32.const 8)))"
        )
    };
    let body = "(func $vector (param i32 i32)
        (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)))"
        .to_owned()
        + &function("f", &(print(1, "one\\0at") + &print(2, "wrong\\0a") + &print(1, "wo")));
    let mut running = Running::start(&plugin(&body), &settings("{}"));
    running.call("f", b"");
    let line = |level, text: &str| (level, text.to_owned());
    let mut logged = running.world.logged();
    logged.sort();
    assert_eq!(logged, [line(Level::Info, "one"), line(Level::Info, "two"), line(Level::Error, "wrong")]);
}

#[test]
fn the_wall_clock_is_that_of_the_world() {
    let calls = "(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0))) (call $number (i64.load (i32.const 0)))";
    assert_eq!(Running::of(calls).number("f"), 1_700_000_000_123_456_789);
}

#[test]
fn how_a_start_wants_its_streams_is_kept_with_the_image() {
    let choose = |flags: u32| format!("(drop (call $fd_fdstat_set_flags (i32.const 1) (i32.const {flags})))");
    let body = format!("(func (export \"_initialize\") {})", choose(4))
        + &function("wait", &choose(0))
        + &function(
            "f",
            "(drop (call $fd_fdstat_get (i32.const 1) (i32.const 16))) (call $number (i64.load16_u (i32.const 18)))",
        );
    let plugin = plugin(&body);
    let mut running = Running::start(&plugin, &Settings::default());
    assert_eq!(running.number("f"), 4);
    running.call("wait", b"");
    assert_eq!(running.number("f"), 0);
    running.instance.put_back().unwrap();
    assert_eq!(running.number("f"), 4);
    let image = running.instance.image().unwrap().clone();
    running.instance = Instance::from_image(&plugin, &Settings::default(), Switch::on(), &image).unwrap();
    assert_eq!(running.number("f"), 4);
}

/// Waits so many nanoseconds, by a subscription to the monotonic clock.
fn sleeping(nanoseconds: u64) -> String {
    format!(
        "(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const {nanoseconds}))
         (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"
    )
}

#[test]
fn a_plugin_that_waits_lets_time_pass() {
    let mut running = Running::of(&sleeping(30_000_000));
    let begun = Instant::now();
    running.call("f", b"");
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[test]
fn the_time_of_the_manifest_ends_a_plugin_that_waits() {
    let engine = own_engine(EngineOptions::default());
    let _ticking = Ticking::new(&engine);
    let body = function("f", &format!("(loop {} (br 0))", sleeping(3_600_000_000_000)));
    let mut running = Running::start(&plugin_on(engine.as_ref(), &body), &settings(r#"{"timeout_ms": 20}"#));
    let err = running.try_call("f", b"").unwrap_err();
    assert!(matches!(err.reason, Reason::Timeout(_)), "{err}");
}

#[test]
fn a_plugin_has_no_arguments_and_no_environment_and_an_input_at_its_end() {
    let calls = "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 100))
        (i64.store (i32.const 16) (i64.const -1)) (i64.store (i32.const 24) (i64.const -1)) (i64.store (i32.const 32) (i64.const -1))
        (if (call $args_sizes_get (i32.const 16) (i32.const 20)) (then unreachable))
        (if (call $environ_sizes_get (i32.const 24) (i32.const 28)) (then unreachable))
        (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)) (then unreachable))
        (call $number (i64.or (i64.or (i64.load (i32.const 16)) (i64.load (i32.const 24))) (i64.load32_u (i32.const 32))))";
    assert_eq!(Running::of(calls).number("f"), 0);
}
