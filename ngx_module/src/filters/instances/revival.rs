//! The timer that starts a filter again which has failed, when it has work of its own to do (ticks) and cannot wait for a
//! request. `instances/mod.rs` arms it.

use nginx_sys::{ngx_add_timer, ngx_cycle, ngx_del_timer, ngx_event_t, ngx_exiting, ngx_msec_t, ngx_quit};

use crate::config::conf::MainConf;
use crate::filters::cycle;
use crate::nginx::guard::guard;

/// The timer of one filter.
pub struct Revival {
    event: ngx_event_t,
    main: *const MainConf,
    filter: usize,
}

impl Revival {
    /// A timer that is not armed. The box keeps its place, where nginx finds it.
    pub fn new(main: &MainConf, filter: usize) -> Box<Revival> {
        // SAFETY: an event of zeros is one that nobody has armed.
        let mut event = unsafe { std::mem::zeroed::<ngx_event_t>() };
        event.handler = Some(on_event);
        event.set_cancelable(1);
        let mut revival = Box::new(Revival { event, main, filter });
        revival.event.data = std::ptr::from_mut(revival.as_mut()).cast();
        // SAFETY: nginx always has a cycle with a log.
        revival.event.log = unsafe { (*ngx_cycle).log };
        revival
    }

    /// Has the filter started after `delay` milliseconds, unless the worker shuts down.
    pub fn arm(&mut self, delay: ngx_msec_t) {
        // SAFETY: the event stays in its place until `drop` takes it out of nginx's timers.
        unsafe {
            if ngx_exiting == 0 && ngx_quit == 0 {
                ngx_add_timer(&mut self.event, delay);
            }
        }
    }
}

impl Drop for Revival {
    fn drop(&mut self) {
        if self.event.timer_set() != 0 {
            // SAFETY: it is armed.
            unsafe { ngx_del_timer(&mut self.event) };
        }
    }
}

unsafe extern "C" fn on_event(event: *mut ngx_event_t) {
    // SAFETY: nginx calls the handler of an armed timer, whose `Revival` and configuration are there.
    guard((), || unsafe {
        let (main, filter) = {
            let revival = &*(*event).data.cast::<Revival>();
            (&*revival.main, revival.filter)
        };
        if let Some(Ok(mut instances)) = cycle::instances(main, filter).map(|instances| instances.try_borrow_mut()) {
            instances.revive(main, (*ngx_cycle).log);
        }
    });
}
