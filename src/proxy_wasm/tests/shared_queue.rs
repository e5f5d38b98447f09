//! Shared queues: the host calls, and on_queue_ready. The rules of queues themselves are tested in `crate::shared`.

use super::support::{Guest, QUEUE, SHARED_QUEUE, probe};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::types::{LogLevel, Status};
use crate::shared::Stores;

#[test]
fn a_message_is_taken_once() {
    let answer = probe(FakeStream::default(), "proxy_dequeue_shared_queue", &[u64::from(QUEUE), 0x100, 0x110], &[]);
    assert_eq!(answer.status, Status::Ok as u32);
    assert_eq!(answer.given(0x100, 0x110), b"first");
    let calls = "(drop (call $proxy_register_shared_queue (text \"q\") (i32.const 0)))
        (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 0)) (text \"m\")))
        (note \"dequeue\" (call $proxy_dequeue_shared_queue (i32.load (i32.const 0)) (i32.const 4) (i32.const 8)))
        (note \"dequeue\" (call $proxy_dequeue_shared_queue (i32.load (i32.const 0)) (i32.const 4) (i32.const 8)))";
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), [format!("dequeue 0 {}", Status::Empty as u32)]);
}

#[test]
fn an_unknown_queue_is_not_found() {
    for (function, args) in [
        ("proxy_resolve_shared_queue", vec![0x1000, 2, 0x1040, 5, 0x100]),
        ("proxy_enqueue_shared_queue", vec![2, 0x1000, 2]),
        ("proxy_dequeue_shared_queue", vec![u64::from(u32::MAX), 0x100, 0x110]),
    ] {
        let answer = probe(FakeStream::default(), function, &args, &[(0x1000, b"id"), (0x1040, b"other")]);
        assert_eq!(answer.status, Status::NotFound as u32, "{function}");
        assert!(answer.untouched(), "{function}");
    }
}

#[test]
fn no_vm_id_is_the_own_one() {
    for (vm_id, status) in [(&b"id"[..], Status::Ok), (b"", Status::Ok), (b"di", Status::NotFound)] {
        let args = [0x1000, vm_id.len() as u64, 0x1040, SHARED_QUEUE.len() as u64, 0x100];
        let data = [(0x1000, vm_id), (0x1040, SHARED_QUEUE)];
        let answer = probe(FakeStream::default(), "proxy_resolve_shared_queue", &args, &data);
        assert_eq!(answer.status, status as u32);
    }
}

#[test]
fn a_queue_belongs_to_the_root_of_the_context_that_registers_it() {
    let guest = Guest::on_request(
        "(drop (call $proxy_register_shared_queue (text \"q\") (i32.const 0)))
         (drop (call $proxy_register_shared_queue (text \"q\") (i32.const 0)))",
    );
    let mut world = guest.noting("on_queue_ready", 2, "").start();
    assert_eq!(world.vm.take_registered_queues(), []);
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.vm.take_registered_queues(), [(world.root, 1)]);
    assert_eq!(world.vm.take_registered_queues(), []);
    world.vm.on_queue_ready(world.root, 1, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["on_queue_ready 1 1"]);
}

#[test]
fn the_host_learns_of_each_message() {
    let guest = Guest::on_request(
        "(drop (call $proxy_register_shared_queue (text \"q\") (i32.const 0)))
         (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 0)) (text \"m\")))
         (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 0)) (text \"m\")))
         (drop (call $proxy_enqueue_shared_queue (i32.const 77) (text \"m\")))",
    );
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.host.filled, [1, 1]);
}

#[test]
fn a_guest_goes_on_without_room_for_its_queue_or_message() {
    let calls = "(note \"register\" (call $proxy_register_shared_queue (text \"q\") (i32.const 0)))
        (note \"enqueue\" (call $proxy_enqueue_shared_queue (i32.load (i32.const 0)) (i32.const 0) (i32.const 0x10000)))";
    let not_found = Status::NotFound as u32;
    for (size, log) in [
        (0, "no room for the shared queue \"q\"; enlarge \"shm_queue\" in \"wasm { }\""),
        (
            16 << 10,
            "no room in shared queue 1 for a message of 65536 bytes, it is lost; enlarge \"shm_queue\" in \"wasm { }\"",
        ),
    ] {
        let host = FakeHost { stores: Stores::on_heap(size), ..FakeHost::default() };
        let mut world = Guest::on_request(calls).start_with(VmConfig::default(), RootConfig::default(), host).unwrap();
        let id = world.stream();
        world.request_headers(id).unwrap();
        assert_eq!(world.notes(), ["register 0".to_owned(), format!("enqueue {not_found}")]);
        assert_eq!(world.host.logged(LogLevel::Error), [log]);
    }
}
