//! Foreign functions and properties without a guest: many calls one after the other, on a VM with a root and a stream.

use super::{Input, WORDS};
use crate::proxy_wasm::config::RootConfig;
use crate::proxy_wasm::context::Context;
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::foreign::{self, Call};
use crate::proxy_wasm::ids::{ContextId, StreamToken};
use crate::proxy_wasm::properties;
use crate::proxy_wasm::state::State;
use crate::proxy_wasm::types::{MapType, Status};

const CALLS: usize = 32;

struct World {
    state: State,
    host: FakeHost,
    contexts: [ContextId; 2],
}

impl World {
    fn new() -> World {
        let mut state = State::for_tests();
        let mut host = FakeHost::default();
        let mut stream = FakeStream::default();
        stream.set_map(MapType::RequestHeaders, &[(":path", "/a?b=c"), (":method", "GET"), ("host", "h"), ("x", "1")]);
        stream.set_property(b"request\0path", b"/a?b=c");
        stream.set_property(b"request\0size", &7_u64.to_le_bytes());
        stream.set_property(b"request\0time", b"odd");
        host.streams.insert(1, stream);
        host.selected = Some(1);
        let root = state
            .contexts
            .insert(Context::Root(Box::new(RootConfig { name: b"name".to_vec(), ..RootConfig::default() })), |_| true);
        let token = Some(StreamToken(1));
        let stream = state.contexts.insert(Context::Stream { root, token, pending_done: false, fuel: 0 }, |_| true);
        World { state, host, contexts: [root, stream] }
    }

    fn call(&mut self, name: &[u8], arguments: &[u8]) -> Result<Vec<u8>, Status> {
        let mut call = Call { state: &mut self.state, host: &mut self.host };
        let mut out = Vec::new();
        let Some(function) = foreign::find(name) else { return Err(Status::NotFound) };
        let result = foreign::run(function, &mut call, arguments, &mut out);
        if let Err(status) = result {
            // The Rust SDK panics on each other one.
            let survived =
                [Status::NotFound, Status::BadArgument, Status::SerializationFailure, Status::InternalFailure];
            assert!(survived.contains(&status), "{} answers {status:?}", name.escape_ascii());
        }
        result.map(|()| out)
    }

    fn choose(&mut self, byte: u8) {
        self.state.set_effective(self.contexts[usize::from(byte & 1)]);
        self.host.selected = (byte & 1 == 1).then_some(1);
    }
}

/// Bytes, or a word that means something and bytes behind it.
fn text(input: &mut Input<'_>) -> Vec<u8> {
    let choice = input.u8();
    let mut text = if choice < 128 { Vec::new() } else { WORDS[usize::from(choice) % WORDS.len()].to_vec() };
    text.extend_from_slice(input.short());
    text
}

/// Any foreign functions with any arguments: compression, signatures, expressions, state of filters.
pub fn foreign(data: &[u8]) {
    const NAMES: [&[u8]; 10] = [
        b"clear_route_cache",
        b"compress",
        b"declare_property",
        b"expr_create",
        b"expr_delete",
        b"expr_evaluate",
        b"set_envoy_filter_state",
        b"sign",
        b"uncompress",
        b"verify_signature",
    ];
    let mut input = Input(data);
    let mut world = World::new();
    let mut expressions = Vec::new();
    for _ in 0..CALLS {
        if input.is_empty() {
            break;
        }
        let choice = input.u8();
        world.choose(choice);
        let name = NAMES[usize::from(choice >> 1) % NAMES.len()];
        let arguments = match name {
            // Numbers that expr_create gave, more often than others.
            b"expr_delete" | b"expr_evaluate" if !expressions.is_empty() && choice < 200 => {
                let chosen = usize::from(input.u8()) % expressions.len();
                let expression: &Vec<u8> = &expressions[chosen];
                expression.clone()
            }
            _ => text(&mut input),
        };
        let result = world.call(name, &arguments);
        match (name, result) {
            (b"expr_create", Ok(id)) => {
                assert_eq!(id.len(), 4, "the number of an expression");
                expressions.push(id);
            }
            (b"compress", Ok(_)) => {}
            (b"uncompress", Ok(plain)) => assert!(plain.len() <= 128 << 20, "{} bytes came out", plain.len()),
            _ => {}
        }
    }
}

/// Properties as filters declare, set and read them: what was set, and is not written once, is what is read.
pub fn properties(data: &[u8]) {
    let mut input = Input(data);
    let mut world = World::new();
    world.host.streams.values_mut().for_each(|stream| stream.knows_no_property = input.u8() % 4 != 0);
    for _ in 0..CALLS {
        if input.is_empty() {
            break;
        }
        let choice = input.u8();
        world.choose(choice);
        match choice >> 1 & 3 {
            0 => drop(world.call(b"declare_property", &text(&mut input))),
            1 => drop(world.call(b"set_envoy_filter_state", &text(&mut input))),
            2 => {
                let (path, value) = (text(&mut input), text(&mut input));
                let is_set = properties::keep(&world.state, &mut world.host, &path, &value);
                let mut read = Vec::new();
                let got = properties::kept(&mut world.host, &path, |value, _| read.extend_from_slice(value));
                if is_set.is_ok() {
                    assert_eq!(got, Ok(()), "{} was set and is not there", path.escape_ascii());
                    assert_eq!(read, value, "{}", path.escape_ascii());
                }
            }
            _ => {
                let path = text(&mut input);
                let mut value = Vec::new();
                if properties::read(&world.state, &mut world.host, &path, &mut value).is_err() {
                    assert!(value.is_empty(), "{} has a value and an error", path.escape_ascii());
                }
            }
        }
    }
}
