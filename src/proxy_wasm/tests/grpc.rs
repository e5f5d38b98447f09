//! gRPC calls and streams: what a guest asks for as the embedder gets it, and what the guest is told.

use std::time::Duration;

use super::support::{Guest, MEMORY, World, wat_bytes};
use crate::proxy_wasm::calls::{CallCommand, CallId, GrpcCall, HttpAnswer, Scheme};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::FakeHost;
use crate::proxy_wasm::ids::StreamToken;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::{LogLevel, Status};
use crate::vm::InstanceLimits;

type List<'a> = &'a [(&'a [u8], &'a [u8])];

fn encoded(pairs: List) -> Vec<u8> {
    let mut out = Vec::new();
    Pairs::encode(pairs.iter().copied(), &mut out).unwrap();
    out
}

fn pairs(list: List) -> Pairs {
    Pairs::decode(&encoded(list)).unwrap()
}

fn text(bytes: &[u8]) -> String {
    format!("(text \"{}\")", wat_bytes(bytes))
}

const ID: &str = "(i32.store (i32.const 0x100) (i32.const -1))";
const NOTE_ID: &str = "(note \"begun\" (i32.load (i32.const 0x100)))";

/// The code that makes a call to `/s/m`, and notes status and number.
fn call(target: &[u8], metadata: &[u8], timeout: u32) -> String {
    let (target, metadata) = (text(target), text(metadata));
    format!(
        "{ID} (note \"begun\" (call $proxy_grpc_call {target} (text \"s\") (text \"m\") {metadata} (text \"hello\")
            (i32.const {timeout}) (i32.const 0x100))) {NOTE_ID}"
    )
}

fn stream(target: &[u8], metadata: &[u8]) -> String {
    let (target, metadata) = (text(target), text(metadata));
    format!(
        "{ID} (note \"begun\" (call $proxy_grpc_stream {target} (text \"s\") (text \"m\") {metadata} (i32.const 0x100)))
         {NOTE_ID}"
    )
}

fn send(id: u32, message: &str, is_end: u32) -> String {
    format!("(note \"send\" (call $proxy_grpc_send (i32.const {id}) (text \"{message}\") (i32.const {is_end})))")
}

fn end(how: &str, id: u32) -> String {
    format!("(note \"{how}\" (call $proxy_grpc_{how} (i32.const {id})))")
}

fn begun(id: u32) -> String {
    format!("begun 0 {id}")
}

fn run(calls: &str) -> (World, Vec<String>, Vec<CallCommand>) {
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let notes = world.notes();
    let calls = world.vm.take_calls();
    (world, notes, calls)
}

fn grpc(command: &CallCommand) -> &GrpcCall {
    match command {
        CallCommand::Grpc(call) => call,
        other => panic!("{other:?}"),
    }
}

/// A command in short.
fn short(command: &CallCommand) -> String {
    match command {
        CallCommand::Grpc(call) => format!("{} begins", call.id),
        CallCommand::GrpcSend { call, message, is_end } => {
            let message = message.as_deref().map(String::from_utf8_lossy);
            format!("{call} sends {message:?}{}", if *is_end { ", the last" } else { "" })
        }
        CallCommand::GrpcCancel(call) => format!("{call} is cancelled"),
        other => panic!("{other:?}"),
    }
}

fn shorts(commands: &[CallCommand]) -> Vec<String> {
    commands.iter().map(short).collect()
}

#[test]
fn a_call_is_what_the_guest_said() {
    let metadata = encoded(&[(b"Key", b"value"), (b"bytes-bin", b"AAEC"), (b"content-length", b"7")]);
    let (_, notes, commands) = run(&call(b"service", &metadata, 250));
    assert_eq!(notes, [begun(1)]);
    assert_eq!(commands.len(), 1);
    let call = grpc(&commands[0]);
    assert_eq!((call.id, call.stream), (CallId(1), Some(StreamToken(100))));
    assert_eq!((call.target.as_slice(), call.scheme), (&b"service"[..], Scheme::H2c));
    assert_eq!(call.head.authority(), b"service");
    assert_eq!(call.message.as_deref(), Some(&b"hello"[..]));
    assert_eq!(call.timeout, Some(Duration::from_millis(250)));
    assert_eq!((call.head.method.as_str(), call.head.target()), ("POST", &b"/s/m"[..]));
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "250m"),
        ("key", "value"),
        ("bytes-bin", "AAEC"),
    ] {
        assert_eq!(call.head.fields.get(name), Some(value.as_bytes()), "{name}");
    }
    assert_eq!(call.head.fields.iter().count(), 5);
}

#[test]
fn a_stream_has_no_message_and_no_timeout() {
    let (_, notes, commands) = run(&stream(b"service", b""));
    assert_eq!(notes, [begun(1)]);
    let call = grpc(&commands[0]);
    assert_eq!((&call.message, call.timeout), (&None, None));
    assert_eq!(call.head.fields.get("grpc-timeout"), None);
}

#[test]
fn no_timeout_of_a_call_is_a_minute() {
    assert_eq!(grpc(&run(&call(b"service", b"", 0)).2[0]).timeout, Some(Duration::from_secs(60)));
}

#[test]
fn a_message_of_envoy_can_name_the_service() {
    // envoy_grpc { cluster_name: "service", authority: "a:1" }, timeout { seconds: 2 }, initial_metadata { "k": "v" }
    let service = b"\x0a\x0e\x0a\x07service\x12\x03a:1\x1a\x02\x08\x02\x2a\x06\x0a\x01k\x12\x01v";
    let (_, notes, commands) = run(&[call(service, b"", 0), call(service, b"", 100), stream(service, b"")].concat());
    assert_eq!(notes, ["begun 0 1 0 2 0 3"]);
    for (n, timeout) in [(0, Some(2000)), (1, Some(100)), (2, None)] {
        let call = grpc(&commands[n]);
        assert_eq!((call.target.as_slice(), call.head.authority()), (&b"service"[..], &b"a:1"[..]));
        assert_eq!(call.timeout, timeout.map(Duration::from_millis));
        assert_eq!(call.head.fields.get("k"), Some(&b"v"[..]));
    }
}

#[test]
fn metadata_can_say_authority_and_scheme() {
    for (metadata, authority, scheme) in [
        (vec![(&b":authority"[..], &b"a"[..]), (b"host", b"b")], &b"a"[..], Scheme::H2c),
        (vec![(b"host", b"b")], b"b", Scheme::H2c),
        (vec![(b":scheme", b"https")], b"service", Scheme::Https),
        (vec![(b":scheme", b"http")], b"service", Scheme::H2c),
        (vec![(b":authority", b""), (b"host", b""), (b":scheme", b"")], b"service", Scheme::H2c),
        (vec![(b":authority", b"a \"\xff")], b"a \"\xff", Scheme::H2c),
    ] {
        let (_, _, commands) = run(&stream(b"service", &encoded(&metadata)));
        let call = grpc(&commands[0]);
        assert_eq!((call.head.authority(), call.scheme), (authority, scheme));
        assert_eq!(call.head.fields.get("host"), None);
    }
}

#[test]
fn assembly_script_passes_no_metadata() {
    let guest = Guest::on_request(
        "(note \"begun\" (call $short_call (text \"service\") (text \"s\") (text \"m\") (text \"hello\")
            (i32.const 250) (i32.const 0x100)))
         (note \"begun\" (i32.load (i32.const 0x100)))
         (note \"begun\" (call $short_stream (text \"service\") (text \"s\") (text \"m\") (i32.const 0x100)))
         (note \"begun\" (i32.load (i32.const 0x100)))",
    )
    .import(
        "(import \"env\" \"proxy_grpc_call\"
            (func $short_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
         (import \"env\" \"proxy_grpc_stream\"
            (func $short_stream (param i32 i32 i32 i32 i32 i32 i32) (result i32)))",
    );
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), ["begun 0 1 0 2"]);
    let commands = world.vm.take_calls();
    let call = grpc(&commands[0]);
    assert_eq!((call.head.target(), call.message.as_deref()), (&b"/s/m"[..], Some(&b"hello"[..])));
    assert_eq!(call.timeout, Some(Duration::from_millis(250)));
    assert_eq!((grpc(&commands[1]).head.target(), &grpc(&commands[1]).message), (&b"/s/m"[..], &None));
}

#[test]
fn what_cannot_be_begun_is_a_parse_failure_that_the_log_explains() {
    let unknown = "there is no such service; declare an \"upstream\" of this name, or write host:port";
    for (target, metadata, reason) in [
        (&b"else"[..], &b""[..], unknown),
        (b"else", &encoded(&[(b"x", b"\n")]), unknown),
        (b"service", b"\x01\0\0\0", "its metadata are not encoded as the ABI says"),
    ] {
        for calls in [call(target, metadata, 1), stream(target, metadata)] {
            let (world, notes, commands) = run(&calls);
            assert_eq!(notes, [format!("begun {} -1", Status::ParseFailure as u32)], "{reason}");
            assert!(commands.is_empty(), "{reason}");
            let target = String::from_utf8_lossy(target);
            let wanted = format!("call to \"{target}\" is not made: {reason}");
            assert_eq!(world.host.logged(LogLevel::Error), [wanted]);
        }
    }
}

/// Begins a call or a stream that has to fail, and answers why.
fn fails(calls: &str) -> String {
    let mut world = Guest::on_request(calls).noting("on_grpc_close", 3, "").start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes()[0], begun(1), "the guest is not told by a status");
    let commands = world.vm.take_calls();
    let [CallCommand::Unsendable(call), ..] = &commands[..] else { panic!("{commands:?}") };
    world.vm.on_unsendable(call.id, call.reason.clone(), &mut world.host).unwrap();
    assert_eq!(world.notes(), [format!("on_grpc_close {} 1 13", world.root)]);
    assert!(!world.vm.has_call(call.id));
    call.reason.clone()
}

#[test]
fn what_cannot_be_sent_is_a_call_that_fails() {
    for (metadata, reason) in [
        ((&b"a b"[..], &b"x"[..]), "\"a b\" is no valid name of a metadata entry"),
        ((b":path", b"/x"), "\":path\" is no valid name of a metadata entry"),
        ((b"x", b"\n"), "the metadata entry \"x\" has a value that cannot be sent"),
        ((b":authority", b"a\nb"), "\"a\nb\" is no valid \":authority\""),
        ((b":scheme", b"ftp"), "\":scheme\" is \"ftp\", but must be \"http\", \"https\" or \"h2c\""),
    ] {
        let metadata = encoded(&[metadata]);
        assert_eq!(fails(&call(b"service", &metadata, 1)), reason);
        assert_eq!(fails(&stream(b"service", &metadata)), reason);
    }
}

#[test]
fn what_cannot_be_sent_can_be_cancelled_before_it_fails() {
    let bad = stream(b"service", &encoded(&[(b"x", b"\n")]));
    let (world, notes, commands) = run(&[bad, send(1, "lost", 0), end("cancel", 1)].concat());
    assert_eq!(notes, [begun(1), "send 0".into(), "cancel 0".into()]);
    assert!(commands.is_empty(), "{commands:?}");
    assert!(!world.vm.has_call(CallId(1)));
}

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
