//! The start of a worker: its filters, and the clock of their deadlines; and its end.

use nginx_sys::NGX_LOG_NOTICE;

use crate::config::conf::MainConf;
use crate::filters::cycle;
use crate::nginx;
use crate::nginx::log::Log;
use crate::process::engine;

/// Starts the filters of a worker that runs by this configuration, and the clock of their deadlines.
pub fn start(main: &MainConf, log: Log<'_>) {
    for (_, engine) in &main.engines {
        engine::start_ticker(engine, log);
    }
    if main.filters.is_empty() {
        return;
    }
    for instances in cycle::all(main) {
        if let Ok(mut instances) = instances.try_borrow_mut() {
            instances.begin(log);
        }
    }
    log.write(NGX_LOG_NOTICE, format!("wasm: {} filter(s) started", main.filters.len()));
}

/// Tells of lines that the filters of a worker that ends have dropped.
pub fn tell_lines() {
    if let Some(main) = MainConf::current() {
        for filter in &main.filters {
            filter.lines.log_dropped(nginx::cycle::log());
        }
    }
}
