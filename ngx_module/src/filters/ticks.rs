//! Timers of filters: `proxy_on_tick` of a root context, as often as the guest asked. `instances/` sets them.
//!
//! A timer belongs to the instance of a filter and ends with it. Nginx does not wait for it when a worker shuts down. Such a
//! worker ticks only as long as the filter has requests, which may wait for a tick; so a reload leaves no old timers behind.

use std::cell::RefCell;
use std::rc::Weak;
use std::time::Duration;

use async_task::Task;
use ngx_wasm::proxy_wasm::ContextId;

use crate::filters::instances::Instances;
use crate::filters::root_callback::RootCallback;
use crate::nginx::cycle;
use crate::nginx::executor;
use crate::nginx::timer::{self, AtExit};

/// The timers of an instance: one for each root context that has asked for one.
#[derive(Default)]
pub struct Ticks(Vec<(ContextId, Task<()>)>);

impl Ticks {
    /// Has a root context of an instance tick every `period` milliseconds from now on; 0 ends it.
    pub fn set_period(&mut self, instances: &Weak<RefCell<Instances>>, generation: u64, root: ContextId, period: u32) {
        self.end(root);
        if period > 0 {
            let period = Duration::from_millis(period.into());
            self.0.push((root, executor::spawn(tick(instances.clone(), generation, root, period))));
        }
    }

    /// Ends the timer of a root context.
    pub fn end(&mut self, root: ContextId) {
        self.0.retain(|(known, _)| *known != root);
    }

    /// Whether a root context wants to tick.
    pub fn is_running(&self) -> bool {
        !self.0.is_empty()
    }
}

async fn tick(instances: Weak<RefCell<Instances>>, generation: u64, root: ContextId, period: Duration) {
    loop {
        let was_leaving = cycle::is_exiting();
        timer::sleep(period, AtExit::Leave).await;
        let Some(instances) = instances.upgrade() else { return };
        if let Ok(mut instances) = instances.try_borrow_mut() {
            instances.tick(generation, root, was_leaving);
        }
    }
}

impl Instances {
    /// Runs `proxy_on_tick` of a root context. `was_leaving`: the worker has shut down for as
    /// long as the timer ran, so only requests want the tick.
    fn tick(&mut self, generation: u64, root: ContextId, was_leaving: bool) {
        let Some(instance) = self.get(generation) else { return };
        if was_leaving && !instance.has_contexts_of_requests() {
            return;
        }
        if self.run_root(generation, RootCallback::Tick, |vm, host| vm.on_tick(root, host)) {
            // It may have no requests, at whose beginning this is looked at otherwise.
            if self.filter.has_own_root() {
                self.recycle(cycle::log());
            }
            self.end_if_idle(generation);
        }
    }
}
