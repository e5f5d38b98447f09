//! What a log can say about the filters of a request, and of what answers it: `$wasm_error`, `$wasm_time`, `$wasm_fuel`. Subrequests,
//! error pages and internal redirects speak of the main request.
//!
//! Reading a clock for each callback costs something, so `$wasm_time` is measured only if the configuration names it.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use nginx_sys::{ngx_http_request_t, ngx_http_variable_value_t, ngx_int_t};
use ngx_wasm::programs::Usage;
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
    /// How long callbacks have run, and the program.
    time: Option<Duration>,
    /// What each filter with `wasm_fuel` has used: its place, generation and context, and units.
    fuel: Vec<(usize, u64, ContextId, u64)>,
    /// What programs have used.
    fuel_of_programs: Option<u64>,
}

/// Notes that a filter has failed in a request, unless one has failed before. `why` is short and without quotes.
pub fn keep_error(request: &Request, filter: &[u8], why: &str) {
    with_main(request, |report| report.keep_error(filter, why));
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
    with_main(request, |report| report.add_time(begin.elapsed()));
    result
}

/// Notes what has become of a program, or a function, that answers a request: why it has failed, if it has, and what it has used.
pub fn note_program(r: HttpRequest<'_>, name: &[u8], why: Option<&str>, used: Usage) {
    if why.is_none() && used.cpu_time.is_none() && used.fuel.is_none() {
        return;
    }
    of_main(r, |report| {
        if let Some(why) = why {
            report.keep_error(name, why);
        }
        used.cpu_time.into_iter().for_each(|time| report.add_time(time));
        if let Some(units) = used.fuel {
            report.fuel_of_programs = Some(report.fuel_of_programs.unwrap_or_default().saturating_add(units));
        }
    });
}

impl Report {
    fn keep_error(&mut self, name: &[u8], why: &str) {
        let text = || format!("{}: {why}", log::printable(&String::from_utf8_lossy(name))).into_boxed_str();
        self.error.get_or_insert_with(text);
    }

    fn add_time(&mut self, time: Duration) {
        self.time = Some(self.time.unwrap_or_default() + time);
    }

    /// What all have used, if that of any is counted.
    fn units(&self) -> Option<u64> {
        let of_filters = self.fuel.iter().map(|(.., used)| *used);
        of_filters.chain(self.fuel_of_programs).reduce(u64::saturating_add)
    }
}

/// Looks at the report of the main request.
#[inline]
fn with_main(request: &Request, look: impl FnOnce(&mut Report)) {
    if request.r().is_main() {
        return look(&mut request.report.borrow_mut());
    }
    of_main(request.r(), look);
}

/// The same, where the request may have no filters: what Lua runs in a subrequest may be the first of all.
fn of_main(r: HttpRequest<'_>, look: impl FnOnce(&mut Report)) {
    if let Some(request) = Request::of(r.main()).or_else(|| Request::create(r.main())) {
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
        let time = request.report.borrow().time.or(request.has_filters().then_some(Duration::ZERO));
        let time = time.filter(|_| request.main.measures_time)?;
        Some(format!("{}.{:06}", time.as_secs(), time.subsec_micros()))
    })
}

fn get_fuel(r: HttpRequest<'_>, value: VariableValue, _: usize) -> ngx_int_t {
    answer(r, value, |request| request.report.borrow().units().map(|units| units.to_string()))
}

/// Fills in the value of a variable, or that it has none.
fn answer(r: HttpRequest<'_>, value: VariableValue, text: impl FnOnce(&Request) -> Option<String>) -> ngx_int_t {
    let text = Request::of(r.main()).and_then(text);
    value.set(r, text.as_deref().map(str::as_bytes))
}
