//! Header filter: on_response_headers of each filter, in reverse order of the chain.

use nginx_sys::{ngx_http_output_header_filter_pt, ngx_http_request_t, ngx_http_top_header_filter, ngx_int_t};
use ngx_wasm::proxy_wasm::{Action, Callback, LocalResponse, LogLevel};

use crate::conf::LocConf;
use crate::guard::guard;
use crate::request::{self, Failed, Request};
use crate::{headers, local_response, rc};

static mut NEXT: ngx_http_output_header_filter_pt = None;

/// Puts this filter before those that are there.
///
/// # Safety
/// Nginx reads its configuration.
pub(super) unsafe fn install() {
    // SAFETY: one thread reads the configuration; each reload starts with nginx's own filters again.
    unsafe {
        NEXT = ngx_http_top_header_filter;
        ngx_http_top_header_filter = Some(filter);
    }
}

/// Hands a response to the filters behind this one.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn next(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: `install` has run, since there are requests.
    unsafe { NEXT.map_or(rc::ERROR, |next| next(r)) }
}

unsafe extern "C" fn filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: nginx calls filters with a live request.
    guard(rc::ERROR, || unsafe {
        if r != (*r).main {
            return next(r);
        }
        let request = Request::of(r);
        if request.is_null() || (*request).response_headers_done || (*request).runs.is_empty() {
            return next(r);
        }
        (*request).response_headers_done = true;
        match run(request) {
            None => next(r),
            Some(response) => local_response::replace(request, response),
        }
    })
}

/// Runs the filters; the result is the response that one of them put in the place of this one.
unsafe fn run(request: *mut Request) -> Option<LocalResponse> {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        let loc = LocConf::of(r);
        for run in (0..(*request).filters()).rev().filter_map(|n| (*request).run(n)) {
            let result = request::call(request, loc, run, |vm, host| {
                if !vm.has(Callback::OnResponseHeaders) {
                    return Ok(Action::Continue);
                }
                let action = vm.on_response_headers(
                    run.context,
                    headers::response::count(r),
                    headers::response::end_stream(r),
                    host,
                )?;
                if action == Action::Pause {
                    use ngx_wasm::proxy_wasm::Host;
                    host.log(
                        LogLevel::Error,
                        b"Pause in on_response_headers is not supported: the response is refused",
                    );
                }
                Ok(action)
            });
            if let Some(response) = (*request).local_response.take() {
                return Some(response);
            }
            match result {
                // No response leaves without the filters that were to look at it.
                Ok(None) | Err(Failed) | Ok(Some(Action::Pause)) => return unavailable(request),
                Ok(Some(Action::Continue)) if (*request).refused => return unavailable(request),
                Ok(Some(Action::Continue)) => {}
            }
        }
        None
    }
}

/// The answer in place of a response that a filter could not look at. An error page of nginx stays as it is.
unsafe fn unavailable(request: *mut Request) -> Option<LocalResponse> {
    // SAFETY: see `filter`.
    unsafe {
        if (*(*request).r).headers_out.status == rc::SERVICE_UNAVAILABLE as usize {
            return None;
        }
    }
    Some(LocalResponse { status: rc::SERVICE_UNAVAILABLE as u32, ..LocalResponse::default() })
}
