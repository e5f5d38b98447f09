//! Example `grpc_auth_random`: asks another service by gRPC whether a request of gRPC may pass; other requests pass. The
//! configuration is the service, and the name and the method that it has in gRPC. When the status of the answer is an even
//! number the request goes on, otherwise it is aborted.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, GrpcStatusCode};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

#[derive(Default)]
struct Root {
    judge: Rc<[String]>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        self.judge = String::from_utf8_lossy(&text).split(' ').map(str::to_owned).collect();
        self.judge.len() == 3
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { judge: self.judge.clone() }))
    }
}

struct Request {
    /// Service, its name in gRPC, and the method.
    judge: Rc<[String]>,
}

impl Request {
    fn abort(&self, why: &str) {
        self.send_grpc_response(GrpcStatusCode::Aborted, Some(why), vec![]);
    }
}

impl Context for Request {
    fn on_grpc_call_response(&mut self, _: u32, status: u32, _: usize) {
        if status % 2 == 0 {
            self.resume_http_request();
        } else {
            self.abort(&format!("the judge says {status}"));
        }
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let kind = self.get_http_request_header("content-type").unwrap_or_default();
        if !kind.starts_with("application/grpc") {
            return Action::Continue;
        }
        let [service, name, method] = &*self.judge else { return Action::Continue };
        if self.dispatch_grpc_call(service, name, method, vec![], Some(b""), Duration::from_secs(5)).is_err() {
            self.abort("the judge cannot be asked");
        }
        Action::Pause
    }
}
