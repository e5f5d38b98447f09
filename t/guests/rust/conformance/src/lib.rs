//! Guest `conformance`: runs a script in every callback of a stream, and traces each callback with its arguments and
//! each statement with its result, as log lines that the comparison with Envoy reads. The grammar is in
//! t/guests/README.md.

use abi::{INFO, OK, PLUGIN_CONFIGURATION, REQUEST_HEADERS};
use operations::{Outcome, printable, word};
use std::cell::RefCell;
use std::collections::BTreeMap;

const REQUEST: i32 = 0;
const RESPONSE: i32 = 1;

/// What a stream, or the root, has to remember.
#[derive(Default)]
struct Context {
    /// 0 for a root.
    root: u32,
    /// The name in the root's configuration.
    name: String,
    /// Callback and statement.
    script: Vec<(String, String)>,
    /// It runs its `@tick` statements at the next tick.
    waits: bool,
    /// What `collect` has read of the two bodies.
    collected: [Vec<u8>; 2],
    /// The body callbacks have begun.
    begun: [bool; 2],
}

thread_local! {
    static CONTEXTS: RefCell<BTreeMap<u32, Context>> = const { RefCell::new(BTreeMap::new()) };
}

fn with<T: Default>(id: u32, work: impl FnOnce(&mut Context) -> T) -> T {
    CONTEXTS.with_borrow_mut(|contexts| contexts.get_mut(&id).map(work).unwrap_or_default())
}

/// `@CALLBACK STATEMENT; ...`; without a callback it is `@request-headers`.
fn parse(text: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(text);
    let statements = text.split([';', '\n']).map(str::trim).filter(|statement| !statement.is_empty());
    statements
        .map(|statement| match word(statement) {
            (when, rest) if when.starts_with('@') => (when[1..].into(), rest.into()),
            _ => ("request-headers".into(), statement.into()),
        })
        .collect()
}

/// Logs a line of the trace. Servers cut long ones, so it goes in pieces: the first begins with =, others with +.
fn trace(id: u32, line: &str) {
    let name = with(id, |context| context.name.clone());
    let line = line.replace('|', "\\x7c");
    for (number, piece) in line.as_bytes().chunks(1000).enumerate() {
        let mark: &[u8] = if number == 0 { b"=" } else { b"+" };
        abi::log(INFO, &[b"trace|", name.as_bytes(), b"|", mark, piece, b"|."].concat());
    }
}

/// Runs the statements for this callback.
fn run(id: u32, when: &str, stream: i32, outcome: &mut Outcome) {
    let statements: Vec<String> = with(id, |context| {
        context.script.iter().filter(|(callback, _)| callback == when).map(|(_, text)| text.clone()).collect()
    });
    for text in statements {
        match own(id, &text) {
            Some(None) => {}
            Some(Some(result)) => trace(id, &format!("{text} -> {result}")),
            None => {
                let root = with(id, |context| context.root);
                let actual = text.replace("$root", &root.to_string()).replace("$id", &id.to_string());
                if let Some(result) = operations::run(&actual, stream, outcome) {
                    trace(id, &format!("{text} -> {result}"));
                }
            }
        }
    }
}

/// The statements that only this guest has. None: it is another one; Some(None): it has nothing to tell.
fn own(id: u32, text: &str) -> Option<Option<String>> {
    let (verb, rest) = word(text);
    match verb {
        "list" => {
            let map = rest.parse().ok()?;
            let (status, bytes) = abi::get_pairs(map);
            let pairs = abi::decode_pairs(&bytes);
            trace(id, &format!("{text} -> {status} {}", if pairs.is_some() { "well formed" } else { "malformed" }));
            for (name, value) in pairs.unwrap_or_default() {
                trace(id, &format!("* {}: {}", printable(name), printable(value)));
            }
        }
        "wait" => with(id, |context| context.waits = true),
        "collect" => {
            let body = rest.parse::<usize>().ok().filter(|body| *body < 2)?;
            let (status, bytes) = abi::get_buffer(body as i32, 0, -1);
            if status == OK {
                with(id, |context| context.collected[body].extend_from_slice(&bytes));
            }
        }
        "collected" => {
            let body = rest.parse::<usize>().ok().filter(|body| *body < 2)?;
            let bytes = with(id, |context| context.collected[body].clone());
            let sum = bytes
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
            let beginning = printable(&bytes[..bytes.len().min(100)]);
            return Some(Some(format!("{} bytes, sum {sum:016x}, {beginning}", bytes.len())));
        }
        _ => return None,
    }
    Some(None)
}

/// A callback whose result is an action.
fn act(id: u32, whens: &[&str], stream: i32) -> i32 {
    let mut outcome = Outcome::default();
    for when in whens {
        run(id, when, stream, &mut outcome);
    }
    if outcome.action != 0 {
        trace(id, &format!("< {}", outcome.action));
    }
    outcome.action
}

/// Whether the number of headers that a callback is told is that of the pairs that the map has.
fn counted(map: i32, told: u32) -> String {
    let (status, pairs) = abi::get_pairs(map);
    match abi::decode_pairs(&pairs).map(|pairs| pairs.len()) {
        Some(pairs) if status == OK && pairs == told as usize => "counted".into(),
        pairs => format!("count {told}, pairs {status} {pairs:?}"),
    }
}

fn body(id: u32, name: &str, stream: i32, size: u32, end: u32) -> i32 {
    trace(id, &format!("> {name} size={size} eos={end}"));
    let begun = with(id, |context| std::mem::replace(&mut context.begun[stream as usize], true));
    let mut whens = vec![name.to_string()];
    whens.extend((!begun).then(|| format!("{name}-first")));
    whens.push(format!("{name}-{}", if end == 0 { "more" } else { "end" }));
    act(id, &whens.iter().map(String::as_str).collect::<Vec<_>>(), stream)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    let name = with(root, |root| root.name.clone());
    CONTEXTS.with_borrow_mut(|contexts| contexts.insert(id, Context { root, name, ..Context::default() }));
    if root != 0 {
        let script = with(root, |root| root.script.clone());
        with(id, |context| context.script = script);
        trace(id, "> create");
        run(id, "create", REQUEST, &mut Outcome::default());
    }
}

/// The configuration is a script too; `name NAME` in it names the filter. Streams run it before their own.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(id: u32, size: u32) -> i32 {
    let (status, text) = abi::get_buffer(PLUGIN_CONFIGURATION, 0, -1);
    let mut script = parse(&text);
    let name = script.iter().find_map(|(_, text)| text.strip_prefix("name ")).unwrap_or("?").to_string();
    script.retain(|(_, text)| !text.starts_with("name "));
    with(id, |context| {
        context.name = name;
        context.script = script;
    });
    trace(
        id,
        &format!("> configure size={} status={status}", if size as usize == text.len() { "right" } else { "wrong" }),
    );
    let mut outcome = Outcome::default();
    run(id, "configure", REQUEST, &mut outcome);
    outcome.answer.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_tick(root: u32) {
    let waiting: Vec<u32> = CONTEXTS.with_borrow(|contexts| {
        let of_root = contexts.iter().filter(|(_, context)| context.root == root);
        of_root.filter(|(_, context)| context.waits).map(|(id, _)| *id).collect()
    });
    for id in waiting {
        with(id, |context| context.waits = false);
        // SAFETY: the host checks the number.
        let status = unsafe { abi::raw::set_effective_context(id as i32) };
        trace(id, &format!("> tick effective={status}"));
        run(id, "tick", REQUEST, &mut Outcome::default());
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(id: u32, count: u32, end: u32) -> i32 {
    let header = with(id, |context| format!("x-{}", context.name));
    let (status, text) = abi::get_value(REQUEST_HEADERS, header.as_bytes());
    if status == OK {
        with(id, |context| context.script.extend(parse(&text)));
    }
    trace(id, &format!("> request-headers eos={end} {}", counted(REQUEST_HEADERS, count)));
    act(id, &["request-headers"], REQUEST)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_body(id: u32, size: u32, end: u32) -> i32 {
    body(id, "request-body", REQUEST, size, end)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_trailers(id: u32, count: u32) -> i32 {
    trace(id, &format!("> request-trailers {}", counted(1, count)));
    act(id, &["request-trailers"], REQUEST)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(id: u32, count: u32, end: u32) -> i32 {
    trace(id, &format!("> response-headers eos={end} {}", counted(abi::RESPONSE_HEADERS, count)));
    act(id, &["response-headers"], RESPONSE)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_body(id: u32, size: u32, end: u32) -> i32 {
    body(id, "response-body", RESPONSE, size, end)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_trailers(id: u32, count: u32) -> i32 {
    trace(id, &format!("> response-trailers {}", counted(3, count)));
    act(id, &["response-trailers"], RESPONSE)
}

/// Servers end root contexts as well; that is not traced.
fn is_stream(id: u32) -> bool {
    with(id, |context| context.root != 0)
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_done(id: u32) -> i32 {
    let mut outcome = Outcome::default();
    if is_stream(id) {
        trace(id, "> done");
        run(id, "done", RESPONSE, &mut outcome);
    }
    outcome.answer.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_log(id: u32) {
    if is_stream(id) {
        trace(id, "> log");
        run(id, "log", RESPONSE, &mut Outcome::default());
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(id: u32) {
    if is_stream(id) {
        trace(id, "> delete");
        run(id, "delete", RESPONSE, &mut Outcome::default());
    }
    CONTEXTS.with_borrow_mut(|contexts| contexts.remove(&id));
}
