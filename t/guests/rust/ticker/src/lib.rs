//! Guest `ticker`: counts its ticks in the log and in a response header. Configuration: `PERIOD` in milliseconds, then any
//! of `stop N` (no more after tick N), `trap N` (panics at tick N), and `pause 1` (requests wait for the next tick). The Go
//! guest of this name behaves the same, but does not know `pause`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

#[derive(Default)]
struct Root {
    stop: u32,
    trap: u32,
    pause: u32,
    ticks: Rc<Cell<u32>>,
    /// Contexts of requests that wait.
    waiting: Rc<RefCell<Vec<u32>>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        let configuration = String::from_utf8_lossy(&configuration).into_owned();
        let mut words = configuration.split_whitespace();
        let Some(Ok(period)) = words.next().map(str::parse) else { return false };
        while let (Some(word), Some(Ok(number))) = (words.next(), words.next().map(str::parse)) {
            match word {
                "stop" => self.stop = number,
                "trap" => self.trap = number,
                "pause" => self.pause = number,
                _ => return false,
            }
        }
        self.set_tick_period(Duration::from_millis(period));
        true
    }

    fn on_tick(&mut self) {
        self.ticks.set(self.ticks.get() + 1);
        let tick = self.ticks.get();
        log::info!("rust tick {tick}");
        for context in self.waiting.take() {
            hostcalls::set_effective_context(context).unwrap();
            hostcalls::resume_http_request().unwrap();
        }
        if tick == self.trap {
            panic!("tick {tick}");
        }
        if tick == self.stop {
            self.set_tick_period(Duration::ZERO);
            log::info!("rust stopped");
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        let waiting = (self.pause > 0).then(|| self.waiting.clone());
        Some(Box::new(Stream { context, ticks: self.ticks.clone(), waiting }))
    }
}

struct Stream {
    context: u32,
    ticks: Rc<Cell<u32>>,
    waiting: Option<Rc<RefCell<Vec<u32>>>>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match &self.waiting {
            Some(waiting) => {
                waiting.borrow_mut().push(self.context);
                Action::Pause
            }
            None => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("x-ticks", Some(&self.ticks.get().to_string()));
        Action::Continue
    }
}
