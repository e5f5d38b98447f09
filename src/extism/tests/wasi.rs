//! WASI, as far as it has to do with plugins.

use std::fs;
use std::path::PathBuf;

use super::support::{Running, function, plugin, settings};
use crate::extism::Level;

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
