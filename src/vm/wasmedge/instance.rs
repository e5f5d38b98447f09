//! Instances.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::time::Duration;

use super::call::State;
use super::library::Owned;
use super::types::{ModuleInstance, Store};
use crate::vm::{HostFunctions, Instance, InstanceStats, Trap};

/// An instance, which goes before the store that it was made in, and that before the executor in its state.
pub struct WasmEdgeInstance {
    _guest: Owned<ModuleInstance>,
    _store: Owned<Store>,
    state: Box<State>,
    counts_cpu_time: bool,
    /// What was told of it last.
    told: Cell<Option<InstanceStats>>,
}

impl WasmEdgeInstance {
    pub fn new(guest: Owned<ModuleInstance>, store: Owned<Store>, state: Box<State>) -> WasmEdgeInstance {
        state.is_complete(guest.get());
        WasmEdgeInstance { _guest: guest, _store: store, state, counts_cpu_time: true, told: Cell::new(None) }
    }

    fn now(&self) -> InstanceStats {
        InstanceStats { memory: self.state.memory_size(), refused_growth: self.state.refused_growth(), pooled: false }
    }
}

impl Instance for WasmEdgeInstance {
    fn call(
        &mut self,
        export: usize,
        args: &[u32],
        timeout: Duration,
        host: &mut dyn HostFunctions,
    ) -> Result<u32, Trap> {
        let exported = self.state.find(export)?;
        let mut result = 0;
        let (_, ended) = self.state.run(timeout, self.counts_cpu_time, host, |executor| {
            let (outcome, answer) = self.state.invoke(executor, exported, args);
            result = answer;
            outcome
        });
        ended?;
        Ok(result)
    }

    fn count_cpu_time(&mut self, is_on: bool) {
        self.counts_cpu_time = is_on;
    }

    fn stats(&mut self) -> InstanceStats {
        let stats = self.now();
        self.told.set(Some(stats));
        stats
    }

    fn has_new_stats(&self) -> bool {
        self.told.get() != Some(self.now())
    }

    fn set_fuel(&mut self, fuel: u64) {
        self.state.set_fuel(fuel);
    }

    fn fuel(&mut self) -> Option<u64> {
        self.state.fuel()
    }
}
