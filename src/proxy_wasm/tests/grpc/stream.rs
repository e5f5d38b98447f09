//! What the guest says in a stream, and how much of it.

use super::*;

#[test]
fn messages_follow_the_stream_in_order() {
    let calls = [stream(b"service", b""), send(1, "one", 0), send(1, "", 0), send(1, "two", 1), send(1, "three", 0)];
    let (_, notes, commands) = run(&calls.concat());
    assert_eq!(notes, [begun(1), "send 0 0 0 2".into()]);
    assert_eq!(
        shorts(&commands),
        ["1 begins", "1 sends Some(\"one\")", "1 sends Some(\"\")", "1 sends Some(\"two\"), the last"]
    );
}

#[test]
fn close_ends_what_the_guest_says_and_no_more() {
    let calls = [stream(b"service", b""), end("close", 1), end("close", 1), send(1, "late", 0)];
    let (world, notes, commands) = run(&calls.concat());
    assert_eq!(notes, [begun(1), "close 0 0".into(), "send 2".into()]);
    assert_eq!(shorts(&commands), ["1 begins", "1 sends None, the last"]);
    assert!(world.vm.has_call(CallId(1)));
}

#[test]
fn cancel_ends_everything() {
    let mut world = Guest::on_request(&[stream(b"service", b""), call(b"service", b"", 1)].concat())
        .and(&format!(
            "(func (export \"proxy_on_tick\") (param i32) {} {} {} {} {})",
            end("cancel", 1),
            end("cancel", 1),
            send(1, "late", 0),
            end("close", 2),
            end("close", 2)
        ))
        .noting("on_grpc_close", 3, "")
        .start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.notes();
    assert_eq!(shorts(&world.vm.take_calls()), ["1 begins", "2 begins"]);
    world.vm.on_tick(world.root, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["cancel 0 1", "send 1", "close 0 1"]);
    assert_eq!(shorts(&world.vm.take_calls()), ["1 is cancelled", "2 is cancelled"]);
    for id in [CallId(1), CallId(2)] {
        assert!(!world.vm.has_call(id));
        world.vm.on_grpc_close(id, 0, Vec::new(), &mut world.host).unwrap();
    }
    assert!(world.notes().is_empty(), "no callback follows");
}

#[test]
fn what_is_cancelled_before_anybody_heard_of_it_is_not_heard_of() {
    let calls = [
        stream(b"service", b""),
        send(1, "one", 0),
        stream(b"service", b""),
        end("cancel", 1),
        call(b"service", b"", 1),
        end("close", 3),
    ];
    let (world, notes, commands) = run(&calls.concat());
    assert_eq!(notes, [begun(1), "send 0".into(), begun(2), "cancel 0".into(), begun(3), "close 0".into()]);
    assert_eq!(shorts(&commands), ["2 begins"]);
    assert!(world.vm.has_call(CallId(2)));
}

#[test]
fn calls_of_another_kind_are_bad_arguments_and_unknown_ones_not_found() {
    let http = encoded(&[(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a")]);
    let http = format!(
        "(drop (call $proxy_http_call (text \"service\") {} (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 1) (i32.const 0x100)))",
        text(&http)
    );
    let all = |id| [send(id, "x", 0), end("close", id), end("cancel", id)].concat();
    let (world, notes, commands) = run(&[http, all(1), all(7), call(b"service", b"", 1), send(2, "x", 0)].concat());
    assert_eq!(notes, ["send 2", "close 2", "cancel 2", "send 1", "close 1", "cancel 1", "begun 0 2", "send 2"]);
    assert_eq!(commands.len(), 2);
    assert!(world.vm.has_call(CallId(1)) && world.vm.has_call(CallId(2)));
}

#[test]
fn a_message_that_lies_outside_of_memory_is_not_sent() {
    let calls = format!(
        "{} (note \"send\" (call $proxy_grpc_send (i32.const 1) (i32.const {MEMORY}) (i32.const 1) (i32.const 0)))",
        stream(b"service", b"")
    );
    let (_, notes, commands) = run(&calls);
    assert_eq!(notes, [begun(1), format!("send {}", Status::InvalidMemoryAccess as u32)]);
    assert_eq!(commands.len(), 1);
}

/// A VM that may hold one message of a page, and not two.
fn small() -> World {
    let guest = Guest::on_request(&stream(b"service", b"")).and(
        "(func (export \"proxy_on_tick\") (param i32)
            (note \"send\" (call $proxy_grpc_send (i32.const 1) (i32.const 0) (i32.const 0x10000) (i32.const 0))))",
    );
    let vm = VmConfig { limits: InstanceLimits { memory: 2 << 16, pooled: false }, ..VmConfig::default() };
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.notes();
    world
}

#[test]
fn what_a_stream_has_queued_is_bounded_until_it_has_been_sent() {
    let mut world = small();
    for wanted in [["send 0"], ["send 2"]] {
        world.vm.on_tick(world.root, &mut world.host).unwrap();
        assert_eq!(world.notes(), wanted);
    }
    let logged = world.host.logged(LogLevel::Error);
    assert_eq!(
        logged,
        [
            "no message of 65536 bytes is sent in gRPC stream 1: the calls of this filter in flight would hold more than \
          131072 bytes; see \"wasm_memory_limit\""
        ]
    );
    // It does not matter that the embedder has taken it, as long as it holds it.
    assert_eq!(world.vm.take_calls().len(), 2);
    world.vm.on_tick(world.root, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["send 2"]);
    world.vm.grpc_sent(CallId(1), 0x10000);
    world.vm.on_tick(world.root, &mut world.host).unwrap();
    assert_eq!(world.notes(), ["send 0"]);
}

#[test]
fn a_stream_that_has_ended_holds_nothing() {
    let mut world = small();
    world.vm.on_tick(world.root, &mut world.host).unwrap();
    world.vm.on_grpc_close(CallId(1), 0, Vec::new(), &mut world.host).unwrap();
    world.vm.grpc_sent(CallId(1), 0x10000);
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["send 0", "begun 0 2"]);
}

#[test]
fn empty_messages_are_bounded_too() {
    // Ten thousand times, or until it is refused.
    let calls = format!(
        "{} (loop $again
            (i32.store (i32.const 0x300) (i32.add (i32.load (i32.const 0x300)) (i32.const 1)))
            (br_if $again (i32.and
                (i32.lt_u (i32.load (i32.const 0x300)) (i32.const 10000))
                (i32.eqz (call $proxy_grpc_send (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))))))",
        stream(b"service", b"")
    );
    let vm = VmConfig { limits: InstanceLimits { memory: 2 << 16, pooled: false }, ..VmConfig::default() };
    let mut world = Guest::on_request(&calls).start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert!(world.vm.take_calls().len() < 2000);
}

#[test]
fn calls_that_have_no_room_are_an_internal_failure() {
    let vm = VmConfig { max_calls: 1, ..VmConfig::default() };
    let guest = Guest::on_request(&[call(b"service", b"", 1), stream(b"service", b"")].concat());
    let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), [format!("begun 0 1 {} -1", Status::InternalFailure as u32)]);
}
