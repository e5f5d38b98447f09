//! Example `hello_world`: greets when it starts, and logs the time and a random number at every tick. Configuration: the
//! period in milliseconds.

use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Clock));
}}

struct Clock;

impl Context for Clock {}

impl RootContext for Clock {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let Some(period) = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()) else {
            log::error!("the configuration must be a period in milliseconds");
            return false;
        };
        self.set_tick_period(Duration::from_millis(period));
        log::info!("a Rust filter says hello");
        true
    }

    fn on_tick(&mut self) {
        let mut number = [0];
        if let Err(error) = getrandom::fill(&mut number) {
            log::error!("no random number: {error}");
            return;
        }
        match self.get_current_time().duration_since(UNIX_EPOCH) {
            Ok(now) => log::info!("{} seconds since 1970, and the number is {}", now.as_secs(), number[0]),
            Err(error) => log::error!("the clock is before 1970: {error}"),
        }
    }

    // Requests pass.
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Clock))
    }
}

impl HttpContext for Clock {}
