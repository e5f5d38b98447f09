//! HTTP calls to other services: what a guest asks for as the embedder gets it, and what the guest is told of the answer.

mod answer;
mod bounds;
mod request;

use std::time::Duration;

use super::support::{Guest, World, wat_bytes};
use crate::net::head::Fields;
use crate::proxy_wasm::calls::{CallCommand, CallFailure, CallId, HttpAnswer, HttpCall, Scheme};
use crate::proxy_wasm::config::{RootConfig, VmConfig};
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::ids::StreamToken;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::{LogLevel, MapType, Status};
use crate::vm::InstanceLimits;

type List<'a> = &'a [(&'a [u8], &'a [u8])];

const PLAIN: List = &[(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a")];

fn encoded(pairs: List) -> Vec<u8> {
    let mut out = Vec::new();
    Pairs::encode(pairs.iter().copied(), &mut out).unwrap();
    out
}

fn pairs(list: List) -> Pairs {
    Pairs::decode(&encoded(list)).unwrap()
}

/// The code that makes a call, and notes status and number.
fn call_raw(target: &[u8], headers: &[u8], body: &[u8], trailers: &[u8], timeout: u32) -> String {
    let parts: String =
        [target, headers, body, trailers].map(|part| format!("(text \"{}\")", wat_bytes(part))).concat();
    format!(
        "(i32.store (i32.const 0x100) (i32.const -1))
         (note \"call\" (call $proxy_http_call {parts} (i32.const {timeout}) (i32.const 0x100)))
         (note \"call\" (i32.load (i32.const 0x100)))"
    )
}

fn call(headers: List) -> String {
    call_raw(b"service", &encoded(headers), b"", b"", 100)
}

/// What [`call`] notes for a call that is made, and for one that is not.
fn made(id: u32) -> String {
    format!("call 0 {id}")
}

fn not_made(status: Status) -> String {
    format!("call {} -1", status as u32)
}

fn http(command: CallCommand) -> HttpCall {
    match command {
        CallCommand::Http(call) => call,
        other => panic!("{other:?}"),
    }
}

/// Makes a call in a stream; the guest's notes, and what the embedder gets.
fn run(calls: &str) -> (World, Vec<String>, Vec<HttpCall>) {
    let mut world = Guest::on_request(calls).start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    let notes = world.notes();
    let calls = world.vm.take_calls().into_iter().map(http).collect();
    (world, notes, calls)
}

fn listed(fields: &Fields) -> Vec<(&[u8], &[u8])> {
    fields.iter().collect()
}

/// Makes a call that has to fail, and answers why, by the callback and by what the embedder gets.
fn fails(calls: &str) -> String {
    let guest = Guest::on_request(calls).and(
        "(func (export \"proxy_on_http_call_response\") (param i32 i32 i32 i32 i32)
            (note \"told\" (local.get 0)) (note \"told\" (local.get 1)) (note \"told\" (local.get 2))
            (note \"told\" (local.get 3)) (note \"told\" (local.get 4))
            (drop (call $proxy_get_status (i32.const 0x208) (i32.const 0x200) (i32.const 0x204)))
            (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0x200)) (i32.load (i32.const 0x204)))))",
    );
    let mut world = guest.start();
    let id = world.stream();
    world.request_headers(id).unwrap();
    assert_eq!(world.notes(), [made(1)], "the guest is not told by a status");
    let commands = world.vm.take_calls();
    let [CallCommand::Unsendable(call)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((call.id, call.target.as_slice()), (CallId(1), &b"service"[..]));
    assert!(world.host.logged(LogLevel::Error).is_empty(), "the line is the embedder's, who knows the request");
    world.vm.on_unsendable(call.id, call.reason.clone(), &mut world.host).unwrap();
    assert_eq!(world.notes(), [format!("told {} 1 0 0 0", world.root)]);
    assert_eq!(world.host.logged(LogLevel::Info), [call.reason.as_str()]);
    assert!(!world.vm.has_call(call.id));
    call.reason.clone()
}
