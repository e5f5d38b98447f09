//! Example `http_body`: a response with the word `secret` in its body is replaced by a line that tells how long it was.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

proxy_wasm::main! {{
    proxy_wasm::set_http_context(|_, _| Box::new(Censor));
}}

const SECRET: &[u8] = b"secret";

struct Censor;

impl Context for Censor {}

impl HttpContext for Censor {
    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        if !end_of_stream {
            // The length may change.
            self.set_http_response_header("content-length", None);
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_response_body(0, size).unwrap_or_default();
        if body.windows(SECRET.len()).any(|part| part.eq_ignore_ascii_case(SECRET)) {
            let line = format!("{} bytes were here that are not for you\n", body.len());
            self.set_http_response_body(0, body.len(), line.as_bytes());
        }
        Action::Continue
    }
}
