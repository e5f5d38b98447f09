//! Example `http_config`: adds the header `custom-header` to responses; its value is the configuration.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, Bytes, ContextType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

#[derive(Default)]
struct Root {
    value: Rc<Bytes>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.value = Rc::new(self.get_plugin_configuration().unwrap_or_default());
        !self.value.is_empty()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Response { value: self.value.clone() }))
    }
}

struct Response {
    value: Rc<Bytes>,
}

impl Context for Response {}

impl HttpContext for Response {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.add_http_response_header_bytes("custom-header", &self.value);
        Action::Continue
    }
}
