//! Header filter: on_response_headers of each filter, in reverse order of the chain.

use nginx_sys::{
    NGX_LOG_ERR, ngx_chain_t, ngx_http_output_header_filter_pt, ngx_http_request_t, ngx_http_top_header_filter,
    ngx_int_t,
};
use ngx_wasm::proxy_wasm::{Action, Callback, LocalResponse, StreamType};

use crate::conf::LocConf;
use crate::guard::guard;
use crate::local_response::{self, NoMemory};
use crate::request::{self, Failed, Request};
use crate::{headers, log, rc};

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
        if request.is_null() {
            return next(r);
        }
        let mut replaced = None;
        if !(*request).response_headers_done && (*request).has_filters() {
            (*request).response_headers_done = true;
            replaced = match run(request) {
                Ok(replaced) => replaced,
                Err(NoMemory) => return rc::ERROR,
            };
        }
        keep_framing(request);
        match replaced {
            None => next(r),
            Some(body) => local_response::send_replaced(request, body),
        }
    })
}

/// Runs the filters; the result is a body when they replaced the response.
unsafe fn run(request: *mut Request) -> Result<Option<*mut ngx_chain_t>, NoMemory> {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        let loc = LocConf::of(r);
        let mut replaced = None;
        let runs = (*request).filters();
        for run in runs.into_iter().rev() {
            (*request).resumed = None;
            let result = request::call(request, loc, run, |vm, host| {
                if !vm.has(Callback::OnResponseHeaders) {
                    return Ok(Action::Continue);
                }
                let count = headers::response::count(r);
                vm.on_response_headers(run.context, count, headers::response::end_stream(r), host)
            });
            if let Some(response) = (*request).local_response.take() {
                // As in Envoy, the filters before this one do not see the answer.
                return local_response::replace(request, *response).map(Some);
            }
            let is_fine = match result {
                Ok(Some(Action::Continue)) => !(*request).refused,
                Ok(Some(Action::Pause)) => {
                    (*request).resumed == Some(StreamType::Response) || cannot_wait(request, run)
                }
                // Its failure made this error page.
                Ok(None) if (*request).failed => true,
                Ok(None) | Err(Failed) => false,
            };
            // No response leaves that a filter did not look at. The other filters see the one in its place.
            if !is_fine && (*r).headers_out.status != rc::SERVICE_UNAVAILABLE as usize {
                (*request).refused = false;
                let unavailable = LocalResponse { status: rc::SERVICE_UNAVAILABLE as u32, ..LocalResponse::default() };
                replaced = Some(local_response::replace(request, unavailable)?);
            }
        }
        Ok(replaced)
    }
}

unsafe fn cannot_wait(request: *mut Request, run: request::Run) -> bool {
    // SAFETY: see `filter`.
    unsafe {
        let line = format!(
            "wasm filter \"{}\" paused in on_response_headers, which is not supported: the response is refused",
            String::from_utf8_lossy((*request).filter_name(run.filter))
        );
        log::write(NGX_LOG_ERR, (*(*(*request).r).connection).log, line);
    }
    false
}

/// Whether a body follows depends on the method with which the client asked, not on what a filter made of it.
unsafe fn keep_framing(request: *mut Request) {
    // SAFETY: see `filter`.
    unsafe {
        let r = (*request).r;
        let is_head = (*r).method == nginx_sys::NGX_HTTP_HEAD as usize;
        if (*request).is_head {
            (*r).set_header_only(1);
        } else if is_head {
            // Nginx will send no body, so none may be announced.
            headers::response::no_body(r);
        }
    }
}
