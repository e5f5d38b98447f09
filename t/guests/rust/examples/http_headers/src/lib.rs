//! Example `http_headers`: logs all headers of requests (`->`) and responses (`<-`), and answers `/hello` itself.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_http_context(|id, _| Box::new(Exchange { id }));
}}

struct Exchange {
    id: u32,
}

impl Exchange {
    fn show(&self, arrow: &str, headers: Vec<(String, String)>) {
        for (name, value) in headers {
            log::info!("{} {arrow} {name}: {value}", self.id);
        }
    }
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.show("->", self.get_http_request_headers());
        if self.get_http_request_header(":path").as_deref() == Some("/hello") {
            self.send_http_response(200, vec![("x-example", "http_headers")], Some(b"greetings\n"));
            return Action::Pause;
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.show("<-", self.get_http_response_headers());
        Action::Continue
    }

    fn on_log(&mut self) {
        log::info!("{} is over", self.id);
    }
}
