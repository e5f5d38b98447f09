//! Body filter: swallows the body of a response that a filter has replaced.

use nginx_sys::{ngx_chain_t, ngx_http_output_body_filter_pt, ngx_http_request_t, ngx_http_top_body_filter, ngx_int_t};

use crate::guard::guard;
use crate::rc;
use crate::request::Request;

static mut NEXT: ngx_http_output_body_filter_pt = None;

/// Puts this filter before those that are there.
///
/// # Safety
/// Nginx reads its configuration.
pub(super) unsafe fn install() {
    // SAFETY: as in `header_filter::install`.
    unsafe {
        NEXT = ngx_http_top_body_filter;
        ngx_http_top_body_filter = Some(filter);
    }
}

/// Hands a chain to the filters behind this one.
///
/// # Safety
/// `r` is a live request, and `chain` a chain of buffers, or null.
pub unsafe fn next(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: `install` has run, since there are requests.
    unsafe { NEXT.map_or(rc::ERROR, |next| next(r, chain)) }
}

unsafe extern "C" fn filter(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: nginx calls filters with a live request.
    guard(rc::ERROR, || unsafe {
        if r == (*r).main {
            let request = Request::of(r);
            if !request.is_null() && (*request).discard_body {
                consume(chain);
                let other = std::mem::replace(&mut (*request).other_body, std::ptr::null_mut());
                return flush(r, other);
            }
        }
        next(r, chain)
    })
}

/// Sends a chain, or what is left of the one before: nginx calls filters without a chain to have that done.
unsafe fn flush(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: see `filter`. Without anything to send, the last filter takes an empty chain for a mistake.
    unsafe {
        let is_pending = !(*r).out.is_null() || (*r).buffered() != 0 || (*(*r).connection).buffered() != 0;
        if !chain.is_null() || is_pending { next(r, chain) } else { rc::OK }
    }
}

/// Marks buffers as sent, so that their producers go on and free them.
unsafe fn consume(chain: *mut ngx_chain_t) {
    let mut link = chain;
    while !link.is_null() {
        // SAFETY: a null pointer ends a chain.
        unsafe {
            let buf = (*link).buf;
            (*buf).pos = (*buf).last;
            (*buf).file_pos = (*buf).file_last;
            link = (*link).next;
        }
    }
}
