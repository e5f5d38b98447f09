//! What the guest is told.

use super::*;

/// Guest with all callbacks; each notes what it can read.
fn telling(calls: &str) -> World {
    let see = |name: &str| {
        format!(
            "(func (export \"proxy_on_grpc_{name}\") (param i32 i32 i32)
                (note \"{name}\" (local.get 0)) (note \"{name}\" (local.get 1)) (note \"{name}\" (local.get 2))
                (call $see))"
        )
    };
    let log = "(drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0x200)) (i32.load (i32.const 0x204))))";
    let guest = Guest::on_request(calls)
        .and(&["receive_initial_metadata", "receive", "receive_trailing_metadata", "close"].map(see).concat())
        .and(&format!(
            "(func $see
                (note \"maps\" (call $proxy_get_header_map_value
                    (i32.const 4) (text \"name\") (i32.const 0x200) (i32.const 0x204)))
                (note \"maps\" (call $proxy_get_header_map_value
                    (i32.const 5) (text \"name\") (i32.const 0x200) (i32.const 0x204)))
                (note \"writes\" (call $proxy_add_header_map_value (i32.const 4) (text \"name\") (text \"x\")))
                (note \"writes\" (call $proxy_set_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 0) (text \"x\")))
                (i32.store (i32.const 0x204) (i32.const 0))
                (note \"buffer\" (call $proxy_get_buffer_bytes
                    (i32.const 5) (i32.const 0) (i32.const -1) (i32.const 0x200) (i32.const 0x204)))
                (if (i32.load (i32.const 0x204)) (then {log}))
                (drop (call $proxy_get_status (i32.const 0x208) (i32.const 0x200) (i32.const 0x204)))
                (note \"status\" (i32.load (i32.const 0x208)))
                (if (i32.load (i32.const 0x204)) (then {log}))
                (i32.store (i32.const 0x204) (i32.const 0)))"
        ));
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.notes();
    world.host.selected = None;
    world
}

#[test]
fn a_stream_is_told_of_everything_in_turn() {
    let mut world = telling(&stream(b"service", b""));
    let (root, id) = (world.root, CallId(1));
    let metadata = || pairs(&[(b"name", b"value"), (b"more", b"")]);
    let vm = &mut world.vm;
    vm.on_grpc_initial_metadata(id, metadata(), &mut world.host).unwrap();
    vm.on_grpc_message(id, b"message".to_vec(), &mut world.host).unwrap();
    vm.on_grpc_message(id, Vec::new(), &mut world.host).unwrap();
    vm.on_grpc_trailing_metadata(id, metadata(), &mut world.host).unwrap();
    assert!(vm.has_call(id));
    vm.on_grpc_close(id, 5, b"not there".to_vec(), &mut world.host).unwrap();
    assert!(!vm.has_call(id));
    vm.on_grpc_close(id, 5, Vec::new(), &mut world.host).unwrap();
    vm.on_grpc_message(id, Vec::new(), &mut world.host).unwrap();
    let seen = |name: &str, number: u32, [initial, trailing, buffer, status]: [u32; 4]| {
        [
            format!("{name} {root} 1 {number}"),
            format!("maps {initial} {trailing}"),
            "writes 2 2".into(),
            format!("buffer {buffer}"),
            format!("status {status}"),
        ]
    };
    let wanted = [
        seen("receive_initial_metadata", 2, [0, 1, 1, 0]),
        seen("receive", 7, [1, 1, 0, 0]),
        seen("receive", 0, [1, 1, 0, 0]),
        seen("receive_trailing_metadata", 2, [1, 0, 1, 0]),
        seen("close", 5, [1, 1, 1, 5]),
    ]
    .concat();
    assert_eq!(world.notes(), wanted);
    assert_eq!(world.host.logged(LogLevel::Info), ["message", "not there"]);
}

#[test]
fn a_call_is_told_of_its_answer_or_of_its_failure() {
    let mut world = telling(&[call(b"service", b"", 1), call(b"service", b"", 1)].concat());
    let vm = &mut world.vm;
    for id in [CallId(1), CallId(2)] {
        vm.on_grpc_initial_metadata(id, Pairs::default(), &mut world.host).unwrap();
    }
    vm.on_grpc_message(CallId(1), b"message".to_vec(), &mut world.host).unwrap();
    vm.on_grpc_close(CallId(2), 14, b"refused".to_vec(), &mut world.host).unwrap();
    for id in [CallId(1), CallId(2)] {
        assert!(!vm.has_call(id));
        vm.on_grpc_trailing_metadata(id, Pairs::default(), &mut world.host).unwrap();
        vm.on_grpc_close(id, 0, Vec::new(), &mut world.host).unwrap();
    }
    let told: Vec<_> = world.notes().into_iter().filter(|note| !note.starts_with(['m', 'w', 'b', 's'])).collect();
    let root = world.root;
    assert_eq!(told, [format!("receive {root} 1 7"), format!("close {root} 2 14")]);
    assert_eq!(world.host.logged(LogLevel::Info), ["message", "refused"]);
}

#[test]
fn a_guest_without_callbacks_has_its_calls_ended_all_the_same() {
    let (mut world, _, _) = run(&[stream(b"service", b""), call(b"service", b"", 1)].concat());
    world.vm.on_grpc_message(CallId(1), Vec::new(), &mut world.host).unwrap();
    assert!(world.vm.has_call(CallId(1)));
    world.vm.on_grpc_close(CallId(1), 0, Vec::new(), &mut world.host).unwrap();
    world.vm.on_grpc_message(CallId(2), Vec::new(), &mut world.host).unwrap();
    assert!(!world.vm.has_call(CallId(1)) && !world.vm.has_call(CallId(2)));
}

#[test]
fn results_of_another_kind_are_for_nobody() {
    let (mut world, _, _) = run(&call(b"service", b"", 1));
    world.vm.on_http_call_response(CallId(1), Ok(HttpAnswer::default()), &mut world.host).unwrap();
    assert!(world.vm.has_call(CallId(1)));
}

#[test]
fn a_root_that_has_gone_takes_its_streams_with_it_and_cancels_stay() {
    let guest = Guest::on_request(&[stream(b"service", b""), stream(b"service", b"")].concat()).and(&format!(
        "(func (export \"proxy_on_done\") (param i32) (result i32) {} {} (i32.const 1))",
        end("cancel", 1),
        send(2, "last", 1)
    ));
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    world.vm.take_calls();
    world.vm.end_root(world.root, &mut world.host).unwrap();
    assert_eq!(shorts(&world.vm.take_calls()), ["1 is cancelled"]);
    assert!(!world.vm.has_call(CallId(2)));
}
