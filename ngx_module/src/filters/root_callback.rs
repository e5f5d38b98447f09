//! Callbacks of filters that are about no request: ticks, messages in queues, results of calls. They all end in the same way.

use nginx_sys::ngx_log_t;
use ngx_wasm::proxy_wasm::{CallError, Host, Vm};

use super::instances::{About, Instance, Instances, OwnWork};
use super::requests;
use crate::config::conf::MainConf;
use crate::nginx::log::Log;

impl Instances {
    /// Runs a callback in an instance, if that is still there, and does what its guest asked for, or what follows from its
    /// failure. `work` says afterwards what the callback was: work of the filter itself, or for a request. Answers whether it
    /// has ended well.
    pub fn run_root(
        &mut self,
        main: &MainConf,
        generation: u64,
        log: *mut ngx_log_t,
        work: impl FnOnce(&Vm) -> Option<OwnWork>,
        callback: impl FnOnce(&mut Instance, &mut dyn Host) -> Result<(), CallError>,
    ) -> bool {
        let (filter, conf) = (self.filter, &main.filters[self.filter]);
        let (Some(requests), Some(instance)) = (requests::known(), self.get(generation)) else { return false };
        // SAFETY: the callers pass a log of the cycle or of a connection, which is there during the callback.
        let log = unsafe { Log::from_ptr(log) };
        let mut world = (requests.world)(filter, log, &conf.name, conf.timeout);
        let result = callback(instance, world.as_mut());
        let work = work(&instance.vm);
        match result {
            Ok(()) => {
                drop(world);
                if let Some(work) = work {
                    self.own_work_done(work);
                }
                self.settle(main, generation);
                true
            }
            Err(err) => {
                let verdict = self.judge(main, generation, &err, work.map_or(About::Call, About::OwnWork));
                world.complain(&err, &verdict.text);
                drop(world);
                self.discard(main, &verdict, None);
                false
            }
        }
    }
}
