//! Guest `calls`: calls other services by HTTP and gRPC, from any callback, as statements in its configuration and in the
//! request header `x-calls` say, waits for them, and reports what came. The grammar is in t/guests/README.md.

mod calls;
mod report;
mod statement;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

use calls::{Calls, Shared, Wait};
use statement::Statement;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

/// The callbacks about calls, which are the same in both kinds of contexts.
macro_rules! call_callbacks {
    () => {
        fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, trailers: usize) {
            let place = self.calls.borrow_mut().on_http(token, [headers, body, trailers]);
            self.came(&place);
        }

        fn on_grpc_call_response(&mut self, token: u32, code: u32, size: usize) {
            let place = self.calls.borrow_mut().on_grpc(token, code, size);
            self.came(&place);
        }

        fn on_grpc_stream_initial_metadata(&mut self, token: u32, number: u32) {
            let place = self.calls.borrow_mut().on_initial(token, number as usize);
            self.came(&place);
        }

        fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
            let place = self.calls.borrow_mut().on_message(token, size);
            self.came(&place);
        }

        fn on_grpc_stream_trailing_metadata(&mut self, token: u32, number: u32) {
            let place = self.calls.borrow_mut().on_trailing(token, number as usize);
            self.came(&place);
        }

        fn on_grpc_stream_close(&mut self, token: u32, code: u32) {
            let place = self.calls.borrow_mut().on_close(token, code);
            self.came(&place);
        }
    };
}

#[derive(Default)]
struct Root {
    calls: Shared,
    ticks: u32,
    /// Contexts that wait for the calls of a tick, and with which status the root is to answer for them, if not 0.
    waiting: Rc<RefCell<Vec<(u32, u32)>>>,
}

impl Root {
    /// After each callback about calls.
    fn came(&mut self, place: &str) {
        self.calls.borrow_mut().run(place, Wait::Request);
        if self.calls.borrow().is_open() {
            return;
        }
        for (context, status) in self.waiting.take() {
            hostcalls::set_effective_context(context).unwrap();
            if status == 0 {
                hostcalls::resume_http_request().unwrap();
            } else {
                let report = self.calls.borrow().report();
                hostcalls::send_http_response(status, vec![], Some(report.as_bytes())).unwrap();
            }
        }
    }
}

impl Context for Root {
    call_callbacks!();
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let statements = statement::parse(&self.get_plugin_configuration().unwrap_or_default());
        for statement in statements.iter().filter(|statement| statement.verb == "tick") {
            self.set_tick_period(Duration::from_millis(statement.word(0).parse().expect("milliseconds")));
        }
        let mut calls = self.calls.borrow_mut();
        calls.statements = Rc::new(statements);
        calls.run("configure", Wait::Request);
        !calls.fails
    }

    fn on_tick(&mut self) {
        self.ticks += 1;
        let mut calls = self.calls.borrow_mut();
        if self.ticks == 1 {
            calls.run("first-tick", Wait::Request);
        }
        // Only what somebody waits for.
        if !calls.is_open() && !self.waiting.borrow().is_empty() {
            calls.run("tick", Wait::Request);
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let calls = Calls::new(self.calls.borrow().statements.clone());
        Some(Box::new(Stream { id, calls: Rc::new(RefCell::new(calls)), waiting: self.waiting.clone() }))
    }
}

struct Stream {
    id: u32,
    calls: Shared,
    waiting: Rc<RefCell<Vec<(u32, u32)>>>,
}

impl Stream {
    /// Runs the statements of a callback.
    fn callback(&mut self, place: &str, direction: Wait) -> Action {
        self.calls.borrow_mut().run(place, direction);
        match self.goes_on() {
            Some(Wait::Answer(_)) => Action::Pause,
            Some(_) => Action::Continue,
            None if self.calls.borrow().wait.is_some() => Action::Pause,
            None => Action::Continue,
        }
    }

    /// Ends the wait, when nothing is open any more.
    fn goes_on(&mut self) -> Option<Wait> {
        if self.calls.borrow().is_open() {
            return None;
        }
        let wait = self.calls.borrow_mut().wait.take()?;
        if let Wait::Answer(status) = wait {
            let report = self.calls.borrow().report();
            self.send_http_response(status, vec![("content-type", "application/json")], Some(report.as_bytes()));
        }
        Some(wait)
    }

    /// After each callback about calls.
    fn came(&mut self, place: &str) {
        self.calls.borrow_mut().run(place, Wait::Request);
        match self.goes_on() {
            Some(Wait::Request) => self.resume_http_request(),
            Some(Wait::Response) => self.resume_http_response(),
            Some(Wait::Done) => self.done(),
            Some(Wait::Answer(_)) | None => {}
        }
    }

    /// Lists the stream with the root, as `wait-tick` and `answer-tick` want it.
    fn waits_for_tick(&self) -> bool {
        let calls = self.calls.borrow();
        let wanted = |statement: &&Statement| matches!(statement.verb.as_str(), "wait-tick" | "answer-tick");
        let Some(statement) = calls.statements.iter().find(wanted) else { return false };
        self.waiting.borrow_mut().push((self.id, statement.word(0).parse().unwrap_or(0)));
        true
    }
}

impl Context for Stream {
    call_callbacks!();

    fn on_done(&mut self) -> bool {
        self.callback("done", Wait::Done);
        // Streams that have ended before their calls do not wait for them, unless told to.
        !matches!(self.calls.borrow().wait, Some(Wait::Done))
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(text) = self.get_http_request_header_bytes("x-calls") {
            let mut calls = self.calls.borrow_mut();
            let mut statements = calls.statements.to_vec();
            statements.extend(statement::parse(&text));
            calls.statements = Rc::new(statements);
        }
        let action = self.callback("request-headers", Wait::Request);
        if self.waits_for_tick() { Action::Pause } else { action }
    }

    fn on_http_request_body(&mut self, _: usize, end: bool) -> Action {
        if end { self.callback("request-body", Wait::Request) } else { Action::Pause }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.callback("request-trailers", Wait::Request)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.callback("response-headers", Wait::Response)
    }

    fn on_http_response_body(&mut self, _: usize, end: bool) -> Action {
        if end { self.callback("response-body", Wait::Response) } else { Action::Pause }
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.callback("response-trailers", Wait::Response)
    }

    fn on_log(&mut self) {
        self.callback("log", Wait::Done);
    }
}
