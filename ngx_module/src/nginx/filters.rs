//! nginx's chains of filters: a module puts its own filter first, and calls the one that was first before it. They are kept here for
//! this module's three.

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

static mut NEXT_HEADER: ngx_http_output_header_filter_pt = None;
static mut NEXT_BODY: ngx_http_output_body_filter_pt = None;
static mut NEXT_REQUEST_BODY: ngx_http_request_body_filter_pt = None;

/// Puts filters before those that are there: of the headers of a response, of its body, and of the body of a request.
///
/// # Safety
/// nginx calls `postconfiguration`: one thread reads the configuration, and each reload starts with nginx's own filters again.
pub unsafe fn install(header: HeaderFilter, body: BodyFilter, request_body: BodyFilter) {
    // SAFETY: see above.
    unsafe {
        NEXT_HEADER = (&raw mut ngx_http_top_header_filter).replace(Some(header));
        NEXT_BODY = (&raw mut ngx_http_top_body_filter).replace(Some(body));
        NEXT_REQUEST_BODY = (&raw mut ngx_http_top_request_body_filter).replace(Some(request_body));
    }
}

/// Hands the headers of a response to the filters behind this module's.
pub fn next_header(r: HttpRequest<'_>) -> ngx_int_t {
    // SAFETY: `install` has run, since there are requests; a filter takes a live request, and leaves it so.
    unsafe { NEXT_HEADER.map_or(rc::ERROR, |next| next(r.as_ptr())) }
}

/// Hands a part of the body of a response to the filters behind this module's.
pub fn next_body(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    // SAFETY: as above; the chain is of the request's tree.
    unsafe { NEXT_BODY.map_or(rc::ERROR, |next| next(r.as_ptr(), chain.as_ptr())) }
}

/// Hands a part of the body of a request to the filters behind this module's.
pub fn next_request_body(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    // SAFETY: as above.
    unsafe { NEXT_REQUEST_BODY.map_or(rc::INTERNAL_SERVER_ERROR, |next| next(r.as_ptr(), chain.as_ptr())) }
}

/// Sends the headers of a response, through all filters.
pub fn send_header(r: HttpRequest<'_>) -> ngx_int_t {
    // SAFETY: a filter takes a live request, and leaves it so.
    unsafe { ngx_http_send_header(r.as_ptr()) }
}

/// Sends a part of the body of a response, through all filters.
pub fn output(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    // SAFETY: as above; the chain is of the request's tree.
    unsafe { ngx_http_output_filter(r.as_ptr(), chain.as_ptr()) }
}
