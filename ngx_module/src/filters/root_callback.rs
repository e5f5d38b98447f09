//! Callbacks of filters that are about no request: ticks, messages in queues, results of calls. They all end in the same way.

use ngx_wasm::proxy_wasm::{CallError, CallId, Host, StreamToken, Vm};

use super::calls;
use super::instances::{About, Instances, OwnWork};
use crate::config::rules::Trace;
use crate::nginx::cycle;

/// What such a callback is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootCallback {
    /// A timer.
    Tick,
    /// A message.
    Queue,
    /// A call, made for a request or not.
    Call(CallId),
}

impl RootCallback {
    /// Whose work the callback of a VM that has run last was.
    fn work(self, vm: &Vm) -> About {
        match self {
            RootCallback::Tick => About::OwnWork(OwnWork::Tick),
            RootCallback::Queue => About::OwnWork(OwnWork::Queue),
            RootCallback::Call(_) if vm.last_call_was_for_stream() => About::Call,
            RootCallback::Call(_) => About::OwnWork(OwnWork::Call),
        }
    }
}

impl Instances {
    /// Runs a callback in an instance, if that is still there, and does what its guest asked for, or what follows from its
    /// failure. Answers whether it has ended well.
    pub fn run_root(
        &mut self,
        generation: u64,
        about: RootCallback,
        callback: impl FnOnce(&mut Vm, &mut dyn Host) -> Result<(), CallError>,
    ) -> bool {
        let filter = self.filter.clone();
        let Some(instance) = self.get(generation) else { return false };
        let call = match about {
            RootCallback::Call(call) => Some(call),
            RootCallback::Tick | RootCallback::Queue => None,
        };
        let log = call.map_or_else(cycle::log, |call| calls::log_of_call(&instance.vm, call));
        // Who makes a call for a request that is traced has its result traced.
        let made_for: Vec<StreamToken> = match (call, filter.policy().trace) {
            (Some(call), Trace::If(_)) => instance.vm.streams_of_call(call).collect(),
            _ => Vec::new(),
        };
        let waiting = filter.waiting(&instance.vm, call);
        filter.start_clock();
        let Some(mut world) = filter.world(generation, log, &made_for) else { return false };
        let result = callback(&mut instance.vm, world.as_mut());
        let work = about.work(&instance.vm);
        match result {
            Ok(()) => {
                drop(world);
                if let About::OwnWork(work) = work {
                    self.own_work_done(work);
                }
                self.after_callback(generation);
                if let Some(instance) = self.get(generation) {
                    filter.has_ended(&instance.vm, generation, waiting);
                }
                true
            }
            Err(err) => {
                let consequences = self.count_failure(generation, &err, work);
                world.log_failure(&err, &consequences.text);
                drop(world);
                self.discard(&consequences, None);
                false
            }
        }
    }
}
