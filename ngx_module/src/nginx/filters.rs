//! nginx's chains of filters: a module puts its own filter first, and calls the one that was first before it. They are kept here for
//! this module's three.

use std::cell::Cell;

use nginx_sys::{
    ngx_chain_t, ngx_http_output_body_filter_pt, ngx_http_output_filter, ngx_http_output_header_filter_pt,
    ngx_http_request_body_filter_pt, ngx_http_request_t, ngx_http_send_header, ngx_http_top_body_filter,
    ngx_http_top_header_filter, ngx_http_top_request_body_filter, ngx_int_t,
};

use super::chain::Chain;
use super::rc;
use super::request::HttpRequest;

type HeaderFilter = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;
type BodyFilter = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_chain_t) -> ngx_int_t;

type Next = (ngx_http_output_header_filter_pt, ngx_http_output_body_filter_pt, ngx_http_request_body_filter_pt);

thread_local! {
    /// Those behind this module's. Workers begin with what the master found.
    static NEXT: Cell<Next> = const { Cell::new((None, None, None)) };
}

/// Puts filters before those that are there: of the headers of a response, of its body, and of the body of a request.
///
/// # Safety
/// nginx calls `postconfiguration`: one thread reads the configuration, and each reload starts with nginx's own filters again. It
/// may call these as its own.
pub unsafe fn install(header: HeaderFilter, body: BodyFilter, request_body: BodyFilter) {
    // SAFETY: nothing else looks at the first filter now.
    let header = unsafe { (&raw mut ngx_http_top_header_filter).replace(Some(header)) };
    // SAFETY: nor at that of bodies.
    let body = unsafe { (&raw mut ngx_http_top_body_filter).replace(Some(body)) };
    // SAFETY: nor at that of bodies of requests.
    let request_body = unsafe { (&raw mut ngx_http_top_request_body_filter).replace(Some(request_body)) };
    NEXT.set((header, body, request_body));
}

/// Hands the headers of a response to the filters behind this module's.
pub fn next_header(r: HttpRequest<'_>) -> ngx_int_t {
    // SAFETY: a filter takes a live request, and leaves it so.
    NEXT.get().0.map_or(rc::ERROR, |next| unsafe { next(r.as_ptr()) })
}

/// Hands a part of the body of a response to the filters behind this module's.
pub fn next_body(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    // SAFETY: a filter takes a live request, and a chain of its tree.
    NEXT.get().1.map_or(rc::ERROR, |next| unsafe { next(r.as_ptr(), chain.as_ptr()) })
}

/// Hands a part of the body of a request to the filters behind this module's.
pub fn next_request_body(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    // SAFETY: a filter takes a live request, and a chain of its tree.
    NEXT.get().2.map_or(rc::INTERNAL_SERVER_ERROR, |next| unsafe { next(r.as_ptr(), chain.as_ptr()) })
}

/// Sends the headers of a response, through all filters.
pub fn send_header(r: HttpRequest<'_>) -> ngx_int_t {
    // SAFETY: a filter takes a live request, and leaves it so.
    unsafe { ngx_http_send_header(r.as_ptr()) }
}

/// Sends a part of the body of a response, through all filters.
pub fn output(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    // SAFETY: a filter takes a live request, and a chain of its tree.
    unsafe { ngx_http_output_filter(r.as_ptr(), chain.as_ptr()) }
}
