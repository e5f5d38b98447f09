//! Guest `shared`: metrics, shared data and shared queues, through the Rust SDK, which panics at every status that it does not
//! expect. Statements, separated by `;`, come from the plugin configuration (run in on_configure, results in the log) and
//! from the request header `x-shared` (run in on_request_headers, results in the body of a local response, a line each).
//!
//! `define counter|gauge|histogram NAME`, `define-long LENGTH`, `add NAME N`, `record NAME N`, `get NAME`;
//! `set KEY VALUE [CAS]`, `set-size KEY LENGTH`, `read KEY`, `read-size KEY`;
//! `register QUEUE`, `resolve VM QUEUE`, `push QUEUE MESSAGE`, `push-size QUEUE LENGTH`, `fill QUEUE`, `pop QUEUE`.
//! NAME and QUEUE may be numbers. on_queue_ready takes a message and logs it, unless the queue is `quiet`; at the message
//! `trap` it panics.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

/// Numbers of metrics and queues, by name.
type Numbers = Rc<RefCell<HashMap<String, u32>>>;

#[derive(Default)]
struct Root {
    metrics: Numbers,
    queues: Numbers,
}

fn number(numbers: &Numbers, name: &str) -> u32 {
    name.parse().unwrap_or_else(|_| numbers.borrow().get(name).copied().unwrap_or_default())
}

fn told<T: Debug, E: Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(err) => format!("{err:?}"),
    }
}

fn text(bytes: Option<Vec<u8>>) -> String {
    bytes.map_or("none".into(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn run(root: &Root, statement: &str) -> String {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let size = |word: &str| word.parse::<usize>().unwrap_or_default();
    match words[..] {
        ["define", kind, name] => {
            let kind = match kind {
                "counter" => MetricType::Counter,
                "gauge" => MetricType::Gauge,
                _ => MetricType::Histogram,
            };
            let id = hostcalls::define_metric(kind, name).unwrap();
            root.metrics.borrow_mut().insert(name.into(), id);
            id.to_string()
        }
        ["define-long", length] => {
            let id = hostcalls::define_metric(MetricType::Counter, &"n".repeat(size(length))).unwrap();
            root.metrics.borrow_mut().insert("long".into(), id);
            id.to_string()
        }
        ["add", name, by] => told(hostcalls::increment_metric(number(&root.metrics, name), by.parse().unwrap())),
        ["record", name, value] => told(hostcalls::record_metric(number(&root.metrics, name), value.parse().unwrap())),
        ["get", name] => told(hostcalls::get_metric(number(&root.metrics, name))),
        ["set", key, value] => told(hostcalls::set_shared_data(key, Some(value.as_bytes()), None)),
        ["set", key, value, cas] => {
            told(hostcalls::set_shared_data(key, Some(value.as_bytes()), Some(cas.parse().unwrap())))
        }
        ["set-size", key, length] => told(hostcalls::set_shared_data(key, Some(&vec![b'v'; size(length)]), None)),
        ["read", key] => match hostcalls::get_shared_data(key).unwrap() {
            (value, cas) => format!("{} {}", text(value), cas.map_or("none".into(), |cas| cas.to_string())),
        },
        ["read-size", key] => hostcalls::get_shared_data(key).unwrap().0.map_or(0, |value| value.len()).to_string(),
        ["register", name] => {
            let id = hostcalls::register_shared_queue(name).unwrap();
            root.queues.borrow_mut().insert(name.into(), id);
            id.to_string()
        }
        ["resolve", vm, name] => {
            let id = hostcalls::resolve_shared_queue(vm, name).unwrap();
            id.inspect(|id| drop(root.queues.borrow_mut().insert(name.into(), *id)));
            format!("{id:?}")
        }
        ["push", name, message] => {
            told(hostcalls::enqueue_shared_queue(number(&root.queues, name), Some(message.as_bytes())))
        }
        ["push-size", name, length] => {
            told(hostcalls::enqueue_shared_queue(number(&root.queues, name), Some(&vec![b'm'; size(length)])))
        }
        ["fill", name] => {
            let queue = number(&root.queues, name);
            let mut count = 0;
            while count < 100_000 && hostcalls::enqueue_shared_queue(queue, Some(&[b'm'; 1000])).is_ok() {
                count += 1;
            }
            format!("full after {}", if count > 0 && count < 100_000 { "some" } else { "none" })
        }
        ["pop", name] => match hostcalls::dequeue_shared_queue(number(&root.queues, name)) {
            Ok(message) => text(message),
            Err(err) => format!("{err:?}"),
        },
        _ => format!("unknown statement {statement}"),
    }
}

fn run_all<'a>(root: &'a Root, statements: &'a str) -> impl Iterator<Item = String> + 'a {
    statements
        .split(';')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| format!("{text} -> {}", run(root, text)))
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        run_all(self, &String::from_utf8_lossy(&configuration)).for_each(|line| log::info!("{line}"));
        true
    }

    fn on_queue_ready(&mut self, queue: u32) {
        let name = self.queues.borrow().iter().find(|(_, id)| **id == queue).map(|(name, _)| name.clone());
        if name.as_deref() == Some("quiet") {
            return log::info!("ready quiet");
        }
        let message = text(hostcalls::dequeue_shared_queue(queue).unwrap());
        log::info!("ready {}: {message}", name.unwrap_or_default());
        if message == "trap" {
            panic!("{message}");
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(Root { metrics: self.metrics.clone(), queues: self.queues.clone() })))
    }
}

struct Stream(Root);

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let Some(statements) = self.get_http_request_header("x-shared") else { return Action::Continue };
        let body: String = run_all(&self.0, &statements).map(|line| line + "\n").collect();
        self.send_http_response(200, vec![], Some(body.as_bytes()));
        Action::Pause
    }
}
