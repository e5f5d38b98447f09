//! The start of a worker: its filters, and the clock of their deadlines; and its end.

use nginx_sys::{NGX_LOG_EMERG, NGX_LOG_NOTICE, ngx_cycle_t};

use crate::config::conf::MainConf;
use crate::filters::cycle;
use crate::nginx::log::Log;
use crate::nginx::{self, log};
use crate::process::engine;

/// Starts the filters of a worker, and the clock of their deadlines.
///
/// # Safety
/// `cycle` is the cycle that the worker runs.
pub unsafe fn start(cycle: *mut ngx_cycle_t) {
    // SAFETY: the configuration is complete, and this process has one thread until now.
    unsafe {
        let log = (*cycle).log;
        let Some(main) = MainConf::of(cycle).as_ref() else { return };
        if main.filters.is_empty() {
            return;
        }
        for (_, engine) in &main.engines {
            if let Err(err) = engine::start_ticker(engine) {
                let line = format!("wasm: no clock for deadlines, wasm_timeout does not work: {err}");
                log::write(NGX_LOG_EMERG, log, line);
            }
        }
        for instances in cycle::all(main) {
            if let Ok(mut instances) = instances.try_borrow_mut() {
                instances.ensure(Log::from_ptr(log));
            }
        }
        log::write(NGX_LOG_NOTICE, log, format!("wasm: {} filter(s) started", main.filters.len()));
    }
}

/// Tells of lines that the filters of a worker that ends have dropped.
pub fn tell_lines() {
    if let Some(main) = MainConf::current() {
        for filter in &main.filters {
            filter.lines.tell(nginx::cycle::log());
        }
    }
}
