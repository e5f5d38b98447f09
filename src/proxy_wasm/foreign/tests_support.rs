//! Foreign functions called without a guest.

use super::{Call, find, run};
use crate::proxy_wasm::config::RootConfig;
use crate::proxy_wasm::context::Context;
use crate::proxy_wasm::fake_host::{FakeHost, FakeStream};
use crate::proxy_wasm::ids::{ContextId, StreamToken};
use crate::proxy_wasm::state::State;
use crate::proxy_wasm::types::Status;

/// A VM with a root context and a stream, and the world around it.
pub(crate) struct Fixture {
    pub state: State,
    pub host: FakeHost,
    pub root: ContextId,
    pub stream: ContextId,
}

impl Default for Fixture {
    fn default() -> Self {
        let mut state = State::for_tests();
        let mut host = FakeHost::default();
        host.streams.insert(1, FakeStream::default());
        host.selected = Some(1);
        let root = state
            .contexts
            .insert(Context::Root(Box::new(RootConfig { name: b"name".to_vec(), ..RootConfig::default() })), |_| true);
        let token = Some(StreamToken(1));
        let stream = state.contexts.insert(Context::Stream { root, token, pending_done: false, fuel: 0 }, |_| true);
        state.set_effective(stream);
        Fixture { state, host, root, stream }
    }
}

impl Fixture {
    pub fn call(&mut self, name: &str, arguments: &[u8]) -> Result<Vec<u8>, Status> {
        let mut call = Call { state: &mut self.state, host: &mut self.host };
        let mut out = Vec::new();
        run(find(name.as_bytes()).unwrap(), &mut call, arguments, &mut out).map(|()| out)
    }

    pub fn stream(&mut self) -> &mut FakeStream {
        self.host.streams.get_mut(&1).unwrap()
    }
}

/// The bytes that hexadecimal digits spell.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<char> = digits.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
