//! Sends what waits in the module for a slow client while an upstream goes on.
//!
//! When the client takes more, nginx's pipe looks at how much of what the upstream sent is under way, and calls no filter for
//! less than `proxy_busy_buffers_size` (src/event/ngx_event_pipe.c, ngx_event_pipe_write_to_client). What filters, or the
//! decoder, made of a few bytes can be much, and would wait until the upstream sends something.

use nginx_sys::{ngx_http_finalize_request, ngx_http_request_empty_handler, ngx_http_request_t};

use super::{body_filter, request_body};
use crate::http::request::Request;
use crate::nginx::guard::guard;
use crate::nginx::rc;

/// Has the body filter called when the client takes more, if there is anything for it to do then.
///
/// # Safety
/// `request` belongs to a live request whose response has begun.
pub(super) unsafe fn watch(request: *mut Request) {
    // SAFETY: see above. What nginx sets in the place of this handler calls the filters itself.
    unsafe {
        let r = (*request).r;
        let has_upstream = !(*r).upstream.is_null() && !(*(*r).upstream).cleanup.is_null();
        let outbound = &(*request).outbound;
        let is_waiting = outbound.output.waiting() > 0 || !(*request).input.is_empty();
        if !has_upstream || !is_waiting || outbound.waits_for_filter() {
            return;
        }
        let is_ours = (*r).write_event_handler.is_some_and(|handler| {
            std::ptr::fn_addr_eq(handler, on_writable as unsafe extern "C" fn(*mut ngx_http_request_t))
        });
        if !is_ours {
            (*request).writer = (*r).write_event_handler.replace(on_writable);
        }
    }
}

/// The client takes more.
unsafe extern "C" fn on_writable(r: *mut ngx_http_request_t) {
    // SAFETY: nginx calls the handler of a live request.
    guard((), || unsafe {
        let request = Request::of(r);
        let writer = if request.is_null() { None } else { (*request).writer.take() };
        let writer = writer.or(Some(ngx_http_request_empty_handler));
        (*r).write_event_handler = writer;
        let write = (*(*r).connection).write;
        if !request.is_null() && (*write).timedout() == 0 && (*write).delayed() == 0 {
            if body_filter::take(request, r, std::ptr::null_mut()) == rc::ERROR {
                request_body::end_upstream(r);
                ngx_http_finalize_request(r, rc::ERROR);
                return;
            }
            watch(request);
        }
        if let Some(writer) = writer {
            writer(r);
        }
    });
}
