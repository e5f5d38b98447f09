//! What instances of a program are made of, and who serves them: `start.rs` and `perform.rs` make and run them.

use std::sync::Arc;

use super::module::{Module, row};
use super::world::World;
use crate::vm::{Caller, Deadline, HostFunctions, Instance, InstanceLimits, Trap};
use crate::wasi;

/// A program, with the caps on its instances.
#[derive(Clone)]
pub struct Instances {
    /// The program.
    pub module: Arc<Module>,
    /// Caps on each.
    pub limits: InstanceLimits,
    /// What each may use up, if that is limited.
    pub fuel: Option<u64>,
}

impl Instances {
    /// An instance in which nothing has run but a start function, which sees nothing of a request.
    pub(super) fn make(&self, deadline: Deadline) -> Result<Box<dyn Instance>, Trap> {
        self.module.program.instantiate(self.limits, self.fuel, deadline, &mut Nobody)
    }

    /// Gives an instance what it may use up from now on.
    pub(super) fn fill_up(&self, instance: &mut dyn Instance) {
        if let Some(fuel) = self.fuel {
            instance.set_fuel(fuel);
        }
    }
}

/// Serves what a program asks of WASI.
pub(super) struct Dispatch<'a, 'w> {
    pub state: &'a mut wasi::State,
    pub world: &'a mut World<'w>,
}

impl HostFunctions for Dispatch<'_, '_> {
    fn call(&mut self, function: u32, caller: &mut dyn Caller, args: &[u64]) -> Result<u64, Trap> {
        let mut call = wasi::Call { caller, state: self.state, host: self.world };
        row(function).run.run(&mut call, args)
    }
}

/// For start functions of modules: programs have none that needs a host.
struct Nobody;

impl HostFunctions for Nobody {
    fn call(&mut self, function: u32, _: &mut dyn Caller, _: &[u64]) -> Result<u64, Trap> {
        Err(Trap::host(format!("its start function calls {}", row(function).name)))
    }
}
