//! Guest `headers`: edits request and response headers, denies paths and logs, as its configuration says.
//! The grammar is in t/guests/README.md; the Go and AssemblyScript guests of this name behave the same.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MapType};
use std::rc::Rc;

const LANGUAGE: &str = "rust";

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// A piece of a VALUE.
enum Part {
    Text(Vec<u8>),
    RequestHeader(String),
}

enum Edit {
    Add(String, Vec<Part>),
    Replace(String, Vec<Part>),
    Remove(String),
}

enum Statement {
    Request(Edit),
    Response(Edit),
    Deny { prefix: Vec<u8>, status: u32 },
    Log(LogLevel, String),
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
        let mut statements = Vec::new();
        for text in configuration.split([';', '\n']).map(str::trim).filter(|text| !text.is_empty()) {
            let Some(statement) = parse(text) else {
                log(LogLevel::Error, &format!("bad statement: {text}"));
                return false;
            };
            statements.push(statement);
        }
        self.statements = Rc::new(statements);
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { statements: Rc::clone(&self.statements) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        for statement in self.statements.iter() {
            match statement {
                Statement::Request(edit) => apply(edit, MapType::HttpRequestHeaders),
                Statement::Response(_) => {}
                Statement::Log(level, text) => log(*level, text),
                Statement::Deny { prefix, status } => {
                    if request_header(":path").starts_with(prefix) {
                        let body = format!("denied by {LANGUAGE}\n");
                        self.send_http_response(*status, vec![("x-denied-by", LANGUAGE)], Some(body.as_bytes()));
                        return Action::Pause;
                    }
                }
            }
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        for statement in self.statements.iter() {
            if let Statement::Response(edit) = statement {
                apply(edit, MapType::HttpResponseHeaders);
            }
        }
        Action::Continue
    }
}

fn log(level: LogLevel, text: &str) {
    hostcalls::log(level, text).unwrap();
}

fn request_header(name: &str) -> Vec<u8> {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).unwrap().unwrap_or_default()
}

fn apply(edit: &Edit, map: MapType) {
    match edit {
        Edit::Add(name, value) => hostcalls::add_map_value_bytes(map, name, &expand(value)),
        Edit::Replace(name, value) => hostcalls::set_map_value_bytes(map, name, Some(&expand(value))),
        Edit::Remove(name) => hostcalls::remove_map_value(map, name),
    }
    .unwrap();
}

fn expand(parts: &[Part]) -> Vec<u8> {
    let mut value = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => value.extend_from_slice(text),
            Part::RequestHeader(name) => value.extend_from_slice(&request_header(name)),
        }
    }
    value
}

/// The first word of the text and what follows it, both trimmed.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim())
}

/// None when the statement is wrong.
fn parse(text: &str) -> Option<Statement> {
    let (verb, rest) = word(text);
    match verb {
        "deny" => {
            let (prefix, status) = word(rest);
            let status = status.parse().ok().filter(|status| (200..600).contains(status))?;
            Some(Statement::Deny { prefix: prefix.into(), status })
        }
        "log" => {
            let (level, text) = word(rest);
            let level = match level {
                "trace" => LogLevel::Trace,
                "debug" => LogLevel::Debug,
                "info" => LogLevel::Info,
                "warn" => LogLevel::Warn,
                "error" => LogLevel::Error,
                "critical" => LogLevel::Critical,
                _ => return None,
            };
            (!text.is_empty()).then(|| Statement::Log(level, text.into()))
        }
        _ => {
            let (side, operation) = verb.split_once('.')?;
            let (name, value) = word(rest);
            if name.is_empty() || value.is_empty() != (operation == "remove") {
                return None;
            }
            let edit = match operation {
                "add" => Edit::Add(name.into(), parts(value)?),
                "replace" => Edit::Replace(name.into(), parts(value)?),
                "remove" => Edit::Remove(name.into()),
                _ => return None,
            };
            match side {
                "request" => Some(Statement::Request(edit)),
                "response" => Some(Statement::Response(edit)),
                _ => None,
            }
        }
    }
}

/// None when a `%{` is not closed.
fn parts(mut value: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    while let Some((text, rest)) = value.split_once("%{") {
        let (name, rest) = rest.split_once('}')?;
        parts.push(Part::Text(text.into()));
        parts.push(Part::RequestHeader(name.into()));
        value = rest;
    }
    parts.push(Part::Text(value.into()));
    Some(parts)
}
