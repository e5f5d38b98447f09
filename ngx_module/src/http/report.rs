//! What a log can say about the filters of a request: `$wasm_error`, `$wasm_time`, `$wasm_fuel`. Subrequests, error pages and
//! internal redirects speak of the main request.
//!
//! Reading a clock for each callback costs something, so `$wasm_time` is measured only if the configuration names it.

use std::time::{Duration, Instant};

use nginx_sys::{
    NGX_HTTP_VAR_NOCACHEABLE, ngx_conf_t, ngx_http_add_variable, ngx_http_get_variable_pt, ngx_http_request_t,
    ngx_http_variable_value_t, ngx_int_t, ngx_str_t,
};
use ngx_wasm::proxy_wasm::{CallError, ContextId};
use ngx_wasm::vm::Trap;

use crate::config::loc_conf::LocConf;
use crate::http::request::{Request, Run};
use crate::nginx::guard::guard;
use crate::nginx::module::name;
use crate::nginx::{log, pool, rc};

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
///
/// # Safety
/// `request` belongs to a live request.
pub unsafe fn note(request: *mut Request, filter: &[u8], why: &str) {
    // SAFETY: see above.
    unsafe {
        if let Some(report) = of_main(request) {
            let text = || format!("{}: {why}", log::printable(&String::from_utf8_lossy(filter))).into_boxed_str();
            report.error.get_or_insert_with(text);
        }
    }
}

/// Notes that a callback has failed.
///
/// # Safety
/// As [`note`].
pub unsafe fn note_failure(request: *mut Request, filter: &[u8], err: &CallError) {
    let why = match err {
        CallError::Trap { trap: Trap::Timeout(_), .. } => "timeout",
        CallError::Trap { trap: Trap::OutOfFuel, .. } => "out of fuel",
        CallError::Trap { .. } => "trap",
        CallError::Dead => "gone",
    };
    // SAFETY: see above.
    unsafe { note(request, filter, why) }
}

/// Notes how much fuel all callbacks of a filter about the request have used together, if that is counted.
///
/// # Safety
/// As [`note`].
pub unsafe fn note_fuel(request: *mut Request, run: Run, used: Option<u64>) {
    let Some(used) = used else { return };
    // SAFETY: see above.
    unsafe {
        let Some(report) = of_main(request) else { return };
        let key = (run.filter, run.generation, run.context);
        match report.fuel.iter_mut().find(|known| (known.0, known.1, known.2) == key) {
            Some(known) => known.3 = used,
            None => report.fuel.push((key.0, key.1, key.2, used)),
        }
    }
}

/// Runs something about a request, and measures how long it takes if anybody wants to know.
///
/// # Safety
/// As [`note`]; `run` may reach the request.
pub unsafe fn measured<R>(request: *mut Request, run: impl FnOnce() -> R) -> R {
    // SAFETY: see above; no borrow of the request is held while `run` does its work.
    unsafe {
        if !(*request).main.measures_time {
            return run();
        }
        let begin = Instant::now();
        let result = run();
        if let Some(report) = of_main(request) {
            report.time += begin.elapsed();
        }
        result
    }
}

/// The report of the main request. Filters that Lua runs in a subrequest may be the first of all.
unsafe fn of_main<'a>(request: *mut Request) -> Option<&'a mut Report> {
    // SAFETY: the callers pass the data of a live request, whose main request lives at least as long, and borrow its report
    // for a moment.
    unsafe {
        let (r, main) = ((*request).r, (*(*request).r).main);
        if r == main {
            return Some(&mut (*request).report);
        }
        let mut of_main = Request::of(main);
        if of_main.is_null() {
            of_main = Request::create(main, LocConf::of(main));
        }
        of_main.as_mut().map(|request| &mut request.report)
    }
}

/// Makes the variables known, before nginx reads what may name them.
///
/// # Safety
/// `cf` is what nginx passed to `preconfiguration`.
pub unsafe fn register(cf: *mut ngx_conf_t) -> ngx_int_t {
    let variables: [(ngx_str_t, ngx_http_get_variable_pt); 3] =
        [(name(c"wasm_error"), Some(error)), (name(c"wasm_time"), Some(time)), (name(c"wasm_fuel"), Some(fuel))];
    for (mut name, handler) in variables {
        // SAFETY: see above; nginx copies the name.
        unsafe {
            let variable = ngx_http_add_variable(cf, &mut name, NGX_HTTP_VAR_NOCACHEABLE as usize);
            if variable.is_null() {
                return rc::ERROR;
            }
            (*variable).get_handler = handler;
        }
    }
    rc::OK
}

unsafe extern "C" fn error(r: *mut ngx_http_request_t, value: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: nginx passes a live request and a value to fill.
    unsafe { answer(r, value, |request| request.report.error.as_deref().map(str::to_owned)) }
}

unsafe extern "C" fn time(r: *mut ngx_http_request_t, value: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: as above.
    unsafe {
        answer(r, value, |request| {
            let has_filters = !request.runs.is_empty() || !request.report.time.is_zero();
            let time = request.report.time;
            (request.main.measures_time && has_filters)
                .then(|| format!("{}.{:06}", time.as_secs(), time.subsec_micros()))
        })
    }
}

unsafe extern "C" fn fuel(r: *mut ngx_http_request_t, value: *mut ngx_http_variable_value_t, _: usize) -> ngx_int_t {
    // SAFETY: as above.
    unsafe {
        answer(r, value, |request| {
            let used = &request.report.fuel;
            (!used.is_empty()).then(|| used.iter().fold(0u64, |sum, (.., used)| sum.saturating_add(*used)).to_string())
        })
    }
}

/// Fills in the value of a variable, or that it has none.
unsafe fn answer(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    text: impl FnOnce(&Request) -> Option<String>,
) -> ngx_int_t {
    // SAFETY: see `error`; the text lives as long as the request.
    guard(rc::ERROR, || unsafe {
        let text = Request::of((*r).main).as_ref().and_then(text);
        let Some(text) = text else {
            (*value).set_not_found(1);
            return rc::OK;
        };
        let Some(copy) = pool::copy((*r).pool, text.as_bytes()) else { return rc::ERROR };
        (*value).set_len(copy.len as u32);
        (*value).data = copy.data;
        (*value).set_valid(1);
        (*value).set_no_cacheable(0);
        (*value).set_not_found(0);
        rc::OK
    })
}
