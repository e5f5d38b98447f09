//! Example `envoy_filter_metadata`: what another part of the proxy found out about the request is a property; its value is
//! in the answer, in the body and in a header. Configuration: the path of the property (words).

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

#[derive(Default)]
struct Root {
    path: Rc<Vec<String>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        self.path = Rc::new(String::from_utf8_lossy(&text).split_whitespace().map(str::to_owned).collect());
        !self.path.is_empty()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { path: self.path.clone() }))
    }
}

struct Request {
    path: Rc<Vec<String>>,
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let value = self.get_property(self.path.iter().map(String::as_str).collect()).unwrap_or_default();
        if value.is_empty() {
            self.send_http_response(200, vec![], Some(b"nothing is known about this request\n"));
            return Action::Pause;
        }
        let value = String::from_utf8_lossy(&value);
        let line = format!("this request is {value:?}\n");
        self.send_http_response(200, vec![("x-found-out", &*value)], Some(line.as_bytes()));
        Action::Pause
    }
}
