//! Traces of callbacks: which lines there are, and that nothing is different for the guest. What is shown of a host call is tested in
//! `host_calls/traced.rs`.

use super::support::{Guest, World};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::types::MapType;
use crate::vm::EngineOptions;
use crate::vm::tests::engine;

/// A guest that is traced, or not.
fn start(guest: &Guest, is_traced: bool) -> World {
    let engine = engine(EngineOptions { fuel: true, ..EngineOptions::default() });
    let module = guest.module_on(engine.as_ref()).unwrap();
    let vm = VmConfig { fuel: Some(1 << 30), ..VmConfig::default() };
    let host = FakeHost { trace: is_traced.then(Vec::new), ..FakeHost::default() };
    World::start(&module, vm, RootConfig { configuration: b"four".to_vec(), ..RootConfig::default() }, host).unwrap()
}

/// The lines since the last time, without times, which differ.
fn lines(world: &mut World) -> Vec<String> {
    let lines = std::mem::take(world.host.trace.as_mut().unwrap());
    let without_time = |line: String| {
        let (text, time) = line.rsplit_once(", ").unwrap();
        assert!(
            time.strip_suffix(" us").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())),
            "{line}"
        );
        text.to_owned()
    };
    lines.into_iter().map(|line| if line.contains("left out") { line } else { without_time(line) }).collect()
}

const READS: &str = "(drop (call $proxy_get_header_map_value (i32.const 0) (text \"host\") (i32.const 0) (i32.const 4)))
                     (drop (call $proxy_get_header_map_value (i32.const 0) (text \"none\") (i32.const 0) (i32.const 4)))";

fn stream() -> FakeStream {
    let mut stream = FakeStream::default();
    stream.set_map(MapType::RequestHeaders, &[("host", "example")]);
    stream
}

#[test]
fn a_callback_has_a_line_behind_those_of_its_host_calls() {
    let guest = Guest::on_request(READS).noting("on_configure", 2, "(i32.const 1)");
    let mut world = start(&guest, true);
    let started = lines(&mut world);
    assert_eq!(
        started.last().unwrap(),
        "context 1: proxy_on_configure(root=1, configuration_bytes=4) = true, 2 host calls"
    );
    let id = world.stream_of(stream());
    lines(&mut world);
    world.request_headers(id).unwrap();
    assert_eq!(
        lines(&mut world),
        [
            "context 2: proxy_get_header_map_value(RequestHeaders, \"host\") = Ok, \"example\"",
            "context 2: proxy_get_header_map_value(RequestHeaders, \"none\") = NotFound",
            "context 2: proxy_on_request_headers(context=2, headers=7, end_of_stream=1) = Continue, 2 host calls",
        ]
    );
}

#[test]
fn a_guest_does_not_notice_it() {
    let used = [false, true].map(|is_traced| {
        let mut world = start(&Guest::on_request(READS), is_traced);
        let id = world.stream_of(stream());
        world.request_headers(id).unwrap();
        world.vm.fuel_used(id).unwrap()
    });
    assert_eq!(used[0], used[1]);
}

#[test]
fn an_answer_is_told_with_its_meaning() {
    for (answer, wanted) in [(0, "Continue"), (1, "Pause"), (2, "2 (Continue)"), (4, "4 (PauseAll)")] {
        let guest = Guest::new("").noting("on_request_headers", 3, &format!("(i32.const {answer})"));
        let mut world = start(&guest, true);
        let id = world.stream();
        world.request_headers(id).unwrap();
        let last = lines(&mut world).pop().unwrap();
        assert!(last.contains(&format!(" = {wanted}, ")), "{last}");
    }
}

#[test]
fn a_loop_of_host_calls_has_a_bound() {
    let mut world = start(
        &Guest::on_request(
            "(local $n i32)
             (loop $next
                (drop (call $proxy_set_tick_period_milliseconds (i32.const 0)))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $n) (i32.const 1500))))",
        ),
        true,
    );
    let id = world.stream();
    lines(&mut world);
    for _ in 0..2 {
        world.request_headers(id).unwrap();
        let lines = lines(&mut world);
        assert_eq!(lines.len(), 1002);
        assert_eq!(lines[1000], "context 2: 500 host calls left out, more than 1000 in a callback");
        assert!(lines[1001].ends_with(" = Continue, 1500 host calls"), "{}", lines[1001]);
    }
}

#[test]
fn a_trap_is_the_answer_of_both() {
    let mut world =
        start(&Guest::on_request("(call $abort (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 4))"), true);
    let id = world.stream();
    lines(&mut world);
    assert!(world.request_headers(id).is_err());
    let lines = lines(&mut world);
    assert!(lines[0].starts_with("context 2: abort(0, 0, 3, 4) = trap: abort: "), "{lines:?}");
    assert!(lines[1].contains(" = trap: abort: "), "{lines:?}");
    // It is dead, and runs no more.
    assert!(world.request_headers(id).is_err());
    assert_eq!(world.host.trace, Some(Vec::new()));
}
