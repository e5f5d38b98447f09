//! Plugins that others have built with their PDKs: those of the Go module `github.com/extism/go-sdk`, v1.7.1. The test looks for them in
//! the folder that `EXTISM_PLUGINS` names; `go mod download -json github.com/extism/go-sdk@v1.7.1` tells it, as `Dir`:
//!
//! ```sh
//! EXTISM_PLUGINS=$dir/wasm cargo test --release --lib ready_plugins -- --ignored
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::support::{FakeWorld, Running, Ticking, engine, own_engine, settings};
use crate::extism::{HttpResponse, Level, Plugin, PluginError, Reason, Settings};
use crate::vm::{Engine, EngineOptions};

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("EXTISM_PLUGINS").unwrap_or_else(|| panic!("EXTISM_PLUGINS names no folder")))
}

fn load(name: &str) -> Result<Plugin, PluginError> {
    load_on(engine().as_ref(), name)
}

fn load_on(engine: &dyn Engine, name: &str) -> Result<Plugin, PluginError> {
    let bytes = std::fs::read(folder().join(format!("{name}.wasm"))).unwrap_or_else(|err| panic!("{name}: {err}"));
    Plugin::new(engine, &bytes)
}

fn start(name: &str, settings: &Settings) -> Running {
    let plugin = Arc::new(load(name).unwrap_or_else(|err| panic!("{name}: {err}")));
    Running::start(&plugin, settings)
}

fn text(running: &mut Running, function: &str, input: &str) -> String {
    String::from_utf8(running.call(function, input.as_bytes())).unwrap()
}

/// Calls twice, the second time behind a way back, and wants the same output.
fn same_twice(name: &str, settings: &Settings, function: &str, input: &str) -> String {
    let mut running = start(name, settings);
    let first = text(&mut running, function, input);
    running.instance.put_back().unwrap_or_else(|err| panic!("{name}: {err}"));
    assert_eq!(text(&mut running, function, input), first, "{name}");
    first
}

/// How long calls and ways back take together.
fn time_of(name: &str, settings: &Settings, function: &str, input: &str) {
    const TIMES: u32 = 200;
    let mut running = start(name, settings);
    let begun = Instant::now();
    for _ in 0..TIMES {
        running.call(function, input.as_bytes());
        running.instance.put_back().unwrap();
    }
    println!("{name}: {:?} for a call and the way back", begun.elapsed() / TIMES);
}

#[test]
#[ignore = "needs EXTISM_PLUGINS"]
fn plugins_of_the_go_sdk_do_what_its_tests_want_of_them() {
    let none = Settings::default();
    same_twice("alloc", &none, "run_test", "");
    assert_eq!(same_twice("hello", &none, "run_test", ""), "Hello, world!");
    assert_eq!(same_twice("replace", &none, "run_test", "Frodo"), "Frodo");
    assert_eq!(
        same_twice("input_offset", &none, "input_offset_length", "hello world").as_bytes(),
        [11, 0, 0, 0, 0, 0, 0, 0]
    );
    let counted = same_twice("count_vowels", &none, "count_vowels", "hello world");
    assert_eq!(counted, r#"{"count":3,"total":3,"vowels":"aeiouAEIOU"}"#);
    let counted =
        same_twice("count_vowels", &settings(r#"{"config": {"vowels": "o"}}"#), "count_vowels", "hello world");
    assert_eq!(counted, r#"{"count":2,"total":2,"vowels":"o"}"#);
    let counted = r#"{"count": 3, "config": "<unset by host>", "a": "this is var a"}"#;
    assert_eq!(same_twice("count_vowels_std", &none, "_start", "hello world"), counted);
    assert_eq!(same_twice("std_command", &none, "_start", "ben"), "hello ben");
    same_twice("noop", &none, "run_test", "");

    assert_eq!(same_twice("config", &none, "run_test", ""), r#"{"config": "<unset by host>"}"#);
    assert_eq!(
        same_twice("config", &settings(r#"{"config": {"thing": "hello"}}"#), "run_test", ""),
        r#"{"config": "hello"}"#
    );

    let err = start("fail", &none).try_call("run_test", b"").unwrap_err();
    assert!(matches!(err.reason, Reason::Failed { code: 1, .. }), "{err}");
    assert_eq!(err.message(), b"Some error message");
    for (code, wanted) in [("-1", u32::MAX), ("500", 500), ("abc", 1), ("", 2)] {
        let settings =
            if code.is_empty() { none.clone() } else { settings(&format!(r#"{{"config": {{"code": "{code}"}}}}"#)) };
        let err = start("exit", &settings).try_call("_start", b"").unwrap_err();
        assert!(matches!(err.reason, Reason::Exit(code) if code == wanted), "{err}");
    }
}

#[test]
#[ignore = "needs EXTISM_PLUGINS"]
fn plugins_log_and_keep_variables() {
    let mut running = start("log", &Settings::default());
    running.world.level = Some(Level::Info);
    running.call("run_test", b"");
    let line = |level, text: &str| (level, text.to_owned());
    assert_eq!(
        running.world.logged(),
        [
            line(Level::Info, "this is an info log"),
            line(Level::Warn, "this is a warning log"),
            line(Level::Error, "this is an error log"),
        ]
    );
    assert_eq!(same_twice("var", &Settings::default(), "run_test", ""), "a: 0");
    let mut running = start("count_vowels", &Settings::default());
    for (input, counted) in [("aaa", "\"count\":3,\"total\":3"), ("bbba", "\"count\":1,\"total\":4")] {
        let output = text(&mut running, "count_vowels", input);
        assert!(output.contains(counted), "{output}");
    }
    let err = start("var", &settings(r#"{"memory": {"max_var_bytes": 0}}"#)).error("run_test");
    assert!(err.contains("there are no variables"), "{err}");
    let mut running = start("println", &Settings::default());
    running.call("run_test", b"World");
    assert_eq!(running.world.logged(), [line(Level::Info, "this was printed from the plugin World")]);
}

#[test]
#[ignore = "needs EXTISM_PLUGINS"]
fn plugins_make_calls_of_http() {
    let allowed = settings(r#"{"allowed_hosts": ["jsonplaceholder.*.com", "extism.org"]}"#);
    let answer = || {
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", "text/html; charset=utf-8".parse().unwrap());
        Ok(HttpResponse { status: 200, headers, body: br#"{"userId":1}"#.to_vec() })
    };
    let mut running = start("http", &allowed);
    running.world.answer = Box::new(move |_| answer());
    assert_eq!(text(&mut running, "run_test", ""), r#"{"userId":1}"#);
    let asked = running.world.requests.pop().unwrap();
    assert_eq!(asked.uri, "https://jsonplaceholder.typicode.com/todos/1");
    assert_eq!((asked.headers["some-name"].as_bytes(), asked.body), (&b"some-value"[..], None));
    let err = start("http", &settings(r#"{"allowed_hosts": ["google.*"]}"#)).error("run_test");
    assert!(err.contains("the host \"jsonplaceholder.typicode.com\" is not among \"allowed_hosts\""), "{err}");

    let mut running = start("http_headers", &allowed);
    running.world = FakeWorld { answer: Box::new(move |_| answer()), ..FakeWorld::default() };
    let headers = text(&mut running, "http_get", r#"{"url": "https://extism.org"}"#);
    assert_eq!(headers, r#"{"content-type":"text/html; charset=utf-8"}"#);
    assert_eq!(running.world.logged(), [(Level::Info, "Request to: https://extism.org".to_owned())]);
}

#[test]
#[ignore = "needs EXTISM_PLUGINS"]
fn plugins_read_files_that_are_granted() {
    let data = folder().parent().map(|folder| folder.join("testdata")).unwrap();
    let grants = |word: &str| {
        settings(&format!(
            r#"{{"allowed_paths": {{"{word}{}": "/mnt"}}, "config": {{"path": "/mnt/test.txt"}}}}"#,
            data.display()
        ))
    };
    // They open it for writing, too.
    for name in ["fs", "fs_std"] {
        assert_eq!(same_twice(name, &grants(""), "run_test", ""), "hello world!");
        let mut running = start(name, &grants("ro:"));
        assert_eq!(running.error("run_test"), "run_test returned 1");
        let (level, line) = running.world.logged().remove(0);
        assert!(level == Level::Error && line.starts_with("open /mnt/test.txt: "), "{line}");
    }
    let mut running = start("read_write", &grants("ro:"));
    assert_eq!(text(&mut running, "try_read", ""), "hello world!");
    let err = running.try_call("try_write", b"hello hello!").unwrap_err();
    assert_eq!(err.message(), b"Failed to write file: Read-only file system (os error 69)");
}

#[test]
#[ignore = "needs EXTISM_PLUGINS"]
fn plugins_of_haskell_have_a_runtime() {
    let mut running = start("hello_haskell", &settings(r#"{"config": {"greeting": "Howdy"}}"#));
    assert_eq!(text(&mut running, "testing", "John"), "Howdy, John");
    running.instance.put_back().unwrap();
    assert_eq!(text(&mut running, "testing", "Jane"), "Howdy, Jane");
}

#[test]
#[ignore = "needs EXTISM_PLUGINS"]
fn what_wants_more_is_refused() {
    for (name, reason) in [
        ("host", "it imports \"mult\" from \"extism:host/user\""),
        ("host_multiple", "it imports \"hostGreenMessage\", \"hostPurpleMessage\" from \"extism:host/user\""),
        ("host_memory", "unknown import \"host.to_upper\" of type func (i64) -> (i64)"),
        ("main", "unknown import \"lib.capitalize\" of type func (i64) -> (i64)"),
        ("nested.c.instr", "unknown import \"dylibso_observe.instrument_enter\""),
    ] {
        let err = load(name).err().unwrap_or_else(|| panic!("{name} is a plugin")).to_string();
        assert!(err.starts_with(reason), "{err}");
    }
    assert_eq!(load("lib").unwrap().functions().collect::<Vec<_>>(), ["_start"]);
}

#[test]
#[ignore = "needs EXTISM_PLUGINS"]
fn the_time_of_the_manifest_ends_a_plugin_that_sleeps() {
    let engine = own_engine(EngineOptions::default());
    let _ticking = Ticking::new(&engine);
    let plugin = Arc::new(load_on(engine.as_ref(), "sleep").unwrap());
    let mut running = Running::start(&plugin, &settings(r#"{"timeout_ms": 100, "config": {"duration": "30"}}"#));
    let err = running.try_call("run_test", b"").unwrap_err();
    assert!(matches!(err.reason, Reason::Timeout(_)), "{err}");
}

#[test]
#[ignore = "needs EXTISM_PLUGINS"]
fn calls_take_some_time() {
    let none = Settings::default();
    time_of("hello", &none, "run_test", "");
    time_of("alloc", &none, "run_test", "");
    time_of("count_vowels", &none, "count_vowels", "hello world");
    time_of("config", &none, "run_test", "");
    time_of("hello_haskell", &none, "testing", "John");
    time_of("count_vowels_std", &none, "_start", "hello world");
}
