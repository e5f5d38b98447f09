//! Timers of filters: `proxy_on_tick` of the root context, as often as the guest asked. `instances/` sets them.
//!
//! A timer belongs to the instance of a filter and ends with it. Nginx does not wait for it when a worker shuts down. Such a
//! worker ticks only as long as the filter has requests, which may wait for a tick; so a reload leaves no old timers behind.

use nginx_sys::{
    ngx_add_timer, ngx_cycle, ngx_del_timer, ngx_event_t, ngx_exiting, ngx_msec_t, ngx_quit, ngx_terminate,
};

use crate::config::conf::MainConf;
use crate::filters::cycle;
use crate::filters::instances::OwnWork;
use crate::nginx::guard::guard;

/// The timer of an instance.
pub struct Ticks {
    event: ngx_event_t,
    main: *const MainConf,
    filter: usize,
    generation: u64,
    /// In milliseconds; 0: none.
    period: ngx_msec_t,
}

impl Ticks {
    /// The timer of an instance of filter number `filter`, not armed. The box keeps its place, where nginx finds it.
    pub fn new(main: &MainConf, filter: usize, generation: u64) -> Box<Ticks> {
        // SAFETY: an event of zeros is one that nobody has armed.
        let mut event = unsafe { std::mem::zeroed::<ngx_event_t>() };
        event.handler = Some(on_event);
        event.set_cancelable(1);
        let mut ticks = Box::new(Ticks { event, main, filter, generation, period: 0 });
        ticks.event.data = std::ptr::from_mut(ticks.as_mut()).cast();
        // SAFETY: nginx always has a cycle with a log.
        ticks.event.log = unsafe { (*ngx_cycle).log };
        ticks
    }

    /// Makes the filter tick every `period` milliseconds from now on; 0 ends it.
    pub fn set_period(&mut self, period: ngx_msec_t) {
        self.period = period;
        self.disarm();
        if period > 0 {
            self.arm(period);
        }
    }

    /// Arms the timer for the next tick, unless it is. `is_needed`: the filter has requests.
    pub fn again(&mut self, is_needed: bool) {
        if self.period > 0 && self.event.timer_set() == 0 {
            self.arm_for(self.period, is_needed);
        }
    }

    /// Whether the filter wants to tick.
    pub fn is_running(&self) -> bool {
        self.period > 0
    }

    fn arm(&mut self, delay: ngx_msec_t) {
        self.arm_for(delay, false);
    }

    fn arm_for(&mut self, delay: ngx_msec_t, while_exiting: bool) {
        // SAFETY: the event stays in its place until `drop` takes it out of nginx's timers. A worker that shuts down does not
        // wait for it, since it can be cancelled (src/os/unix/ngx_process_cycle.c).
        unsafe {
            let is_exiting = ngx_exiting != 0 || ngx_quit != 0;
            if ngx_terminate == 0 && (while_exiting || !is_exiting) {
                ngx_add_timer(&mut self.event, delay);
            }
        }
    }

    fn disarm(&mut self) {
        if self.event.timer_set() != 0 {
            // SAFETY: it is armed.
            unsafe { ngx_del_timer(&mut self.event) };
        }
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        self.disarm();
    }
}

unsafe extern "C" fn on_event(event: *mut ngx_event_t) {
    // SAFETY: nginx calls the handler of an armed timer, whose `Ticks` and configuration are there.
    guard((), || unsafe {
        let (main, filter, generation) = {
            let ticks = &*(*event).data.cast::<Ticks>();
            (&*ticks.main, ticks.filter, ticks.generation)
        };
        let log = (*ngx_cycle).log;
        let Some(Ok(mut instances)) = cycle::instances(main, filter).map(|instances| instances.try_borrow_mut()) else {
            return;
        };
        let Some(instance) = instances.get(generation) else { return };
        if !instance.ticks().is_some_and(|ticks| ticks.is_running()) {
            return;
        }
        let is_well = instances.run_root(
            main,
            generation,
            log,
            |_| Some(OwnWork::Tick),
            |instance, host| instance.vm.on_tick(instance.root, host),
        );
        if is_well {
            // It may have no requests, at whose beginning this is looked at otherwise. (The timer for the next tick is armed.)
            instances.recycle(main, log);
            instances.sweep(generation);
        }
    });
}
