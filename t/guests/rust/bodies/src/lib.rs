//! Guest `bodies`: looks at bodies and trailers, changes them, holds them back and answers in their place, as its
//! configuration says. The grammar is in t/guests/README.md.

mod statement;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType};

use statement::{Place, Statement, Verb};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

/// What waits for a tick: the context, and the statement to run for it.
type Waiting = Rc<RefCell<Vec<(u32, Statement)>>>;

#[derive(Default)]
struct Root {
    statements: Rc<Vec<Statement>>,
    quiet: bool,
    waiting: Waiting,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let mut statements = Vec::new();
        for line in String::from_utf8_lossy(&text).split([';', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once(' ') {
                Some(("tick", period)) if period.parse::<u64>().is_ok() => {
                    self.set_tick_period(Duration::from_millis(period.parse().unwrap()));
                }
                None if line == "quiet" => self.quiet = true,
                _ => match Statement::parse(line) {
                    Some(statement) => statements.push(statement),
                    None => {
                        hostcalls::log(LogLevel::Error, &format!("bad statement: {line}")).unwrap();
                        return false;
                    }
                },
            }
        }
        self.statements = Rc::new(statements);
        true
    }

    fn on_tick(&mut self) {
        for (context, statement) in self.waiting.take() {
            // The stream may have ended since.
            if hostcalls::set_effective_context(context).is_err() {
                continue;
            }
            log::info!("tick: {statement:?}");
            run(&statement.verb, statement.place, true);
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            id,
            statements: self.statements.clone(),
            waiting: self.waiting.clone(),
            quiet: self.quiet,
            calls: HashMap::new(),
            sums: HashMap::new(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    id: u32,
    statements: Rc<Vec<Statement>>,
    waiting: Waiting,
    quiet: bool,
    /// How often a callback has run.
    calls: HashMap<Place, u32>,
    /// Bytes that `sum` has counted, and a number made of them.
    sums: HashMap<Place, (u64, u32)>,
}

impl Context for Stream {}

impl Stream {
    /// Logs a callback and runs its statements.
    fn callback(&mut self, place: Place, size: usize, end: bool) -> Action {
        if !self.quiet {
            log::info!("{} {size}{}", place.name(), if end { " end" } else { "" });
        }
        let calls = self.calls.entry(place).or_default();
        *calls += 1;
        let calls = *calls;
        let mut action = Action::Continue;
        for statement in self.statements.clone().iter().filter(|statement| statement.place == place) {
            if statement.only_end && !end || statement.call.is_some_and(|wanted| wanted != calls) {
                continue;
            }
            match &statement.verb {
                _ if statement.at_tick => self.waiting.borrow_mut().push((self.id, statement.clone())),
                Verb::Hold => action = Action::Pause,
                Verb::HoldUntilEnd => {
                    if !end {
                        action = Action::Pause;
                    }
                }
                Verb::Sum => self.sum(place, end),
                verb => {
                    if run(verb, place, end) {
                        return Action::Pause;
                    }
                }
            }
        }
        action
    }

    fn sum(&mut self, place: Place, end: bool) {
        let bytes = body(place);
        let (count, number) = self.sums.entry(place).or_default();
        *count += bytes.len() as u64;
        for byte in bytes {
            *number = number.rotate_left(5) ^ u32::from(byte);
        }
        if end {
            log::info!("{} sum {count} {number:08x}", place.name());
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, end: bool) -> Action {
        // How many headers there are depends on the client.
        self.callback(Place::RequestHeaders, count.min(1), end)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.callback(Place::RequestBody, size, end)
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.callback(Place::RequestTrailers, count, true)
    }

    fn on_http_response_headers(&mut self, count: usize, end: bool) -> Action {
        self.callback(Place::ResponseHeaders, count.min(1), end)
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.callback(Place::ResponseBody, size, end)
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        self.callback(Place::ResponseTrailers, count, true)
    }

    fn on_log(&mut self) {
        self.callback(Place::Log, 0, true);
    }
}

fn buffer(place: Place) -> BufferType {
    if place.is_request() { BufferType::HttpRequestBody } else { BufferType::HttpResponseBody }
}

/// All that the filter can see of the body.
fn body(place: Place) -> Vec<u8> {
    hostcalls::get_buffer(buffer(place), 0, usize::MAX).unwrap().unwrap_or_default()
}

fn set(place: Place, start: usize, size: usize, bytes: &[u8]) {
    hostcalls::set_buffer(buffer(place), start, size, bytes).unwrap();
}

fn map(name: &str) -> MapType {
    match name {
        "request" => MapType::HttpRequestHeaders,
        "request-trailers" => MapType::HttpRequestTrailers,
        "response" => MapType::HttpResponseHeaders,
        _ => MapType::HttpResponseTrailers,
    }
}

/// Runs one statement. True: it has answered, so nothing comes after it.
fn run(verb: &Verb, place: Place, end: bool) -> bool {
    match verb {
        // A tick cannot hold anything.
        Verb::Hold | Verb::HoldUntilEnd | Verb::Sum => {}
        Verb::Prepend(text) => set(place, 0, 0, text.as_bytes()),
        Verb::Append(text) => set(place, usize::MAX, 0, text.as_bytes()),
        Verb::Replace(text) => set(place, 0, usize::MAX, text.as_bytes()),
        Verb::Range(start, size, text) => set(place, *start, *size, text.as_bytes()),
        Verb::Fill(size) => set(place, 0, usize::MAX, &vec![b'x'; *size]),
        Verb::Upper => {
            let upper = body(place).to_ascii_uppercase();
            set(place, 0, usize::MAX, &upper);
        }
        Verb::Show => log::info!("{} body \"{}\"", place.name(), body(place).escape_ascii()),
        Verb::Resume if place.is_request() => hostcalls::resume_http_request().unwrap(),
        Verb::Resume => hostcalls::resume_http_response().unwrap(),
        Verb::Close if place.is_request() => hostcalls::reset_http_request().unwrap(),
        Verb::Close => hostcalls::reset_http_response().unwrap(),
        Verb::Trap => panic!("told to trap in {}{}", place.name(), if end { " end" } else { "" }),
        Verb::Respond(status, text) => {
            hostcalls::send_http_response(*status, vec![("x-answered", place.name())], Some(text.as_bytes())).unwrap();
            return true;
        }
        Verb::RespondIf(word, status, text) => {
            if body(place).windows(word.len()).any(|window| window == word.as_bytes()) {
                hostcalls::send_http_response(*status, vec![("x-answered", place.name())], Some(text.as_bytes()))
                    .unwrap();
                return true;
            }
        }
        Verb::Add(name, key, value) => hostcalls::add_map_value(map(name), key, value).unwrap(),
        Verb::Set(name, key, value) => hostcalls::set_map_value(map(name), key, Some(value)).unwrap(),
        Verb::Remove(name, key) => hostcalls::remove_map_value(map(name), key).unwrap(),
        Verb::Get(name, key) => {
            let value = hostcalls::get_map_value(map(name), key).unwrap();
            log::info!("{} get {name} {key}: {}", place.name(), value.as_deref().unwrap_or("none"));
        }
        Verb::Size => {
            let size = body(place).len();
            log::info!("{} holds {size}", place.name());
        }
    }
    false
}
