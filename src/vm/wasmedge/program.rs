//! Linked modules, and how instances are made of them.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::call::State;
use super::executor::Running;
use super::instance::WasmEdgeInstance;
use super::library::Owned;
use super::linked::Linked;
use super::shared::Shared;
use super::types::Outcome;
use super::{address_space, trap};
use crate::vm::{Deadline, HostFunctions, Instance, InstanceLimits, Program, Trap};

pub struct WasmEdgeProgram(pub Arc<Linked>);

impl Program for WasmEdgeProgram {
    fn instantiate(
        &self,
        limits: InstanceLimits,
        fuel: Option<u64>,
        deadline: Deadline,
        host: &mut dyn HostFunctions,
    ) -> Result<Box<dyn Instance>, Trap> {
        let Deadline::Timeout(timeout) = deadline else {
            return Err(Trap::Instantiate(NO_WATCH.into()));
        };
        match self.start(limits, fuel.unwrap_or(u64::MAX), timeout, host) {
            Ok(instance) => Ok(Box::new(instance)),
            Err(Trap::Guest { reason, .. }) => Err(Trap::Instantiate(reason)),
            Err(other) => Err(other),
        }
    }
}

impl WasmEdgeProgram {
    fn start(
        &self,
        limits: InstanceLimits,
        fuel: u64,
        timeout: Duration,
        host: &mut dyn HostFunctions,
    ) -> Result<WasmEdgeInstance, Trap> {
        let linked = &self.0;
        let Shared { library, setup, nothing, .. } = &*linked.shared;
        let functions = &library.functions;
        let running = Running::new(library, setup, nothing, limits.memory).map_err(Trap::Instantiate)?;
        // SAFETY: the API says that the caller owns it.
        let store = unsafe { Owned::new((functions.store_create)(), functions.store_delete) };
        let store = store.map_err(Trap::Instantiate)?;
        for imported in &linked.hosts {
            // SAFETY: all three live; the store, which goes with the instance, does not outlive what it refers to.
            let outcome = unsafe { (functions.executor_import)(running.get(), store.get(), imported.get()) };
            if outcome != Outcome::SUCCESS {
                return Err(Trap::Instantiate(trap::message(library, outcome)));
            }
        }
        let state = State::new(linked.clone(), running);
        state.set_fuel(fuel);
        let mut guest = ptr::null_mut();
        // Behind all that takes address space, too.
        address_space::check().map_err(Trap::Instantiate)?;
        let (notes, made) = state.run(timeout, true, host, |executor| {
            // SAFETY: all that is passed lives. The guest runs in here, and its host calls find the state by `State::run`.
            unsafe { (functions.executor_instantiate)(executor, &mut guest, store.get(), linked.ast.get()) }
        });
        let no_room = |reason| {
            let most = limits.memory;
            Trap::Instantiate(format!("no room for its memory, of which it may have {most} bytes: {reason}"))
        };
        // What it has in its data has no place then either, which is what the library says.
        made.map_err(|trap| trap::lacks_memory(&notes).map_or(trap, no_room))?;
        // SAFETY: the API says that the caller owns it.
        let guest = unsafe { Owned::new(guest, functions.instance_delete) }.map_err(Trap::Instantiate)?;
        if let Some(reason) = trap::lacks_memory(&notes) {
            return Err(no_room(reason));
        }
        Ok(WasmEdgeInstance::new(guest, store, state))
    }
}

/// Why nobody can watch a guest.
pub const NO_WATCH: &str = "WasmEdge can end a guest, but not look after it on a thread of its own";
