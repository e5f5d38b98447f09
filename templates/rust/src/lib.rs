//! Requests need the right `x-api-key`, and responses get a tag. `rules.rs` decides, this file talks to the host.

mod rules;

use std::rc::Rc;

use proxy_wasm::hostcalls::{define_metric, increment_metric};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType};
use rules::Rules;

proxy_wasm::main! {{
    // This also sends the message of a panic to the log, with file and line.
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root { rules: None, refused: 0 }));
}}

struct Root {
    rules: Option<Rc<Rules>>,
    refused: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        match Rules::read(&self.get_plugin_configuration().unwrap_or_default()) {
            Ok(rules) => self.rules = Some(Rc::new(rules)),
            Err(reason) => {
                log::error!("bad configuration: {reason}");
                return false;
            }
        }
        self.refused = define_metric(MetricType::Counter, "my_filter_refused").unwrap();
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request {
            rules: self.rules.clone()?,
            refused: self.refused,
        }))
    }
}

/// One of these for each request.
struct Request {
    rules: Rc<Rules>,
    refused: u32,
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let key = self.get_http_request_header("x-api-key");
        if self.rules.allow(key.as_deref()) {
            return Action::Continue;
        }
        log::info!("refused: no key, or a wrong one");
        increment_metric(self.refused, 1).unwrap();
        self.send_http_response(403, vec![("content-type", "text/plain")], Some(b"no key\n"));
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        self.add_http_response_header("x-tag", &self.rules.tag);
        Action::Continue
    }
}
