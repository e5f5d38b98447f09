//! Instances: made in the pool if it has room, else on demand.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use wasmtime as wt;

use super::call::{ask_each_tick, guest_call};
use super::reset::{self, Reset};
use super::store::{Exported, Limiter, Linked, StoreData};
use super::trap::into_trap;
use crate::vm::{
    Activity, Caller, Deadline, HostFunctions, Image, Instance, InstanceLimits, InstanceStats, Program, Trap,
};

pub(super) struct WasmtimeProgram {
    pub on_demand: Arc<Linked>,
    pub pooled: Option<Arc<Linked>>,
    pub activity: Arc<Activity>,
}

impl Program for WasmtimeProgram {
    fn instantiate(
        &self,
        limits: InstanceLimits,
        fuel: Option<u64>,
        deadline: Deadline,
        host: &mut dyn HostFunctions,
    ) -> Result<Box<dyn Instance>, Trap> {
        let fuel = fuel.unwrap_or(u64::MAX);
        if let (true, Some(pooled)) = (limits.pooled, &self.pooled) {
            match self.instantiate_in(pooled, limits, true, fuel, &deadline, host) {
                // Nothing of the guest has run: there is no room. What else is wrong shows again below.
                Err(err) if !err.is::<wt::Trap>() && !err.is::<Trap>() => {}
                made => return finish(made, &deadline),
            }
        }
        finish(self.instantiate_in(&self.on_demand, limits, false, fuel, &deadline, host), &deadline)
    }

    fn instantiate_from(
        &self,
        image: &Image,
        limits: InstanceLimits,
        deadline: Deadline,
    ) -> Result<Box<dyn Instance>, Trap> {
        let host = &mut NoHost;
        let pooled = self.pooled.as_ref().filter(|_| limits.pooled);
        let made = pooled.and_then(|pooled| self.instantiate_in(pooled, limits, true, u64::MAX, &deadline, host).ok());
        let made = match made {
            Some(instance) => Ok(instance),
            None => self.instantiate_in(&self.on_demand, limits, false, u64::MAX, &deadline, host),
        };
        finish(made.and_then(|instance| instance.be(image)), &deadline)
    }
}

fn finish(made: wt::Result<WasmtimeInstance>, deadline: &Deadline) -> Result<Box<dyn Instance>, Trap> {
    let timeout = match deadline {
        Deadline::Timeout(timeout) => Some(*timeout),
        Deadline::Watch(_) => None,
    };
    match made {
        Ok(instance) => Ok(Box::new(instance)),
        Err(err) => Err(match into_trap(err, timeout) {
            Trap::Guest { reason, .. } => Trap::Instantiate(reason),
            other => other,
        }),
    }
}

impl WasmtimeProgram {
    fn instantiate_in(
        &self,
        linked: &Arc<Linked>,
        limits: InstanceLimits,
        pooled: bool,
        fuel: u64,
        deadline: &Deadline,
        host: &mut dyn HostFunctions,
    ) -> wt::Result<WasmtimeInstance> {
        let (timeout, watch) = match deadline {
            Deadline::Timeout(timeout) => (*timeout, None),
            Deadline::Watch(watch) => (Duration::ZERO, Some(watch.clone())),
        };
        let data = StoreData {
            host: None,
            memory: None,
            linked: linked.clone(),
            instance: None,
            exports: vec![None; linked.exports.len()].into(),
            limiter: Limiter { memory: limits.memory, refused: 0, is_news: false },
            counts_fuel: linked.counts_fuel,
            is_interpreted: linked.is_interpreted,
            stack_end: 0,
            is_watched: watch.is_some(),
            counts_cpu_time: true,
            timeout: (Duration::ZERO, 1),
            traps_at_deadline: true,
            copied: Cell::new(0),
        };
        // The stack of one that is interpreted is in it, and there may be no memory for that.
        let mut store = wt::Store::try_new(linked.pre.module().engine(), data)?;
        store.limiter(|data| &mut data.limiter);
        if let Some(watch) = watch {
            ask_each_tick(&mut store, watch);
        }
        if linked.counts_fuel {
            store.set_fuel(fuel)?;
        }
        let instance = guest_call(&mut store, &self.activity, timeout, host, |store| linked.pre.instantiate(store))?;

        let memory = match &linked.memory {
            Some(export) => instance.get_module_export(&mut store, export).and_then(wt::Extern::into_memory),
            None => None,
        };
        store.data_mut().instance = Some(instance);
        store.data_mut().memory = memory;
        Ok(WasmtimeInstance { store, activity: self.activity.clone(), pooled, reset: Reset::default() })
    }
}

struct WasmtimeInstance {
    store: wt::Store<StoreData>,
    activity: Arc<Activity>,
    pooled: bool,
    reset: Reset,
}

impl WasmtimeInstance {
    /// Makes a new instance what the image says.
    fn be(mut self, image: &Image) -> wt::Result<WasmtimeInstance> {
        reset::grow(&mut self.store, image)?;
        self.reset.restore(&mut self.store, image, true).map_err(wt::Error::msg)?;
        Ok(self)
    }
}

/// For start functions whose effects nobody wants.
struct NoHost;

impl HostFunctions for NoHost {
    fn call(&mut self, _: u32, _: &mut dyn Caller, _: &[u64]) -> Result<u64, Trap> {
        Err(Trap::host("its start function calls the host"))
    }
}

impl Instance for WasmtimeInstance {
    fn call(
        &mut self,
        export: usize,
        args: &[u32],
        timeout: Duration,
        host: &mut dyn HostFunctions,
    ) -> Result<u32, Trap> {
        let exported = Exported::find(&mut self.store, export)?;
        let timeout_of_call = (!self.store.data().is_watched).then_some(timeout);
        guest_call(&mut self.store, &self.activity, timeout, host, |store| exported.call(store, args))
            .map_err(|err| into_trap(err, timeout_of_call))
    }

    fn count_cpu_time(&mut self, is_on: bool) {
        self.store.data_mut().counts_cpu_time = is_on;
    }

    fn stats(&mut self) -> InstanceStats {
        self.store.data_mut().limiter.is_news = false;
        let data = self.store.data();
        InstanceStats {
            memory: data.memory.map_or(0, |memory| memory.data_size(&self.store)),
            refused_growth: data.limiter.refused,
            pooled: self.pooled,
        }
    }

    fn has_new_stats(&self) -> bool {
        self.store.data().limiter.is_news
    }

    fn set_fuel(&mut self, fuel: u64) {
        // It fails in an engine that does not count, only.
        if self.store.data().counts_fuel {
            let _ = self.store.set_fuel(fuel);
        }
    }

    fn fuel(&mut self) -> Option<u64> {
        self.store.data().counts_fuel.then(|| self.store.get_fuel().ok()).flatten()
    }

    fn snapshot(&mut self) -> Result<Image, String> {
        self.reset.snapshot(&mut self.store)
    }

    fn restore(&mut self, image: &Image) -> Result<(), String> {
        self.reset.restore(&mut self.store, image, false)
    }
}
