//! nginx's chains of filters: a module puts its own filter first, and calls the one that was first before it. They are kept here for
//! this module's three.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use nginx_sys::{
    ngx_chain_t, ngx_http_output_filter, ngx_http_request_t, ngx_http_send_header, ngx_http_top_body_filter,
    ngx_http_top_header_filter, ngx_http_top_request_body_filter, ngx_int_t,
};

use super::chain::Chain;
use super::rc;
use super::request::HttpRequest;

type HeaderFilter = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;
type BodyFilter = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_chain_t) -> ngx_int_t;

/// A filter behind one of this module's, as an address: reached in each request, so not thread-local. Workers begin with what the
/// master found.
struct Next(AtomicPtr<()>);

impl Next {
    const fn new() -> Next {
        Next(AtomicPtr::new(ptr::null_mut()))
    }

    fn set(&self, filter: *mut ()) {
        self.0.store(filter, Ordering::Relaxed);
    }

    /// The filter's address. `None`: nothing has been set.
    fn get(&self) -> Option<*mut ()> {
        Some(self.0.load(Ordering::Relaxed)).filter(|filter| !filter.is_null())
    }
}

static NEXT_HEADER: Next = Next::new();
static NEXT_BODY: Next = Next::new();
static NEXT_REQUEST_BODY: Next = Next::new();

/// Puts filters before those that are there: of the headers of a response, of its body, and of the body of a request.
///
/// # Safety
/// nginx calls `postconfiguration`: one thread reads the configuration, and each reload starts with nginx's own filters again. It
/// may call these as its own.
pub unsafe fn install(header: HeaderFilter, body: BodyFilter, request_body: BodyFilter) {
    let address = |filter: Option<BodyFilter>| filter.map_or(ptr::null_mut(), |filter| filter as *mut ());
    // SAFETY: nothing else looks at the first filter now.
    let header = unsafe { (&raw mut ngx_http_top_header_filter).replace(Some(header)) };
    // SAFETY: nor at that of bodies.
    let body = unsafe { (&raw mut ngx_http_top_body_filter).replace(Some(body)) };
    // SAFETY: nor at that of bodies of requests.
    let request_body = unsafe { (&raw mut ngx_http_top_request_body_filter).replace(Some(request_body)) };
    NEXT_HEADER.set(header.map_or(ptr::null_mut(), |filter| filter as *mut ()));
    NEXT_BODY.set(address(body));
    NEXT_REQUEST_BODY.set(address(request_body));
}

/// Hands the headers of a response to the filters behind this module's.
pub fn next_header(r: HttpRequest<'_>) -> ngx_int_t {
    let Some(next) = NEXT_HEADER.get() else { return rc::ERROR };
    // SAFETY: `install` has set it to a filter of headers.
    let next = unsafe { std::mem::transmute::<*mut (), HeaderFilter>(next) };
    // SAFETY: a filter takes a live request, and leaves it so.
    unsafe { next(r.as_ptr()) }
}

/// Hands a part of the body of a response to the filters behind this module's.
pub fn next_body(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    call(&NEXT_BODY, r, chain).unwrap_or(rc::ERROR)
}

/// Hands a part of the body of a request to the filters behind this module's.
pub fn next_request_body(r: HttpRequest<'_>, chain: Chain) -> ngx_int_t {
    call(&NEXT_REQUEST_BODY, r, chain).unwrap_or(rc::INTERNAL_SERVER_ERROR)
}

/// Calls a filter of bodies.
fn call(next: &Next, r: HttpRequest<'_>, chain: Chain) -> Option<ngx_int_t> {
    // SAFETY: `install` has set both of these to filters of bodies.
    let next = unsafe { std::mem::transmute::<*mut (), BodyFilter>(next.get()?) };
    // SAFETY: a filter takes a live request, and a chain of its tree.
    Some(unsafe { next(r.as_ptr(), chain.as_ptr()) })
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
