//! What a log can say about the filters of a request: `$wasm_error`, `$wasm_time`, `$wasm_fuel`. Subrequests, error pages and
//! internal redirects speak of the main request.
//!
//! Reading a clock for each callback costs something, so `$wasm_time` is measured only if the configuration names it.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use nginx_sys::{ngx_http_request_t, ngx_http_variable_value_t, ngx_int_t};
use ngx_wasm::proxy_wasm::{CallError, ContextId};
use ngx_wasm::vm::Trap;

use crate::http::request::{Request, Run};
use crate::nginx::callback::callback;
use crate::nginx::request::HttpRequest;
use crate::nginx::value::VariableValue;
use crate::nginx::variables::Getter;
use crate::nginx::{log, rc};

/// The variables, which nginx must know before it reads what may name them.
pub const VARIABLES: [(&CStr, Getter); 3] = [(c"wasm_error", error), (c"wasm_time", time), (c"wasm_fuel", fuel)];

/// What is known about the filters of a request.
#[derive(Default)]
pub struct Report {
    /// The first failure.
    error: Option<Box<str>>,
    /// How long callbacks have run.
    time: Duration,
    /// What each filter with `wasm_fuel` has used: its place, generation and context, and units.
    fuel: Vec<(usize, u64, ContextId, u64)>,
}

/// Notes that a filter has failed in a request, unless one has failed before. `why` is short and without quotes.
pub fn keep_error(request: &Request, filter: &[u8], why: &str) {
    with_main(request, |report| {
        let text = || format!("{}: {why}", log::printable(&String::from_utf8_lossy(filter))).into_boxed_str();
        report.error.get_or_insert_with(text);
    });
}

/// Notes that a callback has failed.
pub fn note_failure(request: &Request, filter: &[u8], err: &CallError) {
    let why = match err {
        CallError::Trap { trap: Trap::Timeout(_), .. } => "timeout",
        CallError::Trap { trap: Trap::OutOfFuel, .. } => "out of fuel",
        CallError::Trap { .. } => "trap",
        CallError::Dead => "gone",
    };
    keep_error(request, filter, why);
}

/// Notes how much fuel all callbacks of a filter about the request have used together, if that is counted.
pub fn note_fuel(request: &Request, run: Run, used: Option<u64>) {
    let Some(used) = used else { return };
    let key = (run.filter, run.generation, run.context);
    with_main(request, |report| match report.fuel.iter_mut().find(|known| (known.0, known.1, known.2) == key) {
        Some(known) => known.3 = used,
        None => report.fuel.push((key.0, key.1, key.2, used)),
    });
}

/// Runs something about a request, and measures how long it takes if anybody wants to know.
pub fn measured<R>(request: &Request, run: impl FnOnce() -> R) -> R {
    if !request.main.measures_time {
        return run();
    }
    let begin = Instant::now();
    let result = run();
    with_main(request, |report| report.time += begin.elapsed());
    result
}

/// Looks at the report of the main request. Filters that Lua runs in a subrequest may be the first of all.
#[inline]
fn with_main(request: &Request, look: impl FnOnce(&mut Report)) {
    let r = request.r();
    if r.is_main() {
        return look(&mut request.report.borrow_mut());
    }
    let of_main = Request::of(r.main()).or_else(|| Request::create(r.main()));
    if let Some(request) = of_main {
        look(&mut request.report.borrow_mut());
    }
}

callback! {
    fn error(r: HttpRequest<'_> = *mut ngx_http_request_t, value: VariableValue = *mut ngx_http_variable_value_t, _data: usize = usize) -> ngx_int_t,
    otherwise rc::ERROR => get_error
}

callback! {
    fn time(r: HttpRequest<'_> = *mut ngx_http_request_t, value: VariableValue = *mut ngx_http_variable_value_t, _data: usize = usize) -> ngx_int_t,
    otherwise rc::ERROR => get_time
}

callback! {
    fn fuel(r: HttpRequest<'_> = *mut ngx_http_request_t, value: VariableValue = *mut ngx_http_variable_value_t, _data: usize = usize) -> ngx_int_t,
    otherwise rc::ERROR => get_fuel
}

fn get_error(r: HttpRequest<'_>, value: VariableValue, _: usize) -> ngx_int_t {
    answer(r, value, |request| request.report.borrow().error.as_deref().map(str::to_owned))
}

fn get_time(r: HttpRequest<'_>, value: VariableValue, _: usize) -> ngx_int_t {
    answer(r, value, |request| {
        let time = request.report.borrow().time;
        let has_filters = request.has_filters() || !time.is_zero();
        (request.main.measures_time && has_filters).then(|| format!("{}.{:06}", time.as_secs(), time.subsec_micros()))
    })
}

fn get_fuel(r: HttpRequest<'_>, value: VariableValue, _: usize) -> ngx_int_t {
    answer(r, value, |request| {
        let used = &request.report.borrow().fuel;
        (!used.is_empty()).then(|| used.iter().fold(0u64, |sum, (.., used)| sum.saturating_add(*used)).to_string())
    })
}

/// Fills in the value of a variable, or that it has none.
fn answer(r: HttpRequest<'_>, value: VariableValue, text: impl FnOnce(&Request) -> Option<String>) -> ngx_int_t {
    let text = Request::of(r.main()).and_then(text);
    value.set(r, text.as_deref().map(str::as_bytes))
}
