//! Contexts: their numbers, their end, and which of them host calls are about.

use super::support::{Guest, World, notes};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::errors::StartError;
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::ids::{ContextId, StreamToken};
use crate::proxy_wasm::types::{LogLevel, MapType};
use crate::proxy_wasm::vm::Vm;

/// Notes the end of contexts; on_done answers `done`.
fn ending(done: &str) -> Guest {
    Guest::new("").noting("on_done", 1, done).noting("on_log", 1, "").noting("on_delete", 1, "")
}

const SET_EFFECTIVE: &str = "(call $proxy_set_effective_context (global.get $which))";

const GET_PATH: &str = "(note \"get\"
    (call $proxy_get_header_map_value (i32.const 0) (text \":path\") (i32.const 0) (i32.const 4)))";

const LOG_PATH: &str = "(note \"get\"
    (call $proxy_get_header_map_value (i32.const 0) (text \":path\") (i32.const 0) (i32.const 4)))
    (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4))))";

/// A filter whose on_request_headers runs `calls`, with `$which` set by the size of the plugin configuration.
fn about_another(calls: &str) -> Guest {
    Guest::on_request(calls).and(
        "(global $which (mut i32) (i32.const 0))
         (func (export \"proxy_on_configure\") (param i32 i32) (result i32)
            (global.set $which (local.get 1)) (i32.const 1))",
    )
}

/// Starts `guest` with `$which` set to `number`.
fn with_number(guest: &Guest, number: usize) -> World {
    let root = RootConfig { configuration: vec![b'x'; number], ..RootConfig::default() };
    guest.start_with(VmConfig::default(), root, FakeHost::default()).unwrap()
}

fn with_path(path: &str) -> FakeStream {
    let mut stream = FakeStream::default();
    stream.set_map(MapType::RequestHeaders, &[(":path", path)]);
    stream
}

#[test]
fn one_counter_numbers_roots_and_streams() {
    let module = Guest::new("").noting("on_context_create", 2, "").module().unwrap();
    let mut host = FakeHost::default();
    let mut vm = Vm::start(&module, VmConfig::default(), &mut host).unwrap();
    let root = vm.create_root(RootConfig::default(), &mut host).unwrap();
    let stream = vm.create_stream(root, StreamToken(9), &mut host).unwrap();
    let second = vm.create_root(RootConfig::default(), &mut host).unwrap();
    assert_eq!((root, stream, second), (ContextId(1), ContextId(2), ContextId(3)));
    assert_eq!(notes(&mut host), ["on_context_create 1 0 2 1 3 0"]);
}

#[test]
fn a_number_does_not_come_again_when_its_context_has_gone() {
    let mut world = Guest::new("").start();
    let first = world.stream();
    world.end(first).unwrap();
    assert_eq!(world.stream(), ContextId(3));
}

#[test]
fn a_number_goes_to_the_next_context_when_the_embedder_wants_that() {
    let config = VmConfig { reuse_context_ids: true, ..VmConfig::default() };
    let guest = Guest::new("").noting("on_context_create", 2, "").noting("on_delete", 1, "");
    let started = guest.start_with(config, RootConfig::default(), FakeHost::default());
    let mut world = started.unwrap();
    let (first, second) = (world.stream(), world.stream());
    world.end(first).unwrap();
    world.end(second).unwrap();
    assert_eq!((world.stream(), world.stream(), world.stream()), (second, first, ContextId(4)));
    assert_eq!(world.vm.contexts(), 4);
}

#[test]
fn a_number_that_the_guest_may_still_know_goes_to_nobody() {
    let vm = VmConfig { reuse_context_ids: true, ..VmConfig::default() };
    // It takes the first configuration, and no other.
    let guest = Guest::new(
        "(global $times (mut i32) (i32.const 0))
        (func (export \"proxy_on_configure\") (param i32 i32) (result i32)
            (global.set $times (i32.add (global.get $times) (i32.const 1)))
            (i32.eq (global.get $times) (i32.const 1)))",
    );
    let guest = guest.noting("on_context_create", 2, "");
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let refused = world.vm.create_root(RootConfig::default(), &mut world.host);
    assert!(matches!(refused, Err(StartError::Configure)));
    let forgotten = world.stream();
    world.vm.forget(forgotten);
    world.stream();
    assert_eq!(world.notes(), ["on_context_create 1 0 2 0 3 1 4 1"]);
    assert_eq!(world.vm.contexts(), 2);
}

#[test]
fn the_end_of_a_stream_is_done_then_log_then_delete() {
    let mut world = ending("(i32.const 1)").start();
    let id = world.stream();
    assert_eq!(world.vm.contexts(), 2);
    world.end(id).unwrap();
    assert_eq!(world.notes(), ["on_done 2", "on_log 2", "on_delete 2"]);
    assert_eq!(world.vm.contexts(), 1);
}

#[test]
fn a_guest_without_on_done_is_done() {
    let mut world = Guest::new("").noting("on_log", 1, "").start();
    let id = world.stream();
    world.end(id).unwrap();
    assert_eq!(world.notes(), ["on_log 2"]);
    assert_eq!(world.vm.contexts(), 1);
}

#[test]
fn the_end_of_a_root_does_not_wait() {
    let mut world = ending("(i32.const 0)").start();
    let root = world.root;
    world.vm.end_root(root, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["on_done 1", "on_delete 1"]);
    assert_eq!(world.vm.contexts(), 0);
}

#[test]
fn a_false_on_done_defers_log_and_delete() {
    let mut world = ending("(i32.const 0)").start();
    let id = world.stream();
    world.end(id).unwrap();
    assert_eq!(world.notes(), ["on_done 2"]);
    assert_eq!(world.vm.contexts(), 2);
}

/// Ends context 2 on behalf of a later request.
const FINISH: &str = "(note \"effective\" (call $proxy_set_effective_context (i32.const 2)))
    (note \"done\" (call $proxy_done)) (note \"end of callback\" (i32.const 0))";

/// on_done answers false for context 2 only.
const ONLY_2_WAITS: &str = "(i32.ne (local.get 0) (i32.const 2))";

#[test]
fn proxy_done_ends_a_deferred_context_after_the_callback() {
    let guest = Guest::on_request(FINISH);
    let guest = guest.noting("on_done", 1, ONLY_2_WAITS).noting("on_log", 1, "").noting("on_delete", 1, "");
    let mut world = guest.start();
    let (first, second) = (world.stream(), world.stream());
    world.end(first).unwrap();
    world.notes();
    world.request_headers(second).unwrap();
    assert_eq!(world.notes(), ["effective 0", "done 0", "end of callback 0", "on_log 2", "on_delete 2"]);
    assert_eq!(world.vm.contexts(), 2);

    // It has ended now: neither can it be selected, nor ended again.
    world.request_headers(second).unwrap();
    assert_eq!(world.notes(), ["effective 2", "done 1", "end of callback 0"]);
}

#[test]
fn contexts_that_wait_for_proxy_done_are_bounded_and_the_longest_waiting_ends() {
    let guest = Guest::on_request(FINISH);
    let guest = guest.noting("on_done", 1, "(i32.const 0)").noting("on_log", 1, "").noting("on_delete", 1, "");
    let vm = VmConfig { max_pending: 2, ..VmConfig::default() };
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let end = |world: &mut World| {
        let id = world.stream();
        world.end(id).unwrap();
        world.notes()
    };
    assert_eq!((end(&mut world), end(&mut world)), (vec!["on_done 2".to_owned()], vec!["on_done 3".to_owned()]));
    assert_eq!((world.vm.pending(), world.vm.contexts()), (2, 3));
    assert!(world.host.logged(LogLevel::Error).is_empty());
    assert_eq!(end(&mut world), ["on_done 4", "on_log 2", "on_delete 2"]);
    assert_eq!(end(&mut world), ["on_done 5", "on_log 3", "on_delete 3"]);
    assert_eq!((world.vm.pending(), world.vm.contexts()), (2, 3));
    let said = "2 contexts wait for proxy_done; those that have waited longest are ended";
    assert_eq!(world.host.logged(LogLevel::Error), [said]);
}

#[test]
fn a_context_that_is_ended_for_others_ends_once() {
    let guest = Guest::new(
        "(func (export \"proxy_on_done\") (param i32) (result i32) (i32.const 0))
         (func (export \"proxy_on_log\") (param i32)
            (note \"log\" (local.get 0)) (note \"done\" (call $proxy_done)))",
    );
    let guest = guest.noting("on_delete", 1, "");
    let vm = VmConfig { max_pending: 0, ..VmConfig::default() };
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    world.end(id).unwrap();
    assert_eq!(world.notes(), ["log 2", "done 1", "on_delete 2"]);
    assert_eq!(world.vm.contexts(), 1);
}

#[test]
fn a_context_that_has_called_proxy_done_does_not_count_any_more() {
    let guest = Guest::on_request(FINISH);
    let guest = guest.noting("on_done", 1, ONLY_2_WAITS).noting("on_delete", 1, "");
    let vm = VmConfig { max_pending: 1, ..VmConfig::default() };
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let (first, second) = (world.stream(), world.stream());
    world.end(first).unwrap();
    world.request_headers(second).unwrap();
    assert_eq!((world.vm.pending(), world.vm.contexts()), (0, 2));
}

#[test]
fn a_deferred_context_has_no_stream() {
    let guest = Guest::on_request(&format!(
        "(note \"effective\" (call $proxy_set_effective_context (i32.const 2))) {GET_PATH}"
    ));
    let mut world = guest.noting("on_done", 1, ONLY_2_WAITS).start();
    let (first, second) = (world.stream_of(with_path("/1")), world.stream_of(with_path("/2")));
    world.end(first).unwrap();
    world.notes();
    world.request_headers(second).unwrap();
    assert_eq!(world.notes(), ["effective 0", "get 1"]);
}

#[test]
fn what_follows_from_proxy_done_leaves_the_host_with_the_stream_of_the_callback() {
    // on_done of context 3 ends context 2; on_log of 3 is about its own stream again.
    let guest = Guest::new(format!(
        "(func (export \"proxy_on_done\") (param i32) (result i32)
            (if (i32.eq (local.get 0) (i32.const 3)) (then
                (note \"effective\" (call $proxy_set_effective_context (i32.const 2)))
                (note \"done\" (call $proxy_done))))
            (i32.ne (local.get 0) (i32.const 2)))
         (func (export \"proxy_on_log\") (param i32) (note \"log\" (local.get 0)) {GET_PATH})",
    ));
    let mut world = guest.start();
    let (first, second) = (world.stream_of(with_path("/1")), world.stream_of(with_path("/2")));
    world.end(first).unwrap();
    world.end(second).unwrap();
    assert_eq!(world.notes(), ["effective 0", "done 0", "log 2", "get 1", "log 3", "get 0"]);
    assert_eq!(world.vm.contexts(), 1);
}

#[test]
fn proxy_done_is_not_found_when_nothing_waits_for_it() {
    let guest = Guest::on_request("(note \"done\" (call $proxy_done))").and(
        "(func (export \"proxy_on_configure\") (param i32 i32) (result i32)
            (note \"root\" (call $proxy_done)) (i32.const 1))",
    );
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["root 1", "done 1"]);
}

#[test]
fn the_effective_context_chooses_the_stream_of_host_calls() {
    let mut world =
        with_number(&about_another(&format!("{LOG_PATH} (note \"effective\" {SET_EFFECTIVE}) {LOG_PATH}")), 2);
    let (first, second) = (world.stream_of(with_path("/1")), world.stream_of(with_path("/2")));
    assert_eq!((first, second), (ContextId(2), ContextId(3)));
    world.request_headers(second).unwrap();
    assert_eq!(world.notes(), ["get 0", "effective 0", "get 0"]);
    assert_eq!(world.host.logged(LogLevel::Info), ["/2", "/1"]);
}

#[test]
fn the_root_is_an_effective_context_without_a_stream() {
    let mut world = with_number(&about_another(&format!("(note \"effective\" {SET_EFFECTIVE}) {GET_PATH}")), 1);
    let id = world.stream_of(with_path("/"));
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["effective 0", "get 1"]);
}

#[test]
fn the_effective_context_is_reset_after_the_callback() {
    let guest = about_another(&format!("(note \"effective\" {SET_EFFECTIVE}) {LOG_PATH}")).and(&format!(
        "(func (export \"proxy_on_response_headers\") (param i32 i32 i32) (result i32) {LOG_PATH} (i32.const 0))"
    ));
    let mut world = with_number(&guest, 2);
    let _first = world.stream_of(with_path("/1"));
    let second = world.stream_of(with_path("/2"));
    world.request_headers(second).unwrap();
    // Not through the world, which would select the stream: one host may serve several callbacks.
    world.vm.on_response_headers(second, 1, false, &mut world.host).unwrap();
    assert_eq!(world.host.logged(LogLevel::Info), ["/1", "/2"]);
}

#[test]
fn an_unknown_context_cannot_be_made_effective() {
    for number in [0, 77] {
        let mut world = with_number(&about_another(&format!("(note \"effective\" {SET_EFFECTIVE})")), number);
        let id = world.stream();
        world.request_headers(id).unwrap();
        assert_eq!(world.notes(), ["effective 2"], "{number}");
    }
}

#[test]
fn a_stream_that_has_ended_cannot_be_made_effective() {
    let mut world = with_number(&about_another(&format!("(note \"effective\" {SET_EFFECTIVE})")), 2);
    let (first, second) = (world.stream(), world.stream());
    world.end(first).unwrap();
    world.request_headers(second).unwrap();
    assert_eq!(world.notes(), ["effective 2"]);
}

#[test]
fn a_stream_that_the_host_does_not_have_cannot_be_made_effective() {
    let guest = about_another(&format!("(note \"effective\" {SET_EFFECTIVE}) (note \"done\" (call $proxy_done))"));
    let mut world = with_number(&guest, 2);
    let (first, second) = (world.stream(), world.stream());
    let token = world.token(first);
    world.host.streams.remove(&token);
    world.request_headers(second).unwrap();
    assert_eq!(world.notes(), ["effective 2", "done 1"]);
    assert_eq!(world.host.selected, Some(world.token(second)));
}

#[test]
fn a_forgotten_context_is_gone_without_a_callback() {
    let mut world = ending("(i32.const 1)").start();
    let id = world.stream();
    world.vm.forget(id);
    assert_eq!(world.vm.contexts(), 1);
    assert!(world.notes().is_empty());
}
