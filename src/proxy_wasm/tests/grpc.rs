//! gRPC calls and streams: what a guest asks for as the embedder gets it, and what the guest is told.

mod answer;
mod begin;
mod stream;

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
