//! Guest `extism`: a plugin for Extism hosts, with the PDK for Rust. Each function takes the request's body, or its envelope in
//! JSON, and does what its name says; t/guests/README.md has them all. None is called as a function of the C library, in whose
//! place it would come.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use extism_pdk::{Error, FnResult, HttpRequest, LogLevel, WithReturnCode, config, extism, http, log, plugin_fn, var};
use serde_json::{Value, json};

#[plugin_fn]
pub fn greet(name: String) -> FnResult<String> {
    Ok(format!("Hello, {name}!"))
}

#[plugin_fn]
pub fn echo(input: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok(input)
}

#[plugin_fn]
pub fn silent(_: Vec<u8>) -> FnResult<()> {
    Ok(())
}

/// The input is the error.
#[plugin_fn]
pub fn fail(input: String) -> FnResult<String> {
    Err(WithReturnCode::new(Error::msg(input), 1))
}

/// Has an output, and then an error.
#[plugin_fn]
pub fn fail_late(input: String) -> FnResult<String> {
    extism_pdk::output("an output that does not count")?;
    Err(WithReturnCode::new(Error::msg(input), 1))
}

/// A code other than 0, and no error.
#[unsafe(no_mangle)]
pub extern "C" fn code() -> i32 {
    7
}

/// An error, and 0.
#[unsafe(no_mangle)]
pub extern "C" fn error_and_zero() -> i32 {
    if let Ok(text) = extism_pdk::Memory::from_bytes("an error, though the code is 0") {
        // SAFETY: a block that has just been made.
        unsafe { extism::error_set(text.offset()) };
    }
    0
}

/// A function that takes arguments is none of a plugin's.
#[unsafe(no_mangle)]
pub extern "C" fn with_arguments(first: i32, second: i32) -> i32 {
    first + second
}

/// The value of the key that the input names.
#[plugin_fn]
pub fn config(key: String) -> FnResult<String> {
    Ok(config::get(&key)?.unwrap_or_else(|| format!("there is no {key}")))
}

/// Counts in a variable of the plugin, and beside it in the instance's memory.
#[plugin_fn]
pub fn vars(_: Vec<u8>) -> FnResult<String> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let count = var::get::<String>("count")?.and_then(|count| count.parse().ok()).unwrap_or(0_u64) + 1;
    var::set("count", count.to_string())?;
    Ok(format!("count {count}, call {}\n", CALLS.fetch_add(1, Relaxed) + 1))
}

/// A variable of that many bytes; then it is removed.
#[plugin_fn]
pub fn large_var(size: String) -> FnResult<String> {
    var::set("large", "v".repeat(number(&size)?))?;
    let kept = var::get::<Vec<u8>>("large")?.map_or(0, |value| value.len());
    var::remove("large")?;
    Ok(format!("kept {kept}, then {:?}\n", var::get::<Vec<u8>>("large")?))
}

/// The input: `METHOD URL`, lines of header fields, an empty line, and a body. The output: the status, the field `x-answer`, and
/// the body.
#[plugin_fn]
pub fn http(input: String) -> FnResult<Vec<u8>> {
    let (head, body) = input.split_once("\n\n").unwrap_or((&input, ""));
    let mut lines = head.lines();
    let (method, url) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or(("GET", head));
    let mut request = HttpRequest::new(url).with_method(method);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.with_header(name, value);
    }
    let response = http::request(&request, (!body.is_empty()).then_some(body))?;
    let field = response.header("x-answer").unwrap_or("none");
    Ok([format!("{} {field}\n", response.status_code()).as_bytes(), &response.body()].concat())
}

/// So many bytes.
#[plugin_fn]
pub fn big(size: String) -> FnResult<Vec<u8>> {
    Ok(vec![b'b'; number(&size)?])
}

fn number(text: &str) -> Result<usize, Error> {
    Ok(text.trim().parse()?)
}

#[unsafe(export_name = "loop")]
pub extern "C" fn run_on() -> i32 {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn trap() -> i32 {
    #[cfg(target_arch = "wasm32")]
    std::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

#[plugin_fn]
pub fn panic(input: String) -> FnResult<String> {
    panic!("{input}")
}

/// Ends the whole program, as functions should not.
#[unsafe(no_mangle)]
pub extern "C" fn leave() -> i32 {
    std::process::exit(5)
}

/// Takes memory until there is none.
#[plugin_fn]
pub fn grow(_: Vec<u8>) -> FnResult<String> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(1 << 20).is_err() {
            break;
        }
        piece.resize(1 << 20, 1);
        kept.push(black_box(piece));
    }
    let size = kept.len();
    drop(kept);
    Ok(format!("no more memory after {size} MiB\n"))
}

/// The input at each level.
#[plugin_fn]
pub fn log_levels(input: String) -> FnResult<()> {
    for level in [LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error] {
        log!(level, "{level:?} {input}");
    }
    Ok(())
}

/// What a file has.
#[plugin_fn]
pub fn read_file(path: String) -> FnResult<String> {
    Ok(std::fs::read_to_string(path)?)
}

/// Takes the envelope of a request, and answers with one that tells what was in it.
#[plugin_fn]
pub fn json(input: String) -> FnResult<String> {
    let request: Value = serde_json::from_str(&input)?;
    // In an order that does not depend on that of the request.
    let headers: BTreeMap<String, Value> = serde_json::from_value(request["headers"].clone())?;
    let seen = json!({
        "method": request["method"], "uri": request["uri"], "headers": headers, "body": request["body"],
        "base64": request["base64"],
    });
    let answer = json!({
        "status": 201,
        "headers": { "content-type": "application/json", "x-twice": ["one", "two"] },
        "body": format!("{seen}\n"),
    });
    Ok(answer.to_string())
}

/// Takes the envelope, and gives the body back as it came.
#[plugin_fn]
pub fn json_echo(input: String) -> FnResult<String> {
    let request: Value = serde_json::from_str(&input)?;
    let kind = request["headers"]["content-type"][0].as_str().unwrap_or("application/octet-stream");
    let answer = json!({
        "status": 200, "headers": { "content-type": kind }, "body": request["body"], "base64": request["base64"],
    });
    Ok(answer.to_string())
}

/// Takes the envelope, and answers with the body in the place of an envelope: whatever the client likes.
#[plugin_fn]
pub fn json_answer(input: String) -> FnResult<String> {
    let request: Value = serde_json::from_str(&input)?;
    Ok(request["body"].as_str().unwrap_or_default().to_owned())
}
