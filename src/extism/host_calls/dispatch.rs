//! How a host function is found and run, when a plugin calls it.

use super::call::HostCall;
use super::table::{self, Function};
use crate::extism::state::State;
use crate::extism::surroundings::Surroundings;
use crate::extism::world::World;
use crate::vm::{Caller, HostFunctions, Trap};
use crate::wasi;

/// Serves the host calls of one call of a function: what `Instance` passes to the engine.
pub(in crate::extism) struct Dispatch<'a> {
    pub state: &'a mut State,
    pub world: &'a mut dyn World,
}

impl HostFunctions for Dispatch<'_> {
    fn call(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap> {
        match table::function(function) {
            Some(Function::Env(row)) => {
                (row.run)(&mut HostCall { name: row.name, state: self.state, world: self.world }, args)
            }
            Some(Function::Wasi(row)) => {
                let State { wasi, printed, watch, .. } = &mut *self.state;
                let mut around = Surroundings { world: self.world, printed, watch };
                row.run.run(&mut wasi::Call { caller, state: wasi, host: &mut around }, args)
            }
            None => Err(Trap::host(format!("no host function number {function}"))),
        }
    }
}
