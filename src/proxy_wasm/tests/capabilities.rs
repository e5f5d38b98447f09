//! What a guest meets that asks for more than it may do. How words are read is tested in `allow.rs`.

use std::path::Path;
use std::sync::Arc;

use super::support::{Guest, World};
use crate::proxy_wasm::Callback;
use crate::proxy_wasm::capabilities::Capabilities;
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::types::{LogLevel, MapType, Status};

/// A guest that may do what these words say.
fn start(guest: &Guest, words: &[&str]) -> World {
    let words = words.iter().map(|word| word.as_bytes());
    let capabilities = Some(Arc::new(Capabilities::parse(words, Path::new("/")).unwrap()));
    let vm = VmConfig { configuration: b"vm".to_vec(), capabilities, ..VmConfig::default() };
    let root = RootConfig { configuration: b"plugin".to_vec(), ..RootConfig::default() };
    guest.start_with(vm, root, FakeHost::default()).unwrap()
}

/// What on_request_headers notes when it makes these calls.
fn notes(calls: &str, words: &[&str]) -> (Vec<String>, World) {
    let mut world = start(&Guest::on_request(calls), words);
    let mut stream = FakeStream::default();
    stream.set_map(MapType::RequestHeaders, &[("a", "b")]);
    let id = world.stream_of(stream);
    world.request_headers(id).unwrap();
    (world.notes(), world)
}

const GET: &str =
    "(note \"get\" (call $proxy_get_header_map_value (i32.const 0) (text \"a\") (i32.const 0) (i32.const 4)))";
const ADD: &str = "(note \"add\" (call $proxy_add_header_map_value (i32.const 0) (text \"c\") (text \"d\")))";

#[test]
fn a_host_call_that_is_not_allowed_does_nothing_and_is_counted() {
    let (notes, mut world) = notes(&format!("{GET} {ADD}"), &["get_header_map_value"]);
    assert_eq!(notes, ["get 0", &format!("add {}", Status::InternalFailure as u32)]);
    assert_eq!(world.vm.denied(), 1);
    let token = world.host.selected.unwrap();
    assert_eq!(world.host.streams[&token].map(MapType::RequestHeaders), [("a".into(), "b".into())]);
    assert_eq!(
        world.host.logged(LogLevel::Error),
        ["\"proxy_add_header_map_value\" is not allowed; add \"add_header_map_value\" to \"proxy_wasm_allow\" if the \
          filter may call it"]
    );
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.vm.denied(), 2);
    assert_eq!(world.host.logged(LogLevel::Error).len(), 1, "once a minute");
}

#[test]
fn what_may_not_be_read_is_not_there() {
    let (notes, world) = notes(&format!("{GET} {ADD}"), &["add_header_map_value"]);
    assert_eq!(notes, [&format!("get {}", Status::NotFound as u32), "add 0"]);
    assert_eq!(world.vm.denied(), 1);
}

#[test]
fn configurations_can_be_read_whatever_is_allowed() {
    let read = |buffer: u32| {
        format!(
            "(note \"read\" (call $proxy_get_buffer_bytes
                (i32.const {buffer}) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
             (note \"status\" (call $proxy_get_buffer_status (i32.const {buffer}) (i32.const 0) (i32.const 4)))"
        )
    };
    let (notes, _) = notes(&(read(6) + &read(7) + &read(0)), &["log"]);
    assert_eq!(notes, ["read 0", "status 0", "read 0", "status 0", "read 1", "status 10"]);
}

#[test]
fn a_foreign_function_that_is_not_allowed_is_not_found() {
    let foreign = |name: &str| {
        format!(
            "(note \"foreign\" (call $proxy_call_foreign_function
                (text \"{name}\") (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 4)))"
        )
    };
    let calls = foreign("compress") + &foreign("clear_route_cache") + &foreign("nothing");
    let (all, world) = notes(&calls, &["foreign=compress"]);
    assert_eq!((all, world.vm.denied()), (vec!["foreign 0 1 1".into()], 1));
    assert_eq!(
        world.host.logged(LogLevel::Error),
        ["foreign function \"clear_route_cache\" is not allowed; add \"foreign=clear_route_cache\" to \
          \"proxy_wasm_allow\" if the filter may call it"]
    );
    let (all, world) = notes(&calls, &["get_property"]);
    assert_eq!((all, world.vm.denied()), (vec!["foreign 1 1 1".into()], 3));
}

#[test]
fn a_callback_that_is_not_allowed_is_one_that_the_module_has_not() {
    let guest = Guest::new("")
        .noting("on_request_headers", 3, "(i32.const 1)")
        .noting("on_response_headers", 3, "(i32.const 1)")
        .noting("on_tick", 1, "")
        .noting("on_done", 1, "(i32.const 1)")
        .noting("on_delete", 1, "");
    let mut world = start(&guest, &["on_response_headers"]);
    assert!(!world.vm.has(Callback::OnRequestHeaders) && world.vm.has(Callback::OnResponseHeaders));
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert!(world.notes().is_empty());
    world.response_headers(id).unwrap();
    world.vm.on_tick(world.root, &mut world.host).unwrap();
    world.end(id).unwrap();
    assert_eq!(world.notes(), ["on_response_headers 2 5 0", "on_done 2", "on_delete 2"]);
    assert_eq!(world.vm.denied(), 0);
}

/// Everything that leads to another service, each with the name of the target in it.
fn calls(target: &str) -> String {
    let headers = "\\03\\00\\00\\00\\07\\00\\00\\00\\03\\00\\00\\00\\05\\00\\00\\00\\01\\00\\00\\00\\0a\\00\\00\\00\\01\\00\
        \\00\\00:method\\00GET\\00:path\\00/\\00:authority\\00a\\00";
    let none = "(i32.const 0) (i32.const 0)";
    let target = format!("(text \"{target}\")");
    let query = "(text \"*1\\0d\\0a$4\\0d\\0aPING\\0d\\0a\")";
    format!(
        "(note \"http\" (call $proxy_http_call {target} (text \"{headers}\") {none} {none} (i32.const 0) (i32.const 8)))
         (note \"alias\" (call $proxy_dispatch_http_call
            {target} (text \"{headers}\") {none} {none} (i32.const 0) (i32.const 8)))
         (note \"grpc\" (call $proxy_grpc_call
            {target} (text \"s\") (text \"m\") {none} {none} (i32.const 0) (i32.const 8)))
         (note \"stream\" (call $proxy_grpc_stream {target} (text \"s\") (text \"m\") {none} (i32.const 8)))
         (note \"init\" (call $proxy_redis_init {target} {none} {none} (i32.const 0)))
         (note \"redis\" (call $proxy_redis_call {target} {query} (i32.const 8)))"
    )
}

#[test]
fn a_target_that_is_not_allowed_is_one_that_there_is_not() {
    let (bad, parse) = (Status::BadArgument as u32, Status::ParseFailure as u32);
    let refused = [
        format!("http {bad}"),
        format!("alias {bad}"),
        format!("grpc {parse}"),
        format!("stream {parse}"),
        format!("init {bad}"),
        format!("redis {bad}"),
    ];
    let (all, mut world) = notes(&calls("service"), &["host=other"]);
    assert_eq!((all, world.vm.denied()), (refused.to_vec(), 6));
    assert!(world.vm.take_calls().is_empty());
    assert_eq!(
        world.host.logged(LogLevel::Error),
        [
            "call to \"service\" is not made: it is not allowed; add \"host=service\" to \"proxy_wasm_allow\" if the filter \
          may call it"
        ]
    );
    // That it is not allowed is all that is told: whether it exists is not.
    let (all, _) = notes(&calls("nowhere"), &["host=other"]);
    assert_eq!(all, refused);
    let (all, mut world) = notes(&calls("service"), &["host=service"]);
    assert_eq!(
        (all, world.vm.denied()),
        (["http 0", "alias 0", "grpc 0", "stream 0", "init 0", "redis 0"].map(String::from).to_vec(), 0)
    );
    assert_eq!(world.vm.take_calls().len(), 5);
}

#[test]
fn other_forms_of_a_target_are_no_way_around() {
    // envoy_grpc { cluster_name: "service" }
    let message = "\\0a\\09\\0a\\07service";
    let grpc = |target: &str| {
        let none = "(i32.const 0) (i32.const 0)";
        format!(
            "(note \"stream\" (call $proxy_grpc_stream (text \"{target}\") (text \"s\") (text \"m\") {none} (i32.const 8)))
             (note \"init\" (call $proxy_redis_init (text \"service?db=1\") {none} {none} (i32.const 0)))"
        )
    };
    let (all, world) = notes(&grpc(message), &["host=other"]);
    assert_eq!((all, world.vm.denied()), (vec!["stream 4".to_owned(), "init 2".to_owned()], 2));
    let (all, _) = notes(&grpc(message), &["host=service"]);
    assert_eq!(all, ["stream 0", "init 0"]);
}

#[test]
fn another_context_has_no_other_rights() {
    let guest = Guest::on_request(&format!("(drop (call $proxy_set_effective_context (i32.const 2))) {ADD}"));
    let mut world = start(&guest, &["get_property"]);
    let _other = world.stream();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!((world.notes(), world.vm.denied()), (vec![format!("add {}", Status::InternalFailure as u32)], 1));
}

#[test]
fn what_runs_before_there_is_a_filter_has_no_other_rights() {
    let guest = Guest::new(
        "(func (export \"_initialize\")
            (note \"define\" (call $proxy_define_metric (i32.const 0) (text \"m\") (i32.const 0))))"
            .to_string(),
    );
    let mut world = start(&guest, &["log"]);
    assert_eq!((world.notes(), world.vm.denied()), (vec![format!("define {}", Status::InternalFailure as u32)], 1));
}
