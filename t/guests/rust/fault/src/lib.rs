//! Guest `fault`: answers a share of the requests in the place of what is behind it. The configuration is in
//! t/guests/README.md.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde_json::Value;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root { abort: None, dice: Rc::new(Dice::new()) }));
}}

struct Abort {
    http_status: u32,
    body: String,
    /// Of a hundred requests, so many; all when nothing is said.
    percentage: Option<u64>,
}

impl Abort {
    /// None when the configuration is not as it must be.
    fn read(configuration: &Value) -> Option<Self> {
        let abort = configuration.get("abort")?;
        let status = abort.get("http_status")?.as_u64().filter(|status| (200..600).contains(status))?;
        let body = match abort.get("body") {
            Some(body) => body.as_str()?.to_owned(),
            None => String::new(),
        };
        let percentage = match abort.get("percentage") {
            Some(share) => Some(share.as_u64().filter(|share| *share <= 100)?),
            None => None,
        };
        Some(Self { http_status: status as u32, body, percentage })
    }
}

/// Numbers by chance, good enough for shares (xorshift).
struct Dice(Cell<u64>);

impl Dice {
    fn new() -> Self {
        Self(Cell::new(RandomState::new().hash_one(0) | 1))
    }

    fn below(&self, limit: u64) -> u64 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        state % limit
    }
}

struct Root {
    abort: Option<Rc<Abort>>,
    dice: Rc<Dice>,
}

struct Stream {
    abort: Rc<Abort>,
    dice: Rc<Dice>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        self.abort = serde_json::from_slice(&text).ok().as_ref().and_then(Abort::read).map(Rc::new);
        if self.abort.is_none() {
            hostcalls::log(LogLevel::Error, "the configuration has no abort with an http_status").unwrap();
        }
        self.abort.is_some()
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let abort = Rc::clone(self.abort.as_ref()?);
        Some(Box::new(Stream { abort, dice: Rc::clone(&self.dice) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        if self.abort.percentage.is_some_and(|share| self.dice.below(100) >= share) {
            return Action::Continue;
        }
        self.send_http_response(self.abort.http_status, vec![], Some(self.abort.body.as_bytes()));
        Action::Pause
    }
}
