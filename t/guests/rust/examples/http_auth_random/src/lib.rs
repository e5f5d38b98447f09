//! Example `http_auth_random`: asks another service whether a request may pass. The configuration is the service and the path
//! to ask for; when the first byte of the answer is an even number the request goes on, otherwise, and when there is no
//! answer, it is refused.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

/// Whom to ask.
#[derive(Default)]
struct Judge {
    service: String,
    path: String,
}

#[derive(Default)]
struct Root {
    judge: Rc<Judge>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let Some((service, path)) = text.split_once(' ') else { return false };
        self.judge = Rc::new(Judge { service: service.to_owned(), path: path.to_owned() });
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { judge: self.judge.clone() }))
    }
}

struct Request {
    judge: Rc<Judge>,
}

impl Request {
    fn refuse(&self) {
        self.send_http_response(403, vec![("x-example", "http_auth_random")], Some(b"not this time\n"));
    }
}

impl Context for Request {
    fn on_http_call_response(&mut self, _: u32, _: usize, size: usize, _: usize) {
        let first = self.get_http_call_response_body(0, size).and_then(|body| body.first().copied());
        match first {
            Some(byte) if byte % 2 == 0 => self.resume_http_request(),
            _ => self.refuse(),
        }
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let headers =
            vec![(":method", "GET"), (":path", &*self.judge.path), (":authority", &*self.judge.service)];
        if self.dispatch_http_call(&self.judge.service, headers, None, vec![], Duration::from_secs(5)).is_err() {
            self.refuse();
        }
        Action::Pause
    }
}
