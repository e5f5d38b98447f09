//! Images of VMs: what a VM is put back to, what of its host's side goes back with it, and what cannot be put back.

use super::support::{FakeHost, Guest, World, notes};
use crate::proxy_wasm::calls::{CallFailure, CallId};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::ids::ContextId;
use crate::proxy_wasm::image::VmImage;
use crate::proxy_wasm::vm::Vm;
use std::time::Duration;

/// Counts its requests in memory and in a global, and notes how many it knows of.
fn counting() -> Guest {
    Guest::on_request(
        "(i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1)))
         (global.set $count (i32.add (global.get $count) (i32.const 1)))
         (note \"memory\" (i32.load (i32.const 64))) (note \"global\" (global.get $count))
         (note \"context\" (local.get 0))",
    )
    .and("(global $count (mut i32) (i32.const 0))")
    .and(
        "(func (export \"proxy_on_configure\") (param i32 i32) (result i32)
            (i32.store (i32.const 64) (i32.const 10)) (global.set $count (i32.const 20)) (i32.const 1))",
    )
}

fn root() -> RootConfig {
    RootConfig { name: b"name".to_vec(), root_id: b"root".to_vec(), configuration: b"plugin".to_vec() }
}

/// A VM that has started, and its image.
fn template(guest: &Guest) -> (World, VmImage) {
    let mut world = guest.start_with(VmConfig::default(), root(), FakeHost::default()).unwrap();
    let image = world.vm.image().unwrap();
    (world, image)
}

/// Why there is no image of the guest when it has started.
fn refusal(guest: &Guest) -> String {
    let mut world = guest.start_with(VmConfig::default(), root(), FakeHost::default()).unwrap();
    let Err(reason) = world.vm.image() else { panic!("there is one") };
    reason
}

/// Does these calls when it is configured.
fn on_configure(calls: &str) -> Guest {
    Guest::new(format!("(func (export \"proxy_on_configure\") (param i32 i32) (result i32) {calls} (i32.const 1))"))
}

const ONE_REQUEST: [&str; 3] = ["memory 11", "global 21", "context 2"];

fn request(world: &mut World) -> Vec<String> {
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.end(id).unwrap();
    world.notes()
}

#[test]
fn each_request_finds_what_the_start_has_left() {
    let (mut world, image) = template(&counting());
    assert_eq!(image.root(), world.root);
    for _ in 0..5 {
        assert_eq!(request(&mut world), ONE_REQUEST);
        world.vm.put_back(&image).unwrap();
        assert!(world.vm.image().unwrap() == image);
    }
    assert_eq!(request(&mut world), ONE_REQUEST);
    assert_eq!(request(&mut world), ["memory 12", "global 22", "context 3"]);
}

#[test]
fn a_vm_from_an_image_has_its_root_and_runs_no_start() {
    let guest = counting().noting("on_vm_start", 2, "(i32.const 1)").and(
        "(func (export \"proxy_on_tick\") (param i32) (local $at i32)
            (drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 100) (i32.const 0) (i32.const 4)))
            (note \"configuration\" (i32.load (i32.const 4))))",
    );
    let module = guest.module().unwrap();
    let mut host = FakeHost::default();
    let mut vm = Vm::start(&module, VmConfig::default(), &mut host).unwrap();
    let root_id = vm.create_root(root(), &mut host).unwrap();
    let image = vm.image().unwrap();
    assert_eq!(notes(&mut host), ["on_vm_start 1 0"]);
    let mut world = guest.start();
    world.vm = Vm::from_image(&module, VmConfig::default(), root(), &image, Duration::from_secs(1)).unwrap();
    world.root = root_id;
    world.notes();
    for _ in 0..3 {
        assert_eq!(request(&mut world), ONE_REQUEST);
        world.vm.on_tick(root_id, &mut world.host).unwrap();
        assert_eq!(world.notes(), ["configuration 6"]);
        world.vm.put_back(&image).unwrap();
        assert!(world.vm.image().unwrap() == image);
    }
    // It is of another program.
    assert!(
        Vm::from_image(&guest.module().unwrap(), VmConfig::default(), root(), &image, Duration::from_secs(1)).is_err()
    );
}

#[test]
fn what_the_host_keeps_of_a_request_goes_with_it() {
    let guest = counting().and(
        "(func (export \"proxy_on_response_headers\") (param i32 i32 i32) (result i32)
            (drop (call $proxy_set_tick_period_milliseconds (i32.const 100)))
            (drop (call $proxy_register_shared_queue (text \"queue\") (i32.const 0)))
            (drop (call $proxy_get_property (text \"plugin_root_id\") (i32.const 0) (i32.const 4)))
            (drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 100) (i32.const 0) (i32.const 4)))
            (drop (call $proxy_call_foreign_function (text \"declare_property\") (text \"\\0a\\01x\") (i32.const 0) (i32.const 4)))
            (drop (call $proxy_call_foreign_function (text \"expr_create\") (text \"1\") (i32.const 8) (i32.const 12)))
            (note \"expression\" (i32.load (i32.load (i32.const 8))))
            (drop (call $proxy_redis_init (text \"service\") (text \"user\") (text \"password\") (i32.const 1000)))
            (i32.const 0))",
    );
    let (mut world, image) = template(&guest);
    for _ in 0..3 {
        let id = world.stream();
        world.response_headers(id).unwrap();
        world.end(id).unwrap();
        assert!(world.vm.asked_root_id() && world.vm.has_wishes());
        assert!(world.vm.image().is_err());
        world.vm.put_back(&image).unwrap();
        assert!(!world.vm.asked_root_id() && !world.vm.has_wishes());
        assert!(world.vm.image().unwrap() == image);
        assert_eq!(world.notes(), ["expression 0"]);
    }
}

#[test]
fn a_vm_in_which_something_goes_on_is_not_put_back() {
    let guest = counting()
        .noting("on_done", 1, "(i32.const 0)")
        .noting("on_http_call_response", 5, "")
        .and(
            "(func (export \"proxy_on_response_headers\") (param i32 i32 i32) (result i32)
                (drop (call $proxy_http_call (text \"service\")
                    (text \"\\01\\00\\00\\00\\0a\\00\\00\\00\\01\\00\\00\\00:authority\\00a\\00\")
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 0))) (i32.const 0))",
        );
    // The request goes on.
    let (mut world, image) = template(&guest);
    world.stream();
    assert_eq!(world.vm.put_back(&image), Err("it has contexts of requests".into()));
    // Its end is put off.
    let (mut world, image) = template(&guest);
    let id = world.stream();
    world.end(id).unwrap();
    assert_eq!(world.vm.put_back(&image), Err("it has contexts of requests".into()));
}

#[test]
fn a_call_must_have_ended_and_its_number_comes_again() {
    let pairs = "\\03\\00\\00\\00\\0a\\00\\00\\00\\01\\00\\00\\00\\07\\00\\00\\00\\03\\00\\00\\00\\05\\00\\00\\00\\01\\00\\00\\00:authority\\00a\\00:method\\00GET\\00:path\\00/\\00";
    let guest = Guest::on_request(&format!(
        "(drop (call $proxy_http_call (text \"service\") (text \"{pairs}\") (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 1000) (i32.const 0))) (note \"call\" (i32.load (i32.const 0)))"
    ));
    let (mut world, image) = template(&guest);
    for _ in 0..3 {
        let id = world.stream();
        world.request_headers(id).unwrap();
        assert_eq!(world.notes(), ["call 1"]);
        world.end(id).unwrap();
        assert_eq!(world.vm.take_calls().len(), 1);
        let failure = CallFailure { reason: "nobody".into() };
        world.vm.on_http_call_response(CallId(1), Err(failure), &mut world.host).unwrap();
        world.vm.put_back(&image).unwrap();
    }
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.end(id).unwrap();
    world.vm.take_calls();
    assert_eq!(world.vm.put_back(&image), Err("calls to other services have not ended".into()));
}

#[test]
fn a_vm_that_has_trapped_is_neither_kept_nor_put_back() {
    let (mut world, image) = template(&Guest::on_request("unreachable"));
    let id = world.stream();
    world.request_headers(id).unwrap_err();
    world.vm.forget(id);
    assert_eq!(world.vm.put_back(&image), Err("it has trapped".into()));
    assert!(world.vm.image().is_err());
}

#[test]
fn memory_that_a_request_has_taken_is_not_given_back() {
    let (mut world, image) = template(&Guest::on_request("(drop (memory.grow (i32.const 1)))"));
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.end(id).unwrap();
    assert_eq!(world.vm.put_back(&image), Err("its memory has grown".into()));
}

#[test]
fn a_start_that_asks_for_what_each_instance_has_to_itself_has_no_image() {
    let call = "(drop (call $proxy_set_tick_period_milliseconds (i32.const 100)))";
    assert_eq!(refusal(&on_configure(call)), "its start sets a timer");
    let call = "(drop (call $proxy_register_shared_queue (text \"queue\") (i32.const 0)))";
    assert_eq!(refusal(&on_configure(call)), "its start registers a shared queue");
    let pairs = "\\03\\00\\00\\00\\0a\\00\\00\\00\\01\\00\\00\\00\\07\\00\\00\\00\\03\\00\\00\\00\\05\\00\\00\\00\\01\\00\\00\\00:authority\\00a\\00:method\\00GET\\00:path\\00/\\00";
    let call = format!(
        "(drop (call $proxy_http_call (text \"service\") (text \"{pairs}\") (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 1000) (i32.const 0)))"
    );
    assert_eq!(refusal(&on_configure(&call)), "its start calls another service");
    if cfg!(feature = "cel") {
        let call = "(drop (call $proxy_call_foreign_function (text \"expr_create\") (text \"1\") (i32.const 0) (i32.const 4)))";
        assert_eq!(refusal(&on_configure(call)), "its start makes expressions");
    }
    let call = "(table.set (i32.const 0) (ref.null func))";
    assert_eq!(
        refusal(&on_configure(call).and("(table 1 funcref)")),
        "its code changes tables or segments (table.set)"
    );
    let mut world = Guest::new("").start();
    world.vm.create_root(root(), &mut world.host).unwrap();
    assert!(world.vm.image().is_err());
}

#[test]
fn a_start_that_takes_its_timer_back_and_declares_properties_has_one() {
    let guest = on_configure(
        "(drop (call $proxy_set_tick_period_milliseconds (i32.const 100)))
         (drop (call $proxy_set_tick_period_milliseconds (i32.const 0)))
         (drop (call $proxy_call_foreign_function (text \"declare_property\") (text \"\\0a\\01x\") (i32.const 0) (i32.const 4)))
         (drop (call $proxy_redis_init (text \"service\") (text \"user\") (text \"password\") (i32.const 1000)))",
    );
    let (mut world, image) = template(&guest);
    world.vm.put_back(&image).unwrap();
    assert!(world.vm.image().unwrap() == image);
    assert_eq!(world.root, ContextId(1));
}
