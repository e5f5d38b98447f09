//! The calls of one context, and what came of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, MetricType};

use crate::report::{self, Event};
use crate::statement::{Options, Statement, decoded};

/// Why a stream waits for its calls.
#[derive(Clone, Copy)]
pub enum Wait {
    Request,
    Response,
    /// It is to be answered, with the report.
    Answer(u32),
    /// proxy_done is due.
    Done,
}

#[derive(Default)]
pub struct Calls {
    pub statements: Rc<Vec<Statement>>,
    /// What has been begun and not ended, by the number that the host gave.
    open: HashMap<u32, String>,
    /// The numbers of all, by name: also of those that have ended.
    tokens: HashMap<String, u32>,
    events: Vec<Event>,
    /// How often each callback has run.
    runs: HashMap<String, u32>,
    pub wait: Option<Wait>,
    pub fails: bool,
    is_brief: bool,
}

pub type Shared = Rc<RefCell<Calls>>;

/// Counts in a metric that all workers share.
fn count(metric: &str) {
    let metric = hostcalls::define_metric(MetricType::Counter, metric).unwrap();
    hostcalls::increment_metric(metric, 1).unwrap();
}

fn status() -> (u32, String) {
    let (code, message) = hostcalls::get_grpc_status().unwrap();
    (code, message.unwrap_or_default())
}

fn map(kind: MapType) -> Vec<(String, Vec<u8>)> {
    hostcalls::get_map_bytes(kind).unwrap()
}

fn buffer(kind: BufferType) -> Vec<u8> {
    hostcalls::get_buffer(kind, 0, usize::MAX).unwrap().unwrap_or_default()
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn borrowed_bytes(pairs: &[(String, String)]) -> Vec<(&str, &[u8])> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

impl Calls {
    pub fn new(statements: Rc<Vec<Statement>>) -> Self {
        Self { statements, ..Self::default() }
    }

    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub fn report(&self) -> String {
        report::json(&self.events, self.open.len())
    }

    fn note(&mut self, mut event: Event) {
        log::info!("{}", event.line());
        if self.is_brief {
            event.shorten();
        }
        self.events.push(event);
    }

    /// Runs the statements for a callback. `direction`: what `wait` is about there.
    pub fn run(&mut self, place: &str, direction: Wait) {
        let statements = self.statements.clone();
        let runs = self.runs.entry(place.to_owned()).or_default();
        *runs += 1;
        let numbered = format!("{place}#{runs}");
        for statement in statements.iter().filter(|statement| statement.place == place || statement.place == numbered) {
            self.run_one(statement, direction);
        }
    }

    fn run_one(&mut self, statement: &Statement, direction: Wait) {
        let name = statement.word(0);
        match statement.verb.as_str() {
            "call" | "bare" | "grpc" | "stream" => self.begin(statement),
            "send" => {
                let message = decoded(statement.word(1)).into_bytes();
                self.send(name, Some(&message), statement.word(2) == "end");
            }
            "finish" => self.send(name, None, true),
            "cancel" => self.end(name, "cancelled", hostcalls::cancel_grpc_stream),
            "cancel-call" => self.end(name, "cancelled", hostcalls::cancel_grpc_call),
            "close" => hostcalls::close_grpc_stream(self.tokens[name]).unwrap(),
            "wait" => self.wait = Some(direction),
            "answer" => self.wait = Some(Wait::Answer(name.parse().expect("a status"))),
            "status" => {
                let status = status();
                self.note(Event { name: "-".to_owned(), kind: "status", status, ..Event::default() });
            }
            "set" => {
                let kind = if name == "request" { MapType::HttpRequestHeaders } else { MapType::HttpResponseHeaders };
                let value = decoded(statement.word(2));
                hostcalls::set_map_value(kind, statement.word(1), Some(&value)).unwrap();
            }
            "log" => log::info!("{}", statement.words.join(" ")),
            "resume" => hostcalls::resume_http_request().unwrap(),
            "trap" => panic!("told to trap in {}", statement.place),
            "loop" => loop {
                std::hint::black_box(());
            },
            "fail" => self.fails = true,
            "brief" => self.is_brief = true,
            // The root's.
            "tick" | "answer-tick" | "wait-tick" => {}
            verb => panic!("unknown statement {verb}"),
        }
    }

    fn begin(&mut self, statement: &Statement) {
        let (name, target) = (statement.word(0), decoded(statement.word(1)));
        let http = matches!(statement.verb.as_str(), "call" | "bare");
        let fixed = if statement.verb == "bare" { 2 } else { 4 };
        let options = Options::of(&statement.words[fixed.min(statement.words.len())..], &target);
        let timeout = Duration::from_millis(options.timeout);
        let body = options.body.as_deref();
        for number in 1..=options.times {
            let name = if options.times > 1 { format!("{name}{number}") } else { name.to_owned() };
            let (first, second) = (decoded(statement.word(2)), decoded(statement.word(3)));
            let dispatched = if http {
                let mut headers = Vec::new();
                if statement.verb == "call" {
                    headers.extend([(":method", &*first), (":path", &*second), (":authority", &*options.authority)]);
                    headers.extend(options.scheme.as_deref().map(|scheme| (":scheme", scheme)));
                }
                headers.extend(borrowed(&options.headers));
                hostcalls::dispatch_http_call(&target, headers, body, borrowed(&options.trailers), timeout)
            } else {
                let metadata = borrowed_bytes(&options.headers);
                if statement.verb == "grpc" {
                    hostcalls::dispatch_grpc_call(&target, &first, &second, metadata, body, timeout)
                } else {
                    hostcalls::open_grpc_stream(&target, &first, &second, metadata)
                }
            };
            match dispatched {
                Ok(token) => {
                    count("calls_begun");
                    self.tokens.insert(name.clone(), token);
                    let before = self.open.insert(token, name);
                    assert!(before.is_none(), "the number {token} was given twice");
                }
                Err(status) => {
                    let body = format!("{status:?}").into_bytes();
                    log::info!("{name} refused: {status:?}");
                    self.events.push(Event { name, kind: "refused", body, ..Event::default() });
                }
            }
        }
    }

    fn send(&mut self, name: &str, message: Option<&[u8]>, end: bool) {
        let result = hostcalls::send_grpc_stream_message(self.tokens[name], message, end);
        if let Err(status) = result {
            let body = format!("{status:?}").into_bytes();
            self.note(Event { name: name.to_owned(), kind: "not-sent", body, ..Event::default() });
        }
    }

    fn end(&mut self, name: &str, how: &'static str, end: fn(u32) -> Result<(), proxy_wasm::types::Status>) {
        let token = self.tokens[name];
        end(token).unwrap();
        if self.open.remove(&token).is_some() {
            count("calls_ended");
            self.note(Event { name: name.to_owned(), kind: how, ..Event::default() });
        }
    }

    /// The name of a call that something came for. One that has ended is to be heard of no more.
    fn name(&mut self, token: u32, is_end: bool) -> String {
        if !is_end {
            return self.open.get(&token).unwrap_or_else(|| panic!("{token} is not open")).clone();
        }
        count("calls_ended");
        self.open.remove(&token).unwrap_or_else(|| panic!("{token} has ended twice, or never begun"))
    }

    pub fn on_http(&mut self, token: u32, counts: [usize; 3]) -> String {
        let name = self.name(token, true);
        let event = Event {
            name: name.clone(),
            kind: "response",
            counts: counts.to_vec(),
            headers: map(MapType::HttpCallResponseHeaders),
            body: buffer(BufferType::HttpCallResponseBody),
            trailers: map(MapType::HttpCallResponseTrailers),
            status: status(),
        };
        self.note(event);
        name
    }

    pub fn on_grpc(&mut self, token: u32, code: u32, size: usize) -> String {
        let name = self.name(token, true);
        let body = if code == 0 { buffer(BufferType::GrpcReceiveBuffer) } else { Vec::new() };
        let (counts, status) = (vec![code as usize, size], status());
        self.note(Event { name: name.clone(), kind: "grpc", counts, body, status, ..Event::default() });
        name
    }

    pub fn on_initial(&mut self, token: u32, number: usize) -> String {
        let name = self.name(token, false);
        let headers = map(MapType::GrpcReceiveInitialMetadata);
        self.note(Event { name: name.clone(), kind: "initial", counts: vec![number], headers, ..Event::default() });
        name + ":initial"
    }

    pub fn on_message(&mut self, token: u32, size: usize) -> String {
        let name = self.name(token, false);
        let body = buffer(BufferType::GrpcReceiveBuffer);
        self.note(Event { name: name.clone(), kind: "message", counts: vec![size], body, ..Event::default() });
        name + ":message"
    }

    pub fn on_trailing(&mut self, token: u32, number: usize) -> String {
        let name = self.name(token, false);
        let trailers = map(MapType::GrpcReceiveTrailingMetadata);
        self.note(Event { name: name.clone(), kind: "trailing", counts: vec![number], trailers, ..Event::default() });
        name + ":trailing"
    }

    pub fn on_close(&mut self, token: u32, code: u32) -> String {
        let name = self.name(token, true);
        let (counts, status) = (vec![code as usize], status());
        self.note(Event { name: name.clone(), kind: "close", counts, status, ..Event::default() });
        name + ":close"
    }
}
