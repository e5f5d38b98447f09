//! Guest `demanding`: a filter whose author took for granted what each request has. It panics when a pseudo-header or a
//! property is missing, on the way in and at the end, and logs what it got.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Filter))
    }
}

struct Filter;

impl Filter {
    fn demand(&self, when: &str) {
        let header = |name: &str| self.get_http_request_header(name).unwrap_or_else(|| panic!("no {name}"));
        // The SDK takes an empty property for none, so only those are here that never are.
        let property =
            |path: &[&str]| self.get_property(path.to_vec()).unwrap_or_else(|| panic!("no {}", path.join(".")));
        let number = |path: &[&str]| u64::from_le_bytes(property(path).try_into().expect("8 bytes"));
        let text = |path: &[&str]| String::from_utf8(property(path)).expect("UTF-8");

        let headers = self.get_http_request_headers();
        for name in [":authority", ":path", ":method", ":scheme"] {
            assert!(headers.iter().any(|(known, _)| known == name), "{name} is not among the headers");
        }
        assert!(number(&["request", "time"]) > 0);
        number(&["request", "size"]);
        number(&["request", "total_size"]);
        number(&["connection", "id"]);
        assert!(!text(&["request", "id"]).is_empty());
        assert_eq!(text(&["request", "path"]), header(":path"));
        assert_eq!(text(&["request", "method"]), header(":method"));
        assert_eq!(text(&["request", "scheme"]), header(":scheme"));
        let line = format!(
            "{when}: {} {} {} host [{}]",
            header(":method"),
            header(":path"),
            text(&["request", "protocol"]),
            header(":authority"),
        );
        log::info!("{line}");
    }
}

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.demand("request");
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.demand("response");
        Action::Continue
    }

    fn on_log(&mut self) {
        self.demand("log");
    }
}
