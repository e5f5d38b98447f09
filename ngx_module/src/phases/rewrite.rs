//! Rewrite phase: on_request_headers of each filter, in order.
//!
//! Nginx runs handlers of a phase from the last registered to the first, so this one comes before the rewrite module:
//! filters see a request before `return`, `rewrite` and `set` of their location do.

use nginx_sys::{ngx_http_request_t, ngx_int_t};
use ngx_wasm::proxy_wasm::{Action, Callback, StreamType};

use super::pause::{self, CannotWait};
use crate::conf::{LocConf, NO_CHAIN};
use crate::guard::guard;
use crate::request::{self, Failed, Progress, Request};
use crate::{headers, local_response, rc};

pub(super) unsafe extern "C" fn handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls a phase handler with a live request.
    guard(rc::INTERNAL_SERVER_ERROR, || unsafe { run(r) })
}

unsafe fn run(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: see `handler`. Subrequests belong to the main request, whose filters have seen it.
    unsafe {
        if r != (*r).main {
            return rc::DECLINED;
        }
        let loc = LocConf::of(r);
        let mut request = Request::of(r);
        let Some((chain, filters)) = loc.chain() else {
            if !request.is_null() {
                (*request).enter_chain(NO_CHAIN);
            }
            return rc::DECLINED;
        };
        if request.is_null() {
            request = Request::create(r, loc);
            if request.is_null() {
                return rc::INTERNAL_SERVER_ERROR;
            }
        }
        // A location that inherits the chain of the one before goes on with the contexts that there are.
        if (*request).chain != chain {
            (*request).enter_chain(chain);
            if request::create_contexts(request, loc, filters).is_err() {
                return fail(request);
            }
            return proceed(request, loc, 0);
        }
        match (*request).progress {
            Progress::New => proceed(request, loc, 0),
            Progress::Paused(n) => go_on(request, loc, n),
            Progress::Passed => rc::DECLINED,
        }
    }
}

/// Runs the filters from number `first` on.
///
/// # Safety
/// `request` belongs to a live request in the rewrite phase.
unsafe fn proceed(request: *mut Request, loc: &LocConf, first: usize) -> ngx_int_t {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let end_of_stream = headers::request::end_stream(r);
        let mut n = first;
        while let Some(run) = (*request).run(n) {
            (*request).resumed = None;
            let result = request::call(request, loc, run, |vm, host| {
                if !vm.has(Callback::OnRequestHeaders) {
                    return Ok(Action::Continue);
                }
                vm.on_request_headers(run.context, headers::request::count(r), end_of_stream, host)
            });
            let action = match result {
                // The VM that had the context has trapped in another request meanwhile.
                Ok(None) | Err(Failed) => return fail(request),
                Ok(Some(action)) => action,
            };
            if (*request).refused {
                return fail(request);
            }
            if let Some(response) = (*request).local_response.take() {
                (*request).progress = Progress::Passed;
                return local_response::send(request, *response);
            }
            if action == Action::Pause && (*request).resumed != Some(StreamType::Request) {
                (*request).progress = Progress::Paused(n);
                return match pause::begin(request, loc) {
                    Ok(()) => rc::DONE,
                    Err(CannotWait) => rc::INTERNAL_SERVER_ERROR,
                };
            }
            n += 1;
        }
        (*request).progress = Progress::Passed;
        rc::DECLINED
    }
}

/// Looks whether filter number `n`, which has paused, has decided something since.
unsafe fn go_on(request: *mut Request, loc: &LocConf, n: usize) -> ngx_int_t {
    // SAFETY: see `proceed`.
    unsafe {
        if (*request).refused {
            pause::end(request);
            return fail(request);
        }
        if let Some(response) = (*request).local_response.take() {
            pause::end(request);
            (*request).progress = Progress::Passed;
            return local_response::send(request, *response);
        }
        if (*request).resumed == Some(StreamType::Request) {
            pause::end(request);
            return proceed(request, loc, n + 1);
        }
        // Something else woke the request up.
        rc::DONE
    }
}

/// A request whose filter cannot do its work is not served. Nginx makes the page, by `error_page` or its own.
unsafe fn fail(request: *mut Request) -> ngx_int_t {
    // SAFETY: see `proceed`.
    unsafe {
        (*request).progress = Progress::Passed;
        (*request).failed = true;
        // Said and done; the error page is another response.
        (*request).refused = false;
    }
    rc::SERVICE_UNAVAILABLE
}
