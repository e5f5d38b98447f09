//! Guest `faulty`: fails as its configuration, or the request header `x-faulty`, says: in which callback, which time, in
//! which of its instances. The grammar is in t/guests/README.md; `statement.rs` reads it, `verbs.rs` has what this guest
//! can do beyond the statements of `probe`.
//!
//! An instance knows its number: shared data counts the starts of the filters of one name, over workers and reloads.

mod statement;
mod verbs;

use std::cell::RefCell;
use std::collections::BTreeMap;

use abi::{INFO, OK, PLUGIN_CONFIGURATION, REQUEST_HEADERS, VM_CONFIGURATION};
use operations::Outcome;
use statement::{Moment, Statement};

#[derive(Default)]
struct Instance {
    name: String,
    /// Which start of the filter this is; 0 until it is known.
    start: u32,
    /// The statements of the configuration.
    statements: Vec<Statement>,
    streams: BTreeMap<u32, Vec<Statement>>,
    /// How many streams there have been.
    created: u32,
    /// How often each callback has come. `any` counts those about streams.
    counts: BTreeMap<&'static str, u32>,
    /// The streams that calls were made for.
    calls: BTreeMap<u32, u32>,
    /// Streams that wait for `release`.
    parked: Vec<u32>,
}

thread_local! {
    static INSTANCE: RefCell<Instance> = RefCell::default();
}

fn log(text: &str) {
    let name = INSTANCE.with_borrow(|instance| instance.name.clone());
    abi::log(INFO, format!("faulty {name}: {text}").as_bytes());
}

/// The statements that are due in this callback, in their order: those of the configuration, then those of the stream.
fn due(callback: &'static str, id: u32) -> Vec<Statement> {
    INSTANCE.with_borrow_mut(|instance| {
        let any = if statement::is_about_streams(callback) { "any" } else { "" };
        let mut moment = Moment { callback, count: 0, any: 0, start: instance.start };
        for (name, number) in [(callback, &mut moment.count), (any, &mut moment.any)] {
            let count = instance.counts.entry(name).or_default();
            *count += 1;
            *number = *count;
        }
        let own = instance.streams.get(&id).into_iter().flatten();
        instance.statements.iter().chain(own).filter(|statement| statement.is_due(&moment)).cloned().collect()
    })
}

/// Runs what is due in a callback about the stream `id` (0 for none), in this direction.
fn run(callback: &'static str, id: u32, direction: i32) -> Outcome {
    let mut outcome = Outcome::default();
    for statement in due(callback, id) {
        if verbs::run(&statement.text, id, direction, &mut outcome) {
            continue;
        }
        if let Some(result) = operations::run(&statement.text, direction, &mut outcome) {
            log(&format!("{} -> {result}", statement.text));
        }
    }
    outcome
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    if root == 0 {
        return;
    }
    INSTANCE.with_borrow_mut(|instance| {
        instance.created += 1;
        instance.streams.insert(id, Vec::new());
    });
    run("create", id, 0);
}

/// What the VM's configuration says holds from here on.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_vm_start(_id: u32, _size: u32) -> i32 {
    configure(&abi::get_buffer(VM_CONFIGURATION, 0, -1).1);
    run("vm-start", 0, 0).answer.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(_id: u32, _size: u32) -> i32 {
    configure(&abi::get_buffer(PLUGIN_CONFIGURATION, 0, -1).1);
    run("configure", 0, 0).answer.into()
}

fn configure(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let (name, statements) = statement::parse(&text);
    let is_unnamed = INSTANCE.with_borrow_mut(|instance| {
        let is_unnamed = instance.start == 0;
        instance.name = name.unwrap_or(std::mem::take(&mut instance.name));
        instance.statements.extend(statements);
        is_unnamed && !instance.name.is_empty()
    });
    if is_unnamed {
        let key = INSTANCE.with_borrow(|instance| format!("faulty.starts.{}", instance.name));
        let start = verbs::increment(key.as_bytes());
        INSTANCE.with_borrow_mut(|instance| instance.start = start);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_tick(_id: u32) {
    run("tick", 0, 0);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_queue_ready(_id: u32, queue: u32) {
    verbs::take_message(queue);
    run("queue-ready", 0, 0);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_http_call_response(_root: u32, call: u32, _headers: u32, _body: u32, _trailers: u32) {
    let id = INSTANCE.with_borrow_mut(|instance| instance.calls.remove(&call)).unwrap_or_default();
    if id != 0 {
        // SAFETY: a number alone. The stream may have gone.
        unsafe { abi::raw::set_effective_context(id as i32) };
    }
    run("call-response", id, 0);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(id: u32, _count: u32, _end: u32) -> i32 {
    let (status, text) = abi::get_value(REQUEST_HEADERS, b"x-faulty");
    if status == OK {
        let (_, statements) = statement::parse(&String::from_utf8_lossy(&text));
        INSTANCE.with_borrow_mut(|instance| instance.streams.insert(id, statements));
    }
    run("request-headers", id, 0).action
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_body(id: u32, _size: u32, _end: u32) -> i32 {
    run("request-body", id, 0).action
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_trailers(id: u32, _count: u32) -> i32 {
    run("request-trailers", id, 0).action
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(id: u32, _count: u32, _end: u32) -> i32 {
    run("response-headers", id, 1).action
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_body(id: u32, _size: u32, _end: u32) -> i32 {
    run("response-body", id, 1).action
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_trailers(id: u32, _count: u32) -> i32 {
    run("response-trailers", id, 1).action
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_done(id: u32) -> i32 {
    run("done", id, 1).answer.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_log(id: u32) {
    run("log", id, 1);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(id: u32) {
    run("delete", id, 1);
    INSTANCE.with_borrow_mut(|instance| {
        instance.streams.remove(&id);
        instance.parked.retain(|parked| *parked != id);
    });
}
