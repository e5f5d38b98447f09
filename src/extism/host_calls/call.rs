//! A host call: what a host function is, and what it gets.

use crate::extism::state::State;
use crate::extism::world::World;
use crate::vm::{Trap, Watch};

/// One host function.
pub(super) struct Row {
    /// Its name.
    pub name: &'static str,
    /// Its parameters and results, `i` for i32, `I` for i64.
    pub types: (&'static str, &'static str),
    /// The function.
    pub run: fn(&mut HostCall<'_>, &[u64]) -> Result<u64, Trap>,
}

/// A call of the plugin into the host.
pub(super) struct HostCall<'a> {
    /// The function that it calls.
    pub name: &'static str,
    pub state: &'a mut State,
    pub world: &'a mut dyn World,
}

impl HostCall<'_> {
    /// The end of a plugin that asks for something wrong.
    pub fn trap(&self, reason: &str) -> Trap {
        Trap::host(format!("{}: {reason}", self.name))
    }

    /// The bytes of a block, which is freed. `what` is what they are for.
    pub fn take(&mut self, handle: u64, what: &str) -> Result<Vec<u8>, Trap> {
        let taken = self.state.kernel.take(handle);
        taken.ok_or_else(|| self.trap(&format!("the handle of its {what}, {handle}, is of no block that is allocated")))
    }

    /// Gives bytes to the plugin in a new block; none are the handle 0.
    pub fn give(&mut self, bytes: &[u8]) -> Result<u64, Trap> {
        let given = self.state.kernel.put(bytes);
        given.ok_or_else(|| {
            let limit = self.state.kernel.limit();
            self.trap(&format!(
                "its result of {} bytes finds no room: the memory that the plugin shares with its host has {limit} at most \
                 (wasm_memory_limit, memory.max_pages of its manifest)",
                bytes.len()
            ))
        })
    }

    /// To be asked when the host has waited: the plugin may have been ended meanwhile.
    pub fn go_on(&self) -> Result<(), Trap> {
        if self.state.watch.may_go_on() { Ok(()) } else { Err(Trap::Stopped) }
    }
}

/// An argument; 0 where there is none.
pub(super) fn arg(args: &[u64], n: usize) -> u64 {
    args.get(n).copied().unwrap_or_default()
}
