//! Guest `probe`: runs the host calls that its configuration or the request header `x-probe` asks for, and reports
//! each result with its plain status. The grammar is in t/guests/README.md.

use abi::{INFO, OK, PAUSE, PLUGIN_CONFIGURATION, REQUEST_HEADERS, RESPONSE_HEADERS, VM_CONFIGURATION};
use operations::Outcome;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The callback in which a statement runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    Create,
    VmStart,
    Configure,
    Request,
    Response,
    Done,
    Log,
    Delete,
}

#[derive(Clone)]
struct Statement {
    when: When,
    text: String,
}

struct Context {
    root: u32,
    statements: Vec<Statement>,
    /// The request header has been looked at.
    header_read: bool,
}

thread_local! {
    static CONTEXTS: RefCell<BTreeMap<u32, Context>> = const { RefCell::new(BTreeMap::new()) };
}

fn parse(text: &[u8]) -> Vec<Statement> {
    let text = String::from_utf8_lossy(text);
    text.split([';', '\n']).map(str::trim).filter(|text| !text.is_empty()).map(statement).collect()
}

fn statement(text: &str) -> Statement {
    let (when, rest) = match text.split_once(' ') {
        Some((word, rest)) if word.starts_with('@') => (word, rest.trim_start()),
        _ => ("", text),
    };
    let when = match when {
        "@create" => When::Create,
        "@vm_start" => When::VmStart,
        "@configure" => When::Configure,
        "" | "@request" => When::Request,
        "@response" => When::Response,
        "@done" => When::Done,
        "@log" => When::Log,
        "@delete" => When::Delete,
        // Runs as an unknown statement, and is reported as such.
        _ => {
            return Statement { when: When::Request, text: text.into() };
        }
    };
    Statement { when, text: rest.into() }
}

/// The statements of this context for this callback: those of its root's configuration, then those of the request.
fn statements(id: u32, when: When) -> Vec<Statement> {
    CONTEXTS.with_borrow_mut(|contexts| {
        let mut found = Vec::new();
        if let Some(context) = contexts.get_mut(&id) {
            if context.root != 0 && !context.header_read && when != When::Create {
                let (status, text) = abi::get_value(REQUEST_HEADERS, b"x-probe");
                if status == OK {
                    context.header_read = true;
                    context.statements = parse(&text);
                }
            }
            let root = context.root;
            found.clone_from(&context.statements);
            if let Some(root) = contexts.get(&root) {
                found.splice(0..0, root.statements.iter().cloned());
            }
        }
        found.retain(|statement| statement.when == when);
        found
    })
}

/// The statements for a callback that comes before on_configure: those of the VM's configuration, and of the
/// plugin's where the host already gives it.
fn early(when: When) -> Vec<Statement> {
    let mut found = parse(&abi::get_buffer(VM_CONFIGURATION, 0, -1).1);
    found.extend(parse(&abi::get_buffer(PLUGIN_CONFIGURATION, 0, -1).1));
    found.retain(|statement| statement.when == when);
    found
}

fn log(line: &str) {
    abi::log(INFO, format!("probe: {line}").as_bytes());
}

/// Runs statements in their order. Lines are the results.
fn run(statements: &[Statement], when: When) -> (Outcome, Vec<String>) {
    let mut outcome = Outcome::default();
    let mut lines = Vec::new();
    for statement in statements {
        let result = if statement.text == "raw clear_route_cache" {
            // SAFETY: it has no arguments.
            Some(unsafe { abi::of_0_1_0::clear_route_cache() }.to_string())
        } else {
            operations::run(&statement.text, (when == When::Response).into(), &mut outcome)
        };
        if let Some(result) = result {
            lines.push(format!("{} -> {result}", statement.text));
        }
    }
    (outcome, lines)
}

/// Runs the statements of a callback whose results go to the log.
fn run_and_log(statements: &[Statement], when: When) -> Outcome {
    let (outcome, lines) = run(statements, when);
    lines.iter().for_each(|line| log(line));
    outcome
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    let context = Context { root, statements: Vec::new(), header_read: false };
    CONTEXTS.with_borrow_mut(|contexts| contexts.insert(id, context));
    let statements = if root == 0 { early(When::Create) } else { statements(id, When::Create) };
    run_and_log(&statements, When::Create);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_vm_start(_id: u32, _size: u32) -> i32 {
    run_and_log(&early(When::VmStart), When::VmStart).answer.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(id: u32, _size: u32) -> i32 {
    let (_, text) = abi::get_buffer(PLUGIN_CONFIGURATION, 0, -1);
    CONTEXTS.with_borrow_mut(|contexts| {
        if let Some(context) = contexts.get_mut(&id) {
            context.statements = parse(&text);
        }
    });
    run_and_log(&statements(id, When::Configure), When::Configure).answer.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(id: u32, _count: u32, _end: u32) -> i32 {
    let (outcome, lines) = run(&statements(id, When::Request), When::Request);
    if !outcome.report {
        lines.iter().for_each(|line| log(line));
        return outcome.action;
    }
    let body: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    operations::respond(200, body.as_bytes(), &[(b"content-type", b"text/plain")]);
    PAUSE
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_response_headers(id: u32, _count: u32, _end: u32) -> i32 {
    let (outcome, lines) = run(&statements(id, When::Response), When::Response);
    lines.iter().for_each(|line| log(line));
    if !lines.is_empty() {
        let (name, value) = ("x-probe-result", lines.join(" | "));
        let ((name, name_size), (value, size)) = (abi::address(name.as_bytes()), abi::address(value.as_bytes()));
        unsafe { abi::raw::replace_header_map_value(RESPONSE_HEADERS, name, name_size, value, size) };
    }
    outcome.action
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_done(id: u32) -> i32 {
    run_and_log(&statements(id, When::Done), When::Done).answer.into()
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_log(id: u32) {
    run_and_log(&statements(id, When::Log), When::Log);
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_delete(id: u32) {
    run_and_log(&statements(id, When::Delete), When::Delete);
    CONTEXTS.with_borrow_mut(|contexts| contexts.remove(&id));
}
