//! In the place of `src/lib.rs` of templates/rust: the service `auth` knows which keys are good.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|_, _| Box::new(Request));
}}

struct Request;

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let key = self
            .get_http_request_header("x-api-key")
            .unwrap_or_default();
        let headers = vec![
            (":method", "GET"),
            (":path", "/check"),
            (":authority", "auth"),
            ("x-api-key", &key),
        ];
        if let Err(status) =
            self.dispatch_http_call("auth", headers, None, vec![], Duration::from_secs(2))
        {
            log::error!("the service is not asked: {status:?}");
            self.send_http_response(503, vec![], None);
        }
        Action::Pause
    }
}

impl Context for Request {
    fn on_http_call_response(&mut self, _: u32, _headers: usize, _body: usize, _: usize) {
        match self.get_http_call_response_header(":status").as_deref() {
            Some("200") => self.resume_http_request(),
            // There was no answer.
            None => self.send_http_response(503, vec![], None),
            _ => self.send_http_response(403, vec![], Some(b"a bad key\n")),
        }
    }
}
