//! Guest `large`: as large as filters become that use common crates, about 1 MiB. The grammar is in t/guests/README.md.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use regex::Regex;
use serde_json::Value;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

enum Statement {
    /// Adds a header to the response.
    Add(String, String),
    /// Denies paths.
    Deny(Regex, u32),
    /// Denies requests whose header holds JSON in which this is not true.
    Require { header: String, pointer: String },
}

#[derive(Default)]
struct Root {
    statements: Rc<Vec<Statement>>,
}

struct Stream {
    statements: Rc<Vec<Statement>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        let configuration = String::from_utf8_lossy(&configuration);
        let parsed: Option<Vec<_>> =
            configuration.split(';').map(str::trim).filter(|text| !text.is_empty()).map(parse).collect();
        self.statements = Rc::new(parsed.unwrap_or_default());
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { statements: Rc::clone(&self.statements) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn parse(text: &str) -> Option<Statement> {
    let mut words = text.split_whitespace();
    let (verb, first, second) = (words.next()?, words.next()?, words.next()?);
    Some(match verb {
        "add" => Statement::Add(first.to_owned(), second.to_owned()),
        "deny" => Statement::Deny(Regex::new(first).ok()?, second.parse().ok()?),
        "require" => Statement::Require { header: first.to_owned(), pointer: second.to_owned() },
        _ => return None,
    })
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        for statement in self.statements.iter() {
            let status = match statement {
                Statement::Add(..) => continue,
                Statement::Deny(path, status) => {
                    let found = self.get_http_request_header(":path").unwrap_or_default();
                    if !path.is_match(&found) {
                        continue;
                    }
                    *status
                }
                Statement::Require { header, pointer } => {
                    let json = self.get_http_request_header(header).unwrap_or_default();
                    let value: Value = serde_json::from_str(&json).unwrap_or_default();
                    if value.pointer(pointer) == Some(&Value::Bool(true)) {
                        continue;
                    }
                    403
                }
            };
            self.send_http_response(status, vec![], Some(b"denied\n"));
            return Action::Pause;
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        for statement in self.statements.iter() {
            if let Statement::Add(name, value) = statement {
                self.add_http_response_header(name, value);
            }
        }
        Action::Continue
    }
}
